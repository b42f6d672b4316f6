"""Asked for a return: ours against Decision Transformers and 10 %-BC on medium and replay data.

    gato record datasets/medium.yaml
    python benchmarks/returns.py [--data medium replay] [--arms ours ...] [--seconds 120 480 1440] [--seeds 0 1 2]
    python benchmarks/returns.py --table

Half-cheetah, hopper and walker2d. `ours` is one transformer for all three, told returns to go (`ReturnArm`); `decision`
is transformers' Decision Transformer and `cloning` the best tenth cloned, one model a task with a third of the seconds
each. Every budget of seconds is a training of its own, whose rate ends with it: together they show when an arm is flat.
A run, one arm, budget and seed, is written to benchmarks/results/returns.json as soon as it is done; started again,
those that are there are left out. Leave the machine alone meanwhile: seconds are what is shared.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peer_arms.arm import Arm, Setup
from peer_arms.cloning import CloningArm
from peer_arms.decision import DecisionArm
from peer_arms.measuring import measure
from peer_arms.results import Run, Store
from peer_arms.returning import ReturnArm

from gato.data.mixture import Source
from gato.reporting.markdown import table, with_interval
from gato.rollout.prompted import Conditions
from gato.specs import Score

HERE = Path(__file__).parent
CONFIG, RESULT = HERE.parent / "configs" / "demo.yaml", HERE / "results" / "returns.json"
SKILLS = ("half-cheetah/run-forward", "hopper/hop-forward", "walker2d/run-forward")
DATA = ("medium", "replay")
SUITE = "mujoco"
"""Whose experts are 1."""
STARTS = 0
ARMS: Mapping[str, Callable[[Setup], Arm]] = {"ours": ReturnArm, "decision": DecisionArm, "cloning": CloningArm}
TITLES = {"ours": "ours, told returns", "decision": "Decision Transformers", "cloning": "10 %-BC"}


def read_setup(data: str, seed: int, skills: tuple[str, ...] = SKILLS) -> Setup:
    """The demo's network and rates on these recordings."""
    sources = tuple(Source(f"gato/{skill}/{data}-v0") for skill in skills)
    return replace(Setup.read(CONFIG, skills, seed), sources=sources)


def run_one(arm_name: str, setup: Setup, seconds: float, conditions: Conditions) -> Run:
    """Train an arm and ask it for the best."""
    arm = ARMS[arm_name](setup)
    learned = asdict(arm.train(seconds))
    results = measure(arm, setup.skills, conditions, suite=SUITE)
    return {
        **learned,
        "parameters": arm.parameters,
        "mean_normalised": results.mean_normalised,
        "tasks": {one.skill: one.json() for one in results.tasks},
    }


def run_all(given: argparse.Namespace, store: Store) -> None:
    """Seed after seed, so that what is there at any time can be compared."""
    conditions = Conditions(given.episodes, STARTS, is_shown=False)
    wanted = [
        (data, seed, seconds, arm)
        for seed in given.seeds
        for data in given.data
        for seconds in given.seconds
        for arm in given.arms
    ]
    for data, seed, seconds, arm in wanted:
        name = f"{arm}, {seconds:g} s"
        if store.has(data, name, seed):
            print(f"{data}, {name}, seed {seed}: is there already")
            continue
        began = time.perf_counter()
        run = run_one(arm, read_setup(data, seed), seconds, conditions)
        store.add(data, name, seed, run)
        took = time.perf_counter() - began
        print(f"{data}, {name}, seed {seed}: {run['mean_normalised']:.3f} normalised; {took:.0f} s in all", flush=True)


def tables(content: Mapping[str, Any]) -> str:
    """One for each kind of data: a row an arm and budget, means over seeds with intervals over seeds and episodes."""
    parts = []
    for data in (one for one in DATA if content[one]):
        rows = []
        for name, runs in content[data].items():
            arm, budget = name.split(", ")
            scores = [_normalised(runs.values(), skill) for skill in SKILLS]
            rows.append(
                [
                    TITLES[arm],
                    budget,
                    f"{len(runs)}",
                    *(_shown(Score.of(one)) for one in (*scores, np.mean(scores, axis=0))),
                    f"{np.mean([run['updates'] for run in runs.values()]):,.0f}",
                ]
            )
        head = [f"{data}: normalised", "trained", "seeds", *SKILLS, "mean", "updates"]
        parts.append(table(head, rows))
    return "\n\n".join(parts)


def _normalised(runs: Any, skill: str) -> list[float]:
    tasks = [run["tasks"][skill] for run in runs]
    return [
        (value - one["random"]) / (one["expert"] - one["random"])
        for one in tasks
        for value in one["return"]["episodes"]
    ]


def _shown(score: Score) -> str:
    return with_interval(score.mean, score.ci95, ".3f")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--arms", nargs="+", choices=[*ARMS], default=[*ARMS])
    parser.add_argument("--seconds", nargs="+", type=float, default=[120.0, 480.0, 1440.0], help="of training, a run")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--episodes", type=int, default=10, help="a task")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_num_threads(given.threads)
    settings = {name: getattr(given, name) for name in ("episodes", "threads")} | {"cores": os.cpu_count()}
    store = Store(given.out, {} if given.table else settings, DATA)
    if not given.table:
        run_all(given, store)
    print(tables(store.read()))


if __name__ == "__main__":
    main()
