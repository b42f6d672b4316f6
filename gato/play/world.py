"""The one thread that simulates and acts for all viewers, each body by its own clock.

In: sessions and their orders, from any thread. Out: events and frames. Only this thread touches agents and simulations.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping

from gato.model.gato import Gato
from gato.play.room import Room, Spent
from gato.play.session import Session
from gato.play.steering import Pilot
from gato.play.words import Meaning
from gato.rollout.agent import act_together

TOGETHER = 0.004
"""s: bodies whose control step comes so soon act at once with the one whose step it is, in one pass of the model."""
MOST_ORDERS = 64
"""Done between two control steps: who sends many must not stop the clock."""

log = logging.getLogger(__name__)

Order = Callable[[], None]


class World:
    """Simulates for at most `most_sessions` at a time; `with` it, its thread runs."""

    def __init__(self, model: Gato, most_sessions: int) -> None:
        self._model, self._most_sessions = model, most_sessions
        self._rooms: dict[str, Room] = {}
        """Those that somebody has been in: only the world's thread touches them."""
        self._prepared: dict[str, Room] = {}
        self._preparing = threading.Lock()
        self._orders: queue.SimpleQueue[tuple[Session, Order] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="gato-play", daemon=True)
        self.spent = Spent()

    def __enter__(self) -> World:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._orders.put(None)
        self._thread.join()

    def prepare(self, body: str) -> Room:
        """What takes a while the first time, so that nobody's clock waits for it."""
        if body in self._prepared:
            return self._prepared[body]
        with self._preparing:
            if body not in self._prepared:
                self._prepared[body] = Room(self._model, body, self._most_sessions, self.spent)
            return self._prepared[body]

    def enter(self, session: Session, body: str, meaning: Meaning) -> None:
        """The session gets a simulation of that body, instead of any that it has, and is told that."""
        room = self.prepare(body)
        self._orders.put((session, lambda: self._enter(session, room, meaning)))

    def leave(self, session: Session) -> None:
        """The session is over."""
        self._orders.put((session, lambda: self._leave(session)))

    def say(self, session: Session, body: str, meaning: Meaning) -> None:
        """What it meant to that body; nothing if it has another one by now."""
        self._do(session, lambda room: room.say(session, meaning) if room.body.name == body else None)

    def ask(self, session: Session, body: str, pilot: Pilot, skills: Mapping[str, str], words: str) -> None:
        """A planner steers that body after a goal in words; nothing if it has another one by now."""
        self._do(session, lambda room: room.ask(session, pilot, skills, words) if room.body.name == body else None)

    def pause(self, session: Session, is_on: bool) -> None:
        """Its time stands still, or goes on."""
        self._do(session, lambda room: room.pause(session, is_on))

    def reset(self, session: Session) -> None:
        """It begins anew, under the same words."""
        self._do(session, lambda room: room.begin(session, "you asked for it"))

    def push(self, session: Session) -> None:
        """A push from nowhere."""
        self._do(session, lambda room: room.push(session))

    def num_sessions(self) -> int:
        """Simulations that somebody has."""
        return sum(len(room.sessions) for room in self._rooms.values())

    def _do(self, session: Session, order: Callable[[Room], None]) -> None:
        def in_its_room() -> None:
            if session.body:
                order(self._rooms[session.body])
            else:
                session.tell("error", error="no body is here; choose one")

        self._orders.put((session, in_its_room))

    def _enter(self, session: Session, room: Room, meaning: Meaning) -> None:
        self._leave(session)
        self._rooms[room.body.name] = room
        room.enter(session, meaning)

    def _leave(self, session: Session) -> None:
        if session.body:
            self._rooms[session.body].leave(session)

    def _run(self) -> None:
        while self._obey():
            now = time.perf_counter()
            if any(room.due <= now for room in self._rooms.values()):
                self._tick([room for room in self._rooms.values() if room.due <= now + TOGETHER])

    def _obey(self) -> bool:
        """Does what was ordered until the next control step is due; False when it is over."""
        for _ in range(MOST_ORDERS):
            wait = min((room.due for room in self._rooms.values()), default=math.inf) - time.perf_counter()
            try:
                order = self._orders.get(timeout=None if wait == math.inf else max(wait, 0.0))
            except queue.Empty:
                return True
            if order is None:
                return False
            session, do = order
            try:
                do()
            except Exception as error:  # the border: what one viewer asked for must not stop the others' world
                log.exception("an order failed")
                session.tell("error", error=f"the server failed ({type(error).__name__}, see its log)")
        return True

    def _tick(self, rooms: list[Room]) -> None:
        """One control step of these."""
        began = time.perf_counter()
        try:
            actions = act_together([room.asks() for room in rooms])
        except Exception as error:  # the border: a batch may fail (memory), the server goes on
            if len(rooms) == 1:
                _fail(rooms[0], error)
            else:  # whose fault it was must not stop the others
                log.warning("acting together failed (%s): one by one", type(error).__name__)
                for room in rooms:
                    self._tick([room])
            return
        self.spent.policy += time.perf_counter() - began
        for room, actions_BA in zip(rooms, actions, strict=True):
            try:
                room.step(actions_BA)
            except Exception as error:  # the border: the other bodies go on
                _fail(room, error)


def _fail(room: Room, error: Exception) -> None:
    log.error("acting for %s failed", room.body.name, exc_info=error)
    try:
        room.fail(error)
    except Exception:  # the border, too: they are paused by now, and told
        log.exception("beginning %s anew failed", room.body.name)
