"""Training rate of our step against the same step around a transformers Llama trunk of equal shape; and of the loader.

    python benchmarks/training.py [--size mini] [--rows demo] [--rounds 5] [--steps 6] [--threads 2] [--out FILE]

The batches are those of configs/demo.yaml, on its recipe with ten episodes a dataset; or random numbers of all eleven
bodies (`--rows random`: no loader is measured). All arms share data, embeddings, heads, loss, clipping and fused AdamW,
start from equal weights (their first losses are printed) and take turns in one run; only the trunk differs: ours, or
`LlamaModel` with eager attention or SDPA; `ours+muon` is ours with the optimiser of `gato fit`, `ours+compiled` as with
`--model.compile_layers true`. Rates are medians over the rounds, positions counted with their padding; `of peak` is the
share of the fastest square product of the same precision and threads, FLOPs as benchmarks/flops.py counts them. Prints
one table and writes benchmarks/results/training.json. Targets: 1.2 times the faster Llama, 1.5 times the eager one,
loader 20 times the training rate, 2 % waiting for data at most; 40 % of peak for `small`.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from flops import computed, matmul_peak, training_flops, whole
from llama_trunk import LlamaTrunk
from random_rows import make_batch, make_codec
from torch import nn

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.model.trunk import load_llama
from gato.record import load_recipe, record_skill
from gato.sequences import Layout
from gato.specs import Rows
from gato.training.cli import make_cli
from gato.training.optimizer import MuonAdamW

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "training.json"
TRUNKS = ("ours", "llama-eager", "llama-sdpa")
PRECISIONS = ("fp32", "bf16")
PEAK_SIZES = (1024, 2048, 3072, 4096)
Batch = Sequence[Rows]


@dataclass
class Arm:
    """One trunk in one precision, with an optimiser of its own."""

    name: str
    model: Gato
    optimizer: torch.optim.Optimizer
    is_bf16: bool

    def update(self, batch: Batch) -> float:
        """Loss, backward, clipping, optimiser: what `gato fit` does for one batch."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.is_bf16):
            loss = self.model.loss(batch).total
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return float(loss.detach())


def muon_adamw(model: Gato) -> MuonAdamW:
    """As `gato fit` makes it."""
    return MuonAdamW.of(model, model.trunk, learning_rate=1e-4, weight_decay=0.01)


def make_arms(model: Gato, precisions: Sequence[str]) -> list[Arm]:
    """Ours and both Llamas in each precision, all with the same weights; and ours as it is trained."""
    first = LlamaTrunk(model.config.trunk, "eager")
    state = {f"model.{name}": value for name, value in first.llama.state_dict().items()}
    load_llama(model.trunk, state)
    arms = []
    for precision in precisions:
        for name in (*TRUNKS, "ours+muon", "ours+compiled"):
            chosen = copy.deepcopy(model)
            if name == "ours+compiled":
                chosen.trunk.compile_training()
            if name in TRUNKS[1:]:
                trunk = LlamaTrunk(model.config.trunk, name.removeprefix("llama-"))
                trunk.load_state_dict(first.state_dict())
                chosen.trunk = trunk  # type: ignore[assignment]
                # A trunk that knows nothing of padding computes it.
                chosen.hidden_read = chosen.hidden  # type: ignore[method-assign]
            adamw = torch.optim.AdamW(chosen.parameters(), lr=1e-4, betas=(0.9, 0.95), fused=True)
            optimizer = muon_adamw(chosen) if name == "ours+muon" else adamw
            arms.append(Arm(f"{name} {precision}", chosen, optimizer, precision == "bf16"))
    return arms


def measure(arms: list[Arm], batches: list[Batch], rounds: int) -> dict[str, float]:
    """Median seconds an update; the arms take turns, so that a busy machine is busy for all of them."""
    losses = {arm.name: arm.update(batches[0]) for arm in arms}
    print("first losses:", ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items()))
    seconds: dict[str, list[float]] = {arm.name: [] for arm in arms}
    for _ in range(rounds):
        for arm in arms:
            began = time.perf_counter()
            for batch in batches:
                arm.update(batch)
            seconds[arm.name].append((time.perf_counter() - began) / len(batches))
    return {name: statistics.median(values) for name, values in seconds.items()}


def loader_seconds(stream: Any, batches: int = 100) -> float:
    """Seconds a batch of the loader alone; the first ten fill the cache of text ids."""
    running = iter(stream)
    list(islice(running, 10))
    began = time.perf_counter()
    list(islice(running, batches))
    return (time.perf_counter() - began) / batches


def waiting_share(arm: Arm, stream: Any, updates: int) -> float:
    """Share of the time of updates, each on a new batch, that passes in waiting for the loader."""
    running, waited = iter(stream), 0.0
    list(islice(running, 10))
    began = time.perf_counter()
    for _ in range(updates):
        asked = time.perf_counter()
        batch = next(running)
        waited += time.perf_counter() - asked
        arm.update(batch)
    return waited / (time.perf_counter() - began)


def demo_data(folder: str, size: str) -> tuple[ModelConfig, Any]:
    """The network and the data of configs/demo.yaml, recorded into the folder."""
    os.environ["MINARI_DATASETS_PATH"], os.environ["GATO_CACHE"] = folder, str(Path(folder) / "cache")
    for recording in load_recipe("demo"):
        record_skill(replace(recording, episodes=10))
    words = ["-c", str(ROOT / "configs" / "demo.yaml"), "--out", str(Path(folder) / "run")]
    cli = make_cli("fit", [*words, *(["--model.network.size", size] if size else [])])
    data: Any = cli.datamodule
    data.prepare_data()
    data.setup()
    return cli.model.network, data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="", help="preset of the trunk; by default the demo's, or small")
    parser.add_argument("--rows", choices=("demo", "random"), default="demo")
    parser.add_argument("--batch-size", type=int, default=128, help="of random rows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(options.threads)
    data_figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        if options.rows == "demo":
            network, data = demo_data(folder, options.size)
            codec, stream = data.codec, data.train_dataloader()
            batches = list(islice(iter(stream), options.steps))
        else:
            network = ModelConfig(size=options.size or "small", layout=Layout(window_steps=12, demonstration_steps=4))
            codec = make_codec()
            batches = [
                make_batch(codec, network.layout, options.batch_size, seed=seed) for seed in range(options.steps)
            ]
        model = Gato(network, codec)
        arms = make_arms(model, options.precisions)
        seconds = measure(arms, batches, options.rounds)
        if options.rows == "demo":
            fastest = min(arms, key=lambda arm: seconds[arm.name])
            share = waiting_share(fastest, stream, options.rounds * options.steps)
            data_figures = {"loader_seconds_per_batch": loader_seconds(stream), "waiting_share": share}
    peaks = {name: peak(name)["best"] for name in options.precisions}
    report(options, model, batches, seconds, peaks, data_figures)


def peak(precision: str) -> dict[str, float]:
    """FLOP/s of square products in it."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return matmul_peak(torch.device("cpu"), dtype, PEAK_SIZES, repeats=3)


def arm_figures(
    model: Gato, batches: list[Batch], seconds: dict[str, float], peaks: dict[str, float]
) -> dict[str, dict[str, float]]:
    """What each arm reached, by its name."""
    positions = statistics.mean(sum(model.num_positions(rows) for rows in batch) for batch in batches)
    steps = statistics.mean(sum(int(rows.step_mask_BT.sum()) for rows in batch) for batch in batches)
    trunk = model.config.trunk
    kept, every = (
        statistics.mean(training_flops(trunk, count(model, batch)) for batch in batches) for count in (computed, whole)
    )
    figures = {}
    for name, value in seconds.items():
        flops = kept if name.startswith("ours") else every
        figures[name] = {
            "seconds_per_update": value,
            "positions_per_second": positions / value,
            "env_steps_per_second": steps / value,
            "flops_per_second": flops / value,
            "share_of_peak": flops / value / peaks[name[-4:]],
        }
    return figures


def report(
    options: argparse.Namespace,
    model: Gato,
    batches: list[Batch],
    seconds: dict[str, float],
    peaks: dict[str, float],
    data_figures: dict[str, float],
) -> None:
    """The table, and the same as JSON."""
    arms = arm_figures(model, batches, seconds, peaks)
    print(f"{'trunk':18}{'ms/update':>10}{'positions/s':>13}{'env steps/s':>13}{'ours is':>9}{'of peak':>9}")
    for name, one in arms.items():
        ratio = one["seconds_per_update"] / seconds[f"ours {name[-4:]}"]
        print(
            f"{name:18}{1e3 * one['seconds_per_update']:10.0f}{one['positions_per_second']:13,.0f}"
            f"{one['env_steps_per_second']:13,.0f}{ratio:8.2f}x{one['share_of_peak']:9.1%}"
        )
    faster, eager, compiled = {}, {}, {}
    for precision in options.precisions:
        ours = seconds[f"ours {precision}"]
        faster[precision] = min(seconds[f"{name} {precision}"] for name in TRUNKS[1:]) / ours
        eager[precision] = seconds[f"llama-eager {precision}"] / ours
        compiled[precision] = seconds[f"llama-eager {precision}"] / seconds[f"ours+compiled {precision}"]
        print(
            f"{precision}: {faster[precision]:.2f}x the faster Llama (target 1.2x), {eager[precision]:.2f}x the eager "
            f"one, compiled {compiled[precision]:.2f}x (target 1.5x); "
            f"products reach {peaks[precision] / 1e9:,.0f} GFLOP/s"
        )
    if data_figures:
        ratio = min(seconds[f"ours {precision}"] for precision in options.precisions)
        data_figures["loader_against_training"] = ratio / data_figures["loader_seconds_per_batch"]
        print(
            f"loader alone: {1e3 * data_figures['loader_seconds_per_batch']:.1f} ms a batch, "
            f"{data_figures['loader_against_training']:.0f} times our fastest training; "
            f"{data_figures['waiting_share']:.1%} of an update is waiting for data (target 2 %)"
        )
    settings = {key: getattr(options, key) for key in ("rounds", "steps", "threads", "rows")}
    figures = {
        "settings": {**settings, "size": model.config.size},
        "arms": arms,
        "against_faster_llama": faster,
        "against_eager_llama": eager,
        "compiled_against_eager_llama": compiled,
        "peak_flops_per_second": peaks,
        **data_figures,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
