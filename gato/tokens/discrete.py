"""Whole numbers to discrete ids and back: id = start + value - low, at most 1024 values an element."""

from __future__ import annotations

import numpy as np

from gato.specs import Element

NUM_DISCRETE = 1024
"""Ids for discrete values (Gato, section 2.1)."""


class DiscreteCodec:
    """Values low..high an element become 0..high-low."""

    def __init__(self, elements: tuple[Element, ...]) -> None:
        unfit = [e for e in elements if not 0 <= e.high - e.low < NUM_DISCRETE]
        if unfit:
            shown = ", ".join(f"{e.name} {e.low}..{e.high}" for e in unfit)
            raise ValueError(f"discrete elements need at most {NUM_DISCRETE} values, got {shown}; bin them first")
        self._names = tuple(element.name for element in elements)
        self.low_N = np.array([element.low for element in elements], np.int64)
        self.size_N = np.array([element.high - element.low + 1 for element in elements], np.int64)

    def encode(self, values: np.ndarray, *, start: int = 0) -> np.ndarray:
        """Finite (..., N) whole numbers -> ids int64 (..., N); ValueError for fractions and values out of range."""
        offsets = np.rint(values).astype(np.int64) - self.low_N
        wrong = (offsets < 0) | (offsets >= self.size_N) | (np.rint(values) != values)
        if wrong.any():
            column = np.argwhere(wrong)[0][-1]
            low, high = self.low_N[column], self.low_N[column] + self.size_N[column] - 1
            raise ValueError(
                f"discrete element {self._names[column]!r} is {values[wrong].flat[0]:g}; allowed: whole {low}..{high}"
            )
        return offsets + start

    def decode(self, offsets: np.ndarray) -> np.ndarray:
        """0..high-low (..., N) -> values float32; ValueError beyond an element's own values."""
        if ((offsets < 0) | (offsets >= self.size_N)).any():
            raise ValueError(f"discrete offset outside 0..size-1 for elements {self._names} of sizes {self.size_N}")
        return (offsets + self.low_N).astype(np.float32)
