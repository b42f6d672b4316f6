"""Hidden vectors become distributions over action ids.

Continuous elements: a discretised (mixture of) logistic(s) over the 1024 bins, a proper categorical with 2 numbers an
element and component instead of 1024 logits; the end bins take the tails. One mixture weight a group, so that joint
modes do not mix. Discrete elements: softmax over their choices. `head: free` is the paper's softmax over free logits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from gato.model.config import ModelConfig
from gato.sequences import group_slices
from gato.specs import Element
from gato.tokens.numbers import NUM_BINS
from gato.tokens.vector import Ranges

HALF_BIN = 1 / NUM_BINS
"""Half the width of a bin in [-1, 1]: the least scale of a logistic."""


class Distribution(Protocol):
    """Over the ids of one group, (..., G)."""

    def log_prob(self, ids_G: Tensor) -> Tensor:
        """(..., G) ids -> (...) joint log-probability of the group, nats."""
        ...

    def central(self) -> Tensor:
        """The ids (..., G) to act by where none are drawn: numbers in the middle, the most likely choices."""
        ...

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Ids drawn from the categorical, (..., G)."""
        ...


@dataclass(frozen=True)
class Logistics:
    """M logistics an element, one weight a group."""

    mean_GM: Tensor
    log_scale_GM: Tensor
    log_weight_M: Tensor
    start: int

    def _log_prob_components(self, bins: Tensor) -> Tensor:
        """(..., G, 1) or (..., G, M) bins -> (..., G, M): log-probability of each element under each component."""
        scale = HALF_BIN + self.log_scale_GM.exp()
        left_edge = bins.to(scale.dtype) * (2 * HALF_BIN) - 1
        left = (left_edge - self.mean_GM) / scale
        right = (left_edge + 2 * HALF_BIN - self.mean_GM) / scale
        below_right, above_left = functional.logsigmoid(right), functional.logsigmoid(-left)
        # sigmoid(right) - sigmoid(left) = sigmoid(right) * sigmoid(-left) * (1 - exp(left - right))
        inside = below_right + above_left + torch.log(-torch.expm1(-2 * HALF_BIN / scale))
        return torch.where(bins == 0, below_right, torch.where(bins == NUM_BINS - 1, above_left, inside))

    def log_prob(self, ids_G: Tensor) -> Tensor:
        joint_M = self._log_prob_components((ids_G - self.start)[..., None]).sum(-2)
        return torch.logsumexp(joint_M + self.log_weight_M, -1)

    def central(self) -> Tensor:
        """The medians of the component with the most weight.

        Not the most likely bin: the end bins take whole tails, so a logistic in the middle of the box with a scale of a
        tenth of it already has its most likely bin at the end, where nobody ever acted.
        """
        heaviest = self.log_weight_M.argmax(-1)[..., None, None].expand(*self.mean_GM.shape[:-1], 1)
        median_G = self.mean_GM.gather(-1, heaviest)[..., 0]
        return ((median_G + 1) / (2 * HALF_BIN)).floor().clamp(0, NUM_BINS - 1).long() + self.start

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        weights = self.log_weight_M.exp()
        component = torch.multinomial(weights.reshape(-1, weights.shape[-1]), 1, generator=generator)
        index = component.reshape(*weights.shape[:-1], 1, 1).expand(*self.mean_GM.shape[:-1], 1)
        mean, scale = (x.gather(-1, index)[..., 0] for x in (self.mean_GM, HALF_BIN + self.log_scale_GM.exp()))
        uniform = torch.rand(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        value = mean + scale * torch.logit(uniform)
        return ((value + 1) / (2 * HALF_BIN)).floor().clamp(0, NUM_BINS - 1).long() + self.start


@dataclass(frozen=True)
class Choices:
    """Independent softmaxes, one an element; ids outside an element's choices carry -inf."""

    logits_GV: Tensor
    start: int

    def log_prob(self, ids_G: Tensor) -> Tensor:
        log_prob_GV = self.logits_GV.log_softmax(-1)
        return log_prob_GV.gather(-1, (ids_G - self.start)[..., None])[..., 0].sum(-1)

    def central(self) -> Tensor:
        return self.logits_GV.argmax(-1) + self.start

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        probability = self.logits_GV.softmax(-1)
        drawn = torch.multinomial(probability.reshape(-1, probability.shape[-1]), 1, generator=generator)
        return drawn.reshape(probability.shape[:-1]) + self.start


def wide_linear(hidden_D: Tensor, layer: nn.Linear, rows: slice = slice(None)) -> Tensor:
    """`layer`, or some of its outputs, in fp32 or wider also under autocast: bf16 is coarser than a bin."""
    dtype = torch.promote_types(hidden_D.dtype, torch.float32)
    bias = None if layer.bias is None else layer.bias[rows].to(dtype)
    with torch.autocast(hidden_D.device.type, enabled=False):
        return functional.linear(hidden_D.to(dtype), layer.weight[rows].to(dtype), bias)


class ActionHead(nn.Module):
    """Reads the action groups of one body, each from the hidden vector of the position before it."""

    def __init__(self, config: ModelConfig, actions: tuple[Element, ...], ranges: Ranges) -> None:
        super().__init__()
        width = config.trunk.width
        kinds = [element.kind for element in actions]
        self.groups = group_slices(kinds, config.layout.group_size)
        self.is_discrete = [kinds[group.start] == "discrete" for group in self.groups]
        self.choices = [int(e.high - e.low) + 1 for e in actions if e.kind == "discrete"]
        self.ranges, self.mixtures, self.is_free = ranges, config.mixtures, config.head == "free"
        num_continuous = kinds.count("continuous")
        self.num_discrete = len(kinds) - num_continuous
        self.discrete = nn.Linear(width, sum(self.choices)) if self.choices else None
        self.read = (
            nn.Linear(width, num_continuous * 2 * self.mixtures) if num_continuous and not self.is_free else None
        )
        is_mixed = self.read is not None and self.mixtures > 1
        self.weigh = nn.Linear(width, len(self.groups) * self.mixtures) if is_mixed else None
        if self.read is not None:
            self._initialise(self.read)

    def _initialise(self, read: nn.Linear) -> None:
        """Start as wide logistics, components spread over the box."""
        nn.init.normal_(read.weight, std=0.02)
        bias = read.bias.detach().reshape(-1, 2, self.mixtures)
        bias[:, 0] = torch.linspace(-0.5, 0.5, self.mixtures) if self.mixtures > 1 else 0.0
        bias[:, 1] = math.log(0.3)

    def forward(self, hidden_D: Tensor, index: int, free: nn.Linear | None) -> Distribution:
        """Distribution of group `index` from (..., D), in fp32 (or wider) also under autocast."""
        group = self.groups[index]
        if self.is_discrete[index]:
            return self._choices(hidden_D, group)
        if free is not None:
            return Choices(wide_linear(hidden_D, free)[..., None, :], self.ranges.number_start)
        assert self.read is not None
        size = 2 * self.mixtures
        rows = slice((group.start - self.num_discrete) * size, (group.stop - self.num_discrete) * size)
        numbers = wide_linear(hidden_D, self.read, rows)
        mean_GM, log_scale_GM = numbers.unflatten(-1, (-1, 2, self.mixtures)).unbind(-2)
        log_weight_M = mean_GM.new_zeros(*mean_GM.shape[:-2], 1)
        if self.weigh is not None:
            weights = wide_linear(hidden_D, self.weigh, slice(index * self.mixtures, (index + 1) * self.mixtures))
            log_weight_M = weights.log_softmax(-1)
        return Logistics(mean_GM, log_scale_GM.clamp(-12, 3), log_weight_M, self.ranges.number_start)

    def _choices(self, hidden_D: Tensor, group: slice) -> Choices:
        assert self.discrete is not None
        logits = wide_linear(hidden_D, self.discrete).split(self.choices, -1)[group]
        widest = max(logit.shape[-1] for logit in logits)
        padded = [functional.pad(logit, (0, widest - logit.shape[-1]), value=-torch.inf) for logit in logits]
        return Choices(torch.stack(padded, -2), self.ranges.discrete_start)
