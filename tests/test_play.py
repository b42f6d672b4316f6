"""The page's server on loopback, without a browser: what viewers are told and shown, and that nobody's rubbish harms
anybody else."""

from __future__ import annotations

import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest
from playing import Played, played
from serving import make_telling_model
from viewing import Viewer
from waiting import SOON, becomes
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from gato.client import Client
from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.play.messages import MOST_BYTES
from gato.play.server import MOST_READ, MOST_SESSIONS
from gato.play.session import Session
from gato.play.words import Meaning
from gato.sequences import Layout
from gato.skills.bodies import BODIES

CONFIG = ModelConfig(size="nano", layout=Layout(prompt_positions=6, window_steps=5, demonstration_steps=0))
TAUGHT = ("ant/run-forward", "ant/turn-left", "ant/turn-right", "ant/command", "hopper/hop-forward")
TOKEN = "open sesame"


@pytest.fixture(scope="module")
def model() -> Gato:
    return make_telling_model(CONFIG, BODIES["ant"].spec, BODIES["hopper"].spec, BODIES["swimmer"].spec)


@pytest.fixture(scope="module")
def place(model: Gato) -> Iterator[Played]:
    """One server for the tests of this file: each leaves it empty."""
    with played(model, TAUGHT) as one:
        yield one


@pytest.fixture(autouse=True)
def _everybody_left(place: Played) -> Iterator[None]:
    yield
    becomes(lambda: place.is_empty)


def test_a_viewer_is_told_everything_once_and_then_shown_frames_in_real_time(place: Played) -> None:
    with Viewer(place) as viewer:
        hello = viewer.event("hello")
        assert (hello["model"], list(hello["bodies"])) == ("tested", ["ant", "hopper"])
        assert hello["bodies"]["ant"] == {
            "ant/run-forward": "run along the track",
            "ant/turn-left": "turn left",
            "ant/turn-right": "turn right",
        }
        body = viewer.event("body")
        assert (body["body"], body["dt"], body["scene"]["parts"]) == ("ant", 0.05, 13)
        assert body["readings"][0] == {"name": "track_speed", "unit": "m/s"}
        told = viewer.event("told")
        assert (told["prompt"], told["skill"], told["reading"]) == (
            "run along the track",
            "ant/run-forward",
            "track_speed",
        )
        first, count, numbers = viewer.frame()
        assert len(numbers) == count * 13 * 7 + len(body["readings"]) and np.isfinite(numbers).all()
        began, moments, last = time.perf_counter(), 0, first
        while time.perf_counter() - began < 2:
            last, count, _ = viewer.frame()
            moments += count
    seconds = time.perf_counter() - began
    assert moments / seconds >= 30
    assert (last - first) / seconds == pytest.approx(1, abs=0.15)


def test_new_words_hold_within_a_control_step(place: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of simulated time, once they were understood: how long they travel until then is wall time, and the machine's
    matter. A busy one took 0.8 s."""
    understood: list[float] = []
    say = place.world.say

    def noted(session: Session, body: str, meaning: Meaning) -> None:
        understood.append(session.time)
        say(session, body, meaning)

    monkeypatch.setattr(place.world, "say", noted)
    with Viewer(place) as viewer:
        viewer.frame()
        viewer.send({"say": "turn left"})
        told = viewer.event("told")
        while told["skill"] != "ant/turn-left":
            told = viewer.event("told")
        assert 0 <= told["time"] - understood[0] < 0.3 and told["note"] == ""


def test_a_plan_is_told_part_by_part(place: Played) -> None:
    with Viewer(place) as viewer:
        viewer.frame()
        viewer.send({"say": "turn left for 0.2 seconds, then turn right for 0.2 seconds"})
        assert viewer.event("plan")["parts"] == ["turn left for 0.2 seconds", "turn right for 0.2 seconds"]
        assert viewer.event("part")["index"] == 1
        assert viewer.event("told")["prompt"] == "turn right"
        over = viewer.event("plan")
        assert (over["parts"], over["is_done"]) == ([], True)


def test_time_stands_still_for_one_viewer_only(place: Played) -> None:
    with Viewer(place) as viewer, Viewer(place) as other:
        viewer.frame()
        viewer.send({"pause": True})
        assert viewer.event("paused")["is_on"]
        with pytest.raises(TimeoutError):
            viewer.socket.recv(timeout=0.3)
        assert other.frame()[0] < other.frame()[0]
        viewer.send({"reset": True})  # seen though it is paused
        assert viewer.event("begun")["why"] == "you asked for it"
        moment, count, _ = viewer.frame()
        assert (moment, count) == (0.0, 1)
        viewer.send({"pause": False})
        assert not viewer.event("paused")["is_on"]
        assert viewer.frame()[0] == pytest.approx(0.05)


def test_a_push_is_told_with_its_force(place: Played) -> None:
    with Viewer(place) as viewer:
        viewer.frame()
        viewer.send({"push": True})
        told = viewer.event("pushed")
        assert told["newtons"] > 0 and np.hypot(*told["direction"]) == pytest.approx(1)


def test_another_body_comes_with_its_scene_and_words_before_its_frames(place: Played) -> None:
    with Viewer(place) as viewer:
        viewer.frame()
        viewer.send({"say": "turn left"})
        viewer.send({"body": "hopper"})
        body = viewer.event("body")
        while body["body"] != "hopper":
            body = viewer.event("body")
        _, count, numbers = viewer.frame()
        assert len(numbers) == count * 4 * 7 + len(body["readings"])
        viewer.send({"say": "turn left"})
        assert '"turn left" is nothing that hopper can do, but ant' in viewer.event("error")["error"]


WRONG: tuple[tuple[object, str], ...] = (
    ("rubbish", "got text that is no JSON; send an object"),
    ("[" * 5000, "got text that is no JSON"),
    ('{"say": "turn left"', "got text that is no JSON"),
    (b"\x00\xff", "got 2 bytes that are no text; send JSON"),
    ([1, 2], 'send an object with one key, such as {"say": "turn left"}'),
    ({}, "send an object with one key"),
    ({"say": "a", "push": True}, "send an object with one key"),
    ({"sya": "turn left"}, "no key 'sya'; did you mean \"say\"?"),
    ({"say": 3}, "say is a int; send words"),
    ({"pause": "yes"}, "pause is a str; send true or false"),
    ({"push": False}, "push is false; send true, or nothing"),
    ({"reset": False}, "reset is false; send true, or nothing"),
    ({"say": "a" * 1001}, "say has 1001 letters; at most 1000"),
    ({"say": "a" * MOST_BYTES}, f"at most {MOST_BYTES}: say it in fewer words"),
    ({"say": ""}, "nothing was said"),
    ({"say": "turn left, then trun rihgt"}, 'did you mean "turn right"?'),
    ({"say": "ant/turn-lfet"}, 'did you mean "ant/turn-left"?'),
    ({"say": "ant/stand"}, "was not taught to this model; say"),
    ({"body": "hoper"}, 'no body "hoper" to play; did you mean "hopper"?'),
    ({"body": "swimmer"}, 'no body "swimmer" to play'),
)


def test_what_is_wrong_is_told_in_one_line_and_changes_nothing(place: Played) -> None:
    with Viewer(place) as viewer:
        viewer.event("told")
        before, _, _ = viewer.frame()
        for message, told in WRONG:
            viewer.send(message)
            error = viewer.event("error")["error"]
            assert told in error and "\n" not in error and len(error) < 500, error
        after, _, numbers = viewer.frame()
        assert after > before and np.isfinite(numbers).all()
        viewer.send({"say": "trun lfet"})
        told = viewer.event("told")
        assert told["skill"] is None and 'did you mean "turn left"?; told as it is' in told["note"]


def test_who_sends_too_much_is_hung_up_on_and_the_others_play_on(place: Played) -> None:
    with Viewer(place) as other:
        viewer = Viewer(place)
        viewer.send("a" * (MOST_READ + 1))
        with pytest.raises(ConnectionClosedError, match="1009"):
            viewer.event("error")
        assert other.frame()[0] < other.frame()[0]


def test_who_vanishes_leaves_room_for_others(place: Played) -> None:
    """In mid-frame, in mid-wish, in mid-handshake."""
    for rubbish in (b"\x81\xfe\x10\x00\x00\x00", b"\x81\x8f\x00\x00\x00\x00" + b'{"say": "turn l'):
        viewer = Viewer(place)
        viewer.frame()
        with viewer.socket.protocol_mutex:
            viewer.socket.socket.sendall(rubbish)
            viewer.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            viewer.socket.socket.shutdown(socket.SHUT_RDWR)
        becomes(lambda: place.is_empty)
    for rubbish in (b"\0\xff" * 500, b"GET /live HTTP/1.1\r\nUpgrade: web", b"POST / HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", place.port), timeout=SOON) as plain:
            plain.sendall(rubbish)
    with Viewer(place) as viewer:
        assert viewer.frame()[0] < viewer.frame()[0]


def test_who_does_not_read_stalls_nobody_and_is_hung_up_on(place: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gato.play.server.MOST_UNSENT", 4096)
    monkeypatch.setattr("gato.serve.listening.PATIENCE", 1.0)
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", place.port))
    stalled = Viewer(place, max_queue=1, sock=narrow)

    def ask_for_ever() -> None:
        with suppress(ConnectionClosed):
            while True:
                stalled.send({"body": "ant"})  # answered with a scene of some 10 kB

    asking = threading.Thread(target=ask_for_ever, daemon=True)
    asking.start()
    with Viewer(place) as viewer:
        assert viewer.frame()[0] < viewer.frame()[0]
        asking.join(2 * SOON)
        assert not asking.is_alive()
        assert viewer.frame()[0] < viewer.frame()[0]


def test_who_leaves_with_a_thousand_wishes_unread_leaves_at_once(place: Played) -> None:
    """They were worked through first, at the pace of wishes, and the place stayed taken for minutes."""
    with Viewer(place) as viewer:
        viewer.send({"pause": True})
        viewer.event("paused")
        for _ in range(1000):
            viewer.send({"push": True})
    becomes(lambda: place.is_empty)


def test_one_too_many_is_told_so_and_plays_once_there_is_room(place: Played) -> None:
    viewers = [Viewer(place) for _ in range(MOST_SESSIONS)]
    for viewer in viewers:
        viewer.frame()
    with Viewer(place) as late:
        refused = late.event("refused")
        assert refused["error"] == f"all {MOST_SESSIONS} sessions are taken; try again later"
        with pytest.raises(ConnectionClosedError, match="1013"):
            late.socket.recv(timeout=SOON)
    viewers.pop().socket.close()
    becomes(lambda: place.server.num_open < MOST_SESSIONS)
    with Viewer(place) as late:
        late.frame()
    for viewer in viewers:
        viewer.socket.close()


def test_only_this_servers_own_page_may_drive_it(place: Played) -> None:
    own = f"127.0.0.1:{place.port}"
    for origin in ("http://evil.example", "null", "http://[", f"http://localhost:{place.port}", f"http://{own}1"):
        with pytest.raises(InvalidStatus, match="403"):
            Viewer(place, origin=origin)
    with Viewer(place, origin=f"http://{own}") as viewer:
        viewer.frame()


def fetched(place: Played, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    request = urllib.request.Request(place.address + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=SOON) as reply:
            return reply.status, reply.read().decode(), dict(reply.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), dict(error.headers)


def test_the_page_comes_whole_from_here_and_runs_nothing_of_elsewhere(place: Played) -> None:
    status, page, headers = fetched(place, "/")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert "script-src 'self'" in headers["Content-Security-Policy"] and "//" not in page
    for path, kind in (
        ("/play.js", "text/javascript"),
        ("/view.js?fresh", "text/javascript"),
        ("/three.module.min.js", "text/javascript"),
        ("/three.core.min.js", "text/javascript"),
        ("/three.LICENSE", "text/plain"),
        ("/style.css", "text/css"),
    ):
        status, text, headers = fetched(place, path)
        assert (status, headers["Content-Type"]) == (200, kind) and text, path
    assert fetched(place, "/healthz")[:2] == (200, "OK\n")
    assert fetched(place, "/../server.py")[0] == fetched(place, "/server.py")[0] == 404


def test_a_name_that_somebody_made_to_lead_here_is_refused(place: Played) -> None:
    """DNS rebinding: a page of elsewhere whose own name now means this machine."""
    assert fetched(place, "/", Host=f"evil.example:{place.port}")[0] == 403
    assert fetched(place, "/", Host=f"localhost:{place.port}")[0] == 200
    assert fetched(place, "/", Host=f"[::1]:{place.port}")[0] == 200
    assert fetched(place, "/", Host="[")[0] == 403


def test_for_other_machines_an_address_will_do_and_no_name(place: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place.server, "_host", "0.0.0.0")
    assert fetched(place, "/", Host=f"evil.example:{place.port}")[0] == 403
    assert fetched(place, "/", Host="192.168.1.7:80")[0] == fetched(place, "/", Host="[fe80::1]:80")[0] == 200
    place.server.listen("Robot.local", 0)
    assert fetched(place, "/", Host=f"robot.local:{place.port}")[0] == 200


def test_a_client_that_came_to_the_wrong_server_hangs_up(place: Played) -> None:
    """It kept the place taken for as long as the error was looked at."""
    with pytest.raises(ValueError):
        Client(place.live)
    becomes(lambda: place.is_empty)


def test_without_the_token_nobody_plays(model: Gato, monkeypatch: pytest.MonkeyPatch) -> None:
    with played(model, TAUGHT, token=TOKEN) as locked:
        for wrong in ({"token": "open"}, {"token": ""}, {"say": "turn left"}, "rubbish", b"\0", None):
            if wrong is None:
                monkeypatch.setattr("gato.serve.listening.PATIENCE", 1.0)
            with Viewer(locked) as viewer:
                if wrong is not None:
                    viewer.send(wrong)
                refused = viewer.event("refused")
                assert (refused["error"], refused["is_token_wrong"]) == (
                    "wrong token or none; bring the one of --token",
                    True,
                )
                with pytest.raises(ConnectionClosedError, match="1008"):
                    viewer.socket.recv(timeout=SOON)
        monkeypatch.undo()
        with Viewer(locked) as viewer:
            viewer.send({"token": TOKEN})
            assert viewer.event("hello")["model"] == "tested"
            viewer.frame()
        assert locked.server.num_viewers == 1
