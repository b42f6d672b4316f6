"""Number and discrete tokens become vectors: every element of every body owns a slot that multiplies its value.

In: ids of one side (observation or action) of one body, (..., E). Out: one vector a group, (..., groups, D).
A token embeds as `value * scale + shift` of its slot; a group is the sum; a small MLP follows. The value is the centre
of its bin over -+CLIP_DEVIATIONS: for observations the standardised number, or its asinh, as the codec bins it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gato.model.config import ModelConfig
from gato.sequences import group_slices
from gato.specs import Element
from gato.tokens.discrete import NUM_DISCRETE
from gato.tokens.numbers import CLIP_DEVIATIONS, NUM_BINS
from gato.tokens.vector import Ranges


def bin_values(bins: Tensor, dtype: torch.dtype) -> Tensor:
    """Centre of each of the uniform bins over [-1, 1], in `dtype` or fp32 if that is wider."""
    return (bins.to(torch.promote_types(dtype, torch.float32)) + 0.5) * (2 / NUM_BINS) - 1


class Tables(nn.Module):
    """What all slots share: the table of discrete values, the free table of bins, the layer after the sum."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.trunk.width
        self.discrete = nn.Embedding(NUM_DISCRETE, width)
        self.bins = nn.Embedding(NUM_BINS, width) if config.embedding == "free" else None
        is_shared = config.embedding == "number" and config.second_layer == "shared"
        self.second = nn.Linear(width, width) if is_shared else None
        nn.init.normal_(self.discrete.weight, std=1.0)
        if self.bins is not None:
            nn.init.normal_(self.bins.weight, std=0.5)


class SlotEmbedding(nn.Module):
    """The slots of one side of one body: a scale and a shift vector an element."""

    def __init__(self, config: ModelConfig, elements: tuple[Element, ...], ranges: Ranges) -> None:
        super().__init__()
        width = config.trunk.width
        self.kinds = [element.kind for element in elements]
        self.groups = group_slices(self.kinds, config.layout.group_size)
        self.ranges = ranges
        largest = max(group.stop - group.start for group in self.groups)
        is_free = config.embedding == "free"
        self.scale_ED = None if is_free else nn.Parameter(torch.randn(len(elements), width) / largest**0.5)
        self.shift_ED = nn.Parameter(torch.randn(len(elements), width) * 0.1)
        is_own = not is_free and config.second_layer == "own"
        self.second = nn.Linear(width, width) if is_own else None

    def forward(self, ids_E: Tensor, tables: Tables) -> Tensor:
        """(..., E) ids -> (..., groups, D)."""
        group_D = torch.stack([self._group(ids_E[..., group], group, tables) for group in self.groups], dim=-2)
        second = self.second or tables.second
        return group_D if second is None else second(functional.gelu(group_D))

    def _group(self, ids_G: Tensor, group: slice, tables: Tables) -> Tensor:
        is_discrete = self.kinds[group.start] == "discrete"
        index_G = ids_G - (self.ranges.discrete_start if is_discrete else self.ranges.number_start)
        shift_D = self.shift_ED[group].sum(0)
        if self.scale_ED is None:
            assert tables.bins is not None
            return (tables.discrete if is_discrete else tables.bins)(index_G).sum(-2) + shift_D
        scale_GD = self.scale_ED[group]
        if is_discrete:
            return (tables.discrete(index_G) * scale_GD).sum(-2) + shift_D
        value_G = bin_values(index_G, scale_GD.dtype) * CLIP_DEVIATIONS
        # bf16 is coarser than a bin: the product stays in fp32 also under autocast.
        with torch.autocast(value_G.device.type, enabled=False):
            return (value_G @ scale_GD.to(value_G.dtype)).to(scale_GD.dtype) + shift_D


class OptionalNumbers(nn.Module):
    """Numbers that may be absent as one vector: a command's, or a return to go. Absent ones add nothing."""

    def __init__(self, config: ModelConfig, ranges: Ranges, count: int) -> None:
        super().__init__()
        self.ranges = ranges
        self.scale_CD = nn.Parameter(torch.randn(count, config.trunk.width))
        self.shift_CD = nn.Parameter(torch.randn(count, config.trunk.width) * 0.1)

    def forward(self, ids_BC: Tensor) -> Tensor:
        """(..., C) ids, -1 where absent -> (..., D)."""
        value_BC = bin_values(ids_BC - self.ranges.number_start, self.scale_CD.dtype) * CLIP_DEVIATIONS
        per_element = value_BC[..., None] * self.scale_CD + self.shift_CD
        return (per_element * (ids_BC >= 0)[..., None]).sum(-2).to(self.scale_CD.dtype)
