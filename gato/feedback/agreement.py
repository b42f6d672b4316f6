"""How far two who say yes or no agree: the share, and Cohen's kappa (1960), the same beyond chance.

In: pairs of answers. Out: `Agreement`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gato.specs import share_interval

RESAMPLES = 2000


@dataclass(frozen=True)
class Agreement:
    """Counts of what was followed by the judge, by the reading, by both and by neither; at least one of them."""

    both: int
    judge_only: int
    reading_only: int
    neither: int

    @classmethod
    def of(cls, answers: Iterable[tuple[bool, bool]]) -> Agreement:
        """From (judge, reading); ValueError where there are none."""
        told = list(answers)
        if not told:
            raise ValueError("the judge decided nothing, so there is no agreement to measure")
        return cls(*(told.count(kind) for kind in ((True, True), (True, False), (False, True), (False, False))))

    def json(self) -> dict[str, Any]:
        """The share with Wilson's 95 % interval; kappa with a bootstrap one, None where both say the same of all
        whatever happened."""
        counts_4 = np.array([self.both, self.judge_only, self.reading_only, self.neither])
        total, agreed = int(counts_4.sum()), self.both + self.neither
        drawn = np.random.default_rng(0).multinomial(total, counts_4 / total, size=RESAMPLES)
        kappa, kappas = float(_kappa(counts_4[None])[0]), _kappa(drawn)
        known = kappas[np.isfinite(kappas)]
        interval = np.percentile(known, [2.5, 97.5]).tolist() if len(known) else None
        return {
            "agreement": {"mean": agreed / total, "ci95": list(share_interval(agreed, total))},
            "kappa": {"mean": kappa, "ci95": interval} if np.isfinite(kappa) and interval else None,
            "both": self.both,
            "judge_only": self.judge_only,
            "reading_only": self.reading_only,
            "neither": self.neither,
        }


def _kappa(counts_R4: np.ndarray) -> np.ndarray:
    """(R,) of rows of counts; NaN where chance alone would agree."""
    both, judge, reading, neither = (counts_R4 / counts_R4.sum(1, keepdims=True)).T
    chance = (both + judge) * (both + reading) + (neither + judge) * (neither + reading)
    beyond = np.where(chance < 1 - 1e-12, 1 - chance, np.nan)
    return np.asarray((both + neither - chance) / beyond)
