"""Floating-point operations of a training update, and how many a machine does in large matrix products.

Counted: 6 for every weight of the trunk's matrices and position that meets it (2 forward, 4 backward), and 12 * S * D
for attention at every position of a layer: all S keys of a row, also those that its mask hides, for kernels compute
them. Not counted: embeddings, heads, norms, the optimiser. Positions are those that are computed: training skips
most of the padding, and in the last layer what nobody reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gato.model.config import TrunkConfig
from gato.model.gato import Gato
from gato.model.trunk import Kept, Place
from gato.specs import Rows

HOPPER_PEAK = 989e12
"""FLOP/s of dense bf16 on an H100 or H200 (SXM), as NVIDIA publishes it."""
LONGEST_PRODUCT = 1.0
"""Seconds: where one product takes that long (bf16 that is emulated), larger ones are not tried."""


@dataclass(frozen=True)
class Computed:
    """What a trunk computes of a batch."""

    rows: int
    length: int
    """Positions of a row in attention, padding included."""
    positions: int
    """Positions that meet the matrices."""
    read: int
    """Those of them that meet the last layer's output matrix and MLP."""


def computed(model: Gato, batch: Sequence[Rows]) -> Computed:
    """What `model.loss` computes of the batch; the trunk is not run."""
    seen: list[Computed] = []

    def look(hidden_BSD: Tensor, place: Place, kept: Kept) -> Tensor:
        rows, length = place.rotary_BS.shape
        seen.append(Computed(rows, length, len(kept.existing_N), len(kept.read_R)))
        return hidden_BSD.new_zeros(len(kept.read_R), hidden_BSD.shape[2])

    model.trunk.forward_kept = look  # type: ignore[method-assign]
    try:
        with torch.no_grad():
            model.hidden_read(batch)
    finally:
        del model.trunk.forward_kept
    return seen[0]


def whole(model: Gato, batch: Sequence[Rows]) -> Computed:
    """The same for a trunk that computes every position, padding included."""
    found = computed(model, batch)
    every = found.rows * found.length
    return Computed(found.rows, found.length, every, every)


def training_flops(config: TrunkConfig, work: Computed) -> float:
    """Of forward and backward."""
    head_width = config.width // config.heads
    heads = config.heads + 2 * (config.key_value_heads or config.heads)
    qkv, out, mlp = config.width * heads * head_width, config.width * config.width, 3 * config.width * config.hidden
    everywhere = config.layers * qkv + (config.layers - 1) * (out + mlp)
    attention = 12 * config.layers * work.rows * work.length**2 * config.width
    return 6 * (everywhere * work.positions + (out + mlp) * work.read) + attention


def wait(device: torch.device) -> None:
    """Until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], Any], device: torch.device) -> float:
    """Of the clock, until it is done."""
    wait(device)
    began = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - began


def matmul_peak(
    device: torch.device, dtype: torch.dtype, sizes: Sequence[int], *, repeats: int = 5, products: int = 1
) -> dict[str, float]:
    """FLOP/s of square products of random numbers, by size, each the fastest of `repeats` times `products` in a row;
    and `best`, the largest."""
    found: dict[str, float] = {}
    for size in sizes:
        left, right = (torch.randn(size, size, device=device, dtype=torch.float32).to(dtype) for _ in range(2))
        out = torch.empty_like(left)
        first = seconds_of(lambda out=out, left=left, right=right: torch.mm(left, right, out=out), device)

        def work(out: Tensor = out, left: Tensor = left, right: Tensor = right) -> None:
            for _ in range(products):
                torch.mm(left, right, out=out)

        times = [seconds_of(work, device) / products for _ in range(repeats)] if first < LONGEST_PRODUCT else [first]
        found[str(size)] = 2 * size**3 / min(times)
        if first > LONGEST_PRODUCT:
            break
    return {**found, "best": max(found.values())}
