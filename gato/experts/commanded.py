"""Experts of commands: they see the body from its heading, and goal-conditioned ones read beside it what is asked for.

In: a skill that is a command, or takes some. Out: what its expert reads, `Teacher` to act with, and `obeying`, a policy
that follows one command for good. The steppers it is trained in are in `gato.experts.curriculum`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gato.experts.policy import Policy
from gato.experts.views import LEFT_AND_RIGHT, Views
from gato.skills.bodies.symmetry import SignedPermutation, Symmetry
from gato.skills.commands import checked_command, ranges
from gato.skills.evaluate import Actor
from gato.skills.skill import TOLD, Skill
from gato.skills.stepper import Stepper
from gato.skills.table import SKILLS
from gato.specs import COMMANDS, BodySpec, Element


def axes(skill: Skill) -> list[int]:
    """Which of COMMANDS there is a choice of."""
    lows_C, highs_C = ranges(skill)
    return np.flatnonzero(lows_C < highs_C).tolist()


def teacher_spec(spec: BodySpec, skill: Skill) -> BodySpec:
    """What a teacher of the skill reads and does."""
    told = tuple(Element(TOLD + COMMANDS[index]) for index in axes(skill))
    return replace(spec, observation=spec.observation + told)


def teacher_mirror(mirror: Symmetry, skill: Skill) -> Symmetry:
    """The mirror image of what a teacher reads and does, where what it can be told is the same in the mirror.

    ValueError where left becomes right: such a teacher is shown one of the two only (`Views`).
    """
    names, num_sensed = [COMMANDS[index] for index in axes(skill)], len(mirror.observation.order_N)
    if turning := [name for name in LEFT_AND_RIGHT if any(skill.command.get(name, ()))]:
        raise ValueError(
            f"symmetric: {skill.id} is looked at so that it always turns left ({', '.join(turning)}), which the mirror"
            " would undo; leave out symmetric"
        )
    order_N = np.concatenate([mirror.observation.order_N, np.arange(num_sensed, num_sensed + len(names))])
    sign_N = np.concatenate([mirror.observation.sign_N, np.ones(len(names), np.float32)])
    return Symmetry(SignedPermutation(order_N, sign_N), mirror.action)


class Teacher:
    """The expert of a command as an actor of plain observations: where there is a choice it looks up what its stepper
    asks for."""

    def __init__(self, policy: Policy, skill: Skill) -> None:
        self.policy, self.axes, self.views = policy, axes(skill), Views(skill)
        self.always_C = np.nan_to_num(ranges(skill)[0])
        self.stepper: Stepper | None = None

    def watch(self, stepper: Stepper) -> None:
        """From now on it acts in this stepper."""
        self.stepper = stepper

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """Actions (B, A)."""
        command_BC = np.broadcast_to(self.always_C, (len(observations_BO), len(COMMANDS)))
        if self.axes:
            assert self.stepper is not None
            # Rows that somebody else acts in may ask for nothing.
            command_BC = np.nan_to_num(self.stepper.command())
        return self.told(observations_BO, command_BC)

    def told(self, observations_BO: np.ndarray, command_BC: np.ndarray) -> np.ndarray:
        """Actions (B, A) of who is asked for that."""
        seen_BO, told_BC = self.views.show(observations_BO, command_BC)
        return self.views.undo(self.policy(np.concatenate([seen_BO, told_BC[:, self.axes]], 1)), command_BC)


def as_actor(policy: Policy) -> Actor:
    """The policy itself, or, where its skill is a command that it must be told or be shown the body for, with eyes."""
    skill = SKILLS.get(policy.skill)
    if skill is None or not skill.command:
        return policy
    teacher = Teacher(policy, skill)
    return teacher if teacher.axes or not teacher.views.changes_nothing else policy


def obeying(teacher: Policy, skill: Skill, theirs: Skill) -> Policy:
    """A teacher of `theirs` that was told the command of `skill` once and for all, or to stand where that has none: it
    reads only what the body senses, from the side the teacher sees it from.

    ValueError where the skill asks for more than the teacher was taught.
    """
    asked = {COMMANDS[index]: skill.command.get(COMMANDS[index], (0.0,))[0] for index in axes(theirs)}
    told_C = Views(theirs).tell(np.nan_to_num(checked_command(theirs, asked))[None])[0, axes(theirs)]
    num_sensed = len(teacher.mean_O) - len(told_C)
    weight, bias = teacher.layers[0]
    seen_C = (told_C - teacher.mean_O[num_sensed:]) / teacher.std_O[num_sensed:]
    seen_C = np.clip(seen_C, -teacher.observation_clip, teacher.observation_clip).astype(np.float32)
    first = (weight[:num_sensed], bias + seen_C @ weight[num_sensed:])
    return replace(
        teacher,
        skill=skill.id,
        mean_O=teacher.mean_O[:num_sensed],
        std_O=teacher.std_O[:num_sensed],
        layers=(first, *teacher.layers[1:]),
    )


def listening(policy: Policy, skill: Skill) -> Policy:
    """A plain policy as a teacher of `skill` that does not care yet what it is told: the same actions."""
    lows_C, highs_C = (bound_C[axes(skill)] for bound_C in ranges(skill))
    weight, bias = policy.layers[0]
    deaf = np.zeros((len(lows_C), weight.shape[1]), weight.dtype)
    return replace(
        policy,
        skill=skill.id,
        mean_O=np.concatenate([policy.mean_O, (lows_C + highs_C) / 2]),
        std_O=np.concatenate([policy.std_O, (highs_C - lows_C) / np.sqrt(12)]),
        layers=((np.concatenate([weight, deaf]), bias), *policy.layers[1:]),
    )
