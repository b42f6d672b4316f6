"""A planner that steers one viewer's body: it is asked again and again, and the body does what it chose.

In: a goal in words, readings of every control step. Out: `Decision`s. Who is slow or fails never stops the body.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import mujoco
import numpy as np

from gato.planner.deliberation import Asker, Decision, Timing
from gato.planner.mind import Mind
from gato.planner.scene import Pose, describe, poses, see
from gato.planner.situation import Planner, Situation
from gato.skills.bodies import Body
from gato.skills.plan import AVERAGE

TIMING = Timing(every=1.0, is_real_time=True)
START = "start"
"""The only thing that there is to see on the page's floor: where the body stood when it was asked."""


class Steering:
    """Of one body, until it is told something itself."""

    def __init__(self, planner: Planner, body: Body, skills: Mapping[str, str], goal: str, start: Pose | None) -> None:
        """`skills`: id -> the words that may be chosen. `start`: None where a body does not say where it stands."""
        self.goal, self.instruction = goal, ""
        self.skill_of = {words: skill for skill, words in skills.items()}
        self._planner, self._body = planner, body
        self.begin(start)

    def begin(self, start: Pose | None) -> None:
        """Also again, at the start of an episode, with the same wish: what is on its way is not heard any more."""
        self._start, self._mind = start, Mind(Asker(self._planner, TIMING), "")
        self._readings: deque[np.ndarray] = deque(maxlen=max(round(AVERAGE / self._body.dt), 1))

    def decide(self, now: float, readings_R: np.ndarray, stand: Callable[[], Pose | None]) -> Decision | None:
        """After every control step, `now` s since the body began; `stand` is called when it is time to ask."""
        self._readings.append(readings_R)
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
