"""The one thread that acts: what waits at a moment is answered together, a batch a body.

In: messages of many connections. Out: a future `Answer` for each. Every connection has a row of its own in the agent of
its body, with its own prompt and history; rows go at the pace of their connections. Only this thread touches the model.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from gato.model.gato import Gato
from gato.rollout.agent import Agent
from gato.serve.catalogue import Catalogue
from gato.serve.messages import Message

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Session:
    """A connection as the acting thread knows it; nobody else writes to it."""

    body: str = ""
    """"" until a message of it was right."""
    row: int = -1
    """Of the body's agent."""
    skill: str | None = None
    """What its words mean."""
    is_gone: bool = False


@dataclass(frozen=True)
class Answer:
    """To one message."""

    action_A: np.ndarray
    skill: str | None
    waited: float
    """Seconds from the question to the batch that answered it."""
    inferred: float
    """Seconds of that batch."""
    rows: int
    """Messages that it answered."""


@dataclass(frozen=True)
class _Job:
    session: Session
    message: Message | None
    """None: the session is over."""
    answer: Future[Answer] = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True)
class _Step:
    """A message that was found right: what its row shall do."""

    job: _Job
    body: str
    observation_O: np.ndarray
    prompt: str | None
    """None: as before."""
    skill: str | None
    is_first: bool


class _Rows:
    """The agent of one body, and which of its rows nobody has."""

    def __init__(self, model: Gato, body: str, most_sessions: int) -> None:
        self.agent = Agent(model, body, [""] * most_sessions)
        self.free = list(range(most_sessions))[::-1]


class Batcher:
    """Acts for at most `most_sessions` sessions at a time; `with` it, its thread runs."""

    def __init__(self, model: Gato, catalogue: Catalogue, most_sessions: int) -> None:
        self._model, self._catalogue, self._most_sessions = model, catalogue, most_sessions
        self._rows: dict[str, _Rows] = {}
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="gato-serve", daemon=True)

    def __enter__(self) -> Batcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._jobs.put(None)
        self._thread.join()

    def ask(self, session: Session, message: Message) -> Future[Answer]:
        """The answer to come, one at a time for each session. It may fail with ValueError, where the message is wrong
        (it has then changed nothing), or RuntimeError, where the server is."""
        job = _Job(session, message)
        self._jobs.put(job)
        return job.answer

    def leave(self, session: Session) -> None:
        """The session is over: its row is free for another."""
        self._jobs.put(_Job(session, None))

    def num_sessions(self) -> int:
        """Rows that somebody has."""
        return sum(self._most_sessions - len(rows.free) for rows in self._rows.values())

    def _run(self) -> None:
        while jobs := self._waiting():
            self._work(jobs)

    def _waiting(self) -> list[_Job]:
        """All that waits at this moment, at least one; none when it is over."""
        jobs = [self._jobs.get()]
        while not self._jobs.empty():
            jobs.append(self._jobs.get())
        return [job for job in jobs if job is not None] if None not in jobs else []

    def _work(self, jobs: list[_Job]) -> None:
        # Who left comes first: a row that is given away must have nothing to do for its last session any more.
        for job in jobs:
            if job.message is None:
                self._free(job.session)
        steps: dict[str, list[_Step]] = {}
        for job in jobs:
            if job.message is None or job.session.is_gone or not job.answer.set_running_or_notify_cancel():
                continue
            try:
                step = self._checked(job, job.message)
            except ValueError as error:
                job.answer.set_exception(error)
            except Exception as error:  # the border: what one connection sent must not stop the others' thread
                log.exception("a message could not be checked")
                told = f"the server failed ({type(error).__name__}, see its log); the message has changed nothing"
                job.answer.set_exception(RuntimeError(told))
            else:
                steps.setdefault(step.body, []).append(step)
        for body, own in steps.items():
            try:
                self._act(body, own)
            except Exception as error:  # the border: a batch may fail (memory), the others and the server go on
                log.exception("acting for %s failed", body)
                self._begin_anew(own, f"the server failed ({type(error).__name__}, see its log); begin anew")

    def _free(self, session: Session) -> None:
        session.is_gone = True
        if session.body:
            self._rows[session.body].free.append(session.row)

    def _begin_anew(self, steps: list[_Step], told: str) -> None:
        """How far these rows came is not known: they are given back, and whoever gets one next begins an episode."""
        for step in steps:
            session = step.job.session
            if session.body:
                self._rows[session.body].free.append(session.row)
                session.body = ""
            step.job.answer.set_exception(RuntimeError(told))

    def _checked(self, job: _Job, message: Message) -> _Step:
        session = job.session
        body = self._catalogue.body(message.body or session.body, message.env)
        if session.body not in ("", body):
            raise ValueError(f"this connection acts for {session.body}, got {body}; open another one for it")
        if not session.body and message.prompt is None:
            raise ValueError('the first message has no prompt; send "prompt": what to do, in words, or "" for none')
        observation_O = self._catalogue.observation(body, message.observation_O)
        prompt, skill = message.prompt, session.skill
        if prompt is not None:
            prompt, skill = self._catalogue.words(body, prompt)
        return _Step(job, body, observation_O, prompt, skill, message.reset or not session.body)

    def _act(self, body: str, steps: list[_Step]) -> None:
        began = time.perf_counter()
        if body not in self._rows:
            self._rows[body] = _Rows(self._model, body, self._most_sessions)
        agent, free = self._rows[body].agent, self._rows[body].free
        for step in steps:
            session = step.job.session
            if not session.body:
                session.row = free.pop()
                session.body = body
            session.skill = step.skill
        steps = sorted(steps, key=lambda step: step.job.session.row)
        rows = np.array([step.job.session.row for step in steps])
        _prepare(agent, rows, steps)
        actions_BA = agent.act(rows, np.stack([step.observation_O for step in steps]))
        seconds = time.perf_counter() - began
        for step, action_A in zip(steps, actions_BA, strict=True):
            step.job.answer.set_result(Answer(action_A, step.skill, began - step.job.since, seconds, len(steps)))


def _prepare(agent: Agent, rows: np.ndarray, steps: list[_Step]) -> None:
    """Forget where an episode begins, and hear what is new: words said again change nothing."""
    agent.reset(rows[[step.is_first for step in steps]])
    told = {
        row: step.prompt
        for row, step in zip(rows, steps, strict=True)
        if step.prompt is not None and step.prompt != agent.prompts[row]
    }
    if told:
        agent.set_prompt(np.array(list(told)), list(told.values()))
