"""Part of benchmarks/gpu.py: updates of one size on a device, ours in several ways, and around transformers' Llama.

In: a size and a `Bench`. Out: for each arm seconds an update, tokens/s, positions/s and its share of the peaks.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from flops import HOPPER_PEAK, Computed, computed, training_flops, wait, whole
from llama_trunk import LlamaTrunk
from random_rows import make_batch, make_codec, num_existing, num_read, num_tokens
from torch import nn

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.specs import Rows
from gato.training.optimizer import MuonAdamW, PortableMuon, has_fast_bf16

ROWS = {"nano": 66, "small": 2048, "79m": 2048, "364m": 1024, "1.2b": 448}
"""Rows of a batch; halved where memory ends."""
FEWEST_ROWS = 64
BATCHES = 3
"""Different batches that take turns."""
MICRO_BATCHES = 8
"""Batches an update in the arm that gathers gradients: 1.2b's update then has 120,000 positions (Gato's: 524,288)."""


@dataclass(frozen=True)
class Bench:
    """Where and how long is measured."""

    device: torch.device
    is_compiled: bool
    rounds: int
    peak: float
    """FLOP/s of large products on this device, measured in this run."""

    @property
    def is_bf16(self) -> bool:
        """Whether products of updates are in bf16."""
        return has_fast_bf16(self.device)


@dataclass(frozen=True)
class Arm:
    """One way to make an update."""

    name: str
    trunk: str = "kept"
    """kept: positions that exist, of free number; whole: all, of one shape; llama: transformers' LlamaModel, SDPA."""
    optimizer: str = "muon"
    """muon: as `gato fit`; stacked: equal matrices together; adamw."""
    is_compiled: bool = True
    micro_batches: int = 1


ARMS = (
    Arm("ours"),
    Arm("ours, adamw", optimizer="adamw"),
    Arm("llama, adamw", "llama", "adamw"),
    Arm("ours, stacked muon", optimizer="stacked"),
    Arm(f"ours, {MICRO_BATCHES} batches an update", optimizer="stacked", micro_batches=MICRO_BATCHES),
    Arm("ours whole, adamw", "whole", "adamw"),
    Arm("ours eager, adamw", optimizer="adamw", is_compiled=False),
)
"""The first three matter most; time may end before the others."""


class StackedMuon(PortableMuon):
    """Matrices of one shape are made orthogonal together: fewer and larger kernels."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        for group in self.param_groups:
            shapes: dict[torch.Size, list[nn.Parameter]] = {}
            for weight in group["params"]:
                shapes.setdefault(weight.shape, []).append(weight)
            for weights in shapes.values():
                found = self.direction(
                    torch.stack([self.momentum(weight, group).bfloat16() for weight in weights]), group
                )
                for weight, direction in zip(weights, found, strict=True):
                    self.move(weight, direction, group)


def make_optimizer(kind: str, model: Gato) -> torch.optim.Optimizer:
    """Of the arm."""
    if kind == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.01, fused=True)
    made = MuonAdamW.of(model, model.trunk, learning_rate=1e-4, weight_decay=0.01)
    if kind == "stacked":
        matrices = made.parts[0].param_groups[0]["params"]
        stacked = StackedMuon(matrices, lr=1e-4, momentum=0.95, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
        made.parts = (stacked, *made.parts[1:])
    return made


def make_model(size: str, device: torch.device) -> Gato:
    """Random weights, all known bodies, the default layout; drawn on the device."""
    torch.manual_seed(0)
    with torch.device(device):
        return Gato(ModelConfig(size=size), make_codec())


def make_batches(model: Gato, num_rows: int) -> list[list[Rows]]:
    """Of one length, which is the most frequent: without demonstrations."""
    found: list[list[Rows]] = []
    seed = 0
    while len(found) < BATCHES:
        batch = make_batch(model.codec, model.layout, num_rows, seed=seed)
        if not any(rows.demonstration_mask_BN.shape[1] for rows in batch):
            found.append(batch)
        seed += 1
    return found


def fit_trunk(model: Gato, arm: Arm, *, is_compiled: bool) -> None:
    """Make the model's trunk that of the arm; it was ours and plain."""
    if arm.trunk == "llama":
        with model.device:
            trunk = LlamaTrunk(model.config.trunk, "sdpa")
        model.trunk = trunk  # type: ignore[assignment]
        layers: Sequence[nn.Module] = list(trunk.llama.layers)
    else:
        layers = list(model.trunk.blocks)
    if arm.trunk != "kept":
        model.hidden_read = model.hidden  # type: ignore[method-assign]
    if not is_compiled:
        return
    if arm.trunk == "kept":
        model.trunk.compile_training()
        return
    for layer in layers:
        layer.compile(dynamic=False)


@dataclass
class Update:
    """Loss, backward, clipping, optimiser, as `gato fit` does them."""

    model: Gato
    optimizer: torch.optim.Optimizer
    batches: list[list[Rows]]
    bench: Bench
    micro_batches: int = 1

    def __post_init__(self) -> None:
        self.turn = 0
        self.loss = torch.zeros(())
        self.marks: list[Any] = []

    def backward(self) -> None:
        """Loss and gradient of the next batch."""
        batch = self.batches[self.turn % len(self.batches)]
        self.turn += 1
        with torch.autocast(self.bench.device.type, torch.bfloat16, enabled=self.bench.is_bf16):
            self.loss = self.model.loss(batch).total
        self.loss.backward()

    def step(self) -> None:
        """Clipping and the optimiser."""
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def __call__(self) -> None:
        for _ in range(self.micro_batches):
            self.backward()
        self.step()


def measure_update(update: Update, rounds: int) -> dict[str, float]:
    """Medians of seconds: of an update, of its optimiser, and until the host had told the device everything."""
    device = update.bench.device
    for _ in range(2):
        update()
    seconds, host, optimizer = [], [], []
    each = max(1, BATCHES // update.micro_batches)
    for _ in range(rounds):
        wait(device)
        began = time.perf_counter()
        for _ in range(each):
            update()
        host.append((time.perf_counter() - began) / each)
        wait(device)
        seconds.append((time.perf_counter() - began) / each)
    for _ in range(2):
        update.backward()
        wait(device)
        began = time.perf_counter()
        update.step()
        wait(device)
        optimizer.append(time.perf_counter() - began)
    return {
        "seconds_per_update": statistics.median(seconds),
        "seconds_of_host": statistics.median(host),
        "seconds_of_optimizer": min(optimizer),
        "loss": float(update.loss.detach()),
    }


def _measure_arm(size: str, arm: Arm, bench: Bench, num_rows: int) -> dict[str, Any]:
    """One arm, its model made anew."""
    model = make_model(size, bench.device)
    batches = make_batches(model, num_rows)
    count = computed if arm.trunk == "kept" else whole
    done = statistics.mean(training_flops(model.config.trunk, count(model, batch)) for batch in batches)
    needed = statistics.mean(training_flops(model.config.trunk, least(model, batch)) for batch in batches)
    existing = statistics.mean(num_existing(model.config, batch) for batch in batches) * arm.micro_batches
    tokens = statistics.mean(num_tokens(batch) for batch in batches) * arm.micro_batches
    fit_trunk(model, arm, is_compiled=arm.is_compiled and bench.is_compiled)
    update = Update(model, make_optimizer(arm.optimizer, model), batches, bench, arm.micro_batches)
    began = time.perf_counter()
    found = measure_update(update, bench.rounds)
    seconds = found["seconds_per_update"]
    rates = {"utilisation": done * arm.micro_batches / seconds, "needed": needed * arm.micro_batches / seconds}
    return {
        "rows": num_rows,
        "micro_batches": arm.micro_batches,
        "positions_per_update": existing,
        **found,
        "seconds_of_arm": time.perf_counter() - began,
        "positions_per_second": existing / seconds,
        "tokens_per_second": tokens / seconds,
        "flops_per_second": rates["utilisation"],
        "utilisation_of_measured_peak": rates["utilisation"] / bench.peak,
        "utilisation_of_published_peak": rates["utilisation"] / HOPPER_PEAK,
        "utilisation_without_padding_of_measured_peak": rates["needed"] / bench.peak,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if bench.device.type == "cuda" else None,
    }


def least(model: Gato, batch: Sequence[Rows]) -> Computed:
    """What no trunk that skips all padding could do without."""
    found = computed(model, batch)
    return Computed(found.rows, found.length, num_existing(model.config, batch), num_read(model, batch))


def forget(device: torch.device) -> None:
    """Give memory and compiled code back."""
    torch._dynamo.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def measure_arm(size: str, arm: Arm, bench: Bench) -> dict[str, Any]:
    """The figures of one arm, with fewer rows where memory does not hold them."""
    num_rows = ROWS[size]
    while True:
        forget(bench.device)
        try:
            return _measure_arm(size, arm, bench, num_rows)
        except torch.OutOfMemoryError:
            if num_rows <= FEWEST_ROWS:
                raise
        num_rows //= 2


def against_llama(sizes: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Size -> positions/s of ours over the Llama's, both compiled and with AdamW, where both were measured."""
    names = ("ours, adamw", "llama, adamw")
    measured = {
        size: [arms.get(name, {}).get("positions_per_second") for name in names] for size, arms in sizes.items()
    }
    return {size: ours / theirs for size, (ours, theirs) in measured.items() if ours and theirs}
