"""What bodies are asked for in numbers, row by row: fixed by the skill, or drawn anew every few seconds.

In: skills, seeds. Out: `Commands`, which every stepper asks what holds now. An episode's commands hang on its seed
alone, so that a recording replays. A body that would fall if it obeyed at once is asked to go there little by little
(`Skill.command_rate`); the words of a recording, and its rule, are about the goal.
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
        self.period, self.dt = max(1, round(PERIOD / dt)), dt
        num_parts = -(-max_steps // self.period) + 1
        self.parts_BKC = np.full((num_rows, num_parts, len(COMMANDS)), np.nan)
        self.phase_B = np.zeros(num_rows, np.int64)
        """Steps of the first command that are left out."""
        self.is_drawn_B = np.zeros(num_rows, np.bool_)
        self.rate_B = np.full(num_rows, np.inf)
        """How fast what is asked for moves to the next command, its unit a second."""
        self.first_BC = np.full((num_rows, len(COMMANDS)), np.nan)
        """What it moves from to the first command of an episode; NaN at rest, where any can begin at once."""
        self.centre_C, self.share = np.zeros(len(COMMANDS)), 1.0
        """What is drawn lies at that share of its distance from `centre_C`: who learns may begin with little."""

    def select(self, ids: np.ndarray, skill: Skill) -> None:
        """Rows `ids` are asked for that skill: by its own numbers, or what is drawn at their next `begin`."""
        lows_C, highs_C = ranges(skill)
        self.parts_BKC[ids] = (lows_C + highs_C) / 2
        self.is_drawn_B[ids], self.rate_B[ids] = skill.is_commanded, skill.command_rate

    def begin(self, ids: np.ndarray, skills: Sequence[Skill], seeds: Sequence[int]) -> None:
        """Draws what the episodes of rows `ids` are asked for, where their skill takes commands."""
        self.first_BC[ids] = np.nan
        for row, skill, seed in zip(ids.tolist(), skills, seeds, strict=True):
            self.is_drawn_B[row] = skill.is_commanded
            if skill.is_commanded:
                rng = np.random.default_rng([seed, STREAM])
                self.phase_B[row] = rng.integers(self.period)
                drawn_KC = draw(skill, rng, self.parts_BKC.shape[1])
                self.parts_BKC[row] = drawn_KC + (1 - self.share) * (self.centre_C - drawn_KC)

    def start(self, ids: np.ndarray, moves: Mapping[str, np.ndarray]) -> None:
        """Rows `ids` move like that, (b,) each, when their episodes begin."""
        for index, name in enumerate(COMMANDS):
            self.first_BC[ids, index] = moves.get(name, 0.0)

    def tell(self, ids: np.ndarray, command_BC: np.ndarray) -> None:
        """From now on, and until their next `begin`, rows `ids` are asked for these numbers."""
        self.parts_BKC[ids] = np.asarray(command_BC)[:, None]

    def goal(self, ids: np.ndarray | slice, elapsed_B: np.ndarray) -> np.ndarray:
        """What the newest command of rows `ids` says after so many steps of their episodes, (b, C); beyond the longest,
        the last."""
        return self._part(ids, self._index(ids, elapsed_B))

    def now(self, ids: np.ndarray | slice, elapsed_B: np.ndarray) -> np.ndarray:
        """What they are asked to do in this step, (b, C): on the way from the command before to the goal."""
        part_B = self._index(ids, elapsed_B)
        goal_BC, rate_B = self._part(ids, part_B), self.rate_B[ids]
        if np.isinf(rate_B).all():
            return goal_BC
        is_first_B = part_B == 0
        before_BC = np.where(is_first_B[:, None], self.first_BC[ids], self._part(ids, part_B - 1))
        begun_B = np.where(is_first_B, 0, part_B * self.period - self.phase_B[ids])
        since_B = (elapsed_B - begun_B + 1) * self.dt
        reach_B1 = (rate_B * since_B)[:, None]
        # To the bit the goal itself once it is reached.
        is_there_BC = ~(np.abs(goal_BC - before_BC) > reach_B1)
        return np.where(is_there_BC, goal_BC, before_BC + np.sign(goal_BC - before_BC) * reach_B1)

    def _index(self, ids: np.ndarray | slice, elapsed_B: np.ndarray) -> np.ndarray:
        return np.minimum((elapsed_B + self.phase_B[ids]) // self.period, self.parts_BKC.shape[1] - 1)

    def _part(self, ids: np.ndarray | slice, part_B: np.ndarray) -> np.ndarray:
        return np.take_along_axis(self.parts_BKC[ids], part_B[:, None, None], axis=1)[:, 0]

    def snapshot(self) -> dict[str, np.ndarray]:
        """Copies of all that says what is asked for: what `restore` takes."""
        names = ("parts_BKC", "phase_B", "is_drawn_B", "rate_B", "first_BC", "centre_C")
        return {name: getattr(self, name).copy() for name in names}

    def restore(self, kept: Mapping[str, np.ndarray]) -> None:
        """Goes on from a `snapshot`."""
        for name in self.snapshot().keys() & kept.keys():
            getattr(self, name)[:] = kept[name]

    def told(self, ids: np.ndarray | slice, elapsed_B: np.ndarray) -> dict[str, np.ndarray]:
        """The goals of rows `ids` as readings, where any row takes commands."""
        if not self.is_drawn_B.any():
            return {}
        goal_BC = self.goal(ids, elapsed_B)
        columns = {name: goal_BC[:, index] for index, name in enumerate(COMMANDS)}
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
