"""How exactly bodies do as they are told in numbers: python benchmarks/commands.py [FOLDER ...] [--model MODEL]

A grid over the range of every command (9 values where there is one axis, 5 where two, 4 where three; training draws its
numbers anew, so these cells are held out), an environment each, 12 seconds of which the first 3 do not count. The bar:
a mean error of at most 0.25 (m/s, rad/s) and a correlation of at least 0.95 on every axis. Prints a table and writes
benchmarks/results/commands.json of the teachers that come with Gato, commands-model.json of a MODEL that is told the
same numbers as its prompt; teachers' policy FOLDERs are only printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gato.experts.commanded import Teacher, axes
from gato.experts.policy import Policy
from gato.experts.shipped import find_expert, has_shipped_expert
from gato.model.find import find_model
from gato.model.gato import Gato
from gato.rollout.agent import Agent
from gato.runs import write_json
from gato.skills.commands import ranges
from gato.skills.skill import Skill
from gato.skills.stepper import make_stepper
from gato.skills.table import SKILLS, get_skill
from gato.specs import COMMANDS

CELLS = {1: 9, 2: 5, 3: 4}
"""Axes -> values of each."""
SECONDS, SETTLING = 12.0, 3.0
RESULTS = Path(__file__).parent / "results"


def grid(skill_id: str) -> np.ndarray:
    """Commands (N, C) over the whole range, in the order of COMMANDS; NaN or fixed where there is no axis."""
    skill = get_skill(skill_id)
    lows_C, highs_C = ranges(skill)
    own = axes(skill)
    values = [np.linspace(lows_C[axis], highs_C[axis], CELLS[len(own)]) for axis in own]
    commands_NC = np.tile(lows_C, (CELLS[len(own)] ** len(own), 1))
    commands_NC[:, own] = np.stack(np.meshgrid(*values, indexing="ij"), -1).reshape(-1, len(own))
    return commands_NC


def teacher(name: str) -> tuple[Skill, Callable[[np.ndarray, Any], Any]]:
    """The skill of that policy, and what acts by it: it reads its commands off the simulation."""
    policy = Policy.load(find_expert(name))
    skill = get_skill(policy.skill)

    def make(_: np.ndarray, stepper: Any) -> Teacher:
        actor = Teacher(policy, skill)
        actor.watch(stepper)
        return actor

    return skill, make


def generalist(model: Gato, skill: Skill) -> Callable[[np.ndarray, Any], Any]:
    """What acts by the model, an environment a row of commands."""

    def prompt(command_C: np.ndarray) -> str:
        told = zip(COMMANDS, command_C, strict=True)
        return " ".join(f"{name}={value}" for name, value in told if np.isfinite(value))

    return lambda commands_NC, _: Agent(model, skill.body, [prompt(command_C) for command_C in commands_NC])


def measure(skill: Skill, make: Callable[[np.ndarray, Any], Any]) -> dict[str, Any]:
    """Mean error and correlation on every axis, falls, and what each cell came to."""
    commands_NC, own = grid(skill.id), axes(skill)
    stepper = make_stepper(skill.id, len(commands_NC))
    actor = make(commands_NC, stepper)
    ids = np.arange(stepper.num_envs)
    observations_NO = stepper.reset(ids, ids.tolist())
    stepper.commands.tell(ids, commands_NC)
    fell_N, seen = np.zeros(len(ids), bool), []
    for _ in range(min(round(SECONDS / stepper.body.dt), stepper.max_episode_steps - 1)):
        step = stepper.step(actor(observations_NO))
        observations_NO = step.observations_BO
        fell_N |= step.terminated_B
        seen.append(np.stack([step.readings[COMMANDS[axis]] for axis in own], -1))
    means_NC = np.mean(seen[round(SETTLING / stepper.body.dt) :], axis=0)
    told_NC = commands_NC[:, own]
    errors_C = np.abs(means_NC - told_NC).mean(0)
    correlations = [float(np.corrcoef(means_NC[:, i], told_NC[:, i])[0, 1]) for i in range(len(own))]
    names = [COMMANDS[axis] for axis in own]
    return {
        "cells": len(ids),
        "falls": int(fell_N.sum()),
        "mean_error": dict(zip(names, errors_C.round(3).tolist(), strict=True)),
        "correlation": dict(zip(names, np.round(correlations, 4).tolist(), strict=True)),
        "told": told_NC.round(3).tolist(),
        "came_to": means_NC.round(3).tolist(),
    }


def main() -> None:
    """All goal-conditioned experts that come with Gato, or the folders named, or a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--model", default="")
    options = parser.parse_args()
    shipped = [skill for skill in SKILLS if get_skill(skill).is_commanded and has_shipped_expert(skill)]
    if options.model:
        model = Gato.load(find_model(options.model))
        asked = [get_skill(name) for name in shipped if get_skill(name).body in model.bodies]
        arms = {skill.id: (skill, generalist(model, skill)) for skill in asked}
    else:
        arms = {name: teacher(name) for name in options.folders or shipped}
    results = {}
    for name, arm in arms.items():
        found = results[name] = measure(*arm)
        print(f"{name}: {found['cells']} cells, {found['falls']} falls")
        for axis, error in found["mean_error"].items():
            print(f"  {axis:14} mean error {error:6.3f}   correlation {found['correlation'][axis]:7.4f}")
    if options.model or not options.folders:
        write_json(RESULTS / ("commands-model.json" if options.model else "commands.json"), results)


if __name__ == "__main__":
    main()
