"""The LightningModule of a language model that learns to write plans, and its batches.

In: `Pair`s. Out: the mean log-likelihood of the plans' tokens, raised; what was asked is read, but not learned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import IterableDataset

from gato.language.causal import CausalModel
from gato.language.writing import plan_text, question
from gato.progress import Progress
from gato.training.lightning_module import warmup_cosine
from gato.tuning.base import Base
from gato.tuning.pairs import Pair

WARMUP = 0.05
"""Share of the updates in which the learning rate rises."""
NOT_LEARNED = -100
"""Label of what is read only; what torch's cross entropy leaves out."""


@dataclass(frozen=True)
class Batch:
    """B texts of S tokens, filled up on the right, where a causal model does not look."""

    ids_BS: torch.Tensor
    labels_BS: torch.Tensor
    """The same ids where a plan stands, else `NOT_LEARNED`."""


def make_batch(model: CausalModel, chosen: Sequence[Pair]) -> Batch:
    """ValueError where a text is longer than the model reads."""
    rows = [_tokens(model, pair) for pair in chosen]
    longest = max(len(asked) + len(written) for asked, written in rows)
    if 0 < model.most_tokens < longest:
        raise ValueError(f"a sentence and its plan have {longest} tokens; the model reads {model.most_tokens}")
    ids_BS = torch.zeros(len(rows), longest, dtype=torch.long)
    labels_BS = torch.full_like(ids_BS, NOT_LEARNED)
    for row, (asked, written) in enumerate(rows):
        ids_BS[row, : len(asked) + len(written)] = torch.tensor([*asked, *written])
        labels_BS[row, len(asked) : len(asked) + len(written)] = torch.tensor(written)
    return Batch(ids_BS, labels_BS)


def _tokens(model: CausalModel, pair: Pair) -> tuple[list[int], list[int]]:
    written = model.as_answer(plan_text(pair.plan))
    asked = model.asked(question(pair.plan.body, pair.sentence))
    return asked, list(model.tokenizer(written, add_special_tokens=False)["input_ids"])


class Batches(IterableDataset):
    """Batches of pairs, as long as there are any."""

    def __init__(self, model: CausalModel, drawn: Iterator[Pair], batch_size: int) -> None:
        self.model, self.drawn, self.batch_size = model, drawn, batch_size

    def __iter__(self) -> Iterator[Batch]:
        while chosen := [pair for _, pair in zip(range(self.batch_size), self.drawn, strict=False)]:
            yield make_batch(self.model, chosen)


class PlanTuner(LightningModule):
    """Learns what of the base may learn, by AdamW."""

    def __init__(self, base: Base) -> None:
        super().__init__()
        self.base, self.network = base, base.model.model
        self._progress: Progress | None = None

    def loss(self, batch: Batch) -> torch.Tensor:
        """Mean cross entropy of the plans' tokens, in nats."""
        logits_BSV = self.network(input_ids=batch.ids_BS, use_cache=False).logits[:, :-1].float()
        return torch.nn.functional.cross_entropy(
            logits_BSV.flatten(0, 1), batch.labels_BS[:, 1:].flatten(), ignore_index=NOT_LEARNED
        )

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return Batch(batch.ids_BS.to(device), batch.labels_BS.to(device))

    def on_train_start(self) -> None:
        self.network.train()
        self._progress = Progress(self.trainer.max_steps, "updates", "tune-lm")

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        loss = self.loss(batch)
        self.log("train/loss", loss)
        assert self._progress is not None
        self._progress.update(1, loss=loss.item())
        return loss

    def on_train_end(self) -> None:
        assert self._progress is not None
        self._progress.__exit__()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        learned = [weight for weight in self.network.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(learned, lr=self.base.learning_rate, weight_decay=0.01)
        steps = self.trainer.max_steps
        factor = warmup_cosine(max(round(WARMUP * steps), 1), steps, 0.0)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}}
