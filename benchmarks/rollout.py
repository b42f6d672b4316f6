"""Actions/s of the batched, cached agent against re-encoding its context each step, and against a Decision Transformer.

    python benchmarks/rollout.py [--envs 50] [--steps 64] [--repeats 3] [--threads 2] [--out FILE]

HalfCheetah's spaces, random weights, random observations, no physics. All arms take turns in one run; the median of
the repeats counts. The Decision Transformer is transformers' own, with a trunk as large as ours, in its usual loop:
one environment, the newest 20 steps encoded anew for each action. Then `small` as configs/small.yaml lays it out acts
in MuJoCo, in 64 environments and in one: control steps/s, simulation included. Prints one table and writes
benchmarks/results/rollout.json. Targets: 5x re-encoding at 16 steps of context, 10x at 64, 5x the Decision Transformer;
5000 control steps/s in 64 environments, 200 in one.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import DecisionTransformerConfig, DecisionTransformerModel

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.model.trunk import Piece
from gato.rollout.agent import Agent
from gato.sequences import Layout
from gato.skills.bodies import get_body
from gato.skills.stepper import make_stepper
from gato.specs import BodySpec
from gato.tokens.codec import Codec

BODY = "half-cheetah"
WINDOWS = (16, 64)
ACTING = (64, 1)
"""Environments of the runs in MuJoCo."""
TARGETS = {64: 5000, 1: 200}
"""Control steps/s that they should reach."""
DECISION_STEPS = 20
"""Context of the Decision Transformer, steps (Chen et al. 2021, table 8)."""
RESULT = Path(__file__).parent / "results" / "rollout.json"


class ReEncoding(Agent):
    """The same contexts, hence the same actions, without a cache."""

    def _pieces(self, index: int) -> list[Piece]:
        self._index = index
        return []

    def _run(self, pieces: Sequence[Piece]) -> list[Tensor]:
        return []

    def _joined(self, outs: Sequence[Tensor]) -> Tensor:
        length_B = self.rows.step_mask_BT.sum(1)
        longest = int(length_B.max()) + 1
        rows = replace(
            self.rows,
            observation_BTO=self.rows.observation_BTO[:, :longest],
            action_BTA=self.rows.action_BTA[:, :longest],
            step_mask_BT=np.arange(longest) <= length_B[:, None],
        )
        place_B = self._num_prompt + length_B * self.body.steps.positions + self.body.steps.readout + self._index
        return self.model.hidden([rows])[0][torch.arange(len(place_B)), torch.from_numpy(place_B)]


class DecisionLoop:
    """transformers' Decision Transformer as it is usually run: pad to the context, one forward pass an action."""

    def __init__(self, spec: BodySpec) -> None:
        trunk = ModelConfig().trunk
        self.model = DecisionTransformerModel(
            DecisionTransformerConfig(
                state_dim=len(spec.observation),
                act_dim=len(spec.action),
                hidden_size=trunk.width,
                n_layer=trunk.layers,
                n_head=trunk.heads,
                n_positions=3 * DECISION_STEPS,
                max_ep_len=1000,
            )
        ).eval()
        self.states_SO = torch.zeros(0, len(spec.observation))
        self.actions_SA = torch.zeros(0, len(spec.action))
        self.returns_S = torch.zeros(0)

    @torch.inference_mode()
    def __call__(self, observation_O: np.ndarray) -> np.ndarray:
        self.states_SO = torch.cat([self.states_SO, torch.from_numpy(observation_O)[None]])
        self.actions_SA = torch.cat([self.actions_SA, torch.zeros(1, self.actions_SA.shape[1])])
        self.returns_S = torch.cat([self.returns_S, torch.ones(1)])
        length = min(len(self.states_SO), DECISION_STEPS)
        missing = DECISION_STEPS - length

        def newest(values: Tensor) -> Tensor:
            return torch.cat([values.new_zeros(missing, *values.shape[1:]), values[-length:]])[None]

        action_A = self.model(
            states=newest(self.states_SO),
            actions=newest(self.actions_SA),
            rewards=newest(self.returns_S),
            returns_to_go=newest(self.returns_S)[..., None],
            timesteps=newest(torch.arange(len(self.states_SO)) % 1000),
            attention_mask=(torch.arange(DECISION_STEPS) >= missing).long()[None],
        ).action_preds[0, -1]
        self.actions_SA[-1] = action_A
        return action_A.numpy()


class Acting:
    """An agent in MuJoCo: observations lead to actions, and those to the next observations."""

    def __init__(self, model: Gato, envs: int, threads: int) -> None:
        self.agent = Agent(model, BODY, ["run forward"] * envs)
        self.stepper = make_stepper(f"{BODY}/run-forward", envs, num_threads=threads)
        self.observations_BO = np.zeros((envs, len(model.body(BODY).spec.observation)))

    def seconds(self, steps: int) -> np.ndarray:
        """(T,) of each control step from the start of an episode on, once the context is full for the first time."""
        rows = np.arange(self.stepper.num_envs)
        self.observations_BO = self.stepper.reset(rows, rows.tolist())
        self.agent.reset(rows)
        filled, ends = self.agent.model.layout.window_steps, []
        for _ in range(filled + steps):
            self.observations_BO = self.stepper.step(self.agent(self.observations_BO)).observations_BO
            ends.append(time.perf_counter())
        return np.diff(ends[filled - 1 :])


def make_model(window_steps: int) -> Gato:
    """Random weights, the default size and layout."""
    return _make_model(ModelConfig(layout=Layout(window_steps=window_steps)))


def _make_model(config: ModelConfig) -> Gato:
    spec, codec = get_body(BODY).spec, Codec()
    codec.add_body(spec, np.zeros(len(spec.observation)), np.ones(len(spec.observation)))
    torch.manual_seed(0)
    return Gato(config, codec).eval()


def arms(envs: int) -> dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]]:
    """Name -> (what acts, environments it acts for)."""
    made: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {}
    for window in WINDOWS:
        model = make_model(window)
        for name, kind in (("cached", Agent), ("re-encoded", ReEncoding)):
            made[f"{name}, {window} steps"] = kind(model, BODY, ["run forward"] * envs), envs
    loop = DecisionLoop(get_body(BODY).spec)
    made[f"decision transformer, {DECISION_STEPS} steps"] = lambda one_BO: loop(one_BO[0])[None], 1
    return made


def rate(act: Callable[[np.ndarray], np.ndarray], observations_TBO: np.ndarray) -> float:
    """Actions/s."""
    began = time.perf_counter()
    for observation_BO in observations_TBO:
        act(observation_BO)
    return observations_TBO.shape[0] * observations_TBO.shape[1] / (time.perf_counter() - began)


def measure(envs: int, steps: int, repeats: int) -> dict[str, list[float]]:
    """Actions/s of every arm, once a repeat, after a warm-up that fills every context."""
    rng = np.random.default_rng(0)
    observations_TBO = rng.standard_normal(
        (max(steps, *WINDOWS), envs, len(get_body(BODY).spec.observation)), np.float32
    )
    rates: dict[str, list[float]] = {}
    ready = arms(envs)
    for act, rows in ready.values():
        rate(act, observations_TBO[: max(WINDOWS), :rows])
    for _ in range(repeats):
        for name, (act, rows) in ready.items():
            rates.setdefault(name, []).append(rate(act, observations_TBO[:steps, :rows]))
    return rates


def measure_acting(size: str, steps: int, repeats: int, threads: int) -> dict[str, dict[str, float]]:
    """Control steps/s and seconds a step, for each number of environments; they take turns."""
    model = _make_model(ModelConfig(size=size, layout=Layout(window_steps=12, demonstration_steps=4)))
    runs = {envs: Acting(model, envs, threads) for envs in ACTING}
    seconds: dict[int, list[np.ndarray]] = {envs: [] for envs in runs}
    for _ in range(repeats):
        for envs, run in runs.items():
            seconds[envs].append(run.seconds(steps))
    return {
        f"{size}, {envs} environment{'s' * (envs > 1)}": {
            "control_steps_per_second": envs * statistics.median(1 / one.mean() for one in times),
            "target": TARGETS[envs],
            "step_p50_ms": 1e3 * float(np.median(np.concatenate(times))),
            "step_p99_ms": 1e3 * float(np.percentile(np.concatenate(times), 99)),
        }
        for envs, times in seconds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=int, default=50)
    parser.add_argument("--steps", type=int, default=64, help="steps a turn; 64 spans whole refills")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", default="small", help="preset of the model that acts in MuJoCo")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    # Random weights push the body where no statistics hold.
    logging.disable(logging.WARNING)
    torch.set_num_threads(options.threads)
    rates = {
        name: statistics.median(found) for name, found in measure(options.envs, options.steps, options.repeats).items()
    }
    cached = {window: rates[f"cached, {window} steps"] for window in WINDOWS}
    speedups = {
        **{f"re-encoding, {window} steps": cached[window] / rates[f"re-encoded, {window} steps"] for window in WINDOWS},
        "decision transformer": cached[WINDOWS[0]] / rates[f"decision transformer, {DECISION_STEPS} steps"],
    }
    ours = sum(weight.numel() for weight in make_model(WINDOWS[0]).trunk.parameters())
    theirs = sum(weight.numel() for weight in DecisionLoop(get_body(BODY).spec).model.encoder.parameters())
    for name, value in rates.items():
        print(f"{name:32} {value:10.0f} actions/s")
    for name, value in speedups.items():
        print(f"cached against {name:24} {value:6.1f}x")
    acting = measure_acting(options.size, options.steps, options.repeats, options.threads)
    for name, one in acting.items():
        print(
            f"{name:32} {one['control_steps_per_second']:10.0f} control steps/s (target {one['target']}), "
            f"{one['step_p50_ms']:.1f} ms a step, p99 {one['step_p99_ms']:.1f}"
        )
    content = {
        "actions_per_second": rates,
        "acting": acting,
        "speedup": speedups,
        "trunk_parameters": {"gato": ours, "decision_transformer": theirs},
        **{key: getattr(options, key) for key in ("envs", "steps", "repeats", "threads")},
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
