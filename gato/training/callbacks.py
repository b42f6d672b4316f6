"""What happens around training: progress, speed, checkpoints, rollouts while it learns, the saved model.

In: a trainer with a `GatoModule`. Out: figures in the loggers, checkpoints/, and model/ with its provenance.
"""

from __future__ import annotations

import logging
import time
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from gato.runs import Progress
from gato.training.lightning_module import Batch

log = logging.getLogger("gato")


def checkpoints(folder: Path, every: int) -> ModelCheckpoint:
    """The newest two checkpoints, so that one is whole whenever the run is killed; the last one at the end too."""
    return ModelCheckpoint(
        dirpath=folder,
        filename="{step}",
        every_n_train_steps=every,
        save_top_k=2,
        monitor="step",
        mode="max",
        enable_version_counter=False,
        save_on_train_epoch_end=False,
    )


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint; a file cut off by a kill is passed over with a warning."""
    found = sorted(folder.glob("step=*.ckpt"), key=lambda path: int(path.stem.removeprefix("step=")), reverse=True)
    for path in found:
        if zipfile.is_zipfile(path):
            return path
        log.warning("checkpoint %s is cut off; the one before it is used", path)
    return None


class SaveAtInterruption(Callback):
    """A checkpoint when training is stopped by Ctrl-C or an error, so that `--resume` loses nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if trainer.global_step and isinstance(exception, KeyboardInterrupt):
            trainer.save_checkpoint(self.folder / f"step={trainer.global_step}.ckpt")


class Speed(Callback):
    """Progress on a terminal or in a log; positions and environment steps learned from a second, logged."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._since, self._positions, self._steps = 0.0, 0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        total = int(trainer.estimated_stepping_batches)
        self._progress = Progress(total, "updates", "fit", done=trainer.global_step).__enter__()
        self._since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        assert self._progress is not None
        self._steps += sum(int(rows.step_mask_BT.sum()) for rows in batch)
        self._positions += sum(pl_module.model.num_positions(rows) for rows in batch)  # type: ignore[operator, union-attr]
        is_due = trainer.global_step % trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
        figures: dict[str, float] = {}
        if is_due:
            elapsed = time.perf_counter() - self._since
            rates = {
                "speed/positions_per_second": self._positions / elapsed,
                "speed/env_steps_per_second": self._steps / elapsed,
            }
            pl_module.log_dict({**rates, "learning_rate": trainer.optimizers[0].param_groups[0]["lr"]})
            self._since, self._positions, self._steps = time.perf_counter(), 0, 0
            figures = {"loss": float(trainer.callback_metrics["train/loss"])}
        self._progress.update(1, **figures)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._progress is not None:
            self._progress.__exit__(None, None, None)


class RunIdentity(Callback):
    """Keeps the W&B run id in the checkpoint, so that a resumed run goes on in the same W&B run."""

    def __init__(self, wandb_id: str = "") -> None:
        self.wandb_id = wandb_id

    def state_dict(self) -> dict[str, str]:
        return {"wandb_id": self.wandb_id}

    @classmethod
    def stored(cls, checkpoint: Path) -> str:
        """The W&B run id in a checkpoint, "" if there is none."""
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        return content["callbacks"].get(cls.__name__, {}).get("wandb_id", "")


class RolloutEvaluation(Callback):
    """Rolls the model out while it trains and logs normalised scores."""

    def __init__(self, every: int = 0, episodes: int = 3, suite: str = "demo", seed: int = 1) -> None:
        """Args:
        every: Updates between evaluations; 0 for none.
        episodes: Episodes a skill.
        suite: Which skills.
        seed: Of the starts; not the one that final scores are published on.
        """
        self.every, self.episodes, self.suite, self.seed = every, episodes, suite, seed

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        if not self.every or trainer.global_step % self.every:
            return
        from gato.rollout.suite import evaluate_suite

        model = pl_module.model.eval()  # type: ignore[operator, union-attr]
        results = evaluate_suite(model, suite=self.suite, episodes=self.episodes, seed=self.seed).json()  # type: ignore[arg-type]
        model.train()
        figures = {f"rollout/{skill}": task["normalised"] for skill, task in results["tasks"].items()}
        pl_module.log_dict({**figures, "rollout/mean": results["mean_normalised"]})
        log.info("update %d: normalised score %.3f", trainer.global_step, results["mean_normalised"])
