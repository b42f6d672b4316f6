"""What was done while one thing was asked for: a stretch of an episode under one prompt, its readings, and in words.

In: a dataset's episodes. Out: `Segment`s; whether their skill's rule held, by which figures; and a summary in words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gato.data.minari_io import Dataset, episodes
from gato.planner.scene import describe
from gato.rollout.switching import without_turns
from gato.skills.bodies import get_body
from gato.skills.plan import REACTION, plan_skills
from gato.skills.skill import TOLD, Skill
from gato.skills.table import get_skill
from gato.specs import Episode

MOMENTS = ("At first", "then", "at last")
"""Thirds of the time, each told by its means."""


@dataclass(frozen=True)
class Segment:
    """Steps `begin` to `end` of an episode, in which one skill was asked for."""

    episode: int
    begin: int
    end: int
    skill: Skill
    instruction: str
    readings: dict[str, np.ndarray]
    """Name -> (end - begin,)."""
    survived: bool
    is_whole: bool
    """Whether it is the whole episode; else the first half is there to get going, and its rule is of the second."""

    @property
    def steps(self) -> int:
        """Control steps."""
        return self.end - self.begin

    @property
    def is_too_short(self) -> bool:
        """Whether it is a part that ended before new words must show, and not by a fall: nothing is told by it."""
        return not self.is_whole and self.survived and self.steps < round(REACTION / get_body(self.skill.body).dt)

    @property
    def judged(self) -> dict[str, np.ndarray]:
        """The readings that rules are held against; of a part without the whole turns that were made before."""
        if self.is_whole:
            return self.readings
        return without_turns(self.skill, self.readings, self.steps // 2, self.steps)

    @property
    def is_followed(self) -> bool:
        """The measured reading: the skill's own rule of success."""
        return self.skill.success(self.judged, survived=self.survived)

    @property
    def figures(self) -> tuple[str, ...]:
        """The conditions of the rule, each with what was measured."""
        told = [f"{one} (it is {one.measure(self.judged):.3g})" for one in self.skill.rule]
        return (*told, *(() if self.survived else ("it fell",)))

    @property
    def missed(self) -> str:
        """What of the rule was not met first; "" where it was followed."""
        if not self.survived:
            return "fell"
        return next((f"not {one}" for one in self.skill.rule if not one.holds(self.judged)), "")

    @property
    def did(self) -> Skill | None:
        """In hindsight: the skill whose rule the readings meet; of several the one that demands most, then the first
        of the table. None where it fell, or did nothing that has a name."""
        known = [get_skill(skill_id) for skill_id in plan_skills(self.skill.body)]
        met = [skill for skill in known if skill.success(self.judged, survived=self.survived)]
        return max(met, key=lambda skill: len(skill.rule), default=None)

    @property
    def summary(self) -> str:
        """How it moved, in words, in thirds of its time."""
        seconds = self.steps * get_body(self.skill.body).dt
        moments = np.array_split(np.arange(self.steps), min(len(MOMENTS), self.steps))
        said = [f"{when}: {self._described(steps)}" for when, steps in zip(MOMENTS, moments, strict=False)]
        return f"In {seconds:.1f} s: {'; '.join(said)}. It {'did not fall' if self.survived else 'fell'}."

    def _described(self, steps: np.ndarray) -> str:
        """The means of these steps, in words; not what a goal-conditioned skill was told then."""
        seen = self.readings if self.is_whole else without_turns(self.skill, self.readings, 0, self.steps)
        own = {name: values_T for name, values_T in seen.items() if not name.startswith(TOLD)}
        return describe(self.skill.body, {name: float(values_T[steps].mean()) for name, values_T in own.items()})


def segments(dataset: Dataset) -> Iterator[Segment]:
    """Of every episode, in order. ValueError for a dataset that does not say what was asked for, or measured."""
    if not (dataset.is_ours and dataset.skills):
        raise ValueError(
            f"{dataset.id} does not say what was asked for; datasets that gato record made of skills can be judged"
        )
    for index, episode in enumerate(episodes(dataset)):
        yield from segments_of(dataset, index, episode)


def segments_of(dataset: Dataset, index: int, episode: Episode) -> Iterator[Segment]:
    """Of one episode; ValueError where it lacks readings."""
    steps = len(episode.rewards)
    begins = [0, *(np.flatnonzero(np.diff(episode.prompt_ids)) + 1).tolist()]
    for begin, end in zip(begins, [*begins[1:], steps], strict=True):
        prompt_id = int(episode.prompt_ids[begin])
        skill = get_skill(dataset.skills[prompt_id])
        if missing := sorted({one.reading for one in skill.rule} - episode.readings.keys()):
            raise ValueError(f"{dataset.id} episode {index} lacks readings of {', '.join(missing)}; record it again")
        yield Segment(
            episode=index,
            begin=begin,
            end=end,
            skill=skill,
            instruction=dataset.prompts[prompt_id][0],
            readings={name: values_T[begin:end] for name, values_T in episode.readings.items()},
            survived=not episode.terminations[begin:end].any(),
            is_whole=len(begins) == 1,
        )
