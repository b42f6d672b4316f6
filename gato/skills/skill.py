"""What a skill is: reward, words, commands, and a rule of success in physical units.

In: nothing. Out: `Skill`, `Condition`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from gato.skills.command_words import Cell, cell_of, cells
from gato.skills.prompts import phrases
from gato.skills.rewards import Terms

TOLD = "told_"
"""Before the name of a reading: what a goal-conditioned skill was asked for then."""


Statistic = Literal["mean", "min", "max", "rms"]


@dataclass(frozen=True)
class Condition:
    """A statistic of one reading over the whole episode lies in [low, high], in the reading's unit."""

    reading: str
    statistic: Statistic
    low: float = -np.inf
    high: float = np.inf
    is_relative: bool = False
    """To what was asked for: how far it is off once it had half the time to get there (`_off`)."""

    def holds(self, readings: Mapping[str, np.ndarray]) -> bool:
        """Whether an episode of T >= 1 steps meets the condition."""
        return self.low <= self.measure(readings) <= self.high

    def measure(self, readings: Mapping[str, np.ndarray]) -> float:
        """The statistic of an episode of T >= 1 steps."""
        reading_T = readings[self.reading]
        if self.is_relative:
            reading_T = _off(reading_T, readings[TOLD + self.reading])
        if self.statistic == "rms":
            return float(np.sqrt(np.mean(np.square(reading_T))))
        return float(getattr(np, self.statistic)(reading_T))

    def __str__(self) -> str:
        bounds = [f">= {self.low:g}"] * (self.low > -np.inf) + [f"<= {self.high:g}"] * (self.high < np.inf)
        error = " error" * self.is_relative
        return f"{self.statistic} {self.reading}{error} {' and '.join(bounds)}"


def _off(reading_T: np.ndarray, told_T: np.ndarray) -> np.ndarray:
    """|mean error| over the second half of the time for which each thing was asked, once for each of those steps.

    Over a whole episode errors of one sign would make up for the other: who stands is right on average.
    """
    begins = np.flatnonzero(np.diff(told_T, prepend=np.nan))
    settled = [slice((begin + end) // 2, end) for begin, end in zip(begins, [*begins[1:], len(told_T)], strict=True)]
    errors_T = reading_T - told_T
    return np.concatenate([np.full_like(errors_T[part], abs(errors_T[part].mean())) for part in settled])


@dataclass(frozen=True)
class Skill:
    """Something a body can be told to do."""

    id: str
    body: str
    is_standard: bool
    """The reward is Gymnasium's own, to the bit."""
    reward: Terms
    prompt: str
    """The canonical prompt."""
    rule: tuple[Condition, ...]
    """What success means, over the whole episode; an episode that ended early never succeeds."""
    reading: str
    """The reading that tells this skill from the others of its body."""
    command: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """What is asked for in numbers: name in COMMANDS -> lowest and highest; equal ones: always that."""
    command_rate: float = math.inf
    """How fast what is asked for moves from one command to the next: m/s, or rad/s, a second."""

    @property
    def is_commanded(self) -> bool:
        """Whether there is more than one thing to be asked for, so that who acts must be told."""
        return any(low < high for low, high in self.command.values())

    @property
    def env_id(self) -> str:
        """Gymnasium id, e.g. `gato/HalfCheetahRunForward-v0`."""
        words = self.id.replace("/", "-").split("-")
        return f"gato/{''.join(word[0].upper() + word[1:] for word in words)}-v0"

    def phrases(self, split: str = "train") -> tuple[str, ...]:
        """Ways of saying it, the canonical prompt first; the other splits of `prompts.SPLITS` are never trained on.

        Of a goal-conditioned skill, one phrase for each thing that can be asked for, by `command_words`.
        """
        if self.is_commanded:
            return (self.prompt, *(cell.phrases[0] for cell in self.cells)) if split == "train" else ()
        return phrases(self.id, split)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """What a goal-conditioned skill can be asked for in words."""
        return cells(self.body, self.command)

    def cell_of(self, command_XC: np.ndarray) -> np.ndarray:
        """(...) int: index into `cells` of commands (..., C)."""
        return cell_of(self.command, command_XC)

    def success(self, readings: Mapping[str, np.ndarray], *, survived: bool) -> bool:
        """Whether an episode with these readings (name -> (T,)) did what the skill says."""
        return survived and all(condition.holds(readings) for condition in self.rule)
