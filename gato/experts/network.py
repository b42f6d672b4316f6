"""A tanh network whose gradients are written out: for nets this small autograd costs as much as the arithmetic.

In: normalised observations (N, O). Out: outputs (N, K); `backward` writes the gradient of every weight.
Matrix products are torch's; tanh is numpy's, which is seven times as fast. A product with a narrow side is written
transposed, where the library would take a path four times as slow (measured: 1024 x 64 x 6, 82 and 19 microseconds).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

NARROW = 16
"""Columns below which products are transposed."""


def num_weights(widths: Sequence[int]) -> int:
    """How many numbers a network of these layer widths holds."""
    return sum((inner + 1) * outer for inner, outer in zip(widths[:-1], widths[1:], strict=True))


class TanhNetwork:
    """Linear layers with tanh between them; weights (in, out) and biases are views into one flat tensor."""

    def __init__(self, widths: Sequence[int], flat: Tensor, gradient: Tensor) -> None:
        self.layers = _views(widths, flat)
        self.gradients = _views(widths, gradient)
        self._inputs: list[Tensor] = []

    def initialise(self, *, last_gain: float, generator: torch.Generator) -> None:
        """Orthogonal weights, zero biases."""
        for index, (weight, bias) in enumerate(self.layers):
            gain = last_gain if index == len(self.layers) - 1 else 2**0.5
            weight.copy_(nn.init.orthogonal_(torch.empty(weight.shape[::-1]), gain, generator=generator).T)
            bias.zero_()

    def __call__(self, observations_NO: Tensor) -> Tensor:
        """Outputs (N, K). Remembers what each layer read, for one `backward`."""
        self._inputs = []
        hidden_ND = observations_NO
        for weight, bias in self.layers:
            if self._inputs:
                array_ND = hidden_ND.numpy()
                np.tanh(array_ND, out=array_ND)
            self._inputs.append(hidden_ND)
            if weight.shape[1] < NARROW:
                hidden_ND = (weight.T @ hidden_ND.T).T + bias
            else:
                hidden_ND = torch.addmm(bias, hidden_ND, weight)
        return hidden_ND

    def backward(self, gradient_NK: Tensor) -> None:
        """Write the gradients of a loss, given its gradient with respect to the outputs of the newest call."""
        for index in reversed(range(len(self.layers))):
            read_ND, (weight, _), (to_weight, to_bias) = self._inputs[index], self.layers[index], self.gradients[index]
            if weight.shape[1] < NARROW:
                to_weight.copy_((gradient_NK.T @ read_ND).T)
            else:
                torch.mm(read_ND.T, gradient_NK, out=to_weight)
            torch.sum(gradient_NK, 0, out=to_bias)
            if index:
                gradient_NK = torch.ops.aten.tanh_backward(gradient_NK @ weight.T, read_ND)


def _views(widths: Sequence[int], flat: Tensor) -> list[tuple[Tensor, Tensor]]:
    layers, start = [], 0
    for inner, outer in zip(widths[:-1], widths[1:], strict=True):
        middle, end = start + inner * outer, start + (inner + 1) * outer
        layers.append((flat[start:middle].view(inner, outer), flat[middle:end]))
        start = end
    return layers
