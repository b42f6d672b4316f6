"""What is measured around training: progress, speed, losses, rollouts while it learns.

In: a trainer with a `GatoModule`. Out: rows in its loggers; their step is the number of updates done.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from gato.progress import Progress
from gato.rollout.suite import evaluate_suite, suite_skills
from gato.training.lightning_module import Batch, GatoModule

log = logging.getLogger("gato")


def record(trainer: Trainer, figures: Mapping[str, float]) -> None:
    """A row in every logger, now: Lightning's own comes after the checkpoint and would be lost with a killed run."""
    for logger in trainer.loggers:
        logger.log_metrics(dict(figures), step=trainer.global_step)


def figures_of(trainer: Trainer, split: str) -> dict[str, float]:
    """What the module measured last: <split>/loss, <split>/body/..., <split>/modality/..."""
    metrics = trainer.callback_metrics.items()
    return {name: float(value) for name, value in metrics if name.startswith(f"{split}/")}


class Figures(Callback):
    """Progress on a terminal or in a log; losses, learning rate, positions and environment steps a second, logged."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._since, self._positions, self._steps, self._logged = 0.0, 0, 0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._progress = Progress(trainer.max_steps, "updates", "fit", done=trainer.global_step)
        self._since, self._logged = time.perf_counter(), trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, GatoModule) and self._progress is not None
        self._steps += sum(int(rows.step_mask_BT.sum()) for rows in batch)
        self._positions += sum(pl_module.model.num_positions(rows) for rows in batch)
        new = trainer.global_step - self._progress.done
        shown: dict[str, float] = {}
        if new and trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            now = time.perf_counter()
            figures = figures_of(trainer, "train")
            shown = {"loss": figures["train/loss"]}
            figures["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
            figures["speed/positions_per_second"] = self._positions / (now - self._since)
            figures["speed/env_steps_per_second"] = self._steps / (now - self._since)
            record(trainer, figures)
            self._since, self._positions, self._steps = now, 0, 0
        self._progress.update(new, **shown)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            figures = figures_of(trainer, "val")
            record(trainer, figures)
            log.info("update %d: loss on held-out episodes %.4f", trainer.global_step, figures["val/loss"])

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.__exit__()
            self._progress = None


class RolloutEvaluation(Callback):
    """Rolls the model out while it trains and logs normalised scores."""

    def __init__(self, every: int = 0, episodes: int = 3, suite: str = "demo", seed: int = 1) -> None:
        """Args:
        every: Updates between evaluations; 0 for none.
        episodes: Episodes a skill.
        suite: Which skills.
        seed: Of the starts; not the one that final scores are published on.
        """
        if every < 0 or episodes < 1:
            raise ValueError(f"evaluation: every is {every}, episodes {episodes}; at least 0 and 1 are needed")
        self.every, self.episodes, self.suite, self.seed = every, episodes, suite, seed
        self._evaluated = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, GatoModule)
        self._evaluated = trainer.global_step
        if self.every:
            # A suite that does not fit the model is an error now, not after many updates.
            suite_skills(pl_module.model, self.suite)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, GatoModule)
        step = trainer.global_step
        if not self.every or step == self._evaluated or step % self.every:
            return
        self._evaluated = step
        pl_module.model.eval()
        results = evaluate_suite(pl_module.model, self.suite, episodes=self.episodes, seed=self.seed)
        pl_module.model.train()
        scores = {f"rollout/{task.skill}": task.normalised for task in results.tasks}
        scores["rollout/mean"] = results.mean_normalised
        known = {name: score for name, score in scores.items() if score is not None}
        record(trainer, known)
        log.info("update %d: normalised scores %s", step, ", ".join(f"{name} {known[name]:.3f}" for name in known))
