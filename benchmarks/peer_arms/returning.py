"""Ours, told returns to go: one transformer for all tasks, asked for the best return of each one's recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gato.rollout.agent import Agent
from gato.skills.evaluate import Actor
from gato.skills.table import get_skill
from peer_arms.arm import Setup
from peer_arms.gato_arm import GatoArm


class ReturnArm(GatoArm):
    """`gato fit` with model.network.return_to_go."""

    def __init__(self, setup: Setup) -> None:
        told = tuple(replace(source, prompts={"return": 1.0}) for source in setup.sources)
        super().__init__(replace(setup, sources=told), replace(setup.network, return_to_go=True))

    def actor(self, skill_id: str, prompts: Sequence[str], *, is_drawn: bool = False) -> Actor:
        """Told the skill and the best return."""
        asked_B = np.ones(len(prompts), np.float32)
        body = get_skill(skill_id).body
        agent = Agent(self.model.eval(), body, prompts, returns_B=asked_B, sample=is_drawn, seed=self.setup.seed)
        return Returning(agent, self.model.codec.best_returns[skill_id])


class Returning:
    """An agent that is told what it earned, in rewards."""

    def __init__(self, agent: Agent, best_return: float) -> None:
        self.agent, self._best_return = agent, best_return
        self.reset, self.retire = agent.reset, agent.retire

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        return self.agent(observations_BO)

    def earn(self, rewards_B: np.ndarray) -> None:
        """As a share of the best return."""
        self.agent.earn(rewards_B / self._best_return)
