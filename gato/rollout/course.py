"""What each of many environments is told, and for how long: each moves on by itself, by its own time and readings.

In: stages a row, then the readings of every control step. Out: what is said to whom from the next step on.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gato.skills.bodies import get_body
from gato.skills.plan import Plan, Until
from gato.skills.table import get_skill


@dataclass(frozen=True)
class Stage:
    """Words that hold for a while."""

    prompt: str
    skill: str
    """Whose reading tells how it goes; "" where nobody knows."""
    steps: int = sys.maxsize
    """Control steps it lasts, at most."""
    until: Until | None = None
    dt: float = 1.0
    """s a control step, for `until`."""


def stages(plan: Plan) -> tuple[Stage, ...]:
    """The parts of a plan, each repeat a stage, told by canonical prompts."""
    dt = get_body(plan.body).dt
    return tuple(
        Stage(get_skill(part.skill).prompt, part.skill, round(part.seconds / dt), part.until, dt) for part in plan.runs
    )


class Course:
    """Where B rows stand in their stages."""

    def __init__(self, stages_B: Sequence[Sequence[Stage]]) -> None:
        self.begins: list[list[int]] = [[0] for _ in stages_B]
        """Of each row, the control step at which every stage so far began."""
        self.is_done_B = np.zeros(len(stages_B), np.bool_)
        """Rows whose last stage is over."""
        self._stages_B = stages_B
        self._values: list[list[float]] = [[] for _ in stages_B]
        """Of each row, what its stage waits for has read since it began."""
        self._running = {row for row, own in enumerate(stages_B) if own[0].steps < sys.maxsize}
        self._elapsed = 0

    def measure(self, readings: Mapping[str, np.ndarray]) -> dict[int, str]:
        """One more control step, with these readings (B,); row -> new prompt, where it differs from the one before."""
        self._elapsed += 1
        due = {}
        for row in sorted(self._running):
            begins, values = self.begins[row], self._values[row]
            stage = self._stages_B[row][len(begins) - 1]
            if stage.until is not None:
                values.append(float(readings[stage.until.reading][row]))
            is_enough = stage.until is not None and stage.until.holds(values, stage.dt)
            if not is_enough and self._elapsed - begins[-1] < stage.steps:
                continue
            if len(begins) == len(self._stages_B[row]):
                self.is_done_B[row] = True
                continue
            begins.append(self._elapsed)
            values.clear()
            following = self._stages_B[row][len(begins) - 1]
            if following.prompt != stage.prompt:
                due[row] = following.prompt
        return due

    def retire(self, ids: np.ndarray) -> None:
        """These rows ended."""
        self._running -= set(ids.tolist())
