"""The newest control steps of every environment, for models that encode them anew for each action."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class History:
    """Right-aligned: the newest step stands last, what is missing comes first."""

    def __init__(self, num_envs: int, num_steps: int, widths: Mapping[str, int]) -> None:
        """`widths`: name of what a step holds -> how many numbers it is."""
        self.values = {name: np.zeros((num_envs, num_steps, width), np.float32) for name, width in widths.items()}
        self.alive = np.arange(num_envs)
        """Environments whose episode goes on."""
        self._length_B, self._num_steps = np.zeros(num_envs, np.int64), num_steps

    def reset(self, ids: np.ndarray) -> None:
        """These begin an episode."""
        self._length_B[ids] = 0
        self.alive = np.union1d(self.alive, ids)

    def retire(self, ids: np.ndarray) -> None:
        """These ended for good."""
        self.alive = np.setdiff1d(self.alive, ids)

    def push(self, steps: Mapping[str, np.ndarray]) -> None:
        """One more step of those alive, name -> (alive, width); what is not told is 0."""
        for name, values_BTN in self.values.items():
            values_BTN[self.alive, :-1] = values_BTN[self.alive, 1:]
            values_BTN[self.alive, -1] = steps.get(name, 0.0)
        self._length_B[self.alive] = np.minimum(self._length_B[self.alive] + 1, self._num_steps)

    def newest(self) -> dict[str, np.ndarray]:
        """Of those alive: name -> (alive, T, width), copied."""
        return {name: values_BTN[self.alive] for name, values_BTN in self.values.items()}

    def exists(self) -> np.ndarray:
        """(alive, T) bool: which steps there are."""
        return np.arange(self._num_steps) >= self._num_steps - self._length_B[self.alive, None]
