"""Batches/s of the data loader alone, on one core: windows drawn, prompts written, everything tokenised.

    python benchmarks/loader.py [--batches 500] [--batch-size 128]

Records the demo's recipe with random actions (what is loaded does not matter, how much does) into a temporary folder.
Prints one line and writes benchmarks/results/loader.json. The target is 100 batches/s of 128 rows x 16 steps.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

from gato.data.mixture import Source
from gato.data.module import GatoDataModule
from gato.record import load_recipe, record_skill
from gato.sequences import Layout

RESULT = Path(__file__).parent / "results" / "loader.json"


def loader_rate(data: GatoDataModule, batches: int) -> tuple[float, float]:
    """(batches/s of the clock, batches/s of processor time) after the first ten, which fill the caches of text ids."""
    stream = iter(data.train_dataloader())
    list(islice(stream, 10))
    began, worked = time.perf_counter(), time.process_time()
    for _ in islice(stream, batches):
        pass
    return batches / (time.perf_counter() - began), batches / (time.process_time() - worked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--window-steps", type=int, default=16)
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MINARI_DATASETS_PATH"], os.environ["GATO_CACHE"] = folder, str(Path(folder) / "cache")
        ids = [record_skill(replace(one, expert="random", episodes=10)) for one in load_recipe("demo")]
        sources = [Source(dataset_id) for dataset_id in ids]
        data = GatoDataModule(sources, Layout(window_steps=options.window_steps), batch_size=options.batch_size)
        data.prepare_data()
        data.setup()
        rate, core_rate = loader_rate(data, options.batches)
    print(f"{options.batch_size} rows of {options.window_steps} steps a batch")
    print(f"{rate:,.0f} batches/s; {core_rate:,.0f} batches a second of one core")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    settings = {key: getattr(options, key) for key in ("batches", "batch_size", "window_steps")}
    figures = {"batches_per_second": rate, "batches_per_core_second": core_rate}
    RESULT.write_text(json.dumps({"settings": settings, **figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
