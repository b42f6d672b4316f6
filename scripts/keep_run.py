"""Keep a long training for another day: python scripts/keep_run.py RUN ...

In: run folders of `gato expert train`. Out: runs-state/<name>/, under 1 MB a run: settings, log, the best policy and
the checkpoint without the rollout that waited to be learned from. To go on, copy the folder to the run's own --out and
give its command with --resume: a new rollout is collected, so the bits are others from there on.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from safetensors import safe_open
from safetensors.numpy import save

from gato.experts.train import STATE
from gato.runs import MARKER, write_atomic

KEPT = Path("runs-state")
MOST_BYTES = 1_000_000


def keep(run: Path) -> Path:
    """Copy what going on needs; ValueError if that is too much."""
    with safe_open(run / STATE, "numpy") as stored:
        metadata = stored.metadata()
        arrays = {key: stored.get_tensor(key) for key in stored.keys() if not key.startswith("pending/")}  # noqa: SIM118
    folder = KEPT / run.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in (MARKER, "run.json", "logs", "best"):
        copy = shutil.copytree if (run / part).is_dir() else shutil.copy
        copy(run / part, folder / part)
    write_atomic(folder / STATE, save(arrays, metadata))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if size > MOST_BYTES:
        raise ValueError(f"{folder} has {size} bytes; at most {MOST_BYTES} are kept of a run: thin its logs")
    return folder


def main() -> None:
    """Keep every run named."""
    for run in sys.argv[1:]:
        print(keep(Path(run)))


if __name__ == "__main__":
    main()
