"""All steps of the datasets of one task, for arms that learn tasks one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gato.data.cache import open_cache, pooled_statistics
from gato.data.minari_io import open_dataset
from gato.data.mixture import Source
from peer_arms.scaling import Scale


@dataclass(frozen=True)
class TaskSteps:
    """One episode after the other, T steps in all."""

    scale: Scale
    """By the statistics of these steps."""
    observations_TO: np.ndarray
    """Standardised."""
    actions_TA: np.ndarray
    """Executed, in [-1, 1]; so is the next."""
    targets_TA: np.ndarray
    """Intended."""
    returns_T: np.ndarray
    """Sum of rewards from each step to its episode's end."""
    offsets: np.ndarray
    """(episodes + 1,) first step of each episode, and the end of the last."""

    @property
    def best_return(self) -> float:
        """Of its episodes."""
        return float(self.returns_T[self.offsets[:-1]].max())


def read_task(sources: Sequence[Source], skill_id: str) -> TaskSteps:
    """The task's own datasets, without those that switch between skills. ValueError where there is none."""
    opened = [open_dataset(source.id) for source in sources]
    caches = [open_cache(dataset) for dataset in opened if set(dataset.skills) == {skill_id}]
    if not caches:
        raise ValueError(f"no dataset of {skill_id} alone among {', '.join(source.id for source in sources)}")
    scale = Scale.of(caches[0].dataset.spec, *pooled_statistics(caches))
    lengths = np.concatenate([np.diff(cache.offsets) for cache in caches])
    return TaskSteps(
        scale=scale,
        observations_TO=scale.standardised(np.concatenate([cache.observations_TO for cache in caches])),
        actions_TA=scale.to_unit(np.concatenate([cache.actions_TA for cache in caches])),
        targets_TA=scale.to_unit(np.concatenate([cache.targets_TA for cache in caches])),
        returns_T=np.concatenate([cache.returns_T for cache in caches]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
    )
