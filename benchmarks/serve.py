"""Requests/s of `gato serve` with 1, 8 and 64 clients on loopback, batched against one at a time.

    python benchmarks/serve.py [--seconds 5] [--repeats 3] [--threads 1] [--size small] [--out FILE]

HalfCheetah's spaces, random weights, random observations, no physics; a model laid out as configs/small.yaml is. The
clients run in a process of their own and ask again as soon as they are answered. Both arms are the same server, whose
worker takes all that waits or one message; they take turns, and the run with the median rate counts. Prints one table
and writes benchmarks/results/serve.json. Target: 4 times the requests/s of one at a time with 64 clients.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from serving import served

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.sequences import Layout
from gato.serve.batcher import Batcher, _Job
from gato.skills.bodies import BODIES
from gato.tokens.codec import Codec

BODY = "half-cheetah"
CLIENTS = (1, 8, 64)
TARGET = 4.0
"""Times the requests/s of one at a time, with the most clients."""
RESULT = Path(__file__).parent / "results" / "serve.json"
LOAD = Path(__file__).parent / "serve_load.py"


class OneByOne(Batcher):
    """Takes one message, however many wait."""

    def _waiting(self) -> list[_Job]:
        job = self._jobs.get()
        return [] if job is None else [job]


ARMS: dict[str, type[Batcher]] = {"batched": Batcher, "one at a time": OneByOne}


def make_model(size: str) -> Gato:
    """Random weights."""
    spec, codec = BODIES[BODY].spec, Codec()
    codec.add_body(spec, np.zeros(len(spec.observation)), np.ones(len(spec.observation)))
    torch.manual_seed(0)
    return Gato(ModelConfig(size=size, layout=Layout(window_steps=12, demonstration_steps=4)), codec).eval()


def run_load(address: str, clients: int, seconds: float) -> dict[str, float]:
    """Of one run, in a process of its own."""
    size = str(len(BODIES[BODY].spec.observation))
    line = [sys.executable, str(LOAD), address, BODY, size, str(clients), str(seconds)]
    where = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(line, check=True, capture_output=True, text=True, env=where, timeout=600)
    return json.loads(done.stdout)


def measure(size: str, clients: Sequence[int], seconds: float, repeats: int) -> dict[str, dict[str, dict[str, float]]]:
    """Arm -> clients -> figures."""
    model = make_model(size)
    found: dict[str, dict[str, dict[str, float]]] = {arm: {} for arm in ARMS}
    for count in clients:
        runs: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
        for _ in range(repeats):
            for arm, kind in ARMS.items():
                with served(model, kind=kind) as place:
                    runs[arm].append(run_load(place.address, count, seconds))
        for arm, own in runs.items():
            found[arm][str(count)] = sorted(own, key=lambda run: run["requests_per_second"])[len(own) // 2]
    return found


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of a run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", default="small")
    parser.add_argument("--clients", type=int, nargs="*", default=list(CLIENTS))
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args(words)
    logging.getLogger("gato").setLevel(logging.ERROR)
    torch.set_num_threads(options.threads)
    found = measure(options.size, options.clients, options.seconds, options.repeats)
    speedup = {
        count: run["requests_per_second"] / found["one at a time"][count]["requests_per_second"]
        for count, run in found["batched"].items()
    }
    for arm, runs in found.items():
        for count, run in runs.items():
            print(
                f"{arm:14}{count:>4} clients {run['requests_per_second']:8.0f} requests/s, "
                f"p50 {run['p50_ms']:7.2f} ms, p99 {run['p99_ms']:7.2f} ms, {run['rows']:5.1f} rows a batch"
            )
    for count, times in speedup.items():
        print(f"batched against one at a time, {count} clients: {times:.1f}x")
    content: dict[str, Any] = {
        **found,
        "speedup": speedup,
        "target": {str(CLIENTS[-1]): TARGET},
        **{key: getattr(options, key) for key in ("size", "seconds", "repeats", "threads")},
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
