"""A decision at a time, beside a body that never waits for one.

In: a planner, what happens around one body, the time. Out: a `Decision` whenever one is made or fails. The planner is
asked on a thread of its own, one question at a time whoever asks; until it answers, and whenever it fails, the body
does what it did. Who fails is asked again after a pause that doubles each time.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gato.language.text import short
from gato.planner.situation import Choice, Planner, Situation
from gato.specs import near_match

MOST_SHOWN = 200
"""Characters of an error or answer that are kept."""
TOLD_ABSENCES, MOST_ABSENCES = 3, 12
"""Times in a row that a planner is not there before that is told, and before it is asked no more in simulated time: by
then about a minute of pauses is over, in which the limits of most servers begin anew."""

log = logging.getLogger("gato")


@dataclass(frozen=True)
class Timing:
    """How often a planner is asked, and how long it is waited for."""

    every: float = 0.5
    """s from one question to the next, while the planner answers sooner."""
    timeout: float = 5.0
    """s of the body's time after which a question counts as failed."""
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

    def pause_after(self, failures: int) -> float:
        """s until who failed that often in a row is asked again."""
        return min(self.pause * 2 ** (min(failures, 16) - 1), self.longest_pause)


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


class Asker:
    """A planner, for all who ask it in a run: one question at a time, on a thread of its own.

    In simulated time, which stands still meanwhile, whoever asks a planner that was not there the last time waits until
    its pause is over by the clock on the wall; one that is not there for long is asked no more.
    """

    def __init__(self, planner: Planner, timing: Timing) -> None:
        self.planner, self.timing = planner, timing
        self._clock = WallClock()
        self._thread: threading.Thread | None = None
        self._is_thinking = False
        self._not_before = 0.0
        """s by its clock."""
        self._absences = 0
        """Since it answered anything."""

    @property
    def is_busy(self) -> bool:
        """Whether it still thinks about a question."""
        return self._is_thinking and self._thread is not None and self._thread.is_alive()

    @property
    def is_ready(self) -> bool:
        """Whether it is neither busy nor left alone for a while because it was not there."""
        return not self.is_busy and self._clock.now() >= self._not_before

    def ask(self, situation: Situation) -> queue.SimpleQueue[_Answer]:
        """Where its answer will be; in simulated time it is there at once, or never."""
        box: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        is_simulated = not self.timing.is_real_time
        if self.is_busy:
            box.put(_Answer(None, "it is still busy with an earlier question"))
            return box
        if is_simulated and self._absences >= MOST_ABSENCES:
            box.put(_Answer(None, f"it was not there {MOST_ABSENCES} times in a row and is asked no more"))
            return box
        if is_simulated:
            self._clock.wait_until(self._not_before)
        self._is_thinking = True
        self._thread = threading.Thread(target=self._think, args=(situation, box), daemon=True)
        self._thread.start()
        if is_simulated:
            self._thread.join(self.timing.timeout)
            if self._thread.is_alive():
                # What comes later is not heard.
                return queue.SimpleQueue()
        return box

    def _think(self, situation: Situation, box: queue.SimpleQueue[_Answer]) -> None:
        answer, is_there = _attempt(self.planner, situation)
        self._absences = 0 if is_there else self._absences + 1
        self._not_before = 0.0 if is_there else self._clock.now() + self.timing.pause_after(self._absences)
        if self._absences == TOLD_ABSENCES:
            log.warning("%s: %s; it is asked again after pauses that double", self.planner.name, answer.error)
        self._is_thinking = False
        box.put(answer)


class Deliberation:
    """Of one body in one episode."""

    def __init__(self, asker: Asker) -> None:
        self.asker, self.timing = asker, asker.timing
        self._asked: tuple[float, Situation, queue.SimpleQueue[_Answer]] | None = None
        self._next = 0.0
        self._failures = 0
        """Since the last success."""
        self._has_news = False
        """Since the last question."""

    @property
    def is_waiting(self) -> bool:
        """Whether a question is on its way."""
        return self._asked is not None

    def update(self, now: float, look: Callable[[], Situation], *, has_news: bool = False) -> Decision | None:
        """What was decided, or failed, by `now` (s since the episode began, never going back); None while nothing is.

        `look` is called only when it is time to ask. `has_news`: what was just said should not wait for the next turn,
        but for the answer to a question that is on its way, and for the pause of who failed.
        """
        self._has_news |= has_news
        decision = self._settle(now)
        is_time = now >= self._next or (self._has_news and not self._failures)
        if self._asked is None and is_time:
            situation = look()
            self._asked, self._has_news = (now, situation, self.asker.ask(situation)), False
            # A planner that answers at once is heard at once.
            decision = decision or self._settle(now)
        return decision

    def _settle(self, now: float) -> Decision | None:
        """What became of the question that is on its way; None while nothing has."""
        if self._asked is None:
            return None
        asked, situation, box = self._asked
        answer = self._answer(now - asked, box)
        if answer is None:
            return None
        self._asked = None
        self._failures = self._failures + 1 if answer.error else 0
        self._next = now + self.timing.pause_after(self._failures) if answer.error else asked + self.timing.every
        return Decision(asked, now, situation, answer.choice, answer.error)

    def _answer(self, waited: float, box: queue.SimpleQueue[_Answer]) -> _Answer | None:
        timing = self.timing
        if timing.is_real_time or waited >= timing.latency:
            try:
                return box.get_nowait()
            except queue.Empty:
                pass
        if waited >= timing.timeout:
            return _Answer(None, f"no answer within {timing.timeout:g} s")
        return None


def _attempt(planner: Planner, situation: Situation) -> tuple[_Answer, bool]:
    """What it chose or why it failed; and whether it was there: whoever raises a ValueError did answer."""
    try:
        choice = planner.decide(situation)
        if not isinstance(choice, Choice) or not isinstance(choice.option, str):
            raise ValueError(f"it answered {short(repr(choice))}; a Choice of an option is needed")
        if choice.option not in situation.options:
            told = f'it chose "{choice.option[:MOST_SHOWN]}"; {near_match(choice.option, situation.options)}'
            return _Answer(None, told), True
    except Exception as error:  # the border: whatever a planner raises must not reach the body
        told = " ".join(str(error).split()) or "no reason given"
        return _Answer(None, f"{type(error).__name__}: {told}"[:MOST_SHOWN]), isinstance(error, ValueError)
    return _Answer(choice), True


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
