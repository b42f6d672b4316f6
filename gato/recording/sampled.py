"""A policy's own exploration, executed while the policy's undisturbed action is what it intended.

In: policies, which of them acts in each episode of a plan. Out: a `Sampled`, for the rows of one block of episodes.
D4RL's data (Fu et al. 2020) are drawn from stochastic policies in this way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gato.experts.measure import has_exploration
from gato.experts.policy import Policy
from gato.recording.blocks import NOISE_STREAM, Plan
from gato.skills.evaluate import Actor


class Sampled:
    """Acts in place of the policies: their Gaussian, each episode's numbers from its own generator."""

    def __init__(self, policies: Sequence[Policy], plan: Plan) -> None:
        self.policies = policies
        turns_B = plan.actor_ids_TB[0]
        self.rows_of = [np.flatnonzero(turns_B == turn) for turn in range(len(policies))]
        num_steps, num_actions = len(plan.actor_ids_TB), len(policies[0].log_std_A)
        drawn = [
            np.random.default_rng([seed, NOISE_STREAM]).standard_normal((num_steps, num_actions), np.float32)
            for seed in plan.seeds
        ]
        self.noise_TBA = np.stack(drawn, 1)
        self.step = 0

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """Actions (B, A) for observations of all environments, the first of them in use."""
        noise_BA = self.noise_TBA[self.step]
        actions_BA = np.zeros((len(observations_BO), noise_BA.shape[1]), np.float32)
        for policy, rows in zip(self.policies, self.rows_of, strict=True):
            if len(rows):
                mean_bA = policy.act(policy.normalise(observations_BO[rows]))
                actions_BA[rows] = policy.to_box(mean_bA + np.exp(policy.log_std_A) * noise_BA[rows])
        self.step += 1
        return actions_BA

    def tell(self, ids: np.ndarray, prompt_id: int) -> None:
        """A policy knows one skill."""
        raise AssertionError(f"rows {ids} were told skill {prompt_id}; a recording that switches is not sampled")

    def did(self, ids: np.ndarray, actions_bA: np.ndarray) -> None:
        """What it draws is the noise."""
        raise AssertionError(f"rows {ids} acted with noise; a recording that is sampled has none beside it")


def as_policies(actors: Sequence[Actor], names: Sequence[str]) -> tuple[Policy, ...]:
    """The actors, which must have a distribution to draw from."""
    policies = tuple(actor for actor in actors if isinstance(actor, Policy) and has_exploration(actor))
    if len(policies) < len(actors):
        wrong = [name for name, actor in zip(names, actors, strict=True) if not has_exploration(actor)]
        raise ValueError(f"{wrong} have no distribution of their own to sample from; leave out sample, or give noise")
    return policies
