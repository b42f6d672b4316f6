"""Numbers to bins and back: 1024 uniform bins over a range an element, over asinh of deviations, or over mu-law where
nothing is known.

In: float32 (..., N) vectors. Out: int64 (..., N) ids `start + bin`, and the inverse. The loader encodes hundreds of
thousands of numbers a batch, so work goes through one small float32 buffer that stays in cache.
"""

from __future__ import annotations

import math

import numpy as np

NUM_BINS = 1024
"""Bins of every number (Gato, section 2.1)."""
CLIP_DEVIATIONS = 4.0
"""Half-width of the binned range: in standard deviations, or in asinh of them, which is 27.3 deviations."""
MIN_DEVIATION = 1e-6
"""A smaller standard deviation counts as 1: the element is constant."""
MU, MU_RANGE = 100.0, 256.0
"""mu-law: |x| = MU_RANGE maps to 1 (Gato, section 2.1)."""
_CHUNK = 8192
"""Numbers worked on at a time: 32 kB of float32."""


def number_value(bins: np.ndarray) -> np.ndarray:
    """Centre of each bin in [-1, 1], float32: the value through which a number token is embedded."""
    values = np.asarray(bins).astype(np.float32)
    values += np.float32(0.5)
    values *= np.float32(2.0 / NUM_BINS)
    values -= np.float32(1.0)
    return values


def mu_law(values: np.ndarray) -> np.ndarray:
    """sign(x) log(MU |x| + 1) / log(MU MU_RANGE + 1), float32; outside [-1, 1] beyond MU_RANGE."""
    squashed = np.abs(np.asarray(values, np.float32))
    squashed *= np.float32(MU)
    squashed += np.float32(1.0)
    np.log(squashed, out=squashed)
    squashed *= np.float32(1.0 / np.log(MU * MU_RANGE + 1.0))
    return np.copysign(squashed, values, dtype=np.float32)


def inverse_mu_law(squashed: np.ndarray) -> np.ndarray:
    """The x whose `mu_law` is given, float32."""
    magnitude = np.expm1(np.abs(squashed).astype(np.float64) * np.log(MU * MU_RANGE + 1.0)) / MU
    return np.copysign(magnitude, squashed).astype(np.float32)


class NumberCodec:
    """Uniform bins over [low, high] an element.

    Values beyond the range fall into the end bins; how many did is returned, so that nothing is clipped quietly.
    """

    def __init__(self, low_N: np.ndarray, high_N: np.ndarray, *, exact_ends: bool = False) -> None:
        """`exact_ends`: the first and last bin decode to the bounds themselves (actions), not to their centres."""
        self.low_N = np.asarray(low_N, np.float32)
        self.high_N = np.asarray(high_N, np.float32)
        self.exact_ends = exact_ends
        width_N = np.asarray(high_N, np.float64) - np.asarray(low_N, np.float64)
        self._step_N = (width_N / NUM_BINS).astype(np.float32)
        scale_N = np.divide(NUM_BINS, width_N, out=np.zeros_like(width_N), where=width_N > 0).astype(np.float32)
        self._rows = max(1, _CHUNK // max(1, len(self.low_N)))
        # Constants repeated over a chunk of rows: one long contiguous loop instead of one short loop a row.
        self._low_RN = np.tile(self.low_N, (self._rows, 1))
        self._scale_RN = np.tile(scale_N, (self._rows, 1))

    @classmethod
    def standardised(cls, mean_N: np.ndarray, std_N: np.ndarray) -> NumberCodec:
        """Bins over the mean -+ 4 standard deviations."""
        mean_N = np.asarray(mean_N, np.float64)
        reach_N = CLIP_DEVIATIONS * np.where(np.asarray(std_N) < MIN_DEVIATION, 1.0, np.asarray(std_N, np.float64))
        return cls(mean_N - reach_N, mean_N + reach_N)

    def encode(self, values: np.ndarray, *, start: int = 0, mask: np.ndarray | None = None) -> tuple[np.ndarray, int]:
        """Finite float32 (..., N) -> ids int64 (..., N), and how many lay outside the range where `mask` (...)."""
        rows_EN = values.reshape(math.prod(values.shape[:-1]), values.shape[-1])
        mask_E = None if mask is None else np.broadcast_to(mask, values.shape[:-1]).reshape(-1)
        ids_EN = np.empty(rows_EN.shape, np.int64)
        buffer_RN = np.empty_like(self._low_RN[: len(rows_EN)])
        num_outside = 0
        for begin in range(0, len(rows_EN), self._rows):
            chunk_RN = rows_EN[begin : begin + self._rows]
            size = len(chunk_RN)
            binned_RN = np.subtract(chunk_RN, self._low_RN[:size], out=buffer_RN[:size])
            binned_RN *= self._scale_RN[:size]
            num_outside += _count_outside(binned_RN, None if mask_E is None else mask_E[begin : begin + size])
            np.clip(binned_RN, np.float32(0), np.float32(NUM_BINS - 1), out=binned_RN)
            np.copyto(ids_EN[begin : begin + size], binned_RN, casting="unsafe")
        ids_EN += start
        return ids_EN.reshape(values.shape), num_outside

    def outside(self, values: np.ndarray) -> np.ndarray:
        """(..., N) bool: which of the finite float32 values `encode` counts as outside the range."""
        return _is_outside((values - self.low_N) * self._scale_RN[0])

    def decode(self, bins: np.ndarray) -> np.ndarray:
        """Bins 0..1023 (..., N) -> float32 bin centres within [low, high]; the bounds themselves at `exact_ends`."""
        values = bins.astype(np.float32)
        values += np.float32(0.5)
        values *= self._step_N
        values += self.low_N
        np.clip(values, self.low_N, self.high_N, out=values)
        if self.exact_ends:
            np.copyto(values, self.low_N, where=bins == 0)
            np.copyto(values, self.high_N, where=bins == NUM_BINS - 1)
        return values


class AsinhCodec:
    """Uniform bins over asinh((x - mean) / std), an element: 1/128 of a deviation wide at the mean, a fifth of one at
    the ends, sinh(4) = 27.3 deviations away.

    Where an episode starts lies far out for a body that balances all day (Burbidge et al. 1988; DreamerV3 has symlog).
    """

    def __init__(self, mean_N: np.ndarray, std_N: np.ndarray) -> None:
        std_N = np.asarray(std_N, np.float64)
        self._std_N = np.where(std_N < MIN_DEVIATION, 1.0, std_N).astype(np.float32)
        self._mean_N = np.asarray(mean_N, np.float64).astype(np.float32)
        self._bins = NumberCodec(np.array([-CLIP_DEVIATIONS]), np.array([CLIP_DEVIATIONS]))

    def encode(self, values: np.ndarray, *, start: int = 0, mask: np.ndarray | None = None) -> tuple[np.ndarray, int]:
        """As `NumberCodec.encode`; outside means beyond 27.3 deviations."""
        column_EN1 = self._squashed(values)[..., None]
        mask_EN = None if mask is None else np.broadcast_to(mask[..., None], values.shape)
        ids_EN1, num_outside = self._bins.encode(column_EN1, start=start, mask=mask_EN)
        return ids_EN1[..., 0], num_outside

    def outside(self, values: np.ndarray) -> np.ndarray:
        """As `NumberCodec.outside`."""
        return self._bins.outside(self._squashed(values)[..., None])[..., 0]

    def decode(self, bins: np.ndarray) -> np.ndarray:
        """The x at the centre of each bin, float32."""
        return np.sinh(self._bins.decode(bins[..., None])[..., 0]) * self._std_N + self._mean_N

    def _squashed(self, values: np.ndarray) -> np.ndarray:
        squashed = (values - self._mean_N) / self._std_N
        return np.arcsinh(squashed, out=squashed)


class MuLawCodec:
    """Uniform bins over mu-law(100, 256), for elements of which no statistics exist."""

    def encode(self, values: np.ndarray, *, start: int = 0, mask: np.ndarray | None = None) -> tuple[np.ndarray, int]:
        """As `NumberCodec.encode`; outside means |x| > 256."""
        binned = self._binned(values)
        num_outside = _count_outside(binned, mask)
        np.clip(binned, np.float32(0), np.float32(NUM_BINS - 1), out=binned)
        return binned.astype(np.int64) + start, num_outside

    def outside(self, values: np.ndarray) -> np.ndarray:
        """As `NumberCodec.outside`."""
        return _is_outside(self._binned(values))

    def decode(self, bins: np.ndarray) -> np.ndarray:
        """The x at the centre of each bin, float32."""
        return inverse_mu_law(number_value(bins))

    def _binned(self, values: np.ndarray) -> np.ndarray:
        binned = mu_law(values)
        binned += np.float32(1.0)
        binned *= np.float32(NUM_BINS / 2)
        return binned


def _is_outside(binned: np.ndarray) -> np.ndarray:
    outside = binned < 0
    outside |= binned > NUM_BINS
    return outside


def _count_outside(binned: np.ndarray, mask: np.ndarray | None) -> int:
    outside = _is_outside(binned)
    if mask is not None:
        outside &= mask[..., None]
    return int(np.count_nonzero(outside))
