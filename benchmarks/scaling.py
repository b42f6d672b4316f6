"""Sizes and data: loss and return against parameters, tokens and episodes, on the demo's tasks.

    gato record datasets/demo.yaml
    python benchmarks/scaling.py [--sizes nano mini small] [--shares 0.05 0.25 0.95] [--updates 1500] [--seeds 0]
    python benchmarks/scaling.py --table

Each size learns each share of the episodes for as many updates. The episodes that it has not met are its validation,
whose loss is measured at eighths of the way; the demo's suite is rolled out at the end. The slope is that of a line
through the logarithms of parameters and loss, at the largest share and the last update. Runs are kept one by one in
benchmarks/results/scaling.json; the picture is docs/scaling.png.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from peer_arms.arm import Setup
from peer_arms.fitting import num_parameters, trunk_optimizer
from peer_arms.gato_arm import GatoArm
from peer_arms.measuring import measure
from peer_arms.results import Run, Store

from gato.data.module import GatoDataModule
from gato.reporting.charts import COLOURS, STYLE, write_png
from gato.reporting.markdown import table
from gato.rollout.prompted import Conditions
from gato.rollout.suite import SUITES
from gato.sequences import build_rows
from gato.specs import Rows
from gato.training.lightning_module import warmup_cosine

HERE = Path(__file__).parent
CONFIG, RESULT = HERE.parent / "configs" / "demo.yaml", HERE / "results" / "scaling.json"
PICTURE = HERE.parent / "docs" / "scaling.png"
SIZES = ("nano", "mini", "small")
SECTION = "runs"
CHECKS, CHECKED = 8, 6
"""Times that the loss is measured, and batches each time."""


class Scaled(GatoArm):
    """`gato fit` by number of updates, on a share of the episodes."""

    def __init__(self, setup: Setup, share: float) -> None:
        super().__init__(setup, setup.network)
        data = GatoDataModule(
            setup.sources,
            setup.network.layout,
            batch_size=setup.batch_size,
            seed=setup.seed,
            validation_share=1 - share,
        )
        data.codec = self.model.codec
        data.setup()
        self.mixture, self._unseen = data.mixture(), data.mixture(is_validation=True)

    def learn(self, updates: int) -> list[dict[str, float]]:
        """The curve: updates, tokens and validation loss."""
        optimizer = trunk_optimizer(self.model, self.model.trunk, self.setup)
        schedule = warmup_cosine(updates // 20, updates, 0.0)
        curve, tokens = [], 0
        for update in range(updates):
            for group in optimizer.param_groups:
                group["lr"] = self.setup.learning_rate * schedule(update)
            batch = self._draw(update)
            self._loss(batch).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            tokens += num_tokens(batch)
            if (update + 1) % max(1, updates // CHECKS) == 0:
                curve.append({"updates": update + 1, "tokens": tokens, "loss": self._unseen_loss()})
        return curve

    @torch.no_grad()
    def _unseen_loss(self) -> float:
        drawn = [
            [build_rows(self.model.codec, one, self.model.layout) for one in self._unseen.draw(n)]
            for n in range(CHECKED)
        ]
        return float(np.mean([float(self._loss(batch)) for batch in drawn]))


def num_tokens(batch: list[Rows]) -> int:
    """Numbers of the steps and words of the prompts."""
    return sum(
        int(rows.step_mask_BT.sum()) * (rows.observation_BTO.shape[2] + rows.target_BTA.shape[2])
        + int((rows.text_BP >= 0).sum())
        for rows in batch
    )


def run_one(size: str, share: float, seed: int, given: argparse.Namespace) -> Run:
    """Train and measure."""
    setup = Setup.read(CONFIG, SUITES["demo"].skills, seed)
    arm = Scaled(replace(setup, network=replace(setup.network, size=size)), share)
    began = time.perf_counter()
    curve = arm.learn(given.updates)
    seconds = time.perf_counter() - began
    results = measure(arm, setup.skills, Conditions(given.episodes, 0, is_shown=False))
    return {
        "parameters": num_parameters(arm.model),
        "seconds": round(seconds, 1),
        "curve": curve,
        "mean_normalised": results.mean_normalised,
        "tasks": {one.skill: one.normalised for one in results.tasks},
    }


def name_of(size: str, share: float) -> str:
    """Key of the runs."""
    return f"{size}, {share:g}"


def slope(runs: Mapping[str, Mapping[str, Run]]) -> tuple[float, float]:
    """Of log loss against log parameters at the largest share, and the loss at one million parameters."""
    largest = max(float(name.split(", ")[1]) for name in runs)
    points = [run for name, own in runs.items() if float(name.split(", ")[1]) == largest for run in own.values()]
    x = np.log([run["parameters"] / 1e6 for run in points])
    y = np.log([run["curve"][-1]["loss"] for run in points])
    gradient, height = np.polyfit(x, y, 1)
    return float(gradient), float(np.exp(height))


def draw(runs: Mapping[str, Mapping[str, Run]]) -> Figure:
    """Loss against parameters with the line, loss against tokens, return against episodes."""
    sizes = list(dict.fromkeys(name.split(", ")[0] for name in runs))
    shares = sorted({float(name.split(", ")[1]) for name in runs})
    with matplotlib.rc_context({**STYLE, **{key: "black" for key in STYLE if "color" in key}}):
        figure = Figure(figsize=(11, 3.4), layout="constrained")
        by_size, by_tokens, by_share = figure.subplots(1, 3)
        for index, share in enumerate(shares):
            own = [run for size in sizes for run in runs.get(name_of(size, share), {}).values()]
            places, losses = [run["parameters"] for run in own], [run["curve"][-1]["loss"] for run in own]
            by_size.plot(places, losses, "o-", color=COLOURS[index], label=f"{share:.0%} of the episodes")
        gradient, height = slope(runs)
        ends = np.array(sorted({run["parameters"] for own in runs.values() for run in own.values()}))[[0, -1]]
        by_size.plot(ends, height * (ends / 1e6) ** gradient, "--", color="grey", label=f"slope {gradient:.3f}")
        for index, size in enumerate(sizes):
            run = next(iter(runs[name_of(size, shares[-1])].values()))
            tokens, losses = [one["tokens"] for one in run["curve"]], [one["loss"] for one in run["curve"]]
            by_tokens.plot(tokens, losses, "o-", color=COLOURS[index], label=size)
            scores = [
                np.mean([one["mean_normalised"] for one in runs[name_of(size, share)].values()])
                for share in shares
                if name_of(size, share) in runs
            ]
            by_share.plot(shares[: len(scores)], scores, "o-", color=COLOURS[index], label=size)
        for axes, label in ((by_size, "parameters"), (by_tokens, "tokens"), (by_share, "share of the episodes")):
            axes.set_xscale("log")
            axes.set_xlabel(label)
            axes.grid(alpha=0.2)
            axes.legend(fontsize=8)
        by_size.set_ylabel("validation loss (nats an action number)")
        by_share.set_ylabel("mean normalised return")
    return figure


def tables(runs: Mapping[str, Mapping[str, Run]]) -> str:
    """A row a run."""
    rows = [
        [
            *name.split(", "),
            seed,
            f"{run['parameters']:,}",
            f"{run['curve'][-1]['tokens'] / 1e6:.1f} M",
            f"{run['curve'][-1]['loss']:.3f}",
            f"{run['mean_normalised']:.3f}",
            f"{run['seconds']:.0f}",
        ]
        for name, own in runs.items()
        for seed, run in own.items()
    ]
    head = [
        "size",
        "share of episodes",
        "seed",
        "parameters",
        "tokens",
        "validation loss",
        "mean normalised",
        "seconds",
    ]
    return table(head, rows)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    parser.add_argument("--shares", nargs="+", type=float, default=[0.05, 0.25, 0.95])
    parser.add_argument("--updates", type=int, default=1500)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--episodes", type=int, default=10, help="a task")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    parser.add_argument("--table", action="store_true", help="show what is there, run nothing")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_num_threads(given.threads)
    settings = {name: getattr(given, name) for name in ("updates", "episodes")} | {"cores": os.cpu_count()}
    store = Store(given.out, {} if given.table else settings, (SECTION,))
    wanted = [(size, share, seed) for seed in given.seeds for share in given.shares for size in given.sizes]
    for size, share, seed in wanted if not given.table else ():
        if not store.has(SECTION, name_of(size, share), seed):
            store.add(SECTION, name_of(size, share), seed, run_one(size, share, seed, given))
            print(f"{size}, {share:g}, seed {seed}: done", flush=True)
    runs = store.read()[SECTION]
    print(tables(runs))
    print(f"\nslope of log loss against log parameters: {slope(runs)[0]:.3f}")
    write_png(draw(runs), given.picture, dpi=150)


if __name__ == "__main__":
    main()
