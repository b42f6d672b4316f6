"""A planner that steers one viewer's body: it is asked again and again, and the body does what it chose.

In: a goal in words, readings of every control step. Out: `Decision`s. Who is slow or fails never stops the body.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from gato.planner.deliberation import Asker, Decision, Timing
from gato.planner.mind import Mind
from gato.planner.scene import Pose, describe, poses, see
from gato.planner.situation import Planner, Situation
from gato.skills.bodies import Body
from gato.skills.plan import AVERAGE

EVERY = 1.0
"""s of simulated time from one question to the next."""
START = "start"
"""The only thing that there is to see on the page's floor: where the body stood when it was asked, or began anew."""


@dataclass(frozen=True)
class Pilot:
    """Who may be asked to steer, and how long they are waited for."""

    planner: Planner
    timeout: float = 5.0
    """s of simulated time."""

    def __post_init__(self) -> None:
        _ = self.timing  # a ValueError now, not in the thread of whoever asks first

    @property
    def timing(self) -> Timing:
        """How often it is asked; ValueError for a timeout that is none."""
        return Timing(every=EVERY, timeout=self.timeout, is_real_time=True)

    def asker(self) -> Asker:
        """For one place at a time, whoever has it: a planner that hangs is asked no more from there."""
        return Asker(self.planner, self.timing)


class Steering:
    """Of one body, until it is told something itself."""

    def __init__(self, asker: Asker, body: Body, skills: Mapping[str, str], goal: str, start: Pose | None) -> None:
        """`skills`: id -> the words that may be chosen. `start`: None where a body does not say where it stands."""
        self.goal, self.instruction = goal, ""
        self.skill_of = {words: skill for skill, words in skills.items()}
        self._asker, self._body = asker, body
        self.begin(start)

    def begin(self, start: Pose | None) -> None:
        """Also again, at the start of an episode, with the same wish: what is on its way is not heard any more."""
        self._start, self._mind = start, Mind(self._asker, "")
        self._readings: deque[np.ndarray] = deque(maxlen=max(round(AVERAGE / self._body.dt), 1))

    def decide(self, now: float, readings_R: np.ndarray, stand: Callable[[], Pose | None]) -> Decision | None:
        """After every control step, `now` s since the body began; `stand` is called when it is time to ask. Nothing is
        asked while a question of before is on its way, or who was not there is left alone."""
        self._readings.append(readings_R)
        if not (self._mind.is_waiting or self._asker.is_ready):
            return None
        return self._mind.decide(now, self.instruction, lambda: self._look(now, stand()))

    def _look(self, now: float, pose: Pose | None) -> Situation:
        newest = dict(zip(self._body.readings, np.mean(self._readings, 0).tolist(), strict=True))
        motion = describe(self._body.name, newest, None if pose is None else pose.up)
        sights = () if pose is None or self._start is None else (see(pose, START, (self._start.x, self._start.y)),)
        observation = "; ".join([motion, *(sight.words for sight in sights)])
        options, memory = tuple(self.skill_of), tuple(self._mind.memory)
        return Situation(self._body.name, self.goal, now, observation, sights, options, memory, self.instruction)


def pose(model: mujoco.MjModel, qpos_BQ: np.ndarray) -> Pose | None:
    """Of the first row; None for a body that does not move freely."""
    is_free = model.njnt > 0 and model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE
    return poses(qpos_BQ[:1])[0] if is_free else None
