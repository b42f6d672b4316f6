"""A plan, followed: how often a model did each of its parts.

In: a model and a `Plan`. Out: `Followed`. A part is done if what it waits for came in time, the body did not fall, and
the rule of its skill held over the second half of the part's own time; the first half is there to get going.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gato.model.gato import Gato
from gato.rollout.prompted import Conditions, Request, Rollout, roll_out
from gato.rollout.suite import check_body
from gato.rollout.switching import without_turns
from gato.skills.bodies import get_body
from gato.skills.evaluate import evaluation_seeds
from gato.skills.plan import Part, Plan
from gato.skills.stepper import find_env_spec
from gato.skills.table import get_skill
from gato.specs import Score


@dataclass(frozen=True)
class Run:
    """One part, or one of its repeats, in one episode."""

    is_reached: bool
    """Whether the body was still on its feet when its time came."""
    is_done: bool
    fell: bool
    seconds: float
    """s it lasted."""


@dataclass(frozen=True)
class PartResult:
    """One part over the episodes; with repeats it is done if all of them are."""

    part: Part
    success: Score
    reached: float
    """Share of episodes that came to it."""
    falls: int
    seconds: float | None
    """Mean s that it lasted, repeats and all, where it was reached."""

    def json(self) -> dict[str, Any]:
        """The part's own fields, "success", "reached", "falls" and "took", in s."""
        return {
            **dataclasses.asdict(self.part),
            "success": self.success.json(),
            "reached": self.reached,
            "falls": self.falls,
            "took": self.seconds,
        }


@dataclass(frozen=True)
class Followed:
    """A plan over the episodes."""

    plan: Plan
    success: Score
    """Episodes in which every part was done."""
    parts: tuple[PartResult, ...]

    def json(self) -> dict[str, Any]:
        """{"plan" in words, "plan_success", "plan_parts"}."""
        return {
            "plan": self.plan.words,
            "plan_success": self.success.json(),
            "plan_parts": [part.json() for part in self.parts],
        }


def follow(model: Gato, plan: Plan, conditions: Conditions) -> tuple[Followed, tuple[Rollout, ...]]:
    """Tells the model the parts one after the other, in every episode by its own time and readings; and the episodes.

    They end with the plan, whatever `conditions.steps` says. ValueError where the model does not know the body.
    """
    check_body(model, plan.body)
    first = get_skill(plan.parts[0].skill)
    seeds = evaluation_seeds(conditions.seed, conditions.episodes)
    requests = [Request(first.prompt, first.id, seed, plan=plan) for seed in seeds]
    steps = sum(stage.steps for stage in requests[0].stages)
    env_spec = dataclasses.replace(find_env_spec(first.id), max_episode_steps=steps)
    long_enough = dataclasses.replace(conditions, steps=steps)
    rollouts = roll_out(model, plan.body, requests, long_enough, env_spec=env_spec).rollouts
    return judge_plan(plan, rollouts), rollouts


def judge_plan(plan: Plan, rollouts: Sequence[Rollout]) -> Followed:
    """What came of the plan in these episodes of it."""
    by_part: list[list[list[Run]]] = [[] for _ in plan.parts]
    for rollout in rollouts:
        runs = iter(_runs(plan, rollout))
        for part, own in zip(plan.parts, by_part, strict=True):
            own.append([next(runs) for _ in range(part.repeats)])
    done = [[float(all(run.is_done for run in episode)) for episode in own] for own in by_part]
    results = tuple(map(_result, plan.parts, by_part, done))
    return Followed(plan, Score.of(map(min, zip(*done, strict=True))), results)


def _result(part: Part, episodes: Sequence[Sequence[Run]], done: Sequence[float]) -> PartResult:
    """The runs of one part, an episode each; and whether each of these is done."""
    reached = [runs for runs in episodes if runs[0].is_reached]
    return PartResult(
        part,
        Score.of(done),
        len(reached) / len(episodes),
        sum(run.fell for runs in episodes for run in runs),
        sum(run.seconds for runs in reached for run in runs) / len(reached) if reached else None,
    )


def _runs(plan: Plan, rollout: Rollout) -> list[Run]:
    """Each run of the plan in one episode, those that it did not come to included."""
    never = len(plan.runs) - len(rollout.begins)
    ends = [*rollout.begins[1:], rollout.outcome.length]
    spans = [*zip(rollout.begins, ends, strict=True), *[(rollout.outcome.length,) * 2] * never]
    return [_run(part, rollout, begin, end) for part, (begin, end) in zip(plan.runs, spans, strict=True)]


def _run(part: Part, rollout: Rollout, begin: int, end: int) -> Run:
    """The part that held from one control step to another."""
    if begin == end:
        return Run(is_reached=False, is_done=False, fell=False, seconds=0.0)
    skill, outcome = get_skill(part.skill), rollout.outcome
    dt = get_body(skill.body).dt
    fell = outcome.terminated and end == outcome.length
    until = part.until
    is_enough = until is None or until.holds(outcome.readings[until.reading][begin:end].tolist(), dt)
    settled = without_turns(skill, outcome.readings, (begin + end) // 2, end)
    is_done = is_enough and skill.success(settled, survived=not fell)
    return Run(is_reached=True, is_done=is_done, fell=fell, seconds=(end - begin) * dt)
