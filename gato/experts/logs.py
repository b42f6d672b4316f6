"""Where the figures of a training run go: a CSV always; TensorBoard or W&B too when asked, imported only then.

A shipped expert keeps a thin copy of the CSV, its learning curve.
"""

from __future__ import annotations

import csv
import io
import netrc
import os
import uuid
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from gato.runs import CURVE, write_atomic

LoggerName = Literal["csv", "tensorboard", "wandb"]
COLUMNS = (
    "step", "seconds", "return", "length", "evaluation", "success",
    "policy_loss", "value_loss", "divergence", "clipped", "std",
)  # fmt: skip
"""`return`, `length`: the newest 100 training episodes, with noise. `evaluation`, `success`: without."""

CURVE_COLUMNS = {"step": "steps", "return": "return", "evaluation": "evaluation", "seconds": "seconds"}
"""Of `progress.csv`, and what they are called in a learning curve."""
CURVE_ROWS = 100
"""Of a learning curve, at most: a picture shows no more."""


class Writer(Protocol):
    """One row of figures an iteration."""

    def write(self, step: int, row: dict[str, float]) -> None: ...

    def close(self) -> None: ...


class CsvWriter:
    """`logs/progress.csv`; a resumed run drops the rows after its checkpoint, which it will write again."""

    def __init__(self, path: Path, *, first_step: int) -> None:
        kept: list[dict[str, str]] = []
        if path.is_file() and first_step > 0:
            with path.open(newline="") as old:
                kept = [row for row in csv.DictReader(old) if int(row["step"]) <= first_step]
        text = io.StringIO()
        # A log of before may have columns that there are no more.
        writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)
        write_atomic(path, text.getvalue().encode())
        self.file = path.open("a", newline="")
        self.rows = csv.DictWriter(self.file, COLUMNS)

    def write(self, step: int, row: dict[str, float]) -> None:
        self.rows.writerow({"step": step} | {key: f"{value:.6g}" for key, value in row.items()})
        self.file.flush()

    def close(self) -> None:
        self.file.close()


def ship_curve(run: Path, folder: Path) -> None:
    """Put the learning curve of a training run beside its policy in `folder`; without figures there is none.

    All evaluations are kept, and of the other rows so many that it stays short.
    """
    (folder / CURVE).unlink(missing_ok=True)
    progress = run / "logs" / "progress.csv"
    if not progress.is_file():
        return
    with progress.open(newline="") as file:
        rows = list(csv.DictReader(file))
    evaluated = [number for number, row in enumerate(rows) if row["evaluation"]]
    spread = np.linspace(0, len(rows) - 1, max(CURVE_ROWS - len(evaluated), 2)).round().astype(int)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(CURVE_COLUMNS.values())
    writer.writerows([rows[number][key] for key in CURVE_COLUMNS] for number in sorted({*evaluated, *spread.tolist()}))
    write_atomic(folder / CURVE, text.getvalue().encode())


def read_curve(folder: Path) -> dict[str, list[float]]:
    """Column -> values (NaN where a row has none) of the learning curve beside a policy; empty where there is none."""
    path = folder / CURVE
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name] or "nan") for row in rows] for name in CURVE_COLUMNS.values()}


class TensorBoardWriter:
    """`logs/` as TensorBoard reads it."""

    def __init__(self, folder: Path, *, first_step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ValueError("TensorBoard is not installed; pip install gato-agent[tensorboard]") from error
        self.writer = SummaryWriter(folder, purge_step=first_step + 1 if first_step else None)

    def write(self, step: int, row: dict[str, float]) -> None:
        for key, value in row.items():
            self.writer.add_scalar(key, value, step)

    def close(self) -> None:
        self.writer.close()


class WandbWriter:
    """W&B, offline unless someone is logged in; its own environment variables hold. Resumes by run id."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        try:
            import wandb
        except ImportError as error:
            raise ValueError("W&B is not installed; pip install gato-agent[wandb]") from error
        kept = folder / "wandb_id"
        run_id = kept.read_text() if kept.is_file() else uuid.uuid4().hex[:8]
        self.run = wandb.init(
            dir=folder,
            project=wandb_project(),
            id=run_id,
            resume="allow",
            config=settings,
            job_type="expert",
            mode=None if is_logged_in_to_wandb() else "offline",
        )
        write_atomic(kept, run_id.encode())

    def write(self, step: int, row: dict[str, float]) -> None:
        self.run.log({**row, "step": step}, step=step)

    def close(self) -> None:
        self.run.finish()


def wandb_project() -> str:
    """Which project of W&B a run belongs to."""
    return os.environ.get("WANDB_PROJECT", "gato")


def is_logged_in_to_wandb() -> bool:
    """A key in the environment or in the user's netrc, and WANDB_MODE not offline."""
    if os.environ.get("WANDB_MODE", "online") != "online":
        return False
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators("api.wandb.ai") is not None
    except (FileNotFoundError, netrc.NetrcParseError):
        return False


def open_writers(folder: Path, logger: LoggerName, settings: dict[str, Any], *, first_step: int) -> list[Writer]:
    """The writers of a run that begins at `first_step`."""
    folder.mkdir(parents=True, exist_ok=True)
    writers: list[Writer] = [CsvWriter(folder / "progress.csv", first_step=first_step)]
    if logger == "tensorboard":
        writers.append(TensorBoardWriter(folder, first_step=first_step))
    elif logger == "wandb":
        writers.append(WandbWriter(folder, settings))
    elif logger != "csv":
        raise ValueError(f'logger "{logger}"; allowed: csv, tensorboard, wandb')
    return writers
