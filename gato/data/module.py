"""Datasets on disk become token rows for a Lightning trainer.

In: a mixture of Minari datasets. Out: batches, each a `list[Rows]` of numpy arrays, one entry a body; and the codec
that made them, with the statistics of every body.

Batch n of a run is the same with any number of workers and after any interruption: a run that goes on takes up at the
batch its optimiser steps say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from gato.data.cache import Cache, know_body, open_cache
from gato.data.minari_io import open_dataset
from gato.data.mixture import Mixture, Source, WindowShape
from gato.sequences import Layout, build_rows
from gato.specs import BodySpec, Rows
from gato.tokens.codec import Codec


class GatoDataModule(lightning.LightningDataModule):
    """A weighted mixture of datasets as rows of tokens."""

    def __init__(
        self,
        datasets: Sequence[Source],
        layout: Layout = Layout(),  # noqa: B008 frozen
        *,
        batch_size: int = 128,
        seed: int = 0,
        validation_share: float = 0.05,
        validation_batches: int = 8,
        num_workers: int = 0,
        clip_actions: bool = False,
        temperature: float = 1.0,
    ) -> None:
        """
        Args:
            datasets: the mixture: Minari ids with weights and shares of prompt forms.
            layout: how a row is laid out; the model's own.
            batch_size: rows of a batch, over all bodies.
            seed: of the windows and prompts drawn.
            validation_share: share of every dataset's episodes that is held out.
            validation_batches: batches of a validation pass, the same ones each time.
            num_workers: processes that build batches; 0 builds them in the training process.
            clip_actions: move actions outside the box into it and count them, instead of refusing the dataset.
            temperature: weights are taken to the power of 1 / temperature: above 1 they become more alike, so that
                a small dataset is met more often (Arivazhagan et al. 2019).
        """
        super().__init__()
        if not datasets:
            raise ValueError("datasets is empty; name at least one, like {id: gato/half-cheetah/run-forward-v0}")
        if not 0 <= validation_share < 1:
            raise ValueError(f"validation_share is {validation_share}; a share of 0 to 1 is needed")
        if not temperature > 0:
            raise ValueError(f"temperature is {temperature}; more than 0 is needed, 1 leaves the weights as they are")
        self.sources = tuple(replace(one, weight=one.weight ** (1 / temperature)) for one in datasets)
        self.layout, self.batch_size, self.seed = layout, batch_size, seed
        self.validation_share, self.validation_batches = validation_share, validation_batches
        self.num_workers, self.clip_actions = num_workers, clip_actions
        self.codec: Codec | None = None
        """Made by `setup` from the data; give one before to go on with a model's own."""
        self.caches: tuple[Cache, ...] = ()

    def prepare_data(self) -> None:
        """Build the caches, on one process only."""
        self._open()

    def setup(self, stage: str | None = None) -> None:
        """Open the caches and make the codec know every body."""
        self.caches = self._open()
        self.codec = self.codec or Codec()
        for _, caches in self._by_body():
            know_body(self.codec, caches)
        for skill, best in self._best_returns().items():
            self.codec.best_returns.setdefault(skill, best)

    @property
    def bodies(self) -> dict[str, BodySpec]:
        """The bodies of the mixture, by name."""
        return {spec.name: spec for spec, _ in self._by_body()}

    def mixture(self, *, is_validation: bool = False) -> Mixture:
        """The windows of the training or of the held-out episodes."""
        return Mixture(
            self.caches,
            self.sources,
            WindowShape(self.layout.window_steps, self.layout.demonstration_steps),
            batch_size=self.batch_size,
            seed=self.seed,
            held_out=self.validation_share,
            best_returns=self.codec.best_returns if self.codec else None,
            is_validation=is_validation,
        )

    def train_dataloader(self) -> BatchStream:
        """Endless batches, from the one the trainer has reached."""
        return BatchStream(self._builder(self.mixture()), self._next_batch, num_workers=self.num_workers)

    def val_dataloader(self) -> BatchStream | list[Any]:
        """The same few batches each time; none when no episode is held out."""
        if not self.validation_share or not self.validation_batches:
            return []
        builder = self._builder(self.mixture(is_validation=True))
        return BatchStream(builder, lambda: 0, length=self.validation_batches)

    test_dataloader = val_dataloader

    def transfer_batch_to_device(self, batch: list[Rows], device: torch.device, dataloader_idx: int) -> list[Rows]:
        """Rows stay numpy: the model moves what it reads."""
        return batch

    def _open(self) -> tuple[Cache, ...]:
        return tuple(open_cache(open_dataset(one.id), clip_actions=self.clip_actions) for one in self.sources)

    def _by_body(self) -> list[tuple[BodySpec, list[Cache]]]:
        groups: dict[str, list[Cache]] = {}
        for cache in self.caches:
            groups.setdefault(cache.dataset.spec.name, []).append(cache)
        return [(caches[0].dataset.spec, caches) for caches in groups.values()]

    def _best_returns(self) -> dict[str, float]:
        """Skill -> best return of its datasets, of those that are prompted by returns to go."""
        found: dict[str, float] = {}
        for cache, source in zip(self.caches, self.sources, strict=True):
            if not source.share("return"):
                continue
            skills = set(cache.dataset.skills) or {cache.dataset.id}
            if len(skills) > 1 or cache.best_return <= 0:
                raise ValueError(
                    f"dataset {source.id}: returns to go need one skill and a best return above 0; it has "
                    f"{', '.join(sorted(skills))} and {cache.best_return:g}: leave the prompt form return out"
                )
            (skill,) = skills
            found[skill] = max(found.get(skill, cache.best_return), cache.best_return)
        return found

    def _builder(self, mixture: Mixture) -> Callable[[int], list[Rows]]:
        assert self.codec is not None, "setup comes first"
        codec, layout = self.codec, self.layout
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

        def build(batch: int) -> list[Rows]:
            windows = mixture.draw(batch * ranks + rank)
            return [build_rows(codec, one, layout) for one in windows]

        return build

    def _next_batch(self) -> int:
        """Batches already learned from: a resumed trainer knows its optimiser steps before it asks for data."""
        return self.trainer.global_step * self.trainer.accumulate_grad_batches if self.trainer else 0


class BatchStream:
    """An iterable of batches that begins anew where `first()` says, each time it is iterated."""

    def __init__(
        self,
        build: Callable[[int], list[Rows]],
        first: Callable[[], int],
        *,
        length: int | None = None,
        num_workers: int = 0,
    ) -> None:
        self.build, self.first, self.length, self.num_workers = build, first, length, num_workers

    def __iter__(self) -> Iterator[list[Rows]]:
        numbers = _Numbered(self.build, self.first(), self.length)
        return iter(DataLoader(numbers, batch_size=None, num_workers=self.num_workers))


class _Numbered(IterableDataset):
    """Batches first, first + 1, ...; worker w of W makes every W-th, and the loader takes them in turn."""

    def __init__(self, build: Callable[[int], list[Rows]], first: int, length: int | None) -> None:
        self.build, self.first, self.length = build, first, length

    def __iter__(self) -> Iterator[list[Rows]]:
        worker = get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        number = offset
        while self.length is None or number < self.length:
            yield self.build(self.first + number)
            number += stride
