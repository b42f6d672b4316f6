"""The policy server on loopback: what clients are told and given, and that nobody's rubbish harms anybody else."""

from __future__ import annotations

import re
import socket
import struct
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making import ARM, CART, draw
from serving import Served, make_telling_model, served
from waiting import SOON, becomes
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from gato.client import Client, ServerError, pack, unpack
from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.rollout.agent import Agent
from gato.sequences import Layout
from gato.serve.messages import MOST_BYTES
from gato.serve.server import MOST_READ
from gato.skills.bodies import BODIES

CONFIG = ModelConfig(size="nano", layout=Layout(prompt_positions=6, window_steps=5, demonstration_steps=0))
TAUGHT = ("half-cheetah/run-forward", "half-cheetah/run-backward", "hopper/hop-forward")
MOST = 3


@pytest.fixture(scope="module")
def model() -> Gato:
    return make_telling_model(CONFIG, CART, ARM, BODIES["half-cheetah"].spec, BODIES["hopper"].spec)


@pytest.fixture(scope="module")
def place(model: Gato) -> Iterator[Served]:
    """One server for the tests of this file: each leaves it empty."""
    with served(model, TAUGHT, most=MOST) as one:
        yield one


@pytest.fixture(autouse=True)
def _everybody_left(place: Served) -> Iterator[None]:
    yield
    becomes(lambda: place.is_empty)


def raw(place: Served, **options: Any) -> ClientConnection:
    """A connection without our client, whose metadata has been read."""
    opened = connect(place.address, compression=None, proxy=None, legacy=True, **options)
    assert "bodies" in unpack(opened.recv(timeout=SOON))
    return opened


def acts(client: Client, model: Gato, body: str = "cart", prompt: str = "run", steps: int = 6) -> None:
    """It gets what an agent of its own would give, from its first message on."""
    agent, spec, rng = Agent(model, body, [prompt]), model.body(body).spec, np.random.default_rng(0)
    for _ in range(steps):
        observation_O = draw(spec.observation, (), rng)
        assert client.act(observation_O).tolist() == agent(observation_O[None])[0].tolist()


def test_a_client_is_told_what_the_model_can_do(place: Served) -> None:
    with Client(place.address) as client:
        bodies = client.metadata["bodies"]
    assert list(bodies) == ["cart", "arm", "half-cheetah", "hopper"]
    assert bodies["half-cheetah"]["skills"] == {TAUGHT[0]: "run forward", TAUGHT[1]: "run backward"}
    assert bodies["hopper"]["environment"] == {"id": "Hopper-v5", "settings": {}}
    assert bodies["arm"]["observation"]["names"] == ["mode", "angle", "speed", "load"]
    assert bodies["arm"]["action"]["high"].tolist() == [1, 2, 1, 2]
    assert bodies["arm"]["statistics"]["std"].tolist() == [1, 1, 1, 1]
    assert (bodies["arm"]["environment"], bodies["arm"]["skills"]) == (None, {})


def test_actions_are_those_of_a_lone_agent_and_every_reply_has_its_timing(place: Served, model: Gato) -> None:
    with (
        Client(place.address, body="arm", prompt="run") as arm,
        Client(place.address, body="cart", prompt="run") as cart,
    ):
        acts(arm, model, "arm")
        acts(cart, model)
        timing = cart.reply["server_timing"]
        assert timing["rows"] == 1 and 0 < timing["infer_ms"] < timing["total_ms"] and timing["wait_ms"] > 0
        agent = Agent(model, "cart", ["hop"])
        for step in range(8):  # a new episode under new words, then other words on the way
            told = {0: "hop", 5: "run"}.get(step)
            if step == 5:
                agent.set_prompt(np.array([0]), ["run"])
            action_A = cart.act([0.5, step], prompt=told, reset=step == 0)
            assert action_A.tolist() == agent(np.array([[0.5, step]]))[0].tolist()


def test_the_words_skill_is_told_and_an_id_stands_for_its_words(place: Served, model: Gato) -> None:
    agent = Agent(model, "half-cheetah", ["run backward"])
    with Client(place.address, prompt=TAUGHT[1], body="half-cheetah") as client:
        assert client.act(np.zeros(17)).tolist() == agent(np.zeros((1, 17)))[0].tolist()
        assert client.reply["skill"] == TAUGHT[1]
        for prompt, skill in (("please run forward", TAUGHT[0]), ("go 2 m/s", None), ("", None)):
            client.act(np.zeros(17), prompt=prompt)
            assert client.reply["skill"] == skill
        client.act(np.zeros(17))
        assert client.reply["skill"] is None


def test_an_environment_names_its_body(place: Served) -> None:
    for env in ("HalfCheetah-v5", "gato/HalfCheetahRunForward-v0"):
        with raw(place) as opened:
            opened.send(pack({"env": env, "prompt": "run forward", "observation": [0.0] * 17}))
            assert unpack(opened.recv(timeout=SOON))["skill"] == TAUGHT[0]


HOPPER = np.zeros(11)
WRONG: tuple[tuple[Any, str], ...] = (
    (
        {"observation": np.zeros(12)},
        'got float64 (12,), need (11,) numbers, rootz to vel/foot_joint; gymnasium.make("Hopper-v5") gives',
    ),
    ({"observation": np.zeros((1, 11))}, "got float64 (1, 11), need (11,) numbers"),
    ({"observation": [0.0] * 10 + [np.nan]}, "1 of 11 numbers are wrong: vel/foot_joint (-inf to inf) is nan"),
    ({"observation": np.full(11, 1e300)}, "11 of 11 numbers are wrong"),
    ({"observation": ["a"] * 11}, "the observation is a list of other things; send (O,) numbers"),
    ({"observation": [[0.0], [0.0, 1.0]]}, "the observation is a list of other things"),
    ({"observation": {"qpos": 1}}, "the observation is a dict; send (O,) numbers"),
    ({"observation": None}, "the observation is a NoneType"),
    ({"observation": HOPPER, "promt": "hop"}, "no key 'promt'; did you mean \"prompt\"?"),
    ({"observation": HOPPER, "prompt": 3, "reset": "yes"}, "prompt is a int; send text; reset is a str; send true or"),
    ({"prompt": "hop forward"}, "the key observation is missing"),
    ({"observation": HOPPER, "body": "hoper"}, 'no body "hoper"; did you mean "hopper"?'),
    ({"observation": np.zeros(2), "body": "cart"}, "this connection acts for hopper, got cart"),
    ({"observation": HOPPER, "env": "Hoper-v5"}, 'acts in "Hoper-v5"; did you mean "Hopper-v5"?'),
    ({"observation": HOPPER, "env": "HalfCheetah-v5"}, "HalfCheetah-v5 is for half-cheetah, and body says hopper"),
    ({"observation": HOPPER, "prompt": "run backward"}, '"run backward" is for half-cheetah, and this is hopper; say'),
    ({"observation": HOPPER, "prompt": "hop backward"}, "(hopper/hop-backward) was not taught to this model; say"),
    ({"observation": HOPPER, "prompt": "hopper/hop-forwrd"}, 'did you mean "hopper/hop-forward"?'),
    ({"observation": HOPPER, "prompt": "half-cheetah/run-forward"}, "is for half-cheetah, and this is hopper"),
    ({"observation": HOPPER, "prompt": "one two three four five six seven"}, "tokens, the model reads 6"),
    ({"observation": HOPPER, "prompt": "hop " * 1000}, "prompt has 4000 letters; at most 1000"),
    ({"observation": HOPPER, **{f"key {number}": 0 for number in range(9000)}}, "no key 'key 2'; allowed: body"),
    ([1, 2], "got a list; send a map"),
    (b"\xc1rubbish", "that are no message"),
    ("text", "got text; send a msgpack map"),
    (b"\0" * (MOST_BYTES + 1), f"a message of {MOST_BYTES + 1} bytes; at most {MOST_BYTES}"),
)


def test_what_is_wrong_is_told_in_one_line_and_changes_nothing(place: Served, model: Gato) -> None:
    """The same hopper goes on after each of them as if nothing had been said."""
    agent, rng = Agent(model, "hopper", ["hop forward"]), np.random.default_rng(1)
    with raw(place) as opened:
        for number, (message, told) in enumerate(((None, ""), *WRONG)):
            if message is not None:
                is_whole = isinstance(message, dict) and "observation" in message
                said = {"reset": True, **message} if is_whole else message
                opened.send(said if isinstance(said, bytes | str) else pack(said))
                reply = unpack(opened.recv(timeout=SOON))
                assert told in reply["error"] and "\n" not in reply["error"], reply
                assert reply["server_timing"]["total_ms"] > 0
            observation_O = draw(BODIES["hopper"].spec.observation, (), rng)
            begin = {"body": "hopper", "prompt": "hop forward"} if number == 0 else {}
            opened.send(pack({"observation": observation_O, **begin}))
            reply = unpack(opened.recv(timeout=SOON))
            assert reply["action"].tolist() == agent(observation_O[None])[0].tolist()


def test_bounds_and_whole_numbers_are_held(place: Served) -> None:
    with Client(place.address, body="arm", prompt="run") as client:
        for mode in (3, -1, 0.5):
            with pytest.raises(ServerError, match=r"mode \(whole 0 to 2\) is"):
                client.act([mode, 0, 0, 0])
        assert client.act([2, 0, 0, 0]).dtype == np.float32  # what its first message had was not lost


def test_who_sends_too_much_is_hung_up_on_and_the_others_act_on(place: Served, model: Gato) -> None:
    with Client(place.address, body="cart", prompt="run") as client:
        opened = raw(place)
        opened.send(b"\0" * (MOST_READ + 1))
        with pytest.raises(ConnectionClosedError, match="1009"):
            opened.recv(timeout=SOON)
        acts(client, model)


def test_who_vanishes_frees_the_place(place: Served, model: Gato) -> None:
    """In mid-frame, in mid-handshake, and with a question on the way."""
    for rubbish in (b"\x82\xfe\x10\x00\x00\x00", pack({"observation": [0.0, 0.0]})):
        opened = raw(place)
        opened.send(pack({"observation": [0.0, 0.0], "body": "cart", "prompt": "run"}))
        unpack(opened.recv(timeout=SOON))
        assert not place.is_empty
        with opened.protocol_mutex:
            opened.socket.sendall(rubbish)
            opened.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            opened.socket.shutdown(socket.SHUT_RDWR)
        becomes(lambda: place.is_empty)
    for rubbish in (b"\0\xff" * 500, b"GET / HTTP/1.1\r\nUpgrade: web", b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", place.port), timeout=SOON) as plain:
            plain.sendall(rubbish)
    with Client(place.address, body="cart", prompt="run") as client:
        acts(client, model)


def test_who_does_not_read_stalls_nobody_else_and_is_hung_up_on(
    place: Served, model: Gato, monkeypatch: pytest.MonkeyPatch
) -> None:
    """websockets' pings wait for room in the buffers as its sending does, so that they end nothing there."""
    monkeypatch.setattr("gato.serve.listening.PATIENCE", 1.0)
    stalled, said = raw(place, max_queue=1), pack({"observation": HOPPER, "body": "hopper", "prompt": "hop " * 249})

    def ask_for_ever() -> None:
        with suppress(ConnectionClosed):
            while True:
                stalled.send(said)

    asking = threading.Thread(target=ask_for_ever, daemon=True)
    asking.start()
    with Client(place.address, body="cart", prompt="run") as client:
        acts(client, model)
    asking.join(SOON)
    assert not asking.is_alive()  # some MB later


def test_one_too_many_is_told_so_and_served_once_there_is_room(place: Served) -> None:
    clients = [Client(place.address, body="cart", prompt="run") for _ in range(MOST)]
    with pytest.raises(ServerError, match="all 3 connections are taken; try again later"):
        Client(place.address)
    assert all(len(client.act([0.0, 0.0])) == 1 for client in clients)
    clients[0].close()
    becomes(lambda: place.server.num_open < MOST)
    clients[0] = Client(place.address, body="cart", prompt="run")
    assert len(clients[0].act([0.0, 0.0])) == 1
    for client in clients:
        client.close()


def test_only_who_has_the_token_is_served_and_no_web_page(place: Served, model: Gato) -> None:
    with served(model, token="a secret") as guarded:
        for token in ("", "a secre", "a secret2"):
            with pytest.raises(ServerError, match="wrong token or none"):
                Client(guarded.address, token=token)
        with Client(guarded.address, token="a secret") as client:
            assert client.metadata["protocol"] == 1
        with connect(guarded.address, additional_headers={"Authorization": "Api-Key a secret"}, proxy=None) as opened:
            assert "bodies" in unpack(opened.recv(timeout=SOON))
        twice = [("Authorization", "Bearer a secret")] * 2
        with pytest.raises(InvalidStatus, match="401"):
            connect(guarded.address, additional_headers=twice, proxy=None)
        assert fetch(guarded, "/healthz") == (200, b"OK\n")
    with pytest.raises(Exception, match="403"):
        connect(place.address, origin="https://example.org", proxy=None)  # type: ignore[arg-type]


def test_a_client_goes_on_after_the_server_has_failed(
    place: Served, model: Gato, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It told its body once, which the server had then forgotten, and was refused for ever."""
    with Client(place.address, body="cart", prompt="run") as client:
        acts(client, model)
        client.act([0.0, 0.0], prompt="hop")

        def fail(*_: object) -> None:
            raise MemoryError

        with monkeypatch.context() as patch:
            patch.setattr(model.body("cart").head, "forward", fail)
            with pytest.raises(ServerError, match="MemoryError, see its log.; begin anew"):
                client.act([0.0, 0.0])
        acts(client, model, prompt="hop")  # the newest words that were taken, and a new episode
        with pytest.raises(ServerError, match="tokens, the model reads 6"):
            client.act([0.0, 0.0], prompt="one two three four five six seven")
        client.act([0.0, 0.0])  # not told again what was refused


def fetch(place: Served, path: str) -> tuple[int, bytes]:
    """By plain HTTP, and not through a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{place.port}{path}", timeout=SOON) as answer:
        return answer.status, answer.read()


def test_a_client_of_another_protocol_does_not_begin(place: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gato.client.PROTOCOL", 2)
    with pytest.raises(ServerError, match="speaks protocol 1, and this is 2; install its"):
        Client(place.address)


def test_health_is_told_over_http(place: Served) -> None:
    assert fetch(place, "/healthz") == (200, b"OK\n")
    with pytest.raises(urllib.error.HTTPError, match="426"):
        fetch(place, "/")


def test_a_client_whose_server_is_gone_says_so(model: Gato) -> None:
    with served(model) as place:
        client = Client(place.address, body="cart", prompt="run")
        client.act([0.0, 0.0])
    with pytest.raises(ConnectionError, match="the server has closed the connection .*1001"):
        client.act([0.0, 0.0])
    with pytest.raises(OSError, match="refused"):
        Client(place.address)


def test_the_example_of_the_documentation_runs(place: Served) -> None:
    text = (Path(__file__).parent.parent / "docs" / "serve.md").read_text()
    [code] = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(code.splitlines()) <= 15
    fewer = code.replace("1000", "20").replace("500", "10").replace("ws://127.0.0.1:8000", place.address)
    names: dict[str, Any] = {}
    exec(fewer, names)
    assert names["robot"].reply["skill"] == "half-cheetah/run-backward" and names["step"] == 19
