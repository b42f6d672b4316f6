"""A body never waits: late, failing and hanging planners, by a simulated clock and by the one on the wall."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gato.planner import deliberation as deliberation_module
from gato.planner.deliberation import MOST_ABSENCES, Asker, Decision, Deliberation, Timing
from gato.planner.scene import Sight
from gato.planner.situation import Choice, Situation

OPTIONS = ("stand still", "walk forward", "turn left")


def situation(seconds: float = 0.0) -> Situation:
    sight = Sight("waypoint", 3.1, 0.0)
    return Situation("ant", "Go to the waypoint.", seconds, f"standing; {sight.words}", (sight,), OPTIONS)


class Saying:
    """Answers one thing after the other; what is an exception is raised."""

    name = "saying"

    def __init__(self, *answers: str | Exception) -> None:
        self.answers: Iterator[str | Exception] = iter(answers)

    def decide(self, situation: Situation) -> Choice:
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return Choice(answer)


class Hanging:
    """Answers when it is let go."""

    name = "hanging"

    def __init__(self) -> None:
        self.asked, self.let_go = 0, threading.Event()

    def decide(self, situation: Situation) -> Choice:
        self.asked += 1
        self.let_go.wait(20)
        return Choice("walk forward")


class Clock:
    """Nobody waits in earnest; how long they would have is kept."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.waited: list[float] = []

    def now(self) -> float:
        return self.seconds

    def wait_until(self, seconds: float) -> None:
        self.waited.append(max(seconds - self.seconds, 0.0))
        self.seconds += self.waited[-1]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The one on the wall."""
    made = Clock()
    monkeypatch.setattr(deliberation_module, "WallClock", lambda: made)
    return made


def played(deliberation: Deliberation, until: float, dt: float = 0.25) -> list[Decision]:
    """What comes of asking it at every step of a simulated clock."""
    return played_from(deliberation, 0.0, until, dt)


def played_from(deliberation: Deliberation, begin: float, until: float, dt: float = 0.25) -> list[Decision]:
    times = [begin + step * dt for step in range(round((until - begin) / dt) + 1)]
    return [one for now in times if (one := deliberation.update(now, partial_of(now))) is not None]


def partial_of(seconds: float) -> Callable[[], Situation]:
    return lambda: situation(seconds)


def test_an_answer_arrives_when_the_simulated_clock_says_so() -> None:
    planner = Saying("walk forward", "turn left", "walk forward")
    made = played(Deliberation(Asker(planner, Timing(every=1.0, latency=0.5))), 2.5)
    assert [(one.asked, one.answered, one.choice) for one in made] == [
        (0.0, 0.5, Choice("walk forward")),
        (1.0, 1.5, Choice("turn left")),
        (2.0, 2.5, Choice("walk forward")),
    ]
    assert [one.situation.seconds for one in made] == [0.0, 1.0, 2.0], "seen when it was asked, not when it answered"


def test_who_thinks_longer_than_a_turn_is_asked_again_at_once() -> None:
    made = played(Deliberation(Asker(Saying(*["turn left"] * 9), Timing(every=0.5, latency=0.75))), 2.5)
    assert [(one.asked, one.answered) for one in made] == [(0.0, 0.75), (0.75, 1.5), (1.5, 2.25)]


def test_failures_are_told_and_asked_again_after_pauses_that_double() -> None:
    broken = ConnectionError("nobody there\nat all")
    planner = Saying(*[broken] * 5, "walk forward", broken, "turn left")
    made = played(Deliberation(Asker(planner, Timing(every=1.0, pause=0.5, longest_pause=2.0))), 9.5)
    assert [one.asked for one in made] == [0.0, 0.5, 1.5, 3.5, 5.5, 7.5, 8.5, 9.0]
    assert [one.error for one in made[:1]] == ["ConnectionError: nobody there at all"]
    assert [one.choice and one.choice.option for one in made[4:]] == [None, "walk forward", None, "turn left"]


def test_what_is_no_option_is_a_failure() -> None:
    (made,) = played(Deliberation(Asker(Saying("fly to the moon"), Timing())), 0.0)
    assert made.choice is None
    assert made.error == 'it chose "fly to the moon"; allowed: stand still, turn left, walk forward'


def test_an_answer_that_takes_too_long_is_not_waited_for() -> None:
    made = played(Deliberation(Asker(Saying(*["turn left"] * 9), Timing(latency=3.0, timeout=1.0, pause=0.5))), 2.75)
    assert [(one.asked, one.answered, one.error) for one in made] == [
        (0.0, 1.0, "no answer within 1 s"),
        (1.5, 2.5, "no answer within 1 s"),
    ]


def test_news_does_not_wait_for_its_turn_but_for_the_pause_of_who_failed() -> None:
    deliberation = Deliberation(
        Asker(Saying("turn left", "walk forward", OSError("gone"), "turn left"), Timing(every=5.0))
    )
    assert deliberation.update(0.0, situation) is not None
    assert deliberation.update(0.5, situation) is None
    assert deliberation.update(1.0, situation, has_news=True) is not None
    failed = deliberation.update(6.0, situation)
    assert failed is not None and failed.error
    assert deliberation.update(6.25, situation, has_news=True) is None
    assert deliberation.update(6.5, situation) is not None


def test_in_simulated_time_a_planner_that_hangs_is_left_behind() -> None:
    planner = Hanging()
    timing = Timing(timeout=0.2, pause=0.5)
    deliberation = Deliberation(Asker(planner, timing))
    began = time.monotonic()
    made = played(deliberation, 2.0, dt=0.1)
    assert time.monotonic() - began < 5
    assert [one.error for one in made] == [
        "no answer within 0.2 s",
        *["it is still busy with an earlier question"] * 2,
    ]
    assert planner.asked == 1, "nobody is asked two things at once"
    planner.let_go.set()


def test_in_real_time_nobody_waits_and_late_answers_are_not_heard() -> None:
    planner = Hanging()
    deliberation = Deliberation(Asker(planner, Timing(timeout=1.0, pause=0.5, is_real_time=True)))
    began = time.monotonic()
    assert deliberation.update(0.0, partial_of(0.0)) is None
    assert deliberation.update(0.5, partial_of(0.5)) is None
    failed = deliberation.update(1.0, partial_of(1.0))
    assert failed is not None and failed.error == "no answer within 1 s"
    assert time.monotonic() - began < 0.5, "the clock was the caller's"
    planner.let_go.set()
    assert deliberation.asker._thread is not None
    deliberation.asker._thread.join(5)
    assert deliberation.update(1.25, partial_of(1.25)) is None, "the late answer"
    at_once = deliberation.update(1.5, partial_of(1.5))
    deliberation.asker._thread.join(5)
    heard = at_once or deliberation.update(1.75, partial_of(1.75))
    assert heard is not None and heard.asked == 1.5 and heard.choice == Choice("walk forward")


@pytest.mark.parametrize("answer", [None, "walk forward", Choice(["walk forward"])])  # type: ignore[arg-type]
def test_what_is_no_choice_is_a_failure_that_is_told(answer: Any) -> None:
    """The thread that asked died of it, and the question was lost until its time was up."""
    planner = Saying()
    planner.decide = lambda situation: answer  # type: ignore[method-assign]
    (made,) = played(Deliberation(Asker(planner, Timing())), 0.0)
    assert made.choice is None and made.error.startswith("ValueError: it answered ") and "Choice" in made.error


def test_news_that_comes_while_a_question_is_on_its_way_is_asked_about_right_after_it() -> None:
    """It was forgotten until the next regular turn."""
    deliberation = Deliberation(Asker(Saying(*["turn left"] * 3), Timing(every=5.0, latency=0.5)))
    assert deliberation.update(0.0, partial_of(0.0)) is None
    assert deliberation.update(0.25, partial_of(0.25), has_news=True) is None
    first = deliberation.update(0.5, partial_of(0.5))
    assert first is not None and first.situation.seconds == 0.0
    second = deliberation.update(1.0, partial_of(1.0))
    assert second is not None and second.situation.seconds == 0.5
    assert played_from(deliberation, 1.25, 5.25) == [], "and about nothing else before its turn"
    (third,) = played_from(deliberation, 5.5, 6.0)
    assert third.situation.seconds == 5.5


# One planner for all


def rows(planner: Any, timing: Timing, count: int) -> list[Deliberation]:
    asker = Asker(planner, timing)
    return [Deliberation(asker) for _ in range(count)]


def test_who_was_not_there_is_waited_for_by_all_and_by_the_clock_on_the_wall(clock: Clock) -> None:
    """In simulated time a server that said "too many requests" got all of them at once."""
    gone = ConnectionError("429")
    first, second = rows(Saying(gone, gone, "turn left", "walk forward", gone), Timing(every=0.5, pause=0.5), 2)
    assert [one.update(0.0, situation) is not None for one in (first, second)] == [True, True]
    assert clock.waited == [0.0, 0.5]
    assert [one.update(0.5, situation) is not None for one in (first, second)] == [True, True]
    assert clock.waited == [0.0, 0.5, 1.0, 0.0], "the second pause is twice the first, and over once it has answered"


def test_nobody_waits_for_who_answered_nonsense(clock: Clock) -> None:
    for one in rows(Saying("fly", ValueError("the server answered 'fly'"), "turn left"), Timing(), 3):
        assert one.update(0.0, situation) is not None
    assert clock.waited == [0.0] * 3


def test_who_hangs_is_waited_for_once_and_not_by_every_episode() -> None:
    planner = Hanging()
    first, *others = rows(planner, Timing(timeout=0.2), 20)
    began = time.monotonic()
    assert first.update(0.0, situation) is None, "in simulated time it has until 0.2 s"
    told = [one.update(0.0, situation) for one in others]
    assert time.monotonic() - began < 2
    assert {one.error for one in told if one} == {"it is still busy with an earlier question"} and all(told)
    assert planner.asked == 1
    planner.let_go.set()


def test_who_is_not_there_for_long_is_asked_no_more(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    planner = Saying(*[ConnectionError("nobody there")] * MOST_ABSENCES)
    told = [one.update(0.0, situation) for one in rows(planner, Timing(), 2 * MOST_ABSENCES)]
    errors = [one.error for one in told if one]
    assert errors[:MOST_ABSENCES] == ["ConnectionError: nobody there"] * MOST_ABSENCES
    assert errors[MOST_ABSENCES:] == ["it was not there 12 times in a row and is asked no more"] * MOST_ABSENCES
    assert sum(clock.waited) == 0.5 + 1 + 2 + 4 + 7 * 8
    assert caplog.text.count("nobody there") == 1


@pytest.mark.parametrize(
    "wrong", [{"every": 0.0}, {"timeout": -1.0}, {"latency": -0.1}, {"latency": float("nan")}, {"every": float("inf")}]
)
def test_times_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"got .*{[*wrong][0]}.*allowed: s"):
        Timing(**wrong)


def test_a_question_holds_the_task_the_memory_and_the_instruction() -> None:
    asked = Situation(
        "ant",
        "Go to the waypoint.",
        1.5,
        "upright",
        (),
        OPTIONS,
        ((0.5, "turn left"), (1.0, "walk forward")),
        "avoid it",
    )
    assert asked.text.splitlines()[1:] == [
        "Task: Go to the waypoint.",
        "Instruction that overrides the task: avoid it",
        "Chosen so far: 0.5 s turn left; 1.0 s walk forward",
        "Now, at 1.5 s: upright",
        "Answer with exactly one of these, and nothing else: stand still, walk forward, turn left",
    ]
    assert "Chosen so far: nothing yet" in situation().text and "the task: none" in situation().text
