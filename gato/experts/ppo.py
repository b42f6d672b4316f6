"""PPO: the learner. Schulman et al. 2017, with the details that move the score (Andrychowicz et al. 2021).

In: Rollout records (normalised). Out: better weights, and figures about the update.
Values and advantages are computed anew in every epoch; actor and critic are separate tanh networks; the clip is on the
probability ratio to the policy that collected, which with overlapped collecting is one update old.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gato.experts.collect import LOG_ROOT_TWO_PI, Rollout
from gato.experts.curriculum import Curriculum
from gato.experts.network import TanhNetwork, num_weights
from gato.experts.policy import Policy
from gato.skills.bodies.symmetry import Symmetry

GAE_LAMBDA = 0.95
CLIP_RANGE = 0.2
MAX_GRADIENT_NORM = 0.5
ADAM_EPSILON = 1e-5
"""The three above and this: the usual values of PPO on MuJoCo."""
RATE_STEP, MOST_RATE = 1.5, 4.0
"""Factor by which the learning rate is changed after an update that moved the policy too much or too little, and how
far above its schedule it may rise (Rudin et al. 2022)."""
MOST_DIVERGENCE = 2.5
"""Times the target divergence: an epoch that moved the policy further is the last of its update."""
FIRST_STD = 0.6
"""Exploration noise of fresh weights, where nothing else is asked for."""
LAST_LAYER_GAIN = 0.01
"""Of the actor: first actions are near zero, whatever is observed."""


@dataclass(frozen=True)
class PPOConfig(Curriculum):
    """How an expert is trained."""

    hidden: tuple[int, ...] = (64, 64)
    """Widths of the tanh layers, of the actor and of the critic."""
    num_envs: int = 128
    """Environments stepped together."""
    rollout_steps: int = 64
    """Steps of each environment between updates."""
    minibatch_size: int = 1024
    """Steps a gradient."""
    epochs: int = 10
    """Passes over a rollout."""
    learning_rate: float = 3e-4
    """Of Adam at the beginning; falls linearly to 0."""
    target_divergence: float = 0.015
    """KL divergence (nats) an update should move the policy by; the learning rate follows it. 0 for a fixed rate."""
    discount: float = 0.99
    """Of rewards, a step."""
    initial_std: float | None = None
    """Exploration noise at the beginning, in units of half the action box; None: 0.6, with `init_from` the expert's
    own, which has become quiet: to learn something new it must be made louder."""
    minimal_std: float = 0.0
    """Exploration noise never falls below this; a floor makes gaits that forgive disturbed actions."""
    final_std: float | None = None
    """Exploration noise is held below a line (of its logarithm) from `initial_std` to this over the run; None: it falls
    as the updates will. A body that learns to move only by loud noise learns to move well when it is gone."""
    quietest: float = 1.0
    """The quietest environment's exploration noise, as a share of the loudest's; the others lie between. What only
    shows without noise, like standing where it should walk, is seen there; what only noise finds, in the others."""
    symmetric: bool = False
    """Learn from the mirror image of every step, too (Mittal et al. 2024); for bodies that are alike on both sides."""

    @property
    def first_std(self) -> float:
        """The noise of fresh weights."""
        return FIRST_STD if self.initial_std is None else self.initial_std

    def most_std(self, done: float) -> float:
        """The loudest exploration noise allowed when that share of the run is done."""
        return math.inf if self.final_std is None else self.first_std ** (1 - done) * self.final_std**done

    def __post_init__(self) -> None:
        above = ("num_envs", "rollout_steps", "minibatch_size", "epochs", "learning_rate")
        allowed = {
            "initial_std": (0 < self.first_std < math.inf, "above 0"),
            **{name: (0 < getattr(self, name) < math.inf, "above 0") for name in above},
            "hidden": (all(width > 0 for width in self.hidden), "widths above 0"),
            "target_divergence": (0 <= self.target_divergence < math.inf, "0 or more"),
            "discount": (0 <= self.discount < 1, "0 to below 1"),
            "minimal_std": (0 <= self.minimal_std <= self.first_std, "0 to initial_std"),
            "quietest": (0 < self.quietest <= 1, "above 0, at most 1"),
            "final_std": (
                self.final_std is None or (self.final_std > 0 and self.minimal_std <= self.final_std <= self.first_std),
                "above 0, minimal_std to initial_std",
            ),
            **self.limits(),
        }
        wrong = [
            f"{name}={getattr(self, name)} (allowed: {words})" for name, (fits, words) in allowed.items() if not fits
        ]
        if wrong:
            raise ValueError(f"PPO settings out of range: {', '.join(wrong)}")


@dataclass(frozen=True)
class UpdateFigures:
    """Means over the minibatches of one update."""

    policy_loss: float
    value_loss: float
    divergence: float
    """Approximate KL divergence from the collecting policy (Schulman's k3), nats."""
    clipped: float
    """Share of steps whose ratio was clipped."""


class Learner:
    """Actor, critic, optimiser and the random order of minibatches."""

    def __init__(
        self, config: PPOConfig, *, num_observations: int, num_actions: int, seed: int, mirror: Symmetry | None = None
    ) -> None:
        self.config, self.mirror = config, mirror
        generator = torch.Generator().manual_seed(seed)
        actor, critic = [num_observations, *config.hidden, num_actions], [num_observations, *config.hidden, 1]
        self.flats = [_zeros(num_weights(actor) + num_actions), _zeros(num_weights(critic))]
        """All numbers of the actor, and of the critic."""
        (weights, self.log_std_A), (gradients, self.log_std_gradient_A) = (
            flat.split([num_weights(actor), num_actions]) for flat in _with_gradient(self.flats[0])
        )
        self.actor = TanhNetwork(actor, weights, gradients)
        self.critic = TanhNetwork(critic, *_with_gradient(self.flats[1]))
        self.actor.initialise(last_gain=LAST_LAYER_GAIN, generator=generator)
        self.log_std_A.fill_(math.log(config.first_std))
        self.critic.initialise(last_gain=1.0, generator=generator)
        groups = [{"params": [flat]} for flat in self.flats]
        self.optimiser = torch.optim.Adam(groups, config.learning_rate, eps=ADAM_EPSILON, fused=True)
        self.rng = np.random.default_rng([seed, 3])
        self.rate_factor = 1.0
        """Of the actor's learning rate: how far the divergence has moved it from its schedule. The critic keeps to the
        schedule: with the actor's it would learn next to nothing where the policy must change slowly."""

    def begin_actor(self) -> None:
        """After updates of the critic alone: Adam has counted steps in which the actor had no gradient, and would make
        its first ones three times too long."""
        self.optimiser.state.pop(self.flats[0], None)

    @torch.no_grad()
    def update(
        self, rollout: Rollout, *, learning_rate: float, most_std: float = math.inf, critic_only: bool = False
    ) -> UpdateFigures:
        """`epochs` passes of clipped PPO over the rollout; the noise ends at `most_std` or below. `critic_only` leaves
        the actor as it is."""
        actor, critic = self.optimiser.param_groups
        actor["lr"], critic["lr"] = learning_rate * self.rate_factor, learning_rate
        num_steps, num_envs = rollout.rewards_TB.shape
        loudness_TB1 = np.broadcast_to(rollout.loudness_B[:, None], (num_steps, num_envs, 1))
        kept_TB = [rollout.observations_TBO[:-1], rollout.actions_TBA, loudness_TB1]
        kept_TB.append(rollout.log_probabilities_TB[..., None])
        widths = [array.shape[-1] for array in kept_TB]
        kept_NX = np.concatenate(kept_TB, -1).reshape(num_steps * num_envs, -1)
        images = [] if self.mirror is None else [self._image(kept_NX, widths)]
        data_NX = torch.from_numpy(np.concatenate([kept_NX, *images]))
        size, sums, count = len(data_NX), torch.zeros(4), 0
        num_minibatches = -(-size // self.config.minibatch_size)
        for _ in range(self.config.epochs):
            estimates_N = (np.tile(values_TB.reshape(-1), 1 + len(images)) for values_TB in self._advantages(rollout))
            advantages_N, targets_N = map(torch.from_numpy, estimates_N)
            advantages_N = (advantages_N - advantages_N.mean()) / (advantages_N.std() + 1e-8)
            order_N = torch.from_numpy(self.rng.permutation(size))
            data, estimates = data_NX[order_N], torch.stack([advantages_N, targets_N], -1)[order_N]
            epoch = torch.zeros(4)
            for begin in range(0, size, self.config.minibatch_size):
                rows = slice(begin, begin + self.config.minibatch_size)
                observations_NO, actions_NA, loudness_N1, old_N1 = data[rows].split(widths, -1)
                epoch += self._minibatch(
                    observations_NO, actions_NA, loudness_N1, old_N1, estimates[rows], critic_only=critic_only
                )
            sums, count = sums + epoch / num_minibatches, count + 1
            if self._is_too_far(epoch[2].item() / num_minibatches):
                break
        self.log_std_A.clamp_(max=math.log(most_std))
        figures = UpdateFigures(*(sums / count).tolist())
        if not critic_only:
            self._adapt_rate(figures.divergence)
        return figures

    def _image(self, kept_NX: np.ndarray, widths: list[int]) -> np.ndarray:
        """Mirrored steps, their actions as probable as this policy now makes them.

        Where it is not yet its own mirror image, the step's own probability would count that as too long an update.
        """
        assert self.mirror is not None
        observations_NO, actions_NA, loudness_N1, _ = np.split(kept_NX, np.cumsum(widths)[:-1], axis=-1)
        seen_NO, done_NA = self.mirror.observation(observations_NO), self.mirror.action(actions_NA)
        means_NA = self.actor(torch.from_numpy(seen_NO)).numpy()
        std_NA = loudness_N1 * np.exp(self.log_std_A.numpy())
        noise_NA = (done_NA - means_NA) / std_NA
        log_probabilities_N = -(0.5 * noise_NA**2 + np.log(std_NA) + LOG_ROOT_TWO_PI).sum(-1)
        return np.concatenate([seen_NO, done_NA, loudness_N1, log_probabilities_N[:, None]], -1)

    def _is_too_far(self, divergence: float) -> bool:
        target = self.config.target_divergence
        return target > 0 and divergence > MOST_DIVERGENCE * target

    def _adapt_rate(self, divergence: float) -> None:
        target = self.config.target_divergence
        if target and divergence > 2 * target:
            self.rate_factor /= RATE_STEP
        elif target and divergence < target / 2:
            self.rate_factor = min(self.rate_factor * RATE_STEP, MOST_RATE)

    def _minibatch(
        self,
        observations_NO: Tensor,
        actions_NA: Tensor,
        loudness_N1: Tensor,
        old_N1: Tensor,
        estimates_N2: Tensor,
        *,
        critic_only: bool,
    ) -> Tensor:
        """One step of Adam down PPO's clipped loss plus half the squared error of the values."""
        observations_NO = observations_NO.contiguous()
        size, (advantages_N, targets_N) = len(old_N1), estimates_N2.unbind(-1)
        error_N = self.critic(observations_NO).squeeze(-1) - targets_N
        self.critic.backward((error_N / size)[:, None])
        std_NA = loudness_N1 * self.log_std_A.exp()
        noise_NA = (actions_NA - self.actor(observations_NO)) / std_NA
        constant_N = std_NA.log().sum(-1) + LOG_ROOT_TWO_PI * actions_NA.shape[1]
        log_ratio_N = -0.5 * noise_NA.square().sum(-1) - constant_N - old_N1[:, 0]
        ratio_N = log_ratio_N.exp()
        bounded_N = ratio_N.clamp(1 - CLIP_RANGE, 1 + CLIP_RANGE)
        gain_N = torch.minimum(advantages_N * ratio_N, advantages_N * bounded_N)
        # Where the bounded gain is the smaller one it is constant in the weights: no gradient there.
        slope_N1 = torch.where(advantages_N * (ratio_N - bounded_N) > 0, 0.0, advantages_N * ratio_N)[:, None] / -size
        if critic_only:
            slope_N1.zero_()
        self.actor.backward(slope_N1 * noise_NA / std_NA)
        self.log_std_gradient_A.copy_((slope_N1 * (noise_NA.square() - 1)).sum(0))
        for flat in self.flats:
            _clip(flat.grad)
        self.optimiser.step()
        if self.config.minimal_std > 0:
            self.log_std_A.clamp_(min=math.log(self.config.minimal_std))
        divergence = (ratio_N - 1 - log_ratio_N).mean()
        clipped = (ratio_N != bounded_N).float().mean()
        return torch.stack([-gain_N.mean(), 0.5 * error_N.square().mean(), divergence, clipped])

    @torch.no_grad()
    def _advantages(self, rollout: Rollout) -> tuple[np.ndarray, np.ndarray]:
        """Generalised advantages and value targets, (T, B); an episode cut by its time limit is bootstrapped."""
        values_TB = self._values(rollout.observations_TBO)
        next_TB = values_TB[1:].copy()
        ended_TB = rollout.terminated_TB | rollout.truncated_TB
        if len(rollout.final_observations_FO):
            next_TB[ended_TB] = self._values(rollout.final_observations_FO)
        next_TB[rollout.terminated_TB] = 0.0
        discount = np.float32(self.config.discount)
        errors_TB = rollout.rewards_TB + discount * next_TB - values_TB[:-1]
        decay_TB = np.where(ended_TB, np.float32(0), discount * np.float32(GAE_LAMBDA))
        advantages_TB = np.empty_like(errors_TB)
        running_B = np.zeros_like(errors_TB[0])
        for t in reversed(range(len(errors_TB))):
            running_B = errors_TB[t] + decay_TB[t] * running_B
            advantages_TB[t] = running_B
        return advantages_TB, advantages_TB + values_TB[:-1]

    def _values(self, observations: np.ndarray) -> np.ndarray:
        """What the critic thinks of observations (..., O): (...)."""
        flat_NO = torch.from_numpy(observations.reshape(-1, observations.shape[-1]))
        return self.critic(flat_NO).numpy().reshape(observations.shape[:-1])

    def weights(self) -> tuple[tuple[tuple[np.ndarray, np.ndarray], ...], np.ndarray]:
        """A copy of the actor for a Policy: layers and log standard deviation."""
        layers = tuple((weight.numpy().copy(), bias.numpy().copy()) for weight, bias in self.actor.layers)
        return layers, self.log_std_A.numpy().copy()

    @torch.no_grad()
    def begin_from(self, policy: Policy) -> None:
        """Take over the weights of an expert; ValueError where the shapes differ."""
        got, wanted = ([tuple(weight.shape) for weight, _ in net.layers] for net in (policy, self.actor))
        if got != wanted:
            raise ValueError(f"init_from {policy!r} has layers {got}, this run {wanted}; pass the same hidden widths")
        for ours, theirs in zip(self.actor.layers, policy.layers, strict=True):
            for view, array in zip(ours, theirs, strict=True):
                view.copy_(torch.from_numpy(array))
        if self.config.initial_std is None:
            self.log_std_A.copy_(torch.from_numpy(policy.log_std_A))
        self.log_std_A.clamp_(min=math.log(max(self.config.minimal_std, 1e-8)))

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Weights, Adam's moments and the random order: arrays, and facts that JSON can hold."""
        arrays = {}
        for name, flat in zip(("actor", "critic"), self.flats, strict=True):
            arrays[name] = flat.detach().numpy().copy()
            moments = self.optimiser.state[flat].items()
            arrays |= {f"{name}.adam.{key}": value.numpy().copy() for key, value in moments}
        return arrays, {
            "rng": self.rng.bit_generator.state,
            "rate_factor": self.rate_factor,
        }

    @torch.no_grad()
    def load_state(self, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Put back what `state` gave."""
        for name, flat in zip(("actor", "critic"), self.flats, strict=True):
            flat.copy_(torch.from_numpy(arrays[name]))
            self.optimiser.state[flat] = {
                key.removeprefix(f"{name}.adam."): torch.from_numpy(value.copy())
                for key, value in arrays.items()
                if key.startswith(f"{name}.adam.")
            }
        self.rng.bit_generator.state = facts["rng"]
        self.rate_factor = facts["rate_factor"]


def _zeros(size: int) -> nn.Parameter:
    flat = nn.Parameter(torch.zeros(size))
    flat.grad = torch.zeros_like(flat)
    return flat


def _clip(gradient: Tensor | None) -> None:
    """Shorten it to `MAX_GRADIENT_NORM`. PyTorch's `clip_grad_norm_`, made for lists, takes 20 times as long on one."""
    assert gradient is not None
    norm = torch.linalg.vector_norm(gradient).item()
    if norm > MAX_GRADIENT_NORM:
        gradient *= MAX_GRADIENT_NORM / norm


def _with_gradient(flat: nn.Parameter) -> tuple[Tensor, Tensor]:
    """Its numbers, and where their gradient is written."""
    assert flat.grad is not None
    return flat.detach(), flat.grad
