"""Floats of a body for models that read and write numbers instead of tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gato.specs import BodySpec
from gato.tokens.numbers import MIN_DEVIATION


@dataclass(frozen=True)
class Scale:
    """Observations by mean and deviation, not clipped; actions by their box, which becomes [-1, 1]."""

    mean_O: np.ndarray
    std_O: np.ndarray
    low_A: np.ndarray
    high_A: np.ndarray

    @classmethod
    def of(cls, spec: BodySpec, mean_O: np.ndarray, std_O: np.ndarray) -> Scale:
        """ValueError for a body with discrete elements or actions without bounds."""
        kinds = {element.kind for element in (*spec.observation, *spec.action)}
        if kinds != {"continuous"} or not np.isfinite([spec.action_low, spec.action_high]).all():
            raise ValueError(f"{spec.name} has {', '.join(sorted(kinds))} elements; numbers with bounded actions only")
        std_O = np.where(std_O < MIN_DEVIATION, 1.0, std_O)
        return cls(np.asarray(mean_O, np.float32), std_O.astype(np.float32), spec.action_low, spec.action_high)

    def standardised(self, observations_O: np.ndarray) -> np.ndarray:
        """(..., O) float32."""
        return (np.asarray(observations_O, np.float32) - self.mean_O) / self.std_O

    def to_unit(self, actions_A: np.ndarray) -> np.ndarray:
        """(..., A) in the box -> in [-1, 1]."""
        return 2 * (np.asarray(actions_A, np.float32) - self.low_A) / (self.high_A - self.low_A) - 1

    def to_box(self, units_A: np.ndarray) -> np.ndarray:
        """(..., A) -> actions; beyond [-1, 1] the bounds."""
        actions_A = self.low_A + (units_A + 1) / 2 * (self.high_A - self.low_A)
        return np.clip(actions_A, self.low_A, self.high_A).astype(np.float32)
