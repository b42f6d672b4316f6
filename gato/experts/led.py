"""An expert that takes over at any speed: the body's goal-conditioned teacher brings it to rest first.

In: the expert of a skill, the teacher of its body. Out: `Led`.
Where slower is a fall, no expert stops a body that another one left at full speed; the teacher, asked for a little less
in every step, does, and every expert can begin at rest.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gato.experts.commanded import Teacher
from gato.skills.commands import ranges
from gato.skills.evaluate import Actor
from gato.skills.skill import Skill
from gato.skills.stepper import Stepper
from gato.specs import COMMANDS

MEMORY = 0.3
"""s: time constant of the mean by which it is known how fast a body moves when it is taken over."""
NEAR = 0.2
"""m/s, rad/s: how near to what the teacher asks for last the expert acts. Who copies this sees the body, not a clock: a
time to wait at rest taught a student to stand where it should hop."""

LED = {"hopper/hop-forward", "hopper/hop-backward", "hopper/hop-in-place", "hopper/stand", "walker2d/hop"}
"""Skills whose experts fall when they take over alone (`python benchmarks/takeovers.py`)."""


class Led:
    """An actor that holds state; `take_over` begins it."""

    def __init__(self, own: Actor, skill: Skill, teacher: Teacher, commands: Skill, *, dt: float) -> None:
        """`own` is the expert of `skill`; `commands`: the skill that the teacher was trained for."""
        self.own, self.teacher, self.dt = own, teacher, dt
        self.low_C, self.high_C = np.nan_to_num(ranges(commands))
        # A skill that is a command is what the teacher itself does when it gets there.
        self.goal_C = np.nan_to_num(ranges(skill)[0])
        self.reach = commands.command_rate * dt

    def watch(self, stepper: Stepper) -> None:
        """Knows from now on how many rows there are."""
        if hasattr(self.own, "watch"):
            self.own.watch(stepper)
        self.moves_BC = np.zeros((stepper.num_envs, len(COMMANDS)))
        self.told_BC = np.tile(self.goal_C, (stepper.num_envs, 1))
        self.leads_B = np.zeros(stepper.num_envs, np.bool_)

    def reset(self, ids: np.ndarray) -> None:
        """Rows `ids` begin at rest, where every expert begins."""
        self.moves_BC[ids], self.leads_B[ids] = 0, False

    def measure(self, readings: Mapping[str, np.ndarray]) -> None:
        """Takes up how rows moved in the last step, (B,) each, NaN where one did not run."""
        for index, name in enumerate(COMMANDS):
            change_B = np.nan_to_num(readings.get(name, np.zeros(len(self.leads_B))) - self.moves_BC[:, index])
            self.moves_BC[:, index] += self.dt / MEMORY * change_B

    def take_over(self, ids: np.ndarray) -> None:
        """Rows `ids` were somebody else's until now."""
        self.told_BC[ids] = np.clip(self.moves_BC[ids], self.low_C, self.high_C)
        self.leads_B[ids] = True

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """Actions (B, A): the teacher's where it leads."""
        actions_BA = self.own(observations_BO)
        self.leads_B &= (np.abs(self.goal_C - self.moves_BC) > NEAR).any(1)
        if not self.leads_B.any():
            return actions_BA
        way_BC = self.goal_C - self.told_BC
        is_near_BC = np.abs(way_BC) <= self.reach
        self.told_BC = np.where(is_near_BC, self.goal_C, self.told_BC + np.sign(way_BC) * self.reach)
        led_BA = self.teacher.told(observations_BO, self.told_BC)
        return np.where(self.leads_B[:, None], led_BA, actions_BA)
