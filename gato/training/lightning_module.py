"""The LightningModule: loss, optimiser, schedule, precision; the model is built from the data's codec.

In: batches of rows, one `specs.Rows` a body. Out: logged losses, and `model`, the trained `gato.model.gato.Gato`.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from gato.data.module import GatoDataModule
from gato.hub import first_line
from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.specs import Rows
from gato.training.optimizer import MuonAdamW, has_fast_bf16

Batch = list[Rows]

log = logging.getLogger("gato")


def warmup_cosine(warmup_steps: int, total_steps: int, final_share: float) -> Callable[[int], float]:
    """Factor of the learning rate at each step: linear to 1, then half a cosine down to `final_share`."""

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
        return final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * progress))

    return factor


class GatoModule(LightningModule):
    """Next-action likelihood of one transformer on every body of the data."""

    def __init__(
        self,
        network: ModelConfig,
        *,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.01,
        warmup_steps: int = 100,
        final_share: float = 0.0,
        precision: Literal["auto", "bf16", "fp32"] = "auto",
        init_from: str = "",
        balance: Literal["rows", "gradients"] = "rows",
        compile_layers: bool = False,
    ) -> None:
        """Args:
        network: Size, embedding, head and layout of the model.
        learning_rate: Peak of the learning rate; Muon's updates are scaled to AdamW's size.
        weight_decay: Decoupled decay of the trunk's matrices; vectors and slots are free of it.
        warmup_steps: Updates of linear warm-up before the cosine.
        final_share: Learning rate at the last update, as a share of the peak.
        precision: bf16 autocast where matrix products are fast in it (auto), always, or never.
        init_from: Model (folder, run, or name of a shipped one) whose weights and tokens are the first ones; bodies it
            does not know begin anew.
        balance: Whether a body counts by its rows times how steep its likelihood is, or by its rows alone.
        compile_layers: Whether the trunk's layers go through torch.compile: a minute at the start, then three quarters
            of the time an update where bf16 is fast; on a CPU it needs a C++ compiler.
        """
        super().__init__()
        self.network = network
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.warmup_steps, self.final_share = warmup_steps, final_share
        self.precision, self.balance, self.compile_layers = precision, balance, compile_layers
        self.parent = Gato.from_pretrained(init_from) if init_from else None
        """Let go of in `setup`, so that no checkpoint holds it."""
        self.model: Gato
        self.learned: dict[str, float] = {}
        """Losses of the newest update."""

    def setup(self, stage: str) -> None:
        """Build the model once the data module knows its bodies and their statistics."""
        told = [source.id for source in self.data.sources if source.share("return")]
        if told and not self.network.return_to_go:
            raise ValueError(f"{told[0]} is prompted by returns to go; set model.network.return_to_go: true")
        if not hasattr(self, "model"):
            assert self.data.codec is not None
            self.model = Gato(self.network, self.data.codec)
            if self.parent is not None:
                self.model.begin_from(self.parent)
                self.parent = None
            if self.compile_layers:
                self._compile()
        log.info("%s parameters, %s", f"{self.model.num_parameters():,}", "bf16" if self.is_bf16 else "fp32")

    def _compile(self) -> None:
        try:
            self.model.trunk.compile_training()
        except RuntimeError as error:
            reason = first_line(error)
            raise ValueError(
                f"model.compile_layers: torch.compile fails here ({reason}); on a CPU it needs a C++ compiler (g++), "
                "or leave it out"
            ) from error

    @property
    def data(self) -> GatoDataModule:
        """The trainer's data module."""
        found = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(found, GatoDataModule)
        return found

    @property
    def is_bf16(self) -> bool:
        """Whether matrix products are computed in bf16 on this machine."""
        return self.precision == "bf16" or (
            self.precision == "auto" and has_fast_bf16(self.trainer.strategy.root_device)
        )

    def _losses(self, batch: Batch, split: str) -> Tensor:
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.is_bf16):
            losses = self.model.loss(batch, is_balanced=self.balance == "gradients")
        rows = sum(len(part.text_BP) for part in batch)
        named = {f"{split}/loss": losses.total}
        named |= {f"{split}/body/{body}": loss for body, loss in losses.bodies.items()}
        named |= {f"{split}/modality/{modality}": loss for modality, loss in losses.modalities.items()}
        is_training = split == "train"
        self.log_dict(named, batch_size=rows, on_step=is_training, on_epoch=not is_training, logger=False)
        return losses.total

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Mean negative log-likelihood of the intended actions, nats an element."""
        return self._losses(batch, "train")

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """The same on episodes held out of training."""
        self._losses(batch, "val")

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """The same as validation, for `gato test`."""
        self._losses(batch, "test")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Muon on the trunk's matrices, AdamW on the rest; warm-up and cosine by the trainer's number of updates."""
        rates = {"learning_rate": self.learning_rate, "weight_decay": self.weight_decay}
        optimizer = MuonAdamW.of(self.model, self.model.trunk, **rates)
        schedule = LambdaLR(optimizer, warmup_cosine(self.warmup_steps, self.trainer.max_steps, self.final_share))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_start(self) -> None:
        """The configuration beats what the checkpoint brought back into optimiser and schedule."""
        optimizer, schedule = self.trainer.optimizers[0], self.trainer.lr_scheduler_configs[0].scheduler
        assert isinstance(schedule, LambdaLR)
        schedule.base_lrs = [self.learning_rate for _ in optimizer.param_groups]
        factor = schedule.lr_lambdas[0](schedule.last_epoch)
        for group, decay in zip(optimizer.param_groups, (self.weight_decay, 0.0), strict=True):
            group |= {"initial_lr": self.learning_rate, "lr": self.learning_rate * factor, "weight_decay": decay}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What a resumed run must find again, beside Lightning's own."""
        assert self.data.codec is not None
        checkpoint["gato"] = {
            "network": dataclasses.asdict(self.network),
            "datasets": {cache.dataset.id: cache.dataset.content_hash for cache in self.data.caches},
            "bodies": {name: body.json() for name, body in self.data.codec.bodies.items()},
            "losses": {
                name: float(value) for name, value in self.trainer.callback_metrics.items() if name.startswith("train/")
            },
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse weights that were learned with another network, other datasets or other tokens."""
        assert self.data.codec is not None
        kept = checkpoint["gato"]
        now = {
            "network": dataclasses.asdict(self.network),
            "bodies": {name: body.json() for name, body in self.data.codec.bodies.items()},
        }
        if self.trainer.state.fn == "fit":
            now["datasets"] = {cache.dataset.id: cache.dataset.content_hash for cache in self.data.caches}
        changed = [
            f"{part} {name}"
            for part, values in now.items()
            for name in sorted({*values, *kept[part]})
            if values.get(name) != kept[part].get(name)
        ]
        if changed:
            raise ValueError(
                f"changed since the checkpoint: {', '.join(changed)}; restore them, or begin another run with --out "
                "or --overwrite"
            )
        self.learned = kept["losses"]
