"""What fails at the page's server, and who reads slowly: whoever it concerns is told and may go on, the others notice
nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from playing import Played, played
from serving import make_telling_model
from viewing import Viewer
from waiting import SOON, becomes
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosedError

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.play.server import MOST_EVENTS, MOST_FRAMES, Waiting
from gato.sequences import Layout
from gato.skills.bodies import BODIES

CONFIG = ModelConfig(size="nano", layout=Layout(prompt_positions=6, window_steps=5, demonstration_steps=0))
TAUGHT = ("ant/run-forward", "ant/turn-left", "hopper/hop-forward")


@pytest.fixture(scope="module")
def model() -> Gato:
    return make_telling_model(CONFIG, BODIES["ant"].spec, BODIES["hopper"].spec)


@pytest.fixture(scope="module")
def place(model: Gato) -> Iterator[Played]:
    """One server for the tests of this file: each leaves it empty."""
    with played(model, TAUGHT, hear=_unable) as one:
        yield one


@pytest.fixture(autouse=True)
def _everybody_left(place: Played) -> Iterator[None]:
    yield
    becomes(lambda: place.is_empty)


def _unable(*_: object) -> str:
    raise MemoryError


class Link:
    """A connection to somebody who never has read all: with each item that is sent another frame comes."""

    def __init__(self, waiting: Waiting, *, is_slow: bool) -> None:
        self.waiting, self.is_slow, self.sent = waiting, is_slow, list[Any]()

    async def send(self, item: str | bytes) -> None:
        self.sent.append(item)
        if self.is_slow:
            self.waiting.put(b"frame")
        await asyncio.sleep(0)


async def _linked(waiting: Waiting, *, is_slow: bool) -> tuple[Link, asyncio.Task[None]]:
    link = Link(waiting, is_slow=is_slow)
    return link, asyncio.create_task(waiting.send_on(cast(ServerConnection, link)))


def test_who_reads_slowly_is_heard_again() -> None:
    """The next wish waited until no frame did, which on a slow link is never."""

    async def wish_twice() -> list[Any]:
        waiting = Waiting()
        waiting.put(b"frame")
        link, sending = await _linked(waiting, is_slow=True)
        for number in range(2):
            waiting.put({"event": number})
            await asyncio.sleep(0)
            await asyncio.wait_for(waiting.sent(), SOON)
            assert f'{{"event": {number}}}' in link.sent
        sending.cancel()
        return link.sent

    assert b"frame" in asyncio.run(wish_twice())


def test_of_frames_that_wait_the_newest_are_kept() -> None:
    """What is new was left out instead, so that a slow viewer saw the past, and then a leap."""

    async def pile_up() -> list[Any]:
        waiting = Waiting()
        for number in range(MOST_FRAMES + 8):
            waiting.put(b"%d" % number)
            if number == 3:
                waiting.put({"event": "told"})
        await asyncio.sleep(0)
        link, sending = await _linked(waiting, is_slow=False)
        await asyncio.wait_for(waiting.sent(), SOON)
        async with asyncio.timeout(SOON / 10):
            while len(link.sent) < MOST_FRAMES + 1:
                await asyncio.sleep(0)
        sending.cancel()
        return link.sent

    assert asyncio.run(pile_up()) == ['{"event": "told"}', *(b"%d" % number for number in range(8, MOST_FRAMES + 8))]


def test_who_lets_too_many_events_wait_is_hung_up_on_and_told_why(place: Played) -> None:
    """Frames were left out, events were kept without end."""
    with Viewer(place) as viewer:
        viewer.frame()
        [session] = place.world.prepare("ant").sessions

        def pile_up() -> None:
            """All of them wait before the first is sent."""
            for _ in range(MOST_EVENTS + 1):
                session.tell("told", prompt="turn left")

        place.loop.call_soon_threadsafe(pile_up)
        with pytest.raises(ConnectionClosedError, match=f"1008.*too slow: {MOST_EVENTS} events wait unread"):
            viewer.event("never")


def test_an_agent_that_fails_is_told_of_and_begins_anew_when_asked(
    place: Played, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Viewers of another body notice nothing. It went on by itself, and filled the log for ever."""
    with Viewer(place) as viewer, Viewer(place) as other:
        other.send({"body": "hopper"})
        viewer.frame()
        room = place.world.prepare("ant")
        told = "the server failed (MemoryError, see its log); it begins anew and is paused: go on tries again"
        with monkeypatch.context() as patch:
            patch.setattr(room.agent, "_pieces", _unable)
            for number in (1, 2):
                assert viewer.event("error")["error"] == told and viewer.event("begun")
                other.frame()
                time.sleep(0.2)
                assert caplog.text.count("acting for ant failed") == number
                if number == 1:
                    viewer.send({"pause": False})
        viewer.send({"pause": False})
        assert [viewer.frame()[0] for _ in range(2)] == pytest.approx([0, 0.05])


def test_a_failure_in_a_failure_does_not_end_the_world(
    place: Played, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It ended the thread without a word, and every body stood still."""
    with Viewer(place) as viewer:
        viewer.frame()
        room = place.world.prepare("ant")
        with monkeypatch.context() as patch:
            patch.setattr(room, "begin", _unable)
            patch.setattr(room.agent, "_pieces", _unable)
            viewer.event("error")
            becomes(lambda: "beginning ant anew failed" in caplog.text)
        viewer.send({"reset": True})
        viewer.send({"pause": False})
        while viewer.frame()[0] == 0:
            pass


def test_a_wish_that_fails_costs_nobody_the_connection(place: Played, caplog: pytest.LogCaptureFixture) -> None:
    with Viewer(place) as viewer:
        viewer.frame()
        viewer.send({"say": "hard to port"})
        assert viewer.event("error")["error"] == "the server failed (MemoryError, see its log)"
        viewer.send({"say": "turn left"})
        while viewer.event("told")["prompt"] != "turn left":
            pass
        viewer.frame()
    assert "a wish failed" in caplog.text


def test_a_first_body_that_fails_is_told_of_and_another_can_be_chosen(
    place: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(place.world, "prepare", _unable)
        viewer = Viewer(place)
        assert viewer.event("error")["error"] == "the server failed (MemoryError, see its log)"
    with viewer:
        for wish in ({"say": "run along the track"}, {"pause": True}, {"push": True}):  # nothing was said to them
            viewer.send(wish)
            assert viewer.event("error")["error"] == "no body is here; choose one"
        viewer.send({"body": "hopper"})
        viewer.frame()


def test_a_body_that_is_there_does_not_wait_for_one_that_is_prepared(place: Played) -> None:
    room = place.world.prepare("hopper")
    found: list[object] = []
    with place.world._preparing:
        asking = threading.Thread(target=lambda: found.append(place.world.prepare("hopper")), daemon=True)
        asking.start()
        asking.join(1)
        assert found == [room]
