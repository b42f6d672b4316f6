"""Where figures go: a CSV file that a resumed run goes on with, TensorBoard, W&B.

In: the run's folder and the update it goes on from. Out: Lightning loggers below that folder.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from gato.experts.logs import LoggerName, is_logged_in_to_wandb, wandb_project
from gato.runs import write_atomic


class MetricsFile(Logger):
    """A CSV file of figures: a row an event, on disk before the next checkpoint is; empty cells where not measured.

    Lightning's own CSVLogger forgets what an interrupted run had logged.
    """

    def __init__(self, path: Path, *, done: int) -> None:
        """`done`: updates that the run goes on from; rows after it happen again and are dropped."""
        super().__init__()
        self.path = path
        self._columns: list[str] = []
        if path.is_file():
            # A line cut off by a kill belongs to an update after the checkpoint.
            whole = path.read_text().rpartition("\n")[0]
            kept = [row for row in csv.DictReader(io.StringIO(whole)) if int(row["step"]) <= done]
            self._columns = list(kept[0]) if kept else []
            self._write(kept)

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def version(self) -> str:
        """There is one for a run."""
        return ""

    @property
    def save_dir(self) -> str:
        """The folder it lies in."""
        return str(self.path.parent)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """They stand in the run's config.yaml."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row; a figure not seen before widens the table."""
        assert step is not None
        row = {"step": str(step), **{name: repr(float(value)) for name, value in metrics.items()}}
        if not set(row) <= set(self._columns):
            self._columns = ["step", *sorted((set(self._columns) | set(row)) - {"step"})]
            rows = list(csv.DictReader(io.StringIO(self.path.read_text()))) if self.path.is_file() else []
            self._write([*rows, row])
            return
        with self.path.open("a") as file:
            csv.DictWriter(file, self._columns, restval="", lineterminator="\n").writerow(row)

    def _write(self, rows: list[dict[str, str]]) -> None:
        text = io.StringIO()
        table = csv.DictWriter(text, self._columns, restval="", lineterminator="\n")
        if rows:
            table.writeheader()
        table.writerows(rows)
        write_atomic(self.path, text.getvalue().encode())


def make_logger(name: LoggerName, folder: Path, *, done: int, wandb_id: str) -> Logger:
    """CSV, TensorBoard or W&B below the run's folder; W&B stays offline unless someone is logged in."""
    if name == "csv":
        return MetricsFile(folder / "logs" / "metrics.csv", done=done)
    if name == "tensorboard":
        # What is logged after `purge_step` by the run that was cut off is not shown.
        return TensorBoardLogger(folder, name="logs", version="tensorboard", purge_step=done + 1 if done else None)
    return WandbLogger(
        save_dir=folder,
        project=wandb_project(),
        id=wandb_id,
        resume="allow",
        offline=not is_logged_in_to_wandb(),
        log_model=False,
    )
