"""`gato play`: it says where the page is, stops cleanly, and fails in one line."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from making import CART, make_model
from websockets.sync.client import connect

from gato import cli
from gato.model.config import ModelConfig
from gato.play.server import _open_browser
from gato.skills.bodies import BODIES

STARTED = 120
"""Seconds, on a busy machine."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    make_model(ModelConfig(size="nano"), CART, BODIES["hopper"].spec).save(folder, card={"skills": []})
    return folder


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody has."""
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        yield somebody.getsockname()[1]


def test_it_plays_until_it_is_stopped_though_somebody_is_watching(place: Path) -> None:
    line = [sys.executable, "-c", "from gato.__main__ import main; main()", "play", str(place), "--port", "0"]
    running = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    late = threading.Timer(STARTED, running.kill)
    late.start()
    assert running.stderr is not None
    told = running.stderr.readline()
    found = re.search(r"playing at http://(127\.0\.0\.1:\d+); Ctrl-C stops", told)
    assert found, told
    with connect(f"ws://{found[1]}/live", proxy=None, max_size=None) as viewer:
        assert list(json.loads(viewer.recv(timeout=STARTED))["bodies"]) == ["hopper"]
        while isinstance(viewer.recv(timeout=STARTED), str):
            pass
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    late.cancel()
    assert (running.returncode, out) == (cli.INTERRUPTED, "")
    assert re.fullmatch(r"gato: interrupted: 1 viewers saw \d+ control steps\n", err), err


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("--port {taken}", "cannot listen at 127.0.0.1:{taken} ("),
        ("--body hoper", 'knows no body "hoper" that can be simulated here; did you mean "hopper"?'),
        ("--body ant", 'knows no body "ant" that can be simulated here; allowed: hopper'),
        ("--token ä", "ASCII letters only"),
        ("--planner scripted", "the scripted planner goes to waypoints, and the page has none"),
        ("--server-model x", "server_model x is for a planner's server; name it with --planner URL"),
        ("--planner no/such/folder", "no/such/folder"),
        ("--port {taken} --planner http://127.0.0.1:9/v1 --timeout 0", "'timeout'"),
        ("--port {taken} --planner http://127.0.0.1:9/v1 --timeout=-1", "allowed: s, more than 0"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    place: Path, taken: int, more: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.run(["play", str(place), *more.format(taken=taken).split()])
    shown = capsys.readouterr()
    assert (code, shown.out, len(shown.err.splitlines())) == (cli.FAILED, "", 1)
    assert shown.err.startswith("gato: error: ") and told.format(taken=taken) in shown.err


def test_a_model_without_a_body_that_can_be_simulated_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_model(ModelConfig(size="nano"), CART).save(tmp_path / "model", card={"skills": []})
    assert cli.run(["play", str(tmp_path / "model")]) == cli.FAILED
    assert "knows none of the bodies that can be simulated here: half-cheetah" in capsys.readouterr().err


def test_what_is_missing_to_play_is_named(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [one for one in sys.modules if one.startswith(("gato.play", "gato.serve"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "websockets", None)
    for name in [one for one in sys.modules if one.startswith("websockets.")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert cli.run(["play", str(place)]) == cli.FAILED
    assert 'pip install "gato-agent[serve]"' in capsys.readouterr().err


def test_where_no_browser_can_be_opened_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened: list[str] = []
    for is_there in (True, False):
        monkeypatch.setattr("webbrowser.open", lambda page, done=is_there: bool(opened.append(page)) or done)
        assert not caplog.records
        _open_browser("http://127.0.0.1:8080")
    assert len(opened) == 2 and "no browser could be opened" in caplog.text
