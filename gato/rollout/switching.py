"""New words while the body moves: how often, and how soon, it does the other thing.

In: a model and the skills of a body. Out: a `Switching`. A trial begins under one skill's prompt and gets another's at
a random time. It is obeyed if, within `REACTION` of simulated time, the moving average of the readings meets what the
new skill's rule says of means, and the body from then on keeps to what it says of extremes and does not fall. Where the
rule held before the words changed, that says nothing about them: such a trial counts for falls only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from gato.model.gato import Gato
from gato.rollout.prompted import Conditions, Request, roll_out
from gato.skills.bodies import get_body
from gato.skills.evaluate import Outcome, evaluation_seeds
from gato.skills.plan import AVERAGE, REACTION
from gato.skills.table import Skill

TURN = 2 * np.pi
EARLIEST, LATEST = 1.0, 5.0
"""s; the new prompt comes at a uniformly random time between them."""


@dataclass(frozen=True)
class Switching:
    """Over the trials of one body."""

    rate: float | None
    """Share of trials in which the new prompt was obeyed, of those that did not hold before; None where all did."""
    falls: int
    """Trials in which the body fell, before the switch or within `REACTION` after it; none of them counts as obeyed."""
    median_seconds: float | None
    """From the switch until the moving average met the rule, over the obeyed trials."""
    trials: int
    held_before: int
    """Trials in which the rule held when the words changed: in `trials` and `falls`, left out of all else."""
    seconds: tuple[float, ...] = ()
    """Of each obeyed trial, as in `median_seconds`."""

    def json(self) -> dict[str, Any]:
        """{"rate", "falls", "median_seconds", "trials", "held_before"}."""
        return {name: value for name, value in vars(self).items() if name != "seconds"}


def switching(model: Gato, skills: Sequence[Skill], conditions: Conditions) -> Switching:
    """`conditions.episodes` trials on the body of these skills; pairs of skills take turns, `steps` plays no part."""
    body = get_body(skills[0].body)
    pairs = list(permutations(skills, 2))
    if not pairs:
        raise ValueError(f"{body.name} has one skill, {skills[0].id}: there is nothing to switch to")
    rng = np.random.default_rng([conditions.seed, 1])
    times = rng.integers(round(EARLIEST / body.dt), round(LATEST / body.dt) + 1, conditions.episodes)
    seeds = evaluation_seeds(conditions.seed, conditions.episodes)
    chosen = [pairs[trial % len(pairs)] for trial in range(conditions.episodes)]
    requests = [
        Request(before.prompt, before.id, seed, switch=(int(step), after.prompt))
        for (before, after), seed, step in zip(chosen, seeds, times, strict=True)
    ]
    long_enough = replace(conditions, steps=round((LATEST + REACTION) / body.dt))
    rollouts = roll_out(model, body.name, requests, long_enough).rollouts
    trials = [
        judge(after, rollout.outcome, int(step), body.dt)
        for (_, after), step, rollout in zip(chosen, times, rollouts, strict=True)
    ]
    counted = [trial for trial in trials if not trial.held_before]
    seconds = [trial.seconds for trial in counted if trial.seconds is not None]
    return Switching(
        rate=len(seconds) / len(counted) if counted else None,
        falls=sum(trial.fell for trial in trials),
        median_seconds=float(np.median(seconds)) if seconds else None,
        trials=len(trials),
        held_before=len(trials) - len(counted),
        seconds=tuple(seconds),
    )


@dataclass(frozen=True)
class Trial:
    """One change of skill."""

    fell: bool
    seconds: float | None
    """Until the new skill was done; None if it was not."""
    held_before: bool = False
    """Whether it was done already, over the moving average that ends at the switch: then `seconds` says nothing."""


def judge(skill: Skill, outcome: Outcome, first: int, dt: float) -> Trial:
    """What came of asking for `skill` from control step `first` (of `dt` seconds) of an episode."""
    last, width = first + round(REACTION / dt), round(AVERAGE / dt)
    held_before = _held(skill, outcome, max(first - width, 0), first)
    extremes = [condition for condition in skill.rule if condition.statistic in ("min", "max")]
    means = [condition for condition in skill.rule if condition not in extremes]
    if outcome.terminated and outcome.length <= last:
        return Trial(True, None, held_before)
    for end in range(first + 1, last + 1):
        window = {name: values[max(end - width, 0) : end] for name, values in outcome.readings.items()}
        if all(one.holds(window) for one in means):
            rest = without_turns(skill, outcome.readings, end - 1, last)
            if all(one.holds(rest) for one in extremes):
                return Trial(False, (end - first) * dt, held_before)
    landed = without_turns(skill, outcome.readings, last - 1, last)
    return Trial(not all(one.holds(landed) for one in extremes), None, held_before)


def _held(skill: Skill, outcome: Outcome, begin: int, end: int) -> bool:
    """Whether the whole rule held from step `begin` to `end`, which the body lived to see."""
    if outcome.length <= end:
        return False
    window = without_turns(skill, outcome.readings, begin, end)
    return all(one.holds(window) for one in skill.rule)


def without_turns(skill: Skill, readings: Mapping[str, np.ndarray], begin: int, end: int) -> dict[str, np.ndarray]:
    """Readings from step `begin` to `end`, angles without the whole turns that an earlier skill may have made."""
    units = {name: reading.unit for name, reading in get_body(skill.body).readings.items()}
    turns = {
        name: np.round(values[begin] / TURN) * TURN * (units.get(name) == "rad") for name, values in readings.items()
    }
    return {name: values[begin:end] - turns[name] for name, values in readings.items()}
