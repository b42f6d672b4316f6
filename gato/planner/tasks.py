"""Errands on a floor: reach a waypoint, patrol a square, keep away from a ball; and what came of one.

In: a task, what somebody says meanwhile, a seed, the poses of a body. Out: what the body sees, and a `Course`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gato.language.text import normalise, short
from gato.planner.deliberation import Decision
from gato.planner.scene import Pose, Sight, see
from gato.specs import near_match, share_interval

NEAR = 0.5
"""m from a waypoint at which it is reached."""
CLEARANCE = 1.0
"""m to a ball that is to be avoided, torso's middle to its middle: an ant's leg is 0.9 m long."""
STREAM = 91
"""Beside the seed of an episode, for where things lie."""
BALL, WAYPOINT = "ball", "waypoint"
Place = tuple[float, float]
"""(x, y) m in the world; a body begins near (0, 0) and looks along x."""


@dataclass(frozen=True)
class Instruction:
    """Something that somebody says in the middle."""

    seconds: float
    """s since the episode began."""
    words: str


@dataclass(frozen=True)
class World:
    """Where things lie."""

    waypoints: tuple[Place, ...]
    """To be reached in this order."""
    ball: Place
    """A mark on the floor: a body walks through it."""


@dataclass(frozen=True)
class Task:
    """An errand."""

    name: str
    goal: str
    """What a planner is told."""
    seconds: float
    """s of an episode, at most."""
    distances: tuple[float, ...]
    """m from each waypoint to the next; before every one after the first it turns left by a right angle."""
    ball: float
    """m ahead on the way to the first waypoint."""
    instructions: tuple[Instruction, ...] = ()
    """What is said where nobody says anything else."""
    is_kept_away: bool = False
    """Whether it counts only if the body keeps `CLEARANCE` from the ball, from the first instruction on."""

    def world(self, seed: int) -> World:
        """The first waypoint lies in a direction that the seed draws."""
        angle = float(np.random.default_rng([seed, STREAM]).uniform(-math.pi, math.pi))
        ball = self.ball * math.cos(angle), self.ball * math.sin(angle)
        x = y = 0.0
        waypoints = []
        for distance in self.distances:
            x, y = x + distance * math.cos(angle), y + distance * math.sin(angle)
            waypoints.append((x, y))
            angle += math.pi / 2
        return World(tuple(waypoints), ball)


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("reach", "Go to the waypoint.", 60.0, (4.0,), 2.0),
        Task(
            "patrol",
            "Patrol a square: go to the waypoint, which is its next corner, until all four are done.",
            90.0,
            (2.0, 2.0, 2.0, 2.0),
            1.0,
        ),
        Task(
            "avoid",
            "Go to the waypoint.",
            60.0,
            (6.0,),
            3.0,
            instructions=(Instruction(2.0, "avoid the ball!"),),
            is_kept_away=True,
        ),
    )
}


def get_task(name: str) -> Task:
    """ValueError with a near match where there is none."""
    if name not in TASKS:
        raise ValueError(f'no task "{name}"; {near_match(name, TASKS)}')
    return TASKS[name]


def parse_instructions(texts: Sequence[str], task: Task) -> tuple[Instruction, ...]:
    """Each SECONDS:WORDS, in time; ValueError for what can never be heard, is empty, too long or not text."""
    return tuple(sorted((_instruction(text, task) for text in texts), key=lambda one: one.seconds))


def _instruction(text: str, task: Task) -> Instruction:
    when, _, words = text.partition(":")
    try:
        seconds = float(when)
    except ValueError as error:
        raise ValueError(f'got "{short(text)}"; SECONDS:WORDS is needed, such as "12:avoid the ball!"') from error
    if not 0 <= seconds < task.seconds:
        raise ValueError(f'got "{short(text)}"; allowed: from 0 to less than the {task.seconds:g} s of {task.name}')
    try:
        normalise(words)
    except ValueError as error:
        raise ValueError(f'the instruction "{short(text)}": {error}') from error
    return Instruction(seconds, " ".join(words.split()))


@dataclass(frozen=True)
class Course:
    """One errand that was run."""

    task: Task
    seed: int
    world: World
    reached: int
    """Waypoints."""
    seconds: float
    """s that it took, or lasted."""
    fell: bool
    closest: float
    """m to the ball, from the first instruction on; from the beginning where nobody said anything."""
    is_done: bool
    path: tuple[Pose, ...]
    """Before every control step, and after the last."""
    told: tuple[str, ...]
    """Of every control step, what the body was told to do."""
    decisions: tuple[tuple[int, Decision], ...]
    """With the control step at which each was known."""


class Errand:
    """Where one body stands in its task."""

    def __init__(self, task: Task, instructions: tuple[Instruction, ...], seed: int) -> None:
        self.task, self.instructions, self.seed = task, instructions, seed
        self.world = task.world(seed)
        self.path: list[Pose] = []
        self.reached, self.closest = 0, math.inf

    def track(self, pose: Pose, seconds: float) -> None:
        """Here it is, that many s after the beginning."""
        self.path.append(pose)
        if not self.is_over and see(pose, WAYPOINT, self.world.waypoints[self.reached]).distance <= NEAR:
            self.reached += 1
        if not self.instructions or seconds >= self.instructions[0].seconds:
            self.closest = min(self.closest, see(pose, BALL, self.world.ball).distance)

    @property
    def is_over(self) -> bool:
        """Whether there is no waypoint left."""
        return self.reached == len(self.world.waypoints)

    def sights(self) -> tuple[Sight, ...]:
        """The next waypoint, and the ball, from where the body is now."""
        pose = self.path[-1]
        waypoint = self.world.waypoints[min(self.reached, len(self.world.waypoints) - 1)]
        return see(pose, WAYPOINT, waypoint), see(pose, BALL, self.world.ball)

    def instruction(self, seconds: float) -> str:
        """What was said last by then."""
        return next((one.words for one in reversed(self.instructions) if one.seconds <= seconds), "")

    def course(
        self, *, dt: float, fell: bool, told: Sequence[str], decisions: Sequence[tuple[int, Decision]]
    ) -> Course:
        """What came of it."""
        is_kept_away = not self.task.is_kept_away or self.closest >= CLEARANCE
        return Course(
            self.task,
            self.seed,
            self.world,
            self.reached,
            (len(self.path) - 1) * dt,
            fell,
            self.closest,
            self.is_over and not fell and is_kept_away,
            tuple(self.path),
            tuple(told),
            tuple(decisions),
        )


def figures(courses: Sequence[Course]) -> dict[str, Any]:
    """How often the task was done, with Wilson's interval; how long it took, where it was; and what was decided."""
    done = [one for one in courses if one.is_done]
    decisions = [decision for one in courses for _, decision in one.decisions]
    failed = [decision for decision in decisions if decision.choice is None]
    thought = [decision.answered - decision.asked for decision in decisions if decision.choice is not None]
    heard = [one.closest for one in courses if math.isfinite(one.closest)]
    return {
        "success": {
            "mean": len(done) / len(courses),
            "ci95": list(share_interval(len(done), len(courses))),
            "episodes": [float(one.is_done) for one in courses],
        },
        "seconds": float(np.mean([one.seconds for one in done])) if done else None,
        "waypoints": float(np.mean([one.reached / len(one.world.waypoints) for one in courses])),
        "closest_to_ball": {"mean": float(np.mean(heard)), "min": min(heard)} if heard else None,
        "falls": sum(one.fell for one in courses),
        "decisions": len(decisions),
        "failed_decisions": len(failed),
        "declined_instructions": sum(bool(one.choice and one.choice.remark) for one in decisions),
        "answer_seconds": float(np.median(thought)) if thought else None,
        "first_failure": failed[0].error if failed else None,
    }
