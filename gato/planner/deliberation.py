"""A decision at a time, beside a body that never waits for one.

In: a planner, what happens around one body, the time. Out: a `Decision` whenever one is made or fails. The planner is
asked on a thread of its own; until it answers, and whenever it fails, the body does what it did. Who fails is asked
again after a pause that doubles each time.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gato.planner.situation import Choice, Planner, Situation
from gato.specs import near_match

MOST_SHOWN = 200
"""Characters of an error or answer that are kept."""


@dataclass(frozen=True)
class Timing:
    """How often a planner is asked, and how long it is waited for."""

    every: float = 0.5
    """s from one question to the next, while the planner answers sooner."""
    timeout: float = 5.0
    """s after which a question counts as failed."""
    latency: float = 0.0
    """s of simulated time after which an answer arrives, however long the planner took."""
    is_real_time: bool = False
    """The body moves by the clock on the wall, and answers arrive when they do; `latency` plays no part."""
    pause: float = 0.5
    """s until a planner that failed once is asked again; doubled with every failure after that."""
    longest_pause: float = 8.0

    def __post_init__(self) -> None:
        wrong = {name: getattr(self, name) for name in ("every", "timeout", "pause") if not _is_time(self, name)}
        if wrong or not 0 <= self.latency < math.inf:
            raise ValueError(f"got {wrong or {'latency': self.latency}}; allowed: s, more than 0 (latency: 0 or more)")


def _is_time(timing: Timing, name: str) -> bool:
    return bool(0 < getattr(timing, name) < math.inf)


@dataclass(frozen=True)
class Decision:
    """One question, and what came of it."""

    asked: float
    """s since the episode began."""
    answered: float
    situation: Situation
    choice: Choice | None
    """None where it failed."""
    error: str = ""
    """Why it failed."""

    def json(self) -> dict[str, Any]:
        """A line of the log."""
        choice = self.choice or Choice("")
        return {
            "asked": round(self.asked, 3),
            "answered": round(self.answered, 3),
            "request": self.situation.text,
            "answer": choice.answer,
            "chosen": choice.option or None,
            "remark": choice.remark,
            "error": self.error,
        }


@dataclass(frozen=True)
class _Answer:
    choice: Choice | None
    error: str = ""


class Deliberation:
    """Of one body in one episode."""

    def __init__(self, planner: Planner, timing: Timing) -> None:
        self.planner, self.timing = planner, timing
        self._asked: tuple[float, Situation] | None = None
        self._box: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._next = 0.0
        self._failures = 0
        """Since the last success."""

    def update(self, now: float, look: Callable[[], Situation], *, has_news: bool = False) -> Decision | None:
        """What was decided, or failed, by `now` (s since the episode began, never going back); None while nothing is.

        `look` is called only when it is time to ask. `has_news`: what was just said should not wait for the next turn,
        unless a question is on its way or the planner has failed.
        """
        if has_news and not self._failures:
            self._next = now
        decision = self._settle(now)
        if self._asked is None and now >= self._next:
            self._ask(now, look())
            # A planner that answers at once is heard at once.
            decision = decision or self._settle(now)
        return decision

    def _settle(self, now: float) -> Decision | None:
        """What became of the question that is on its way; None while nothing has."""
        if self._asked is None:
            return None
        asked, situation = self._asked
        answer = self._answer(now, asked)
        if answer is None:
            return None
        self._asked = None
        self._failures = self._failures + 1 if answer.error else 0
        pause = min(self.timing.pause * 2 ** (min(self._failures, 16) - 1), self.timing.longest_pause)
        self._next = now + pause if answer.error else asked + self.timing.every
        return Decision(asked, now, situation, answer.choice, answer.error)

    def _ask(self, now: float, situation: Situation) -> None:
        self._asked = now, situation
        if self._thread is not None and self._thread.is_alive():
            # What it will say to the old question goes into the old box; it is not asked two things at once.
            self._box = queue.SimpleQueue()
            self._box.put(_Answer(None, "it is still busy with an earlier question"))
            return
        box = self._box = queue.SimpleQueue()
        self._thread = threading.Thread(target=lambda: box.put(_attempt(self.planner, situation)), daemon=True)
        self._thread.start()
        if not self.timing.is_real_time:
            # Simulated time stands still meanwhile, though not for ever: what comes later is not heard.
            self._thread.join(self.timing.timeout)
            if self._thread.is_alive():
                self._box = queue.SimpleQueue()

    def _answer(self, now: float, asked: float) -> _Answer | None:
        waited, timing = now - asked, self.timing
        if timing.is_real_time or waited >= timing.latency:
            try:
                return self._box.get_nowait()
            except queue.Empty:
                pass
        if waited >= timing.timeout:
            return _Answer(None, f"no answer within {timing.timeout:g} s")
        return None


def _attempt(planner: Planner, situation: Situation) -> _Answer:
    try:
        choice = planner.decide(situation)
    except Exception as error:  # the border: whatever a planner raises must not reach the body
        told = " ".join(str(error).split()) or "no reason given"
        return _Answer(None, f"{type(error).__name__}: {told}"[:MOST_SHOWN])
    if choice.option not in situation.options:
        return _Answer(None, f'it chose "{choice.option[:MOST_SHOWN]}"; {near_match(choice.option, situation.options)}')
    return _Answer(choice)


class WallClock:
    """s since it was made, and a pace that is not faster than it."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> float:
        """s."""
        return time.monotonic() - self._began

    def wait_until(self, seconds: float) -> None:
        """Returns at once where that is over."""
        time.sleep(max(seconds - self.now(), 0.0))
