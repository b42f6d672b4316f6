"""Minutes of `gato expert train` until a score is reached, median of three seeds: python benchmarks/minutes.py [SKILL]

A score counts when the deterministic evaluation of a training run (20 episodes on starts of its own) first reaches it.
The minutes are those of the run's own log, evaluations included, imports not. A run ends there. Prints a table, writes
benchmarks/results/minutes.json. An hour and a half for all; leave the machine alone meanwhile.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gato.runs import read_json, write_json

SEEDS = (0, 1, 2)
POLL = 1.0
"""Seconds between looks at the log."""
RESULTS = Path(__file__).parent / "results" / "minutes.json"


@dataclass(frozen=True)
class Target:
    """What is to be reached, and how it is trained for."""

    score: float
    minutes: float
    """The goal."""
    flags: str


SMALL = "--num-envs 64 --minibatch-size 1024"
TARGETS = {
    "half-cheetah/run-forward": Target(5000, 4, f"--steps 3000000 {SMALL} --initial-std 0.5"),
    "hopper/hop-forward": Target(
        3000,
        4,
        "--steps 2000000 --num-envs 16 --rollout-steps 128 --minibatch-size 128 --target-divergence 0"
        " --initial-std 1.0",
    ),
    "walker2d/run-forward": Target(4000, 8, f"--steps 6000000 {SMALL}"),
    "ant/run-forward": Target(
        4000,
        15,
        "--steps 4000000 --num-envs 32 --rollout-steps 64 --minibatch-size 128 --target-divergence 0 --initial-std 0.4",
    ),
    "humanoid/run-forward": Target(
        5000,
        30,
        "--steps 5000000 --num-envs 32 --rollout-steps 64 --minibatch-size 256 --epochs 6 --target-divergence 0"
        " --initial-std 1.0 --hidden 128 128 --symmetric",
    ),
}


def minutes(skill: str, target: Target, seed: int) -> float | None:
    """Minutes until the score; None where the run ends without it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "gato",
            "expert",
            "train",
            skill,
            *target.flags.split(),
            "--seed",
            str(seed),
            "--out",
            folder + "/run",
        ]
        run = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
        try:
            while run.poll() is None:
                time.sleep(POLL)
                if (found := reached(Path(folder) / "run", target.score)) is not None:
                    return found
            return reached(Path(folder) / "run", target.score)
        finally:
            # Not SIGINT, which a shell in the background has its children ignore.
            run.terminate()
            run.wait()


def reached(run: Path, score: float) -> float | None:
    """The minute of the first evaluation that reached the score."""
    log = run / "logs" / "progress.csv"
    if not log.is_file():
        return None
    rows = [row for row in csv.DictReader(log.open()) if row["evaluation"]]
    return next((float(row["seconds"]) / 60 for row in rows if float(row["evaluation"]) >= score), None)


def main() -> None:
    """Every task, seed after seed; written after each task."""
    results = read_json(RESULTS) if RESULTS.is_file() else {"cores": os.cpu_count(), "tasks": {}}
    for skill in sys.argv[1:] or TARGETS:
        target = TARGETS[skill]
        found = [minutes(skill, target, seed) for seed in SEEDS]
        median = float(np.median([np.inf if one is None else one for one in found]))
        told = median if np.isfinite(median) else None
        facts = {"score": target.score, "goal": target.minutes, "flags": target.flags}
        results["tasks"][skill] = {**facts, "minutes": found, "median": told}
        write_json(RESULTS, results)
        print(f"{skill:28}{target.score:>6g} in {median:5.1f} minutes (goal {target.minutes:g}); seeds {found}")


if __name__ == "__main__":
    main()
