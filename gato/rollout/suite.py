"""How well a model does what it is told: a suite of skills, by return and by the rule of each behaviour.

In: a model and a suite's name. Out: `Results`, whose `json()` is what `gato eval --json` prints. The prompt matrix is
read off the same episodes as the scores: row = what was said, column = whose rule was met.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from gato.experts.adapters import load_expert
from gato.experts.shipped import find_expert, has_shipped_expert, steady
from gato.model.gato import Gato
from gato.rollout.prompted import Conditions, Request, Rollout, roll_out, shortened
from gato.skills.bodies import get_body
from gato.skills.evaluate import evaluation_seeds, mean_return, random_actor
from gato.skills.stepper import find_env_spec, make_stepper
from gato.skills.table import SKILLS, Skill, get_skill
from gato.specs import Score, grouped_interval, near_match


@dataclass(frozen=True)
class Suite:
    """Skills, and which shipped experts their scores are compared with."""

    skills: tuple[str, ...]
    expert: Callable[[str], str] = str
    """Skill id -> name of its expert."""


SUITES = {
    "demo": Suite(
        (
            "half-cheetah/run-forward",
            "half-cheetah/run-backward",
            "hopper/hop-forward",
            "hopper/hop-backward",
            "walker2d/run-forward",
            "walker2d/walk-backward",
            "inverted-pendulum/balance",
        ),
        expert=steady,
    ),
    "mujoco": Suite(tuple(skill.id for skill in SKILLS.values() if skill.is_standard)),
    "library": Suite(
        tuple(skill.id for skill in SKILLS.values() if not skill.is_commanded and has_shipped_expert(skill.id))
    ),
}
"""The demo's, Gymnasium's eleven tasks, and all that there is an expert for (teachers are told numbers, not words)."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reference:
    """Mean returns of the two arms that a score is normalised by; None where unknown."""

    random: float | None
    expert: float | None

    def normalise(self, returns: Iterable[float]) -> list[float] | None:
        """(return - random) / (expert - random) of each; None where one of the two is unknown, or both are the same."""
        low, high = self.random, self.expert
        if low is None or high is None or high == low:
            return None
        return [(one - low) / (high - low) for one in returns]


@dataclass(frozen=True)
class Task:
    """One skill under its canonical prompt."""

    skill: str
    """Skill id; a dataset's id where its environment has no skills."""
    prompt: str
    return_: Score
    reference: Reference
    success: float | None
    """Share of episodes that met the skill's rule; None where there is no rule."""
    steps_per_second: float
    """Of the batch that the episodes ran in."""

    @property
    def normalised(self) -> float | None:
        """Of the mean return: 0 is random actions, 1 the expert."""
        scores = self.reference.normalise([self.return_.mean])
        return None if scores is None else scores[0]

    def json(self) -> dict[str, Any]:
        """As in the results."""
        return {
            "prompt": self.prompt,
            "return": self.return_.json(),
            "random": self.reference.random,
            "expert": self.reference.expert,
            "normalised": self.normalised,
            "success": self.success,
            "steps_per_second": self.steps_per_second,
        }


@dataclass(frozen=True)
class Matrix:
    """Row = prompt given, column = behaviour measured, in the same order; entries are shares of episodes."""

    prompts: tuple[str, ...]
    behaviours: tuple[str, ...]
    rate: tuple[tuple[float, ...], ...]

    def json(self) -> dict[str, Any]:
        """As in the results."""
        return {"prompts": list(self.prompts), "behaviours": list(self.behaviours), "rate": list(map(list, self.rate))}


@dataclass(frozen=True)
class Results:
    """Everything that an evaluation found."""

    seed: int
    episodes: int
    model: str = ""
    suite: str | None = None
    tasks: tuple[Task, ...] = ()
    prompt_matrix: Mapping[str, Matrix] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further parts of the JSON: prompts, ablation, switching, dataset."""
    rollouts: Mapping[str, tuple[Rollout, ...]] = field(default_factory=dict, repr=False)
    """Body -> its episodes, for pictures; not in the JSON."""

    @property
    def mean_normalised(self) -> float | None:
        """Over the tasks that have both references; None where there is none."""
        return float(np.mean(known)) if (known := self._normalised()) else None

    @property
    def iqm_normalised(self) -> float | None:
        """Interquartile mean: the lowest and the highest quarter of the tasks (rounded down) left out."""
        known = sorted(self._normalised())
        cut = len(known) // 4
        return float(np.mean(known[cut : len(known) - cut])) if known else None

    def interval_normalised(self) -> tuple[float, float] | None:
        """Bootstrap 95 % interval of `mean_normalised`: episodes are drawn anew within each task, tasks stay."""
        scores = [task.reference.normalise(task.return_.episodes) for task in self.tasks]
        known = [one for one in scores if one is not None]
        return grouped_interval(known) if known else None

    def _normalised(self) -> list[float]:
        return [task.normalised for task in self.tasks if task.normalised is not None]

    def json(self) -> dict[str, Any]:
        """The schema of `gato eval --json`; two equal runs differ in `steps_per_second` only."""
        return {
            "model": self.model,
            "suite": self.suite,
            "seed": self.seed,
            "episodes": self.episodes,
            "tasks": {task.skill: task.json() for task in self.tasks},
            "mean_normalised": self.mean_normalised,
            "iqm_normalised": self.iqm_normalised,
            "prompt_matrix": {body: matrix.json() for body, matrix in self.prompt_matrix.items()},
            **self.extra,
        }


def evaluate_suite(model: Gato, suite: str = "demo", *, episodes: int = 50, seed: int = 0) -> Results:
    """`measure_suite` in few words, and without a word of progress: for use inside other work."""
    return measure_suite(model, suite, Conditions(episodes, seed, is_shown=False))


def measure_suite(
    model: Gato, suite: str, conditions: Conditions, *, bodies: Sequence[str] = (), experts: Path | None = None
) -> Results:
    """Every skill of the suite whose body the model knows, under its canonical prompt.

    `bodies` restricts the suite; `experts` is a folder `<experts>/<body>/<skill>` to compare with instead of the
    shipped ones.
    """
    seeds = evaluation_seeds(conditions.seed, conditions.episodes)
    tasks: list[Task] = []
    matrices: dict[str, Matrix] = {}
    rollouts: dict[str, tuple[Rollout, ...]] = {}
    known_skills = suite_skills(model, suite, bodies)
    left_out = [one for one in SUITES[suite].skills if not bodies and get_skill(one) not in known_skills]
    if left_out:
        log.warning("left out, since the model knows only %s: %s", ", ".join(model.bodies), ", ".join(left_out))
    for body, skills in skills_by_body(known_skills).items():
        requests = [Request(skill.prompt, skill.id, one) for skill in skills for one in seeds]
        batch = roll_out(model, body, requests, conditions)
        rollouts[body] = batch.rollouts
        by_skill = group(batch.rollouts, len(seeds))
        for skill, own in zip(skills, by_skill, strict=True):
            known = reference(skill.id, conditions, expert_name(suite, skill.id, experts))
            tasks.append(task_of(skill, own, known, batch.steps_per_second))
        matrices[body] = prompt_matrix(skills, by_skill)
    return Results(
        conditions.seed,
        conditions.episodes,
        suite=suite,
        tasks=tuple(tasks),
        prompt_matrix=matrices,
        rollouts=rollouts,
    )


def suite_skills(model: Gato, suite: str, bodies: Sequence[str] = ()) -> tuple[Skill, ...]:
    """The skills of a suite, in its order, on bodies that the model knows (and that fit)."""
    if suite not in SUITES:
        raise ValueError(f'unknown suite "{suite}"; {near_match(suite, SUITES)}')
    wanted = [get_skill(skill_id) for skill_id in SUITES[suite].skills]
    offered = {skill.body for skill in wanted}
    for body in bodies:
        if body not in offered:
            raise ValueError(f'suite {suite} has no body "{body}"; {near_match(body, offered)}')
    wanted = [skill for skill in wanted if not bodies or skill.body in bodies]
    known = tuple(skill for skill in wanted if skill.body in model.bodies)
    if not known:
        raise ValueError(
            f"the model knows {', '.join(model.bodies)}, and none of the bodies of suite {suite}: "
            f"{', '.join(sorted({skill.body for skill in wanted}))}; use gato eval --dataset ID, "
            "train it on them, or fit without (evaluation.every: 0)"
        )
    for body in skills_by_body(known):
        check_body(model, body)
    return known


def check_body(model: Gato, body: str) -> None:
    """ValueError unless the body is one of Gato's, the model knows it, and its statistics are of that very body."""
    spec = get_body(body).spec
    model.body(body)
    model.codec.check_body(spec)


def skills_by_body(skills: Iterable[Skill]) -> dict[str, list[Skill]]:
    """In the order in which the bodies come."""
    found: dict[str, list[Skill]] = {}
    for skill in skills:
        found.setdefault(skill.body, []).append(skill)
    return found


def group(rollouts: Sequence[Rollout], size: int) -> list[Sequence[Rollout]]:
    """Consecutive runs of `size` rollouts: one for each prompt that was asked for."""
    return [rollouts[start : start + size] for start in range(0, len(rollouts), size)]


def task_of(skill: Skill, rollouts: Sequence[Rollout], known: Reference, steps_per_second: float) -> Task:
    """The figures of one skill's episodes."""
    score = Score.of(rollout.outcome.return_ for rollout in rollouts)
    return Task(skill.id, skill.prompt, score, known, success_rate(skill, rollouts), steps_per_second)


def success_rate(skill: Skill, rollouts: Sequence[Rollout]) -> float:
    """Share of episodes that met the skill's rule."""
    return float(np.mean([skill.success(one.outcome.readings, survived=one.survived) for one in rollouts]))


def prompt_matrix(skills: Sequence[Skill], by_skill: Sequence[Sequence[Rollout]]) -> Matrix:
    """`by_skill`: the episodes under each skill's canonical prompt."""
    return Matrix(
        tuple(skill.prompt for skill in skills),
        tuple(skill.id for skill in skills),
        tuple(tuple(success_rate(behaviour, own) for behaviour in skills) for own in by_skill),
    )


def expert_name(suite: str, skill_id: str, experts: Path | None = None) -> str:
    """Whom a skill of a suite is compared with: the suite's shipped expert, or `<experts>/<body>/<skill>`."""
    return SUITES[suite].expert(skill_id) if experts is None else str(experts / skill_id)


def reference(skill_id: str, conditions: Conditions, expert: str) -> Reference:
    """Mean returns of random actions and of the expert on the same starts; kept, since callers ask again."""
    folder = None
    try:
        folder = find_expert(expert)
    except ValueError as error:
        log.warning("%s is not normalised: %s", skill_id, error)
    return _reference(skill_id, folder, conditions.episodes, conditions.seed, conditions.steps)


@lru_cache(maxsize=256)
def _reference(skill_id: str, expert: Path | None, episodes: int, seed: int, steps: int) -> Reference:
    env_spec = shortened(find_env_spec(skill_id), steps)
    seeds, stepper = evaluation_seeds(seed, episodes), make_stepper(env_spec, episodes)
    random = mean_return(random_actor(stepper.spec, seed), stepper, seeds)
    if expert is None:
        return Reference(random, None)
    return Reference(random, mean_return(load_expert(str(expert), env_spec), stepper, seeds))
