"""Training speed of `gato expert train` beside Stable-Baselines3 and bare physics: python benchmarks/experts.py

One machine, one run, the arms of a task taking turns. Ours is the configuration of the shipped expert, timed by its own
log over the iterations without an evaluation; SB3 is timed over `learn`, after a first short call, with networks of the
same widths. Bare stepping is `mujoco.batch.Batch` under random actions, two threads, without contact forces or
rewards. Prints a table, writes benchmarks/results/experts.json. Tasks can be named: ... half-cheetah/run-forward
"""

from __future__ import annotations

import csv
import os
import sys
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
from gato.experts.shipped import find_expert, has_shipped_expert
from gato.experts.train import train_expert
from gato.runs import read_json, read_provenance, write_json
from gato.skills.bodies import get_body
from gato.skills.stepper import make_stepper
from gato.skills.table import get_skill

TASKS = (
    "half-cheetah/run-forward",
    "hopper/hop-forward",
    "walker2d/run-forward",
    "ant/run-forward",
    "humanoid/run-forward",
)
ROUNDS = 3
SECONDS = 20.0
"""About as long an arm runs in a round."""
OURS, DEFAULTS, TUNED, BARE = (
    "gato expert train",
    "SB3 PPO, defaults",
    "SB3 PPO, 16 environments, batch 512",
    "bare Batch stepping",
)
RESULTS = Path(__file__).parent / "results" / "experts.json"


def shipped_config(skill: str) -> PPOConfig:
    """What the shipped expert was trained with, without the other experts in whose states or weights it began."""
    settings = read_provenance(find_expert(skill))["config"]["config"]
    sizes = {"hidden": tuple(settings["hidden"]), "start_states": (), "init_from": ""}
    return PPOConfig(**{**settings, **sizes})


def ours(skill: str, steps: int) -> float:
    """Steps/s between the rows of the log, those with an evaluation left out."""
    with tempfile.TemporaryDirectory() as folder:
        run = train_expert(skill, steps=steps, seed=0, out=Path(folder) / "run", config=shipped_config(skill))
        rows = list(csv.DictReader((run / "logs" / "progress.csv").open()))
    pairs = [(a, b) for a, b in zip(rows, rows[1:], strict=False) if not b["evaluation"]]
    steps = sum(int(b["step"]) - int(a["step"]) for a, b in pairs)
    return steps / sum(float(b["seconds"]) - float(a["seconds"]) for a, b in pairs)


def sb3(skill: str, steps: int, num_envs: int, **settings: object) -> float:
    """Steps/s of `PPO.learn`."""
    body = get_body(get_skill(skill).body)
    widths = {"net_arch": list(shipped_config(skill).hidden)}
    envs = make_vec_env(body.gym_id, num_envs, env_kwargs=dict(body.gym_kwargs or {}))
    model = PPO("MlpPolicy", envs, device="cpu", seed=0, policy_kwargs=widths, **settings)
    model.learn(model.n_steps * num_envs)
    begun = time.monotonic()
    model.learn(steps)
    return steps / (time.monotonic() - begun)


def bare(skill: str, steps: int) -> float:
    """Steps/s of `Batch.step` alone, on two threads."""
    stepper = make_stepper(skill, shipped_config(skill).num_envs, num_threads=2)
    ids = np.arange(stepper.num_envs)
    stepper.reset(ids, ids.tolist())
    low_A, high_A = stepper.spec.action_low, stepper.spec.action_high
    actions_TBA = np.random.default_rng(0).uniform(low_A, high_A, (steps // len(ids), len(ids), len(low_A)))
    batch, controls, skip = stepper._batch, stepper._ctrl_BA, stepper.body.frame_skip
    begun = time.monotonic()
    for actions_BA in actions_TBA:
        controls[:] = actions_BA
        batch.step(nstep=skip)
    return actions_TBA.shape[0] * len(ids) / (time.monotonic() - begun)


def measure(skill: str) -> dict[str, list[float]]:
    """Steps/s of all arms in turn, `ROUNDS` times. Longer arms for faster bodies."""
    possible = bare(skill, 20_000)
    rounded = 2048 * 16
    arms: dict[str, Callable[[], float]] = {
        OURS: lambda: ours(skill, int(SECONDS * possible / 2)),
        DEFAULTS: lambda: sb3(skill, 2048 * 6, 1),
        TUNED: lambda: sb3(skill, rounded * max(round(SECONDS * possible / 6 / rounded), 1), 16, batch_size=512),
        BARE: lambda: bare(skill, int(SECONDS / 4 * possible)),
    }
    rates: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(ROUNDS):
        for name, arm in arms.items():
            rates[name].append(arm())
    return rates


def main() -> None:
    """Every task that has a shipped expert; medians."""
    torch.set_num_threads(1)
    asked = sys.argv[1:] or [skill for skill in TASKS if has_shipped_expert(skill)]
    results = read_json(RESULTS) if RESULTS.is_file() else {"cores": os.cpu_count(), "tasks": {}}
    for skill in asked:
        rates = measure(skill)
        median = {name: float(np.median(values)) for name, values in rates.items()}
        ratios = {f"ours / {name}": median[OURS] / rate for name, rate in median.items() if name != OURS}
        results["tasks"][skill] = {"steps_per_second": rates, "ratios": ratios}
        write_json(RESULTS, results)
        print(skill)
        for name, rate in median.items():
            print(f"  {name:38}{rate:>9,.0f} steps/s   ours is {median[OURS] / rate:5.2f} times that")


if __name__ == "__main__":
    main()
