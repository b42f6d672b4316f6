"""Collecting: a policy acts in many environments at once and leaves rollouts for PPO.

In: a Stepper, a Policy. Out: Rollout records, observations and rewards normalised; running statistics.
Everything random comes from one generator, and `state` holds all that decides what comes next, so a collector that is
put back continues to the bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gato.experts.curriculum import StartStates
from gato.experts.policy import Policy
from gato.skills.batch_stepper import BatchStepper
from gato.skills.bodies.symmetry import Symmetry
from gato.skills.environment import MAX_SEED
from gato.skills.table import Condition
from gato.specs import _Arrays

REWARD_CLIP = 10.0
"""Normalised rewards beyond this are cut (as in Stable-Baselines3's VecNormalize)."""
LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)
FAILURE_COST = 3.0
"""In running deviations of the discounted return, with start states and fresh weights: where a body must first brake,
falling would end a run of negative rewards, and must not pay."""
START_STEPS = 400
"""Most steps of an episode that begins in a start state: what is to be learned there is how to go on from it."""
GRACE_STEPS = 40
"""In which such an episode may come to what the rule allows at any time: who takes over from a flip lands first."""


@dataclass
class Moments:
    """Running mean and variance (Chan et al., parallel form), float64."""

    mean: np.ndarray
    variance: np.ndarray
    count: float = 0.0

    @classmethod
    def zeros(cls, *shape: int) -> Moments:
        return cls(np.zeros(shape), np.ones(shape))

    def update(self, values: np.ndarray) -> None:
        """Add values (N, ...)."""
        added, mean, variance = len(values), values.mean(0), values.var(0)
        total, delta = self.count + added, mean - self.mean
        spread = self.variance * self.count + variance * added + delta**2 * self.count * added / total
        self.mean, self.variance, self.count = self.mean + delta * added / total, spread / total, total


@dataclass(frozen=True, repr=False)
class Rollout(_Arrays):
    """T steps of B environments, as PPO learns from them."""

    observations_TBO: np.ndarray
    """(T+1, B, O) float32, normalised; the last row is where the next rollout begins."""
    actions_TBA: np.ndarray
    """Before clipping, in units of half the action box."""
    log_probabilities_TB: np.ndarray
    loudness_B: np.ndarray
    """float32, of each environment's exploration noise: times that of the policy."""
    rewards_TB: np.ndarray
    """float32, divided by the running deviation of the discounted return."""
    terminated_TB: np.ndarray
    truncated_TB: np.ndarray
    final_observations_FO: np.ndarray
    """Normalised last observations of the ended episodes in (t, b) order; truncated ones are bootstrapped there."""


@dataclass(frozen=True)
class Finished:
    """Returns and lengths of the episodes that ended during a rollout."""

    returns: tuple[float, ...]
    lengths: tuple[int, ...]


class Collector:
    """Owns the environments, the normalisers and the random numbers of collecting."""

    def __init__(
        self,
        stepper: BatchStepper,
        *,
        seed: int,
        discount: float,
        rule: tuple[Condition, ...] = (),
        starts: StartStates | None = None,
        start_share: float = 0.0,
        failure_cost: float = 0.0,
        reward_limit: float = math.inf,
        mirror: Symmetry | None = None,
        quietest: float = 1.0,
    ) -> None:
        self.stepper, self.discount, self.reward_limit, self.mirror = stepper, discount, reward_limit, mirror
        self.starts, self.failure_cost = starts, failure_cost
        self.rule = rule
        num_envs = stepper.num_envs
        self.is_started_B = np.arange(num_envs) < (0 if starts is None else start_share * num_envs)
        """Rows whose episodes begin in start states."""
        self.loudness_B = np.geomspace(1.0, quietest, num_envs, dtype=np.float32)
        # In any order: the first rows are those of the start states.
        self.loudness_B = np.random.default_rng([seed, 4]).permutation(self.loudness_B)
        self.learns_normaliser = True
        self.rng = np.random.default_rng([seed, 1])
        self.observation_moments = Moments.zeros(len(stepper.spec.observation))
        self.return_moments = Moments.zeros()
        self.discounted_B = np.zeros(num_envs)
        self.returns_B, self.lengths_B = np.zeros(num_envs), np.zeros(num_envs, np.int64)
        self.observations_BO = self._begin(np.arange(num_envs))
        self.is_arriving_B = self.is_started_B.copy()
        """Rows that have not yet come to what the rule allows."""
        self.longest_B = np.where(self.is_started_B, START_STEPS, stepper.max_episode_steps)
        self.limits_B = self.rng.integers(1, self.longest_B + 1)
        """Steps after which an episode is cut. First ones anywhere: a rollout that saw all bodies at the same age would
        teach one part of the episode and forget the others."""

    def collect(self, policy: Policy, num_steps: int) -> tuple[Rollout, Finished]:
        """Act for `num_steps` steps with exploration noise, then bring the running statistics up to date."""
        num_envs, num_actions = self.stepper.num_envs, len(policy.log_std_A)
        raw_TBO = np.empty((num_steps + 1, *self.observations_BO.shape))
        normalised_TBO = np.empty(raw_TBO.shape, np.float32)
        noise_TBA = self.rng.standard_normal((num_steps, num_envs, num_actions), np.float32)
        actions_TBA = np.empty_like(noise_TBA)
        rewards_TB, discounted_TB = np.empty((num_steps, num_envs)), np.empty((num_steps, num_envs))
        terminated_TB, truncated_TB = np.empty((2, num_steps, num_envs), bool)
        std_BA, finals = self.loudness_B[:, None] * np.exp(policy.log_std_A), []
        returns: list[float] = []
        lengths: list[int] = []
        for t in range(num_steps):
            raw_TBO[t] = policy.see(self.observations_BO)
            normalised_TBO[t] = policy.normalise(self.observations_BO)
            actions_TBA[t] = policy.act(normalised_TBO[t]) + std_BA * noise_TBA[t]
            step = self.stepper.step(policy.to_box(actions_TBA[t]))
            self.observations_BO = step.observations_BO
            failed_B = step.terminated_B | self._is_hopeless(step.readings)
            rewards_TB[t] = np.minimum(step.rewards_B, 2 * self.reward_limit - step.rewards_B)
            self.discounted_B = self.discounted_B * self.discount + rewards_TB[t]
            discounted_TB[t] = self.discounted_B
            self.returns_B += step.rewards_B
            self.lengths_B += 1
            cut_B = step.truncated_B | (self.lengths_B >= self.limits_B)
            terminated_TB[t], truncated_TB[t] = failed_B, cut_B
            ended = np.flatnonzero(failed_B | cut_B)
            if len(ended):
                finals.append(policy.normalise(step.observations_BO[ended]))
                returns.extend(self.returns_B[ended].tolist())
                lengths.extend(self.lengths_B[ended].tolist())
                self.observations_BO = self.observations_BO.copy()
                self.observations_BO[ended] = self._begin(ended)
                self.discounted_B[ended] = self.returns_B[ended] = self.lengths_B[ended] = 0
                self.limits_B[ended] = self.longest_B[ended]
                self.is_arriving_B[ended] = self.is_started_B[ended]
        raw_TBO[num_steps] = policy.see(self.observations_BO)
        normalised_TBO[num_steps] = policy.normalise(self.observations_BO)
        scaled_TB = rewards_TB / np.sqrt(self.return_moments.variance + 1e-8)
        scaled_TB -= self.failure_cost * terminated_TB
        if self.learns_normaliser:
            raw_NO = raw_TBO[:-1].reshape(-1, raw_TBO.shape[-1])
            images = [] if self.mirror is None else [self.mirror.observation(raw_NO)]
            self.observation_moments.update(np.concatenate([raw_NO, *images]))
        self.return_moments.update(discounted_TB.reshape(-1))
        rollout = Rollout(
            observations_TBO=normalised_TBO,
            actions_TBA=actions_TBA,
            log_probabilities_TB=-(0.5 * noise_TBA**2 + np.log(std_BA) + LOG_ROOT_TWO_PI).sum(-1),
            loudness_B=self.loudness_B,
            rewards_TB=np.clip(scaled_TB, -REWARD_CLIP, REWARD_CLIP).astype(np.float32),
            terminated_TB=terminated_TB,
            truncated_TB=truncated_TB,
            final_observations_FO=np.concatenate([normalised_TBO[:0, 0], *finals]),
        )
        return rollout, Finished(tuple(returns), tuple(lengths))

    def normaliser(self, policy: Policy) -> Policy:
        """`policy` with the statistics gathered so far."""
        moments = self.observation_moments
        return replace(policy, mean_O=moments.mean.copy(), std_O=np.sqrt(moments.variance + 1e-8))

    def keep_normaliser(self, policy: Policy) -> None:
        """Use the statistics of a policy whose weights are trained on: shifted inputs would undo what it can do."""
        self.observation_moments = Moments(policy.mean_O.copy(), policy.std_O**2)
        self.learns_normaliser = False

    def _is_hopeless(self, readings: dict[str, np.ndarray]) -> np.ndarray:
        """Rows that can no longer meet the skill's rule: going on there would teach gaits nobody asked for.

        A half-cheetah that slides on its back is paid by Gymnasium's reward, and fast; it is not what the words say.
        """
        failed_B = np.zeros(self.stepper.num_envs, bool)
        for condition in self.rule:
            if condition.statistic == "max":
                failed_B |= readings[condition.reading] > condition.high
            elif condition.statistic == "min":
                failed_B |= readings[condition.reading] < condition.low
        self.is_arriving_B &= failed_B & (self.lengths_B < GRACE_STEPS)
        return failed_B & ~self.is_arriving_B

    def _begin(self, ids: np.ndarray) -> np.ndarray:
        """Begin episodes: as the environment does, or, in a share of the rows, in a state an earlier expert visited.

        A share of the rows, not of the episodes: where taking over fails it fails at once, and such episodes would be
        half of all and a fiftieth of the steps.
        """
        seeds = self.rng.integers(MAX_SEED, size=len(ids)).tolist()
        observations_BO = self.stepper.reset(ids, seeds)
        chosen = self.is_started_B[ids]
        if self.starts is not None and chosen.any():
            rows = self.rng.integers(len(self.starts.qpos_NQ), size=int(chosen.sum()))
            place = self.starts.qpos_NQ[rows], self.starts.qvel_NV[rows]
            observations_BO[chosen] = self.stepper.set_state(ids[chosen], *place)
        return observations_BO

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All that decides the next rollout: arrays, and facts that JSON can hold."""
        moments = {"observation": self.observation_moments, "return": self.return_moments}
        arrays = {f"env.{name}": values for name, values in self.stepper.snapshot().items()}
        arrays |= {f"{name}.mean": m.mean for name, m in moments.items()}
        arrays |= {f"{name}.variance": m.variance for name, m in moments.items()}
        arrays |= {"observations": self.observations_BO, "discounted": self.discounted_B}
        arrays |= {"returns": self.returns_B, "lengths": self.lengths_B, "limits": self.limits_B}
        arrays |= {"arriving": self.is_arriving_B}
        counts = {name: m.count for name, m in moments.items()}
        return arrays, {"counts": counts, "rng": self.rng.bit_generator.state}

    def load_state(self, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Put back what `state` gave."""
        self.stepper.restore({name[4:]: values for name, values in arrays.items() if name.startswith("env.")})
        for name, moments in (("observation", self.observation_moments), ("return", self.return_moments)):
            moments.mean, moments.variance = arrays[f"{name}.mean"], arrays[f"{name}.variance"]
            moments.count = facts["counts"][name]
        self.observations_BO, self.discounted_B = arrays["observations"], arrays["discounted"]
        self.returns_B, self.lengths_B, self.limits_B = arrays["returns"], arrays["lengths"], arrays["limits"]
        # Runs that were kept before rows arrived: nobody does.
        self.is_arriving_B = arrays.get("arriving", np.zeros_like(self.is_started_B))
        self.rng.bit_generator.state = facts["rng"]
