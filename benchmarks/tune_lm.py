"""A small language model learns to plan: python benchmarks/tune_lm.py [--base tiny] [--bodies ant] [--steps 800]

Exact plans on sentences kept out of training, before and after, with Wilson's 95 % interval; how long the training
took. The base is made here, or any causal language model by folder or Hub id. Writes benchmarks/results/tune_lm.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from gato.reporting.markdown import table, with_interval
from gato.runs import write_json
from gato.tuning.tune import Tuning, tune

RESULT = Path(__file__).parent / "results" / "tune_lm.json"


def cell(share: dict[str, Any]) -> str:
    """As the table shows it."""
    return with_interval(share["mean"], share["ci95"])


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="tiny")
    parser.add_argument("--bodies", nargs="*", default=["ant"])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--test-sentences", type=int, default=100)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--keep", default="", help="folder for the tuned model; it is thrown away where none is named")
    given = parser.parse_args()
    tuning = Tuning(tuple(given.bodies), given.steps, test_sentences=given.test_sentences)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        result = tune(given.base, tuning, out=given.keep or f"{scratch}/model", overwrite=bool(given.keep))
    seconds = time.monotonic() - began
    del result["path"]
    write_json(
        given.out, {**result, "bodies": tuning.chosen, "steps": tuning.steps, "seed": 0, "seconds": round(seconds)}
    )
    rows = [[split, cell(one["before"]), cell(one["after"])] for split, one in result["accuracy"].items()]
    print(table(["sentences", "exact before", "exact after"], rows))
    print(f"{seconds:.0f} s in all")


if __name__ == "__main__":
    main()
