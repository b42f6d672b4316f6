"""What every stepper promises, and what a step gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from gymnasium import Space
from gymnasium.envs.registration import EnvSpec

from gato.specs import BodySpec


@dataclass(frozen=True, slots=True)
class Transition:
    """One control step of b environments; every array is the caller's to keep."""

    observations_BO: np.ndarray
    """After the step, in the environment's own dtype."""
    rewards_B: np.ndarray
    terminated_B: np.ndarray
    truncated_B: np.ndarray
    readings: dict[str, np.ndarray]
    """Physical units, name -> (b,); empty for an environment that Gato does not know."""


class Stepper(Protocol):
    """Many environments of one body, stepped together. Nothing resets by itself: an ended row waits for `reset`.

    `ids` are row numbers. Arrays that go in or come out with `ids` have one row for each of them, in their order.
    """

    num_envs: int
    spec: BodySpec
    env_spec: EnvSpec
    observation_space: Space
    action_space: Space
    max_episode_steps: int

    def reset(self, ids: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Begins an episode in each of `ids`, as `env.reset(seed=...)` does; their observations (b, O)."""
        ...

    def step(self, actions_BA: np.ndarray, ids: np.ndarray | None = None) -> Transition:
        """Steps the rows `ids` (None: all) and leaves the others alone.

        Actions are cast to the dtype of the action space first, the one recordings keep, so that they replay.
        """
        ...

    def select_skill(self, ids: np.ndarray, skill_id: str) -> None:
        """From the next step on, rows `ids` are rewarded for that skill; their simulation goes on undisturbed."""
        ...

    def command(self) -> np.ndarray:
        """What every row is asked for now, (B, C) in the order of COMMANDS; NaN where nothing is."""
        ...
