"""Episodes of a trained arm: every task by its return, or a body that nobody told which way to run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gato.rollout.prompted import Conditions, shortened
from gato.rollout.suite import Results, Task, expert_name, reference
from gato.skills.evaluate import Actor, Outcome, evaluation_seeds, run_episodes
from gato.skills.skill import Skill
from gato.skills.stepper import find_env_spec, make_stepper
from gato.skills.table import get_skill
from gato.specs import Score
from peer_arms.arm import Arm

SUITE = "demo"
"""Whose experts returns are compared with, where nothing else is said."""
MakeActor = Callable[[str, Sequence[str]], Actor]
"""Skill id and prompts -> who acts."""


def measure(arm: Arm, skills: Sequence[str], conditions: Conditions, *, suite: str = SUITE) -> Results:
    """Each task by itself under its canonical prompt, from the same starts for all arms; the suite's experts are 1."""
    tasks = []
    for skill in map(get_skill, skills):
        outcomes, steps_per_second = _run(arm.actor, skill, skill.prompt, conditions)
        tasks.append(
            Task(
                skill.id,
                skill.prompt,
                Score.of(one.return_ for one in outcomes),
                reference(skill.id, conditions, expert_name(suite, skill.id)),
                float(np.mean([_succeeds(skill, one) for one in outcomes])),
                steps_per_second,
            )
        )
    return Results(conditions.seed, conditions.episodes, suite=suite, tasks=tuple(tasks))


def measure_either(actor: MakeActor, skills: Sequence[str], conditions: Conditions) -> dict[str, Any]:
    """Told nothing: the share of episodes that did one of the two skills by its rule, and how fast they went."""
    either = [get_skill(skill) for skill in skills]
    outcomes, steps_per_second = _run(actor, either[0], "", conditions)
    did_KE = np.array([[_succeeds(skill, one) for one in outcomes] for skill in either])
    speeds = [abs(float(one.readings[either[0].reading].mean())) for one in outcomes]
    return {
        "either": float(did_KE.any(0).mean()),
        "each": {skill.id: float(did_E.mean()) for skill, did_E in zip(either, did_KE, strict=True)},
        "speed": Score.of(speeds).json(),
        "steps_per_second": steps_per_second,
    }


def _run(actor: MakeActor, skill: Skill, prompt: str, conditions: Conditions) -> tuple[tuple[Outcome, ...], float]:
    """The episodes, and their control steps a second, acting and stepping together."""
    stepper = make_stepper(shortened(find_env_spec(skill.id), conditions.steps), conditions.episodes)
    acting = actor(skill.id, [prompt] * conditions.episodes)
    began = time.perf_counter()
    outcomes = run_episodes(acting, stepper, evaluation_seeds(conditions.seed, conditions.episodes))
    return outcomes, sum(one.length for one in outcomes) / (time.perf_counter() - began)


def _succeeds(skill: Skill, outcome: Outcome) -> bool:
    return skill.success(outcome.readings, survived=not outcome.terminated)
