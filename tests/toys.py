"""Makes tiny recordings, and the command lines of tiny training runs, for the tests of training."""

from __future__ import annotations

import csv
from pathlib import Path

from gato import cli
from gato.record import Recording, record_skill

SKILLS = ("hopper/hop-forward", "hopper/hop-backward")
"""Random actors fall at once: four episodes are some eighty steps."""
CONFIG = """
data:
  batch_size: 8
  validation_batches: 2
  datasets:
    - {id: gato/hopper/hop-forward-v0}
    - {id: gato/hopper/hop-backward-v0}
model:
  learning_rate: 0.001
  warmup_steps: 4
  network:
    size: nano
    layout: {window_steps: 4, prompt_positions: 6, demonstration_steps: 2}
run:
  checkpoint_every: 4
trainer:
  max_steps: 12
  log_every_n_steps: 1
  val_check_interval: 6
"""


def record_toys(*, seed: int = 1, overwrite: bool = False) -> None:
    """Two skills of one body under Minari's root."""
    for skill in SKILLS:
        record_skill(Recording(skill, episodes=4, expert="random", seed=seed), overwrite=overwrite)


def run_fit(out: Path, *words: str, config: Path | None = None) -> int:
    """`gato fit --out OUT`; the exit code."""
    given = ["-c", str(config)] if config else []
    return cli.run(["fit", *given, "--out", str(out), *words])


def rows_of(out: Path) -> list[dict[str, str]]:
    """logs/metrics.csv without what depends on the clock."""
    with (out / "logs" / "metrics.csv").open() as file:
        return [
            {name: value for name, value in row.items() if not name.startswith("speed/")}
            for row in csv.DictReader(file)
        ]


def losses_of(out: Path, column: str = "train/loss") -> list[float]:
    """One column, where it was measured."""
    return [float(row[column]) for row in rows_of(out) if row[column]]
