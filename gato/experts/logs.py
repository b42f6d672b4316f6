"""Where the figures of a training run go: a CSV always; TensorBoard or W&B too when asked, imported only then."""

from __future__ import annotations

import csv
import io
import uuid
from pathlib import Path
from typing import Any, Literal, Protocol

from gato.runs import write_atomic

LoggerName = Literal["csv", "tensorboard", "wandb"]
COLUMNS = (
    "step", "seconds", "return", "length", "evaluation", "success",
    "policy_loss", "value_loss", "divergence", "clipped", "std",
)  # fmt: skip
"""`return`, `length`: the newest 100 training episodes, with noise. `evaluation`, `success`: without."""


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
        writer = csv.DictWriter(text, COLUMNS)
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
    """Weights and Biases; its own environment variables (WANDB_MODE, WANDB_PROJECT, ...) hold. Resumes by run id."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        try:
            import wandb
        except ImportError as error:
            raise ValueError("W&B is not installed; pip install gato-agent[wandb]") from error
        kept = folder / "wandb_id"
        run_id = kept.read_text() if kept.is_file() else uuid.uuid4().hex[:8]
        self.run = wandb.init(dir=folder, id=run_id, resume="allow", config=settings, job_type="expert")
        write_atomic(kept, run_id.encode())

    def write(self, step: int, row: dict[str, float]) -> None:
        self.run.log({**row, "step": step}, step=step)

    def close(self) -> None:
        self.run.finish()


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
