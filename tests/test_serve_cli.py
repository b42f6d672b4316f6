"""`gato serve`: it says where it listens, stops cleanly, and fails in one line."""

from __future__ import annotations

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

from gato import cli
from gato.client import Client
from gato.model.config import ModelConfig
from gato.serve.listening import address
from gato.skills.table import SKILLS

QUADRUPED = Path(__file__).parent.parent / "docs" / "examples" / "quadruped.yaml"
STARTED = 120
"""Seconds, on a busy machine."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    make_model(ModelConfig(size="nano"), CART).save(folder, card={"skills": []})
    return folder


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody has."""
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        yield somebody.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped_though_clients_are_connected(place: Path, number: int) -> None:
    line = [sys.executable, "-c", "from gato.__main__ import main; main()", "serve", str(place), "--port", "0"]
    running = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    late = threading.Timer(STARTED, running.kill)
    late.start()
    assert running.stderr is not None
    told = running.stderr.readline()
    found = re.search(r"serving at (ws://127\.0\.0\.1:\d+); Ctrl-C stops", told)
    assert found, told
    client, silent = Client(found[1], prompt="run"), Client(found[1])
    assert client.metadata["model"] == str(place) and len(client.metadata["model_hash"]) == 16
    assert client.act([0.0, 0.0]).shape == (1,)
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    late.cancel()
    assert (running.returncode, out) == (cli.INTERRUPTED, "")
    assert err == "gato: interrupted: 2 connections got 1 actions\n"
    for one in (client, silent):
        with pytest.raises(ConnectionError, match="1001"):
            one.act([0.0, 0.0])


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("--port {taken}", "cannot listen at 127.0.0.1:{taken} ("),
        ("--port 65536", "cannot listen at 127.0.0.1:65536 ("),
        ("--host nowhere.invalid --token a", "cannot listen at nowhere.invalid:8000 ("),
        ("--token ä", "ASCII letters only"),
    ],
)
def test_where_it_cannot_listen_is_told_in_one_line(
    place: Path, taken: int, more: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.run(["serve", str(place), *more.format(taken=taken).split()])
    shown = capsys.readouterr()
    assert (code, shown.out, len(shown.err.splitlines())) == (cli.FAILED, "", 1)
    assert shown.err.startswith("gato: error: ") and told.format(taken=taken) in shown.err
    assert "--port" in shown.err or "token" in shown.err


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("127.0.0.1", "ws://127.0.0.1:8000"),
        ("robot.local", "ws://robot.local:8000"),
        ("::1", "ws://[::1]:8000"),
        ("0.0.0.0", "ws://127.0.0.1:8000"),
        ("", "ws://127.0.0.1:8000"),
        ("::", "ws://[::1]:8000"),
    ],
)
def test_the_address_that_is_told_can_be_connected_to(host: str, found: str) -> None:
    assert address("ws", host, 8000) == found


def test_an_open_door_is_warned_of(place: Path, taken: int, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("0.0.0.0", 0)) as somebody:
        port = str(somebody.getsockname()[1])
        assert cli.run(["serve", str(place), "--host", "0.0.0.0", "--port", port]) == cli.FAILED
    warning, error = capsys.readouterr().err.splitlines()
    assert "whoever reaches 0.0.0.0 may have the model act; --token" in warning and "cannot listen" in error


def test_robots_of_ones_own_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[str] = []
    monkeypatch.setattr("gato.serve.server.serve_model", lambda *_, **__: known.extend(SKILLS))
    assert cli.run(["serve", "a-model", "--robots", str(QUADRUPED)]) == 0
    assert "quadruped/trot-forward" in known


def test_what_is_missing_to_serve_is_named(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "gato.serve.server", raising=False)
    monkeypatch.setitem(sys.modules, "gato.client", None)
    assert cli.run(["serve", str(place)]) == cli.FAILED
    assert 'pip install "gato-agent[serve]"' in capsys.readouterr().err
