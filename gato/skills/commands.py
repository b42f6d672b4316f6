"""What bodies are asked for in numbers, row by row: fixed by the skill, or drawn anew every few seconds.

In: skills, seeds. Out: `Commands`, which every stepper asks what holds now. An episode's commands hang on its seed
alone, so that a recording replays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gato.skills.skill import TOLD, Skill
from gato.specs import COMMANDS, near_match

PERIOD = 4.0
"""Seconds a drawn command holds; the first of an episode ends anywhere in between."""
STREAM = 77
"""Beside the seed of an episode, for what is drawn here."""
ZERO_SHARE, PLAIN_SHARE = 0.15, 0.35
"""Of the drawn commands: those to stand, and those along one axis alone. Words name such ones most often."""


class Commands:
    """The commands of B rows over their episodes, (B, C) in the order of COMMANDS, NaN where nothing is asked for."""

    def __init__(self, num_rows: int, *, dt: float, max_steps: int) -> None:
        self.period = max(1, round(PERIOD / dt))
        num_parts = -(-max_steps // self.period) + 1
        self.parts_BKC = np.full((num_rows, num_parts, len(COMMANDS)), np.nan)
        self.phase_B = np.zeros(num_rows, np.int64)
        """Steps of the first command that are left out."""
        self.is_drawn_B = np.zeros(num_rows, np.bool_)
        self.centre_C, self.share = np.zeros(len(COMMANDS)), 1.0
        """What is drawn lies at that share of its distance from `centre_C`: who learns may begin with little."""

    def select(self, ids: np.ndarray, skill: Skill) -> None:
        """Rows `ids` are asked for that skill: by its own numbers, or what is drawn at their next `begin`."""
        lows_C, highs_C = ranges(skill)
        self.parts_BKC[ids] = (lows_C + highs_C) / 2
        self.is_drawn_B[ids] = skill.is_commanded

    def begin(self, ids: np.ndarray, skills: Sequence[Skill], seeds: Sequence[int]) -> None:
        """Draws what the episodes of rows `ids` are asked for, where their skill takes commands."""
        for row, skill, seed in zip(ids.tolist(), skills, seeds, strict=True):
            self.is_drawn_B[row] = skill.is_commanded
            if skill.is_commanded:
                rng = np.random.default_rng([seed, STREAM])
                self.phase_B[row] = rng.integers(self.period)
                drawn_KC = draw(skill, rng, self.parts_BKC.shape[1])
                self.parts_BKC[row] = drawn_KC + (1 - self.share) * (self.centre_C - drawn_KC)

    def tell(self, ids: np.ndarray, command_BC: np.ndarray) -> None:
        """From now on, and until their next `begin`, rows `ids` are asked for these numbers."""
        self.parts_BKC[ids] = np.asarray(command_BC)[:, None]

    def now(self, ids: np.ndarray | slice, elapsed_B: np.ndarray) -> np.ndarray:
        """What rows `ids` are asked for after so many steps of their episodes, (b, C); beyond the longest, the last."""
        part_B = np.minimum((elapsed_B + self.phase_B[ids]) // self.period, self.parts_BKC.shape[1] - 1)
        return np.take_along_axis(self.parts_BKC[ids], part_B[:, None, None], axis=1)[:, 0]

    def snapshot(self) -> dict[str, np.ndarray]:
        """Copies of all that says what is asked for: what `restore` takes."""
        return {name: getattr(self, name).copy() for name in ("parts_BKC", "phase_B", "is_drawn_B", "centre_C")}

    def restore(self, kept: Mapping[str, np.ndarray]) -> None:
        """Goes on from a `snapshot`."""
        for name in self.snapshot().keys() & kept.keys():
            getattr(self, name)[:] = kept[name]

    def told(self, command_BC: np.ndarray) -> dict[str, np.ndarray]:
        """As readings, where any row takes commands."""
        if not self.is_drawn_B.any():
            return {}
        columns = {name: command_BC[:, index] for index, name in enumerate(COMMANDS)}
        return {TOLD + name: values_B for name, values_B in columns.items() if np.isfinite(values_B).any()}


def ranges(skill: Skill) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest of each command, (C,); NaN where the skill has none."""
    pairs = [skill.command.get(name, (np.nan, np.nan)) for name in COMMANDS]
    lows, highs = zip(*pairs, strict=True)
    return np.array(lows), np.array(highs)


def draw(skill: Skill, rng: np.random.Generator, count: int) -> np.ndarray:
    """Commands (count, C) in the skill's ranges: anything, along one axis alone, or to stand.

    The ends of a range are the hardest to learn and have one neighbour only: a tenth of the range there is drawn twice
    as often (the arcsine law).
    """
    lows_C, highs_C = ranges(skill)
    drawn_NC = lows_C + (highs_C - lows_C) * np.sin(np.pi / 2 * rng.random((count, len(COMMANDS)))) ** 2
    kind_N = rng.random(count)
    axes = np.flatnonzero(np.isfinite(lows_C))
    is_kept_NC = np.arange(len(COMMANDS)) == rng.choice(axes, count)[:, None]
    is_kept_NC |= (kind_N >= ZERO_SHARE + PLAIN_SHARE)[:, None]
    is_kept_NC &= (kind_N >= ZERO_SHARE)[:, None]
    return np.where(is_kept_NC | np.isnan(drawn_NC), drawn_NC, np.clip(0.0, lows_C, highs_C))


def checked_command(skill: Skill, command: Mapping[str, float]) -> np.ndarray:
    """Named numbers in the order of COMMANDS, (C,), where the skill takes these; ValueError where it does not."""
    if not skill.is_commanded:
        raise ValueError(f"{skill.id} takes no command; got {dict(command)}")
    wrong = [
        f"{name}={command.get(name)} (allowed: {low:g} to {high:g})"
        for name, (low, high) in skill.command.items()
        if low < high and not low <= command.get(name, np.nan) <= high
    ]
    wrong += [f'"{name}" ({near_match(name, skill.command)})' for name in command if name not in skill.command]
    if wrong:
        raise ValueError(f"{skill.id}: " + ", ".join(wrong))
    fixed = {name: low for name, (low, high) in skill.command.items() if low == high}
    return np.array([{**fixed, **command}.get(name, np.nan) for name in COMMANDS])
