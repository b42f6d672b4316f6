"""Every body moves the shared weights as much as its rows say, however steep its loss is.

In: the trunk's output for the rows of each body. Out: the same; on the way back, gradients of rescaled length.

A likelihood of actions that can be told to a thousandth of their range is a thousand times as steep as one of loose
actions: unbalanced, a few bodies steer the trunk. What a body's own slots and readouts get is left alone.
Normalised gradients at the shared representation are from Chen et al. 2018 (GradNorm) and Liu et al. 2021 (IMTL-G).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def balanced(parts: Sequence[Tensor], shares: Sequence[float]) -> list[Tensor]:
    """Each part as it is; its gradient becomes `share` / |shares| of the length that all of them have together.

    Rows of one steepness have a gradient whose length is the root of their number: that is their share.
    """
    return list(_Balance.apply(tuple(shares), *parts))


class _Balance(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, shares: tuple[float, ...], *parts: Tensor) -> tuple[Tensor, ...]:
        ctx.shares = shares
        return tuple(part.view_as(part) for part in parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        norms = torch.stack([gradient.float().norm() for gradient in gradients])
        shares = torch.tensor(ctx.shares, device=norms.device)
        wanted = shares / shares.norm() * norms.norm()
        # They stay tensors: to read a number, the host would wait for the device.
        factors = wanted / norms.clamp(min=1e-12)
        return (None, *(gradient * factor for gradient, factor in zip(gradients, factors, strict=True)))
