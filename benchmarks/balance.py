"""What a mixture out of balance costs, and what mends it.

    gato record datasets/mujoco.yaml
    python benchmarks/balance.py [--size nano] [--updates 1500] [--episodes 8] [--seeds 2] [--threads 2]

Gymnasium's eleven tasks, three of which have a twentieth of the rows that each of the others has. Arms: `rows`, as they
are; `gradients`, where every body moves the trunk as much as its rows say, however steep its likelihood is
(`model.balance: gradients`); `temperature 3` (`data.temperature`), which brings the weights nearer to each other; and
`even`, all weights alike. Normalised returns, equal updates; a row a run is written to benchmarks/results/balance.json.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from questions import Variant, train

from gato.data.mixture import Source
from gato.model.config import ModelConfig
from gato.reporting.markdown import table
from gato.rollout.suite import SUITES, evaluate_suite
from gato.runs import write_json

RESULT = Path(__file__).parent / "results" / "balance.json"
SUITE = "mujoco"
STARVED = ("walker2d/run-forward", "humanoid/run-forward", "reacher/reach")
SHARE = 0.05
"""Of the rows of each of the others."""
EVEN = "even"


def arms(size: str) -> list[Variant]:
    """One way to weigh each."""
    network = ModelConfig(size=size)
    return [
        Variant("rows", network),
        Variant("gradients", network, balance="gradients"),
        Variant("temperature 3", network, temperature=3.0),
        Variant(EVEN, network),
    ]


def sources(arm: str) -> list[Source]:
    """The experts' recordings, three of them hardly ever met unless all are met alike."""
    return [
        Source(f"gato/{skill}/expert-v0", weight=SHARE if skill in STARVED and arm != EVEN else 1.0)
        for skill in SUITES[SUITE].skills
    ]


def cells(rows: Sequence[Mapping[str, object]], arm: str) -> list[str]:
    """Means over the arm's runs: of all, of the starved and of the others, and the lowest task."""
    found: list[dict[str, float]] = [row["normalised"] for row in rows if row["arm"] == arm]  # type: ignore[misc]
    mean = {skill: float(np.mean([one[skill] for one in found])) for skill in found[0]}
    groups = (mean, STARVED, [skill for skill in mean if skill not in STARVED])
    lowest = min(mean, key=mean.__getitem__)
    figures = [f"{np.mean([mean[skill] for skill in group]):.3f}" for group in groups]
    return [arm, *figures, f"{mean[lowest]:.3f} ({lowest})", str(len(found))]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="nano")
    parser.add_argument("--updates", type=int, default=1500)
    parser.add_argument("--episodes", type=int, default=8, help="a task")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_num_threads(given.threads)
    settings = {name: getattr(given, name) for name in ("size", "updates", "episodes", "seeds", "threads")}
    rows: list[dict[str, object]] = []
    for seed in range(given.seeds):
        for arm in arms(given.size):
            model, seconds = train(arm, sources(arm.name), updates=given.updates, seed=seed)
            tasks = evaluate_suite(model, SUITE, episodes=given.episodes, seed=7).json()["tasks"]
            found = {skill: task["normalised"] for skill, task in tasks.items()}
            rows.append({"arm": arm.name, "seed": seed, "seconds": seconds, "normalised": found})
            write_json(given.out, {"settings": settings, "rows": rows})
            print(arm.name, seed, f"{np.mean([*found.values()]):.3f}", flush=True)
    head = ["arm", "mean of eleven", "of the three starved", "of the others", "lowest", "seeds"]
    print(table(head, [cells(rows, arm.name) for arm in arms(given.size) if any(r["arm"] == arm.name for r in rows)]))


if __name__ == "__main__":
    main()
