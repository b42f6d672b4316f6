"""Everything about a GPU in one go: how much of it training uses, how fast models act on it, and that both work.

    bash benchmarks/gpu.sh [--sizes 79m 364m 1.2b] [--minutes 8] [--device cuda] [--out FOLDER]

Needs torch, transformers, einops, tokenizers and safetensors; no simulator and no datasets: rows are random numbers of
the eleven known bodies. Where MuJoCo and Minari are installed, each size also goes the public path: recorded, trained
by `gato fit`, loaded by `gato.load`. Writes gpu.json after every part, so that a part that fails, or time that ends,
costs only itself; sorted so that what matters most comes first. Goals: half of the chip for 1.2b, an action of 1.2b in
50 ms and of small in 5 ms for 99 of 100.

FLOPs are counted as benchmarks/flops.py says: 6 for each weight of the trunk's matrices and position that is computed,
and 12 S D for attention. Their rate is divided by the fastest large bf16 product of this run, and by the 989 TFLOP/s
that NVIDIA publishes for H100 and H200. The Llama is transformers' `LlamaModel` of equal shape with SDPA in the place
of our trunk, compiled alike; it computes all positions, padding included. Its rate, as ours, counts positions that
exist, and tokens as Gato counts them (every number is one).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from flops import HOPPER_PEAK, matmul_peak
from gpu_rollout import WAYS, measure_way, smoke
from gpu_training import ARMS, Bench, against_llama, measure_arm

import gato
from gato.training.optimizer import has_fast_bf16

try:
    import gymnasium

    from gato import cli
    from gato.record import Recording, record_skill
except ImportError as error:
    MISSING = f"{type(error).__name__}: {error}"
else:
    MISSING = ""

RESULTS = Path(__file__).parent / "results"
SIZES = ("79m", "364m", "1.2b")
UTILISATION_GOAL, LATENCY_GOALS = 0.5, {"1.2b": 50.0, "small": 5.0}
"""Share of the measured peak for 1.2b; milliseconds of an action at the 99th percentile, in one environment."""
PEAK_SIZES = {"cuda": (2048, 4096, 8192, 16384), "cpu": (512, 1024)}
PUBLIC_SKILL, PUBLIC_ENV, PUBLIC_PROMPT = "hopper/hop-forward", "Hopper-v5", "hop forward"
PUBLIC_CONFIG = """
data: {{batch_size: 32, validation_batches: 1, datasets: [{{id: gato/hopper/hop-forward-v0}}]}}
model: {{warmup_steps: 4, network: {{size: {size}}}}}
run: {{checkpoint_every: 1000}}
trainer: {{max_steps: 20, val_check_interval: 20, accelerator: {accelerator}}}
"""


class Report:
    """What was found so far; on disk after every part."""

    def __init__(self, path: Path, minutes: float) -> None:
        self.path, self.minutes = path, minutes
        self.began = time.perf_counter()
        self.content: dict[str, Any] = {"how": " ".join((__doc__ or "").split())}

    @property
    def elapsed(self) -> float:
        """Seconds."""
        return time.perf_counter() - self.began

    def put(self, *keys: str, value: Any) -> None:
        """At content[key][key]..., then everything to disk; a line on the screen."""
        place = self.content
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = value
        self.content["goals"] = goals(self.content)
        self.content["seconds"] = round(self.elapsed, 1)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".part")
        draft.write_text(json.dumps(self.content, indent=2) + "\n")
        draft.replace(self.path)
        print(f"{self.elapsed:6.1f} s  {' / '.join(keys)}: {shown(value)}", flush=True)

    def part(self, *keys: str, work: Callable[[], Any]) -> None:
        """What `work` gives, or why it gave nothing; nothing is begun when time is over."""
        if self.elapsed > 60 * self.minutes:
            self.put(*keys, value={"skipped": f"after {self.minutes:g} minutes"})
            return
        try:
            value = work()
        except Exception as error:  # noqa: BLE001 the other parts go on
            value = {"error": f"{type(error).__name__}: {error}"}
        self.put(*keys, value=value)


def shown(value: Any) -> str:
    """On one line, numbers short."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} {shown(one)}" for key, one in value.items()) + "}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def goals(content: dict[str, Any]) -> dict[str, Any]:
    """Goal -> what was asked, what was reached by the best way, whether it is met; without those not measured."""
    found = {}
    arms = content.get("training", {}).get("1.2b", {})
    reached = [
        one["utilisation_of_measured_peak"] for name, one in arms.items() if name.startswith("ours") and "rows" in one
    ]
    if reached:
        found["utilisation of 1.2b"] = {"at_least": UTILISATION_GOAL, "reached": max(reached)}
    for size, most in LATENCY_GOALS.items():
        ways = content.get("acting", {}).get(size, {}).values()
        latencies = [one["1 environment"]["p99_ms"] for one in ways if "1 environment" in one]
        if latencies:
            found[f"p99 of an action of {size}, ms"] = {"at_most": most, "reached": min(latencies)}
    for one in found.values():
        one["is_met"] = one["reached"] >= one["at_least"] if "at_least" in one else one["reached"] <= one["at_most"]
    return found


def machine(device: torch.device) -> dict[str, Any]:
    """What this was measured on."""
    is_cuda = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if is_cuda else platform.processor() or platform.machine(),
        "gib": torch.cuda.get_device_properties(device).total_memory / 2**30 if is_cuda else None,
        "cuda": torch.version.cuda,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
        "gato": gato.__version__,
        "precision_of_updates": "bf16 autocast, fp32 weights" if has_fast_bf16(device) else "fp32",
        "public_path": MISSING or "yes",
    }


def public_path(size: str, device: torch.device) -> dict[str, Any]:
    """Recorded, trained for 20 updates by `gato fit`, loaded by `gato.load`, told what to do for 40 steps."""
    if MISSING:
        return {"skipped": f"random rows only, since {MISSING}"}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MINARI_DATASETS_PATH"], os.environ["GATO_CACHE"] = folder, str(Path(folder) / "cache")
        record_skill(Recording(PUBLIC_SKILL, episodes=8, expert="random"))
        config, run = Path(folder) / "smoke.yaml", Path(folder) / "run"
        config.write_text(PUBLIC_CONFIG.format(size=size, accelerator=device.type if device.type == "cpu" else "gpu"))
        began = time.perf_counter()
        code = cli.run(["fit", "-c", str(config), "--out", str(run)])
        seconds = time.perf_counter() - began
        env = gymnasium.make(PUBLIC_ENV)
        policy = gato.load(run, device=str(device)).agent(env, prompt=PUBLIC_PROMPT)
        observation, _ = env.reset(seed=0)
        for _ in range(40):
            action, _ = policy.predict(observation)
            observation, _, ended, *_ = env.step(action)
            if ended:
                observation, _ = env.reset()
                policy.reset()
    return {"exit_code": code, "seconds_of_fit": seconds, "actions_finite": bool(np.isfinite(action).all())}


def peaks(device: torch.device, report: Report) -> float:
    """Measure square products; the fastest, of bf16 or of what updates use on this device."""
    is_cuda = device.type == "cuda"
    dtype = torch.bfloat16 if has_fast_bf16(device) else torch.float32
    found = matmul_peak(device, dtype, PEAK_SIZES[device.type], repeats=8, products=10 if is_cuda else 1)
    report.put("peak", value={"dtype": str(dtype), "measured": found, "published_h100_h200": HOPPER_PEAK})
    return found["best"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="of training; small acts, too, where 1.2b does")
    parser.add_argument("--minutes", type=float, default=7.5, help="no part begins later")
    parser.add_argument("--rounds", type=int, default=4, help="each of 3 updates")
    parser.add_argument("--compile", choices=("auto", "yes", "no"), default="auto", help="auto: on a GPU")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of gpu.json")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    device = torch.device(options.device)
    torch._dynamo.config.recompile_limit = 64
    report = Report(options.out / "gpu.json", options.minutes)
    report.put("machine", value=machine(device))
    is_compiled = options.compile == "yes" or (options.compile == "auto" and device.type == "cuda")
    bench = Bench(device, is_compiled, options.rounds, peaks(device, report))
    sizes = tuple(options.sizes)
    acting = ("small", *sizes) if "1.2b" in sizes else sizes
    for size in sizes:
        report.part("smoke", size, "random rows", work=lambda size=size: smoke(size, bench))
        report.part("smoke", size, "public path", work=lambda size=size: public_path(size, device))
    # What the goals are about first, then the rest of the arms and ways.
    ways = [("acting", size, way) for some in (WAYS[:2], WAYS[2:]) for size in acting for way in some]
    arms = [("training", size, arm) for some in (ARMS[:3], ARMS[3:]) for size in reversed(sizes) for arm in some]
    first = 2 * len(acting)
    for part, size, one in (*ways[:first], *arms, *ways[first:]):
        measured = measure_way if part == "acting" else measure_arm
        report.part(part, size, one.name, work=lambda work=measured, size=size, one=one: work(size, one, bench))
    if "training" in report.content:
        report.put("against_llama", value=against_llama(report.content["training"]))


if __name__ == "__main__":
    main()
