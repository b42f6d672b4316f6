"""All viewers of one body: one agent, one batch of simulations, one clock. Whoever is not paused steps with the others.

In: sessions and what they want. Out: what every control step brings, told to each.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from gato.model.gato import Gato
from gato.planner.deliberation import Asker
from gato.planner.scene import Pose
from gato.play.scene import Poses, scene
from gato.play.session import Session
from gato.play.steering import Pilot, Steering, pose
from gato.play.words import Meaning
from gato.rollout.agent import Agent
from gato.skills.batch_stepper import BatchStepper
from gato.skills.environment import TRUNK
from gato.skills.stepper import find_env_spec
from gato.skills.table import skills_of
from gato.skills.transition import Transition

POSES = 60.0
"""Poses a second of simulated time, about: what a screen shows. A body that acts more often is shown every so many
control steps, one that acts less often several times in each."""
FALLEN = 1.0
"""s out of the range in which the body's own rule calls it healthy, after which it begins anew."""
PUSH_SPEED, PUSH_SECONDS = 1.0, 0.1
"""m/s that a push gives the whole body, and the time it takes."""
LATE = 0.2
"""s behind the clock, from which on simulated time is given up for good."""
PACE_SECONDS = 1.0
"""Over which the pace is measured."""

log = logging.getLogger(__name__)


@dataclass
class Spent:
    """Seconds of the world's thread, so far."""

    policy: float = 0.0
    physics: float = 0.0
    showing: float = 0.0
    """Poses and frames."""
    steps: int = 0
    """Control steps, over all sessions."""


class Room:
    """Not for several threads at once."""

    def __init__(self, model: Gato, body: str, most_sessions: int, spent: Spent, *, seed: int = 0) -> None:
        skill = skills_of(body)[0].id
        self.agent = Agent(model, body, [""] * most_sessions)
        self.stepper = BatchStepper(skill, most_sessions, env_spec=find_env_spec(skill), num_threads=1)
        self.body = self.stepper.body
        self._shown_every = max(round(1 / (POSES * self.body.dt)), 1)
        self.stepper.keep_motion(max(round(POSES * self.body.dt), 1))
        self._poses, self._scene = Poses(self.stepper.model), scene(self.stepper.model)
        self._observations_BO = np.zeros((most_sessions, len(self.body.spec.observation)))
        self._free = list(range(most_sessions))[::-1]
        self._askers: dict[int, Asker] = {}
        """Of each row: as many threads as there are rows, whoever comes and goes."""
        self._seeds = np.random.default_rng(seed)
        self._spent = spent
        self._ticks: deque[float] = deque(maxlen=max(round(PACE_SECONDS / self.body.dt), 2))
        self.sessions: list[Session] = []
        self.due = math.inf
        """When the next control step is, as `time.perf_counter` counts; inf while nobody steps."""

    def enter(self, session: Session, meaning: Meaning) -> None:
        """A simulation of its own, told that; the scene comes before its first frame."""
        session.body, session.row = self.body.name, self._free.pop()
        session.is_paused, session.steps = False, 0
        self.sessions.append(session)
        units = [{"name": name, "unit": reading.unit} for name, reading in self.body.readings.items()]
        session.tell("body", body=self.body.name, dt=self.body.dt, readings=units, scene=self._scene)
        self.begin(session)
        self.say(session, meaning)
        self._wake()

    def leave(self, session: Session) -> None:
        """Its row is free for another."""
        self.stepper.push(np.array([session.row]), np.zeros((1, 3)))
        self.sessions.remove(session)
        self._free.append(session.row)
        session.body, session.row, session.plan, session.course, session.steering = "", -1, None, None, None
        self._wake()

    def begin(self, session: Session, why: str = "") -> None:
        """The start of an episode, under the same words; a plan is over."""
        row = np.array([session.row])
        session.steps = session.steps_down = session.steps_pushed = 0
        self.stepper.push(row, np.zeros((1, 3)))
        seed = int(self._seeds.integers(2**31))
        self._observations_BO[row] = self.stepper.reset(row, [seed])
        self.agent.reset(row)
        session.begin_plan(None)
        session.tell("begun", why=why, seed=seed)
        if session.steering is not None:
            session.steering.begin(self._pose(session))
        if session.is_paused:  # else nothing would be seen of it
            self._show(session, self.stepper.get_state(row)[0], np.full(len(self.body.readings), np.nan))

    def say(self, session: Session, meaning: Meaning) -> None:
        """From the next control step on."""
        session.prompt, session.skill = meaning.prompt, meaning.skill
        self._tell_agent(session)
        session.begin_plan(meaning.plan)
        session.begin_steering(None)
        session.tell_words(meaning.note)

    def ask(self, session: Session, pilot: Pilot, skills: Mapping[str, str], words: str) -> None:
        """The planner steers from now on, with these words as its goal; where it does already, as an instruction.

        `skills`: id -> words, what it may choose."""
        if session.steering is None:
            session.begin_plan(None)
            asker = self._askers.setdefault(session.row, pilot.asker())
            session.begin_steering(Steering(asker, self.body, skills, words, self._pose(session)))
            if asker.is_busy:  # whoever had the place before asked it
                session.tell("error", error="the planner is busy with an earlier question; it is asked after that")
        else:
            session.steering.instruction = words
            session.tell_steering()

    def pause(self, session: Session, is_on: bool) -> None:
        """Time stands still for this session only."""
        session.is_paused = is_on
        session.tell("paused", is_on=is_on)
        self._wake()

    def push(self, session: Session) -> None:
        """A force at its trunk for a moment, aslant: neither along the track nor across it."""
        angle = math.radians(45 + 90 * int(self._seeds.integers(4)))
        session.steps_pushed = max(round(PUSH_SECONDS / self.body.dt), 1)
        mass = float(self.stepper.model.body_subtreemass[TRUNK])
        force = mass * PUSH_SPEED / (session.steps_pushed * self.body.dt)
        direction_3 = np.array([math.cos(angle), math.sin(angle), 0.0])
        self.stepper.push(np.array([session.row]), force * direction_3[None])
        session.tell("pushed", direction=direction_3[:2].tolist(), newtons=force)

    def asks(self) -> tuple[Agent, np.ndarray, np.ndarray]:
        """What is to act, for whom, and on which observations: everybody who is not paused."""
        rows = _rows(self._running())
        return self.agent, rows, self._observations_BO[rows]

    def step(self, actions_BA: np.ndarray) -> None:
        """One control step of those that asked."""
        began = time.perf_counter()
        stepping, step = self._step(self._running(), actions_BA)
        stepped = time.perf_counter()
        if step is not None:
            self._tell_step(stepping, step)
        self._spent.physics += stepped - began
        self._spent.showing += time.perf_counter() - stepped
        self._spent.steps += len(stepping)
        self._go_on()

    def fail(self, error: Exception) -> None:
        """How far those came that ran is not known: they begin anew, and paused, since it may fail again."""
        ran = [session for session in self.sessions if not session.is_paused]
        told = (
            f"the server failed ({type(error).__name__}, see its log); it begins anew and is paused: go on tries again"
        )
        for session in ran:
            self.pause(session, True)
            session.tell("error", error=told)
        for session in ran:
            self.begin(session)

    def _running(self) -> list[Session]:
        return sorted((one for one in self.sessions if not one.is_paused), key=lambda one: one.row)

    def _step(self, running: list[Session], actions_BA: np.ndarray) -> tuple[list[Session], Transition | None]:
        """Who stepped, and how far they came; None for nobody. Whose simulation breaks begins anew instead, and the
        others step as if it had not been there, to the bit."""
        rows, before = _rows(running), self.stepper.snapshot()
        try:
            step = self.stepper.step(actions_BA, rows)
        except FloatingPointError as error:
            is_whole_B, told = _fits_float32(np.concatenate(self.stepper.get_state(rows), 1)), str(error)
            if is_whole_B.all():
                raise
        else:
            is_whole_B, told = _fits_float32(step.observations_BO), f"{self.body.name}: the simulation got out of hand"
        if is_whole_B.all():
            return running, step
        self.stepper.restore(before)
        for session in (one for one, is_whole in zip(running, is_whole_B, strict=True) if not is_whole):
            session.tell("error", error=told)
            self.begin(session, "the simulation broke")
        whole = [one for one, is_whole in zip(running, is_whole_B, strict=True) if is_whole]
        return whole, self.stepper.step(actions_BA[is_whole_B], _rows(whole)) if whole else None

    def _tell_step(self, running: list[Session], step: Transition) -> None:
        """What these see, and who falls, or comes to another part of a plan."""
        self._observations_BO[_rows(running)] = step.observations_BO
        readings_BR = np.stack([step.readings[name] for name in self.body.readings], 1)
        motion_TBQ = self.stepper.motion_TbQ
        assert motion_TBQ is not None
        for index, session in enumerate(running):
            session.steps += 1
            if session.steps % self._shown_every == 0:
                self._show(session, motion_TBQ[:, index], readings_BR[index])
            self._end_push(session)
            session.steps_down = session.steps_down + 1 if step.terminated_B[index] else 0
            if session.steps_down * self.body.dt >= FALLEN:
                self.begin(session, "it fell")
            elif session.follow_plan(
                {name: values_B[[index]] for name, values_B in step.readings.items()}
            ) or session.follow_steering(readings_BR[index], partial(self._pose, session)):
                self._tell_agent(session)
                session.tell_words()

    def _pose(self, session: Session) -> Pose | None:
        return pose(self.stepper.model, self.stepper.get_state(np.array([session.row]))[0])

    def _end_push(self, session: Session) -> None:
        if session.steps_pushed:
            session.steps_pushed -= 1
            if not session.steps_pushed:
                self.stepper.push(np.array([session.row]), np.zeros((1, 3)))

    def _tell_agent(self, session: Session) -> None:
        if self.agent.prompts[session.row] != session.prompt:
            self.agent.set_prompt(np.array([session.row]), [session.prompt])

    def _show(self, session: Session, motion_TQ: np.ndarray, readings_R: np.ndarray) -> None:
        session.show(self._poses(motion_TQ), readings_R, self._pace())

    def _pace(self) -> float:
        """Simulated seconds a second; 1 before it can be told."""
        if len(self._ticks) < 2:
            return 1.0
        return (len(self._ticks) - 1) * self.body.dt / (self._ticks[-1] - self._ticks[0])

    def _wake(self) -> None:
        """Somebody came, left, paused or went on."""
        steps = any(not session.is_paused for session in self.sessions)
        if not steps:
            self.due = math.inf
        elif self.due == math.inf:
            self.due = time.perf_counter()
            self._ticks.clear()

    def _go_on(self) -> None:
        now = time.perf_counter()
        self._ticks.append(now)
        self.due = now if now - self.due > LATE else self.due + self.body.dt
        self._wake()


def _rows(sessions: list[Session]) -> np.ndarray:
    return np.array([session.row for session in sessions])


def _fits_float32(numbers_BX: np.ndarray) -> np.ndarray:
    """(B,) Whether an agent, which sees float32, can act on them."""
    with np.errstate(over="ignore"):
        return np.asarray(np.isfinite(numbers_BX.astype(np.float32)).all(1))
