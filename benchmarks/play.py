"""`gato play` in real time: poses/s of every viewer, who uses the processors, and how soon new words hold.

    OPENBLAS_NUM_THREADS=1 python benchmarks/play.py [--seconds 8] [--model gato-small] [--out FILE]

1 and 8 viewers of the ant (20 control steps/s) and of the hopper (125), 8 of the cheetah (20), 8 of the four bodies of
`gato demo`, and 8 of different bodies, as far as the model knows them, in a process of their own on loopback; each says
something every second. Prints one table and writes benchmarks/results/play.json. Target: real time, and at least 30
poses/s for each viewer; new words hold within 0.3 s of simulated time.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from playing import Played, played

from gato.model.find import find_model
from gato.model.gato import Gato
from gato.runs import content_hash, read_json
from gato.skills.bodies import BODIES

MIXED = ("ant", "half-cheetah", "hopper", "humanoid", "swimmer", "walker2d", "reacher", "inverted-pendulum")
CASES = {
    "1 ant": ("ant",),
    "8 ants": ("ant",) * 8,
    "8 cheetahs": ("half-cheetah",) * 8,
    "1 hopper": ("hopper",),
    "8 hoppers": ("hopper",) * 8,
    "8 of the demo": ("half-cheetah", "hopper", "walker2d", "inverted-pendulum") * 2,
    "8 bodies": MIXED,
}
TARGETS = {"poses_per_second": 30, "simulated_s": 0.3}
RESULT = Path(__file__).parent / "results" / "play.json"
LOAD = Path(__file__).parent / "play_load.py"
AROUND = 2.0
"""s of starting and ending a run."""


def measure(place: Played, bodies: Sequence[str], seconds: float) -> dict[str, Any]:
    """Of one run: the slowest viewer's figures, and shares of one processor."""
    for body in bodies:
        place.world.prepare(body)
    line = [sys.executable, str(LOAD), place.live, str(seconds), *bodies]
    running = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    time.sleep(AROUND + 1)
    before, begun = _used(place), time.perf_counter()
    time.sleep(seconds - AROUND)
    after, ended = _used(place), time.perf_counter()
    viewers = json.loads(running.communicate(timeout=60)[0])
    shares = {name: (after[name] - before[name]) / (ended - begun) for name in before}
    wanted = sum(1 / BODIES[body].dt for body in bodies)
    replies, simulated = (
        sorted(one for viewer in viewers for one in viewer[key]) for key in ("reply_ms", "simulated_s")
    )
    return {
        "viewers": len(viewers),
        "pace": shares.pop("steps") / wanted,
        "poses_per_second": min(viewer["poses_per_second"] for viewer in viewers),
        "reply_ms": {"median": replies[len(replies) // 2], "most": replies[-1]},
        "simulated_s": {"median": simulated[len(simulated) // 2], "most": simulated[-1]},
        "shares": shares,
    }


def _possible(model: Gato) -> list[str]:
    """Cases whose bodies the model knows."""
    return [case for case, bodies in CASES.items() if set(bodies) <= set(model.codec.bodies)]


def _used(place: Played) -> dict[str, float]:
    """Seconds so far."""
    return {**vars(place.world.spent), "streaming": place.streaming(), "process": time.process_time()}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of a run")
    parser.add_argument("--model", default="gato-small")
    parser.add_argument("--cases", nargs="*", default=[], choices=list(CASES), help="default: all that it knows")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args(words)
    logging.getLogger("gato").setLevel(logging.ERROR)
    torch.set_num_threads(options.threads)
    folder = find_model(options.model)
    model, found = Gato.load(folder), {}
    with played(model, read_json(folder / "card.json")["skills"]) as place:
        for case in options.cases or _possible(model):
            run = found[case] = measure(place, CASES[case], options.seconds)
            shares = ", ".join(f"{name} {share:.0%}" for name, share in run["shares"].items())
            print(
                f"{case:13} {run['pace']:.2f} of real time, {run['poses_per_second']:.0f} poses/s, new words after "
                f"{run['reply_ms']['median']:.0f} ms (at most {run['reply_ms']['most']:.0f} ms, "
                f"{run['simulated_s']['most']:.2f} s simulated); of one processor: {shares}"
            )
    content: dict[str, Any] = {
        **found,
        "target": TARGETS,
        "model": options.model,
        "model_hash": content_hash(folder),
        "seconds": options.seconds,
        "threads": options.threads,
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
