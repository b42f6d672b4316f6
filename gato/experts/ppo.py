"""PPO: the learner. Schulman et al. 2017, with the details that move the score (Andrychowicz et al. 2021).

In: Rollout records (normalised). Out: better weights, and figures about the update.
Values and advantages are computed anew in every epoch; actor and critic are separate tanh networks; the clip is on the
probability ratio to the policy that collected, which with overlapped collecting is one update old.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gato.experts.collect import Rollout
from gato.experts.policy import Policy

GAE_LAMBDA = 0.95
CLIP_RANGE = 0.2
MAX_GRADIENT_NORM = 0.5
ADAM_EPSILON = 1e-5
"""The three above and this: the usual values of PPO on MuJoCo."""
LAST_LAYER_GAIN = 0.01
"""Of the actor: first actions are near zero, whatever is observed."""


@dataclass(frozen=True)
class PPOConfig:
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
    discount: float = 0.99
    """Of rewards, a step."""
    initial_std: float = 0.6
    """Exploration noise at the beginning, in units of half the action box."""
    minimal_std: float = 0.0
    """Exploration noise never falls below this; a floor makes gaits that forgive disturbed actions."""
    start_states: tuple[str, ...] = ()
    """Experts (skill ids or folders) of the same body in whose states a share of the episodes begins."""
    start_share: float = 0.3
    """That share."""
    init_from: str = ""
    """An expert (skill id or folder) whose weights are the first ones; "" for fresh weights."""

    def __post_init__(self) -> None:
        wrong = [
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(self)
            if field.name in ("num_envs", "rollout_steps", "minibatch_size", "epochs", "learning_rate", "initial_std")
            and not getattr(self, field.name) > 0
        ]
        wrong += [] if 0 <= self.discount < 1 else [f"discount={self.discount} (allowed: 0 to below 1)"]
        wrong += [] if 0 <= self.start_share <= 1 else [f"start_share={self.start_share} (allowed: 0 to 1)"]
        if wrong:
            raise ValueError(f"PPO settings out of range: {', '.join(wrong)}; sizes and rates must be above 0")


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

    def __init__(self, config: PPOConfig, *, num_observations: int, num_actions: int, seed: int) -> None:
        self.config = config
        generator = torch.Generator().manual_seed(seed)
        self.actor = _network([num_observations, *config.hidden, num_actions], LAST_LAYER_GAIN, generator)
        self.critic = _network([num_observations, *config.hidden, 1], 1.0, generator)
        self.log_std_A = nn.Parameter(torch.full((num_actions,), float(np.log(config.initial_std))))
        self.optimiser = torch.optim.Adam(self.parameters(), config.learning_rate, eps=ADAM_EPSILON, fused=True)
        self.rng = np.random.default_rng([seed, 3])

    def parameters(self) -> list[nn.Parameter]:
        """Actor, deviation, critic, in a fixed order."""
        return [*self.actor.parameters(), self.log_std_A, *self.critic.parameters()]

    def update(self, rollout: Rollout, *, learning_rate: float, critic_only: bool = False) -> UpdateFigures:
        """`epochs` passes of clipped PPO over the rollout. `critic_only` leaves the actor as it is."""
        self.optimiser.param_groups[0]["lr"] = learning_rate
        num_steps, num_envs = rollout.rewards_TB.shape
        size = num_steps * num_envs
        observations_NO = torch.from_numpy(rollout.observations_TBO[:-1].reshape(size, -1))
        actions_NA = torch.from_numpy(rollout.actions_TBA.reshape(size, -1))
        old_N = torch.from_numpy(rollout.log_probabilities_TB.reshape(size))
        sums, count = torch.zeros(4), 0
        for _ in range(self.config.epochs):
            advantages_N, targets_N = (torch.from_numpy(x.reshape(size)) for x in self._advantages(rollout))
            advantages_N = (advantages_N - advantages_N.mean()) / (advantages_N.std() + 1e-8)
            for rows_N in np.array_split(self.rng.permutation(size), max(1, size // self.config.minibatch_size)):
                rows = torch.from_numpy(rows_N)
                sums += self._minibatch(
                    observations_NO[rows],
                    actions_NA[rows],
                    old_N[rows],
                    advantages_N[rows],
                    targets_N[rows],
                    critic_only,
                )
                count += 1
        return UpdateFigures(*(sums / count).tolist())

    def _minibatch(
        self, observations: Tensor, actions: Tensor, old: Tensor, advantages: Tensor, targets: Tensor, critic_only: bool
    ) -> Tensor:
        std_A = self.log_std_A.exp()
        error_NA = (actions - self.actor(observations)) / std_A
        new = -(0.5 * error_NA.square() + self.log_std_A).sum(-1) - 0.5 * np.log(2 * np.pi) * actions.shape[1]
        log_ratio = new - old
        ratio = log_ratio.exp()
        policy_loss = -torch.minimum(
            advantages * ratio, advantages * ratio.clamp(1 - CLIP_RANGE, 1 + CLIP_RANGE)
        ).mean()
        value_loss = 0.5 * (self.critic(observations).squeeze(-1) - targets).square().mean()
        loss = value_loss if critic_only else policy_loss + value_loss
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters(), MAX_GRADIENT_NORM, foreach=True)
        self.optimiser.step()
        with torch.no_grad():
            if self.config.minimal_std > 0:
                self.log_std_A.clamp_(min=float(np.log(self.config.minimal_std)))
            divergence = (ratio - 1 - log_ratio).mean()
            clipped = ((ratio - 1).abs() > CLIP_RANGE).float().mean()
            return torch.stack([policy_loss, value_loss, divergence, clipped])

    @torch.no_grad()
    def _advantages(self, rollout: Rollout) -> tuple[np.ndarray, np.ndarray]:
        """Generalised advantages and value targets, (T, B); an episode cut by its time limit is bootstrapped."""
        values_TB = self.critic(torch.from_numpy(rollout.observations_TBO)).squeeze(-1).numpy()
        next_TB = values_TB[1:].copy()
        ended_TB = rollout.terminated_TB | rollout.truncated_TB
        if len(rollout.final_observations_FO):
            next_TB[ended_TB] = self.critic(torch.from_numpy(rollout.final_observations_FO)).squeeze(-1).numpy()
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

    def weights(self) -> tuple[tuple[tuple[np.ndarray, np.ndarray], ...], np.ndarray]:
        """A copy of the actor for a Policy: layers and log standard deviation."""
        linear = [module for module in self.actor if isinstance(module, nn.Linear)]
        layers = tuple(
            (m.weight.detach().T.contiguous().numpy().copy(), m.bias.detach().numpy().copy()) for m in linear
        )
        return layers, self.log_std_A.detach().numpy().copy()

    @torch.no_grad()
    def begin_from(self, policy: Policy) -> None:
        """Take over the weights of an expert; ValueError where the shapes differ."""
        linear = [module for module in self.actor if isinstance(module, nn.Linear)]
        got = [tuple(weight.shape) for weight, _ in policy.layers]
        wanted = [(module.in_features, module.out_features) for module in linear]
        if got != wanted:
            raise ValueError(f"init_from {policy!r} has layers {got}, this run {wanted}; pass the same --config.hidden")
        for module, (weight, bias) in zip(linear, policy.layers, strict=True):
            module.weight.copy_(torch.from_numpy(weight.T))
            module.bias.copy_(torch.from_numpy(bias))
        self.log_std_A.copy_(torch.from_numpy(policy.log_std_A)).clamp_(
            min=float(np.log(max(self.config.minimal_std, 1e-8)))
        )

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Weights, Adam's moments and the random order: arrays, and facts that JSON can hold."""
        arrays = {}
        for index, parameter in enumerate(self.parameters()):
            arrays[f"parameter.{index}"] = parameter.detach().numpy().copy()
            for name, value in self.optimiser.state[parameter].items():
                arrays[f"adam.{index}.{name}"] = value.detach().numpy().copy()
        return arrays, {"rng": self.rng.bit_generator.state}

    @torch.no_grad()
    def load_state(self, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Put back what `state` gave."""
        for index, parameter in enumerate(self.parameters()):
            parameter.copy_(torch.from_numpy(arrays[f"parameter.{index}"]))
            prefix = f"adam.{index}."
            self.optimiser.state[parameter] = {
                name.removeprefix(prefix): torch.from_numpy(value.copy())
                for name, value in arrays.items()
                if name.startswith(prefix)
            }
        self.rng.bit_generator.state = facts["rng"]


def _network(widths: list[int], last_gain: float, generator: torch.Generator) -> nn.Sequential:
    modules: list[nn.Module] = []
    for index, (inner, outer) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
        is_last = index == len(widths) - 2
        linear = nn.Linear(inner, outer)
        nn.init.orthogonal_(linear.weight, last_gain if is_last else 2**0.5, generator=generator)
        nn.init.zeros_(linear.bias)
        modules += [linear] if is_last else [linear, nn.Tanh()]
    return nn.Sequential(*modules)
