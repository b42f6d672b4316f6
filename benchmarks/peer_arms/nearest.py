"""Retrieve and play: the intended action of the nearest recorded observation (the first baseline of REGENT, 2024).

Standardised observations, Euclidean distance, each task its own datasets. Nothing is learned: the same for all seeds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from gato.skills.evaluate import Actor
from peer_arms.arm import Setup, Trained
from peer_arms.tasks import TaskSteps, read_task

CHUNK = 16_384
"""Recorded steps compared at a time: 0.6 MB of distances for 10 environments."""


class Index:
    """Finds the nearest of T recorded observations, float32."""

    def __init__(self, observations_TO: np.ndarray) -> None:
        self._keys_TO = np.ascontiguousarray(observations_TO, np.float32)
        self._half_norms_T = np.square(self._keys_TO).sum(1) / 2

    def nearest(self, queries_BO: np.ndarray) -> np.ndarray:
        """(B,) rows; of equally near ones the first."""
        best_B, row_B = np.full(len(queries_BO), np.inf, np.float32), np.zeros(len(queries_BO), np.int64)
        for start in range(0, len(self._keys_TO), CHUNK):
            chunk = slice(start, start + CHUNK)
            # |q - k|^2 / 2 without |q|^2, which is the same for all keys.
            distance_BT = self._half_norms_T[chunk] - queries_BO @ self._keys_TO[chunk].T
            found_B = distance_BT.argmin(1)
            least_B = np.take_along_axis(distance_BT, found_B[:, None], 1)[:, 0]
            is_nearer_B = least_B < best_B
            best_B[is_nearer_B], row_B[is_nearer_B] = least_B[is_nearer_B], start + found_B[is_nearer_B]
        return row_B


class NearestArm:
    """Keeps every step of every task."""

    def __init__(self, setup: Setup) -> None:
        self.parameters = 0
        self._tasks = {skill: read_task(setup.sources, skill) for skill in setup.skills}
        self._indices: dict[str, Index] = {}

    def train(self, seconds: float) -> Trained:
        """Takes as long as it takes."""
        began = time.perf_counter()
        self._indices = {skill: Index(task.observations_TO) for skill, task in self._tasks.items()}
        return Trained(0, 0, time.perf_counter() - began)

    def actor(self, skill_id: str, prompts: Sequence[str]) -> Actor:
        """Plays from the skill's own recordings."""
        task, index = self._tasks[skill_id], self._indices[skill_id]
        return lambda observations_BO: play(task, index, observations_BO)


def play(task: TaskSteps, index: Index, observations_BO: np.ndarray) -> np.ndarray:
    """(B, A) what was intended where it looked most like this."""
    return task.scale.to_box(task.targets_TA[index.nearest(task.scale.standardised(observations_BO))])
