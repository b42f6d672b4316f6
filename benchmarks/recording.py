"""Recorded steps/s (expert, noise, checks, HDF5, metadata, everything) against bare vector stepping, alternating.

    python benchmarks/recording.py [--episodes 128] [--repeats 3] [--expert shipped]

Prints one table and writes benchmarks/results/recording.json. The target is 70 % of bare stepping.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from gato.data.minari_io import open_dataset
from gato.record import BLOCK_EPISODES, Recording, record_skill
from gato.skills.stepper import make_stepper

SKILLS = ("half-cheetah/run-forward", "walker2d/run-forward")
RESULT = Path(__file__).parent / "results" / "recording.json"


def bare_rate(skill: str, steps: int) -> float:
    """Steps/s of the vector environment alone, random actions, every environment from its start."""
    stepper = make_stepper(skill, BLOCK_EPISODES)
    rng = np.random.default_rng(0)
    low_A, high_A = stepper.spec.action_low, stepper.spec.action_high
    actions_TBA = rng.uniform(low_A, high_A, (100, BLOCK_EPISODES, len(low_A))).astype(np.float32)
    stepper.reset(np.arange(BLOCK_EPISODES), range(BLOCK_EPISODES))
    began = time.perf_counter()
    for step in range(steps // BLOCK_EPISODES):
        transition = stepper.step(actions_TBA[step % 100])
        over = np.flatnonzero(transition.terminated_B | transition.truncated_B)
        if len(over):
            stepper.reset(over, over.tolist())
    return steps / (time.perf_counter() - began)


def recorded_rate(skill: str, episodes: int, expert: str) -> tuple[float, int]:
    """(steps/s of `record_skill` from nothing to the finished dataset, steps)."""
    began = time.perf_counter()
    name = record_skill(Recording(skill, episodes=episodes, noise=(0.0, 0.1, 0.3), expert=expert), overwrite=True)
    elapsed = time.perf_counter() - began
    steps = open_dataset(name).num_steps
    return steps / elapsed, steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=2 * BLOCK_EPISODES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--expert", default="shipped")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MINARI_DATASETS_PATH"] = folder
        for skill in SKILLS:
            bare, recorded = [], []
            for _ in range(options.repeats):
                rate, steps = recorded_rate(skill, options.episodes, options.expert)
                recorded.append(rate)
                bare.append(bare_rate(skill, steps))
            shares = [ours / theirs for ours, theirs in zip(recorded, bare, strict=True)]
            results[skill] = {
                "steps": steps,
                "bare_steps_per_second": bare,
                "recorded_steps_per_second": recorded,
                "share": statistics.median(shares),
            }
    print(f"{'skill':28} {'bare':>10} {'recorded':>10} {'share':>7}")
    for skill, figures in results.items():
        bare = statistics.median(figures["bare_steps_per_second"])
        recorded = statistics.median(figures["recorded_steps_per_second"])
        print(f"{skill:28} {bare:10,.0f} {recorded:10,.0f} {figures['share']:7.0%}")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    settings = {"episodes": options.episodes, "repeats": options.repeats, "expert": options.expert}
    RESULT.write_text(json.dumps({"settings": settings, "skills": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
