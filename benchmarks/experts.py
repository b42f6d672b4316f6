"""Training speed of `gato expert train` beside Stable-Baselines3 and bare physics: python benchmarks/experts.py

HalfCheetah, one machine, one run, the arms taking turns. Ours is the configuration of the shipped expert, timed by its
own log over the iterations without an evaluation; SB3 is timed over `learn`, after a first short call. Bare stepping is
`mujoco.batch.Batch` under random actions, two threads. Prints a table, writes benchmarks/results/experts.json.
"""

from __future__ import annotations

import csv
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from gato.experts.ppo import PPOConfig
from gato.experts.shipped import SHIPPED
from gato.experts.train import train_expert
from gato.runs import read_provenance, write_json
from gato.skills.stepper import make_stepper

SKILL = "half-cheetah/run-forward"
ROUNDS = 3
OURS_STEPS, DEFAULT_STEPS, TUNED_STEPS, BARE_STEPS = 400_000, 2048 * 6, 16 * 2048 * 2, 200_000
RESULTS = Path(__file__).parent / "results" / "experts.json"


def shipped_config() -> PPOConfig:
    """What the shipped expert was trained with, without the other experts in whose states it began."""
    settings = read_provenance(SHIPPED / SKILL)["config"]["config"]
    sizes = {"hidden": tuple(settings["hidden"]), "start_states": (), "init_from": ""}
    return PPOConfig(**{**settings, **sizes})


def ours() -> float:
    """Steps/s between the rows of the log, those with an evaluation left out."""
    with tempfile.TemporaryDirectory() as folder:
        run = train_expert(SKILL, steps=OURS_STEPS, seed=0, out=Path(folder) / "run", config=shipped_config())
        rows = list(csv.DictReader((run / "logs" / "progress.csv").open()))
    pairs = [(a, b) for a, b in zip(rows, rows[1:], strict=False) if not b["evaluation"]]
    steps = sum(int(b["step"]) - int(a["step"]) for a, b in pairs)
    return steps / sum(float(b["seconds"]) - float(a["seconds"]) for a, b in pairs)


def sb3(steps: int, num_envs: int, **settings: object) -> float:
    """Steps/s of `PPO.learn`."""
    model = PPO("MlpPolicy", make_vec_env("HalfCheetah-v5", num_envs), device="cpu", seed=0, **settings)
    model.learn(model.n_steps * num_envs)
    begun = time.monotonic()
    model.learn(steps)
    return steps / (time.monotonic() - begun)


def bare() -> float:
    """Steps/s of `Batch.step` alone, on two threads."""
    stepper = make_stepper(SKILL, shipped_config().num_envs, num_threads=2)
    ids = np.arange(stepper.num_envs)
    stepper.reset(ids, ids.tolist())
    actions_TBA = np.random.default_rng(0).uniform(-1, 1, (BARE_STEPS // len(ids), len(ids), 6))
    batch, controls, skip = stepper._batch, stepper._ctrl_BA, stepper.body.frame_skip
    begun = time.monotonic()
    for actions_BA in actions_TBA:
        controls[:] = actions_BA
        batch.step(nstep=skip)
    return actions_TBA.shape[0] * len(ids) / (time.monotonic() - begun)


ARMS: dict[str, Callable[[], float]] = {
    "gato expert train": ours,
    "SB3 PPO, defaults": lambda: sb3(DEFAULT_STEPS, 1),
    "SB3 PPO, 16 environments, batch 512": lambda: sb3(TUNED_STEPS, 16, batch_size=512),
    "bare Batch stepping": bare,
}


def main() -> None:
    """All arms in turn, `ROUNDS` times; medians."""
    torch.set_num_threads(1)
    rates: dict[str, list[float]] = {name: [] for name in ARMS}
    for _ in range(ROUNDS):
        for name, arm in ARMS.items():
            rates[name].append(arm())
    median = {name: float(np.median(values)) for name, values in rates.items()}
    mine = median["gato expert train"]
    ratios = {f"ours / {name}": mine / rate for name, rate in median.items() if name != "gato expert train"}
    write_json(RESULTS, {"task": SKILL, "cores": os.cpu_count(), "steps_per_second": rates, "ratios": ratios})
    for name, rate in median.items():
        print(f"{name:38}{rate:>9,.0f} steps/s   ours is {mine / rate:5.2f} times that")


if __name__ == "__main__":
    main()
