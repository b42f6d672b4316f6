"""One flat vector, observation or action, to ids and back: named elements, numbers and discrete ones together.

In: (..., N) float arrays. Out: ids int64 (..., N) in the one id space. Errors name the element, the index and `where`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gato.specs import Element
from gato.tokens.discrete import NUM_DISCRETE, DiscreteCodec
from gato.tokens.numbers import NUM_BINS, AsinhCodec, MuLawCodec, NumberCodec

Numbers = NumberCodec | AsinhCodec | MuLawCodec


@dataclass(frozen=True)
class Ranges:
    """Where each kind of id begins: text 0.., then numbers, then discrete ids, then specials."""

    text_size: int

    @property
    def number_start(self) -> int:
        """Id of number bin 0."""
        return self.text_size

    @property
    def discrete_start(self) -> int:
        """Id of discrete value 0."""
        return self.text_size + NUM_BINS

    @property
    def special_start(self) -> int:
        """Id of the first special."""
        return self.text_size + NUM_BINS + NUM_DISCRETE

    @property
    def separator(self) -> int:
        """The id between observation and action in the paper's layout."""
        return self.special_start

    @property
    def vocabulary_size(self) -> int:
        """One more than the largest id."""
        return self.special_start + 1


class VectorCodec:
    """Codec of one vector of named elements; `label` ("hopper action") begins every error line."""

    def __init__(self, label: str, elements: tuple[Element, ...], numbers: Numbers, *, ranges: Ranges) -> None:
        self._label = label
        self._names = tuple(element.name for element in elements)
        self._numbers = numbers
        self._ranges = ranges
        is_discrete = np.array([element.kind == "discrete" for element in elements], bool)
        self.discrete_columns = np.flatnonzero(is_discrete)
        self.number_columns = np.flatnonzero(~is_discrete)
        self._discrete = DiscreteCodec(tuple(elements[column] for column in self.discrete_columns))
        self.low_N = np.array([element.low for element in elements], np.float32)
        self.high_N = np.array([element.high for element in elements], np.float32)

    def encode(
        self, values: np.ndarray, *, where: str = "", mask: np.ndarray | None = None, strict: bool = False
    ) -> tuple[np.ndarray, int]:
        """(..., N) -> ids, and how many numbers were clipped. `strict`: a number outside its space is an error.

        Rows where `mask` (...) is False are pads: encoded, but neither counted nor held to their space.
        """
        values = self._checked(values, where)
        if not len(self.discrete_columns):
            ids, num_clipped = self._numbers.encode(values, start=self._ranges.number_start, mask=mask)
        else:
            ids, num_clipped = self._encode_mixed(values, where, mask)
        if strict and num_clipped:
            self._refuse_outside(values, where, mask)
        return ids, num_clipped

    def outside(self, values: np.ndarray) -> np.ndarray:
        """(..., N) bool: the numbers that `encode` clips; discrete elements never are. ValueError as in `encode`."""
        floats = self._checked(values, "")
        found = np.zeros(floats.shape, bool)
        numbers = np.ascontiguousarray(floats[..., self.number_columns])
        found[..., self.number_columns] = self._numbers.outside(numbers)
        return found

    def decode(self, ids: np.ndarray) -> np.ndarray:
        """Ids (..., N) -> float32 (..., N). ValueError for any id that is not this vector's own."""
        ids = np.asarray(ids)
        if ids.ndim == 0 or ids.shape[-1] != len(self._names) or ids.dtype.kind not in "iu":
            raise ValueError(f"{self._label} ids: got {ids.dtype} {ids.shape}, need integers (..., {len(self._names)})")
        if not len(self.discrete_columns):
            return self._decode_numbers(ids)
        values = np.empty(ids.shape, np.float32)
        values[..., self.number_columns] = self._decode_numbers(ids[..., self.number_columns])
        offsets = ids[..., self.discrete_columns] - self._ranges.discrete_start
        values[..., self.discrete_columns] = self._discrete.decode(offsets)
        return values

    def _decode_numbers(self, ids: np.ndarray) -> np.ndarray:
        bins = ids - self._ranges.number_start
        if ((bins < 0) | (bins >= NUM_BINS)).any():
            last = self._ranges.number_start + NUM_BINS - 1
            raise ValueError(
                f"{self._label} ids: got {ids.min()}..{ids.max()}; allowed for a number: "
                f"{self._ranges.number_start}..{last}; do not sample over other ranges"
            )
        return self._numbers.decode(bins)

    def _checked(self, values: np.ndarray, where: str) -> np.ndarray:
        given = np.asarray(values)
        if given.dtype.kind not in "fiub" or given.ndim == 0 or given.shape[-1] != len(self._names):
            raise ValueError(
                f"{self._label}{_in(where)}: got {given.dtype} {given.shape}, need numbers (..., {len(self._names)})"
            )
        with np.errstate(over="ignore"):
            floats = np.ascontiguousarray(given, np.float32)
        if not np.isfinite(floats).all():
            self._refuse(~np.isfinite(floats), floats, where, "every value finite; repair or drop the episode")
        return floats

    def _encode_mixed(self, values: np.ndarray, where: str, mask: np.ndarray | None) -> tuple[np.ndarray, int]:
        numbers = np.ascontiguousarray(values[..., self.number_columns])
        whole = values[..., self.discrete_columns]
        if mask is not None:
            whole = np.where(mask[..., None], whole, self._discrete.low_N)
        ids = np.empty(values.shape, np.int64)
        ids[..., self.number_columns], num_clipped = self._numbers.encode(
            numbers, start=self._ranges.number_start, mask=mask
        )
        try:
            ids[..., self.discrete_columns] = self._discrete.encode(whole, start=self._ranges.discrete_start)
        except ValueError as error:
            raise ValueError(f"{self._label}{_in(where)}: {error}") from error
        return ids, num_clipped

    def _refuse_outside(self, values: np.ndarray, where: str, mask: np.ndarray | None) -> None:
        """Raise if a value is truly outside its space: the bins' count may be off by a rounding."""
        outside = (values < self.low_N) | (values > self.high_N)
        outside[..., self.discrete_columns] = False
        if mask is not None:
            outside &= mask[..., None]
        if outside.any():
            self._refuse(outside, values, where, "clip the actions first (--clip-actions counts them) or re-record")

    def _refuse(self, wrong: np.ndarray, values: np.ndarray, where: str, advice: str) -> None:
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        column = index[-1]
        raise ValueError(
            f"{self._label}{_in(where)}: element {self._names[column]!r} is {values[index]:g} at index {index} "
            f"({int(wrong.sum())} of {wrong.size} values are wrong); allowed: "
            f"[{self.low_N[column]:g}, {self.high_N[column]:g}]; {advice}"
        )


def _in(where: str) -> str:
    return f" in {where}" if where else ""
