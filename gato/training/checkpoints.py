"""Checkpoints: written whole or not at all, the newest two kept, one at the end and one at Ctrl-C.

In: a trainer with a `GatoModule`. Out: `step=N.ckpt` files, N the updates done, each enough to go on exactly.
"""

from __future__ import annotations

import io
import logging
import signal
import zipfile
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.loggers import WandbLogger

from gato.runs import write_atomic

NUM_KEPT = 2
"""So that one is whole even if the disk fails under the other."""

log = logging.getLogger("gato")


def step_of(checkpoint: Path | None) -> int:
    """Updates done before the checkpoint was written; 0 without one."""
    return int(checkpoint.stem.removeprefix("step=")) if checkpoint else 0


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint; a damaged file is passed over with a warning."""
    for path in _by_age(folder):
        if zipfile.is_zipfile(path):
            return path
        log.warning("checkpoint %s is cut off; the one before it is used", path)
    return None


def _by_age(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("step=*.ckpt"), key=step_of, reverse=True)


class AtomicFiles(TorchCheckpointIO):
    """A checkpoint is there whole or not at all; OSError names it."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Serialise, then one rename."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomic(path, content.getvalue())


class Checkpoints(Checkpoint):
    """Every `every` updates and at the last one. Ctrl-C waits for the update to end and saves; a second one does not.

    Lightning calls it after all other callbacks, so that what they log stands on disk before the checkpoint.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, every
        self._saved, self._is_stopping = 0, False
        self._handler: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved = trainer.global_step
        for leftover in self.folder.glob(".*.part"):
            leftover.unlink()
        self._handler = signal.signal(signal.SIGINT, self._stop_soon)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Where a validation follows, its figures belong before the checkpoint.
        interval = trainer.val_check_batch or float("inf")
        is_validated = sum(trainer.num_val_batches) > 0 and (batch_idx + 1) % interval == 0
        if not is_validated:
            self._save_if_due(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._save_if_due(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._listen_no_more()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._listen_no_more()

    def _save_if_due(self, trainer: Trainer) -> None:
        step = trainer.global_step
        is_last = trainer.should_stop or step == trainer.max_steps
        if step > self._saved and (step % self.every == 0 or is_last or self._is_stopping):
            trainer.save_checkpoint(self.folder / f"step={step}.ckpt")
            self._saved = step
            for path in _by_age(self.folder)[NUM_KEPT:]:
                path.unlink()
        if self._is_stopping and not is_last:
            raise KeyboardInterrupt

    def _stop_soon(self, number: int, frame: FrameType | None) -> None:
        log.info("stopping after this update; Ctrl-C again stops at once")
        self._is_stopping = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _listen_no_more(self) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
            self._handler = None


class RunIdentity(Callback):
    """Keeps the W&B run id in the checkpoint, so that a resumed run goes on in the same W&B run."""

    def __init__(self, wandb_id: str = "") -> None:
        self.wandb_id = wandb_id

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                # Another run in this process would be written into this one.
                logger.experiment.finish()

    def state_dict(self) -> dict[str, str]:
        return {"wandb_id": self.wandb_id}

    @classmethod
    def stored(cls, checkpoint: Path) -> str:
        """The W&B run id in a checkpoint, "" if there is none."""
        content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        return content["callbacks"].get(cls.__name__, {}).get("wandb_id", "")
