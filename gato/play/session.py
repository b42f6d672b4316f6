"""One viewer's simulation as the world's thread knows it, and what is told of it.

In: what happens. Out: events (dicts that are JSON) and frames (bytes), given to `deliver`.
A frame is little-endian: three float64 (s of simulated time at its end, number T of its moments, pace: simulated s a
s), then float32 poses (T, N, 7), then a float32 for every reading of the body.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from gato.planner.scene import Pose
from gato.play.steering import Steering
from gato.rollout.course import Course, stages
from gato.skills.bodies import get_body
from gato.skills.plan import Plan
from gato.skills.table import get_skill

Deliver = Callable[[dict[str, object] | bytes], None]
"""Takes an event or a frame, at once and from any thread."""


@dataclass(eq=False)
class Session:
    """Only the world's thread writes to it."""

    deliver: Deliver
    body: str = ""
    """"" before it has a simulation, and after."""
    row: int = -1
    """Of the agent and the stepper of its body."""
    prompt: str = ""
    skill: str | None = None
    is_paused: bool = False
    steps: int = 0
    """Control steps since it began."""
    steps_down: int = 0
    """The newest of them, in which the body was not healthy."""
    steps_pushed: int = 0
    """Control steps that a push still lasts."""
    plan: Plan | None = None
    course: Course | None = field(default=None, repr=False)
    steering: Steering | None = field(default=None, repr=False)
    """While a planner steers."""

    @property
    def time(self) -> float:
        """s of simulated time since it began."""
        return self.steps * get_body(self.body).dt

    def tell(self, event: str, **told: object) -> None:
        """An event, with its simulated time."""
        self.deliver({"event": event, "time": self.time if self.body else 0.0, **told})

    def tell_words(self, note: str | None = None) -> None:
        """What the body is told now. `note`: how somebody was understood; None where nobody has just said anything."""
        reading = get_skill(self.skill).reading if self.skill else None
        self.tell("told", prompt=self.prompt, skill=self.skill, reading=reading, note=note)

    def begin_plan(self, plan: Plan | None) -> None:
        """Follows that plan from now on, or none."""
        was_one = self.plan is not None
        self.plan, self.course = plan, None if plan is None else Course([stages(plan)])
        if plan is not None:
            self.tell("plan", parts=[_words(plan, index) for index in range(len(plan.runs))], index=0)
        elif was_one:
            self.tell("plan", parts=[], index=0)

    def follow_plan(self, readings: Mapping[str, np.ndarray]) -> bool:
        """One more control step, with these readings (1,); whether the words are others from now on."""
        if self.course is None or self.plan is None:
            return False
        before = len(self.course.begins[0])
        self.course.measure(readings)
        now = len(self.course.begins[0])
        if self.course.is_done_B[0]:
            self.plan, self.course = None, None
            self.tell("plan", parts=[], index=0, is_done=True)
            return False
        if now == before:
            return False
        self.tell("part", index=now - 1)
        skill = get_skill(self.plan.runs[now - 1].skill)
        is_new, self.prompt, self.skill = skill.prompt != self.prompt, skill.prompt, skill.id
        return is_new

    def begin_steering(self, steering: Steering | None) -> None:
        """A planner steers from now on, or none."""
        was_one = self.steering is not None
        self.steering = steering
        if steering is not None or was_one:
            self.tell_steering()

    def tell_steering(self) -> None:
        """What the planner is after; nothing once it steers no more."""
        goal, instruction = (self.steering.goal, self.steering.instruction) if self.steering else ("", "")
        self.tell("steered", goal=goal, instruction=instruction)

    def follow_steering(self, readings_R: np.ndarray, stand: Callable[[], Pose | None]) -> bool:
        """One more control step, with these readings; whether the words are others from now on."""
        decision = self.steering.decide(self.time, readings_R, stand) if self.steering else None
        if self.steering is None or decision is None:
            return False
        self.tell("decided", **decision.json())
        if decision.choice is None or decision.choice.option == self.prompt:
            return False
        self.prompt = decision.choice.option
        self.skill = self.steering.skill_of[self.prompt]
        return True

    def show(self, poses_TN7: np.ndarray, readings_R: np.ndarray, pace: float) -> None:
        """A frame."""
        head = np.array([self.time, len(poses_TN7), pace], "<f8").tobytes()
        self.deliver(head + poses_TN7.astype("<f4").tobytes() + readings_R.astype("<f4").tobytes())


def _words(plan: Plan, index: int) -> str:
    return dataclasses.replace(plan, parts=(dataclasses.replace(plan.runs[index], repeats=1),)).words
