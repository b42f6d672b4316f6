"""Who decides: the planner written by hand, a causal language model, a server; and what none of them takes."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from gato.language.causal import CausalModel
from gato.language.chat import KEY
from gato.language.classifier import softmax
from gato.planner.find import find_planner
from gato.planner.local import LocalPlanner
from gato.planner.scene import Sight
from gato.planner.scripted import Scripted, detour, steer
from gato.planner.server import ServerPlanner
from gato.planner.situation import Situation

OPTIONS = ("stand still", "walk forward", "walk backward", "walk left", "walk right", "turn left", "turn right")


def situation(*degrees: float, instruction: str = "") -> Situation:
    """The waypoint 4 m and the ball 2 m away, at these bearings."""
    sights = tuple(
        Sight(name, metres, math.radians(angle))
        for name, metres, angle in zip(("waypoint", "ball"), (4.0, 2.0), degrees, strict=False)
    )
    seen = "; ".join(one.words for one in sights)
    return Situation("ant", "Go to the waypoint.", 1.0, seen, sights, OPTIONS, instruction=instruction)


# Written by hand


@pytest.mark.parametrize(
    ("degrees", "option"),
    [
        (0, "walk forward"),
        (29, "walk forward"),
        (31, "turn left"),
        (44, "turn left"),
        (46, "turn right"),
        (71, "walk left"),
        (-90, "walk right"),
        (-125, "turn right"),
        (179, "walk backward"),
        (-170, "walk backward"),
        (140, "turn right"),
    ],
)
def test_it_walks_to_the_nearest_side_or_turns_until_it_can(degrees: float, option: str) -> None:
    assert steer(math.radians(degrees)) == option
    assert Scripted().decide(situation(degrees, 90)).option == option


def test_it_goes_round_what_it_avoids_on_the_nearer_side() -> None:
    """Tangents of a circle of 1.75 m about a ball 2 m away leave at asin(1.75 / 2), 61 degrees."""
    waypoint, ball = Sight("waypoint", 4.0, 0.0), Sight("ball", 2.0, math.radians(10))
    assert math.degrees(detour(waypoint, ball)) == pytest.approx(10 - 61.045, abs=0.01)
    beside = replace(ball, bearing=math.radians(-10))
    assert math.degrees(detour(waypoint, beside)) == pytest.approx(-10 + 61.045, abs=0.01)
    assert detour(waypoint, replace(ball, bearing=math.radians(70))) == 0.0, "it is not in the way"
    assert detour(replace(waypoint, distance=0.9), ball) == 0.0, "it lies behind the waypoint"
    near = replace(ball, distance=1.0)
    assert math.degrees(detour(waypoint, near)) == pytest.approx(10 - 110), "away from it"
    assert detour(waypoint, replace(near, bearing=math.pi)) == pytest.approx(0.0), "it is behind: on"


@pytest.mark.parametrize(
    ("instruction", "option", "is_declined"),
    [
        ("", "walk forward", False),
        ("avoid the ball!", "walk left", False),
        ("Keep away from that BALL, please", "walk left", False),
        ("go on", "walk forward", False),
        ("stop!", "stand still", False),
        ("please walk to the left", "walk left", False),
        ("I like the ball", "walk forward", True),
        ("avoid the cat", "walk forward", True),
        ("\N{DUCK}\N{DUCK}", "walk forward", True),
        ("run forward", "walk forward", True),
        ("do not avoid the ball", "walk forward", True),
        ("is the ball far away?", "walk forward", True),
        ("can you avoid the ball?", "walk left", False),
        ("how about keeping away from the ball?", "walk left", False),
        ("never walk around the ball", "walk forward", True),
        ("never mind", "walk forward", False),
        ("don't move", "stand still", False),
        ("stop! the ball is 2 m away", "stand still", False),
        ("walk left, then turn right", "walk forward", True),
        ("walk forward, avoid the ball", "walk left", False),
        ("stop going around the ball", "walk forward", True),
        ("please quit walking round the ball!", "walk forward", True),
        ("stop! keep away from the ball", "walk left", False),
        ("walk around the ball, then stop", "walk left", False),
    ],
)
def test_it_follows_what_it_understands_and_declines_the_rest(instruction: str, option: str, is_declined: bool) -> None:
    """The ball lies a little to the right of the way: round it means 60 degrees to the left. What held the words "ball"
    and "avoid" or "away" was taken for a request to avoid it, whatever else it said; with "stop" before it, too."""
    choice = Scripted().decide(situation(0, -1, instruction=instruction))
    assert (choice.option, bool(choice.remark)) == (option, is_declined)


def test_without_a_waypoint_it_says_so() -> None:
    with pytest.raises(ValueError, match="sees none"):
        Scripted().decide(situation())


# A causal language model


TEMPLATE = (
    "{% for one in messages %}user: {{ one.content }} {% endfor %}{% if add_generation_prompt %}robot: {% endif %}"
)


def make_language_model(folder: Path, kind: str = "gpt2", *, template: str = "", positions: int = 512) -> Path:
    """One that knows nothing, made here, of words in any of the texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        BertConfig,
        BertForMaskedLM,
        BertModel,
        GPT2Config,
        GPT2LMHeadModel,
        PreTrainedTokenizerFast,
    )

    words = f"user: robot: Answer: {situation(0, 10, instruction='avoid').text} {' '.join(OPTIONS)}".split()
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(sorted({"?", *words}))}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?")
    if template:
        fast.chat_template = template
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    size = tokenizer.get_vocab_size()
    if kind == "gpt2":
        config = GPT2Config(vocab_size=size, n_positions=positions, n_embd=16, n_layer=2, n_head=2)
        GPT2LMHeadModel(config).save_pretrained(folder)
    else:
        made = BertConfig(
            vocab_size=size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
        )
        {"bert": BertModel, "masked": BertForMaskedLM}[kind](made).save_pretrained(folder)
    return folder


def alone(model: CausalModel, beginning: str, option: str) -> float:
    """Log-likelihood of one text after another, all of it read at once."""
    begun, end = model.tokenizer(beginning)["input_ids"], model.tokenizer(option)["input_ids"]
    with torch.inference_mode():
        logits = model.model(torch.tensor([begun + end])).logits[0].log_softmax(-1)
    return float(sum(logits[len(begun) + at - 1, token] for at, token in enumerate(end)))


@pytest.mark.parametrize("template", ["", TEMPLATE])
def test_a_language_model_chooses_its_likeliest_answer(tmp_path: Path, template: str) -> None:
    """What the shared beginning saves must not change what is said: each answer read by itself says the same."""
    planner = LocalPlanner(str(make_language_model(tmp_path, template=template)))
    asked = situation(0, 10, instruction="avoid")
    beginning = f"user: {asked.text} robot: " if template else f"{asked.text}\nAnswer:"
    model = planner._model
    likely = [alone(model, beginning, option) for option in OPTIONS]
    assert model.answers(asked.text, OPTIONS) == pytest.approx(likely, abs=1e-4)
    choice = planner.decide(asked)
    assert choice.option == OPTIONS[max(range(7), key=likely.__getitem__)]
    assert choice.answer.startswith(f"{choice.option} {softmax(torch.tensor(likely).numpy()).max():.2f}; ")


def test_a_question_longer_than_the_model_reads_is_a_failed_decision(tmp_path: Path) -> None:
    planner = LocalPlanner(str(make_language_model(tmp_path, positions=32)))
    with pytest.raises(ValueError, match=r"have \d+ tokens, but the model reads 32"):
        planner.decide(situation(0, 10))


def test_what_is_no_language_model_is_refused_in_one_line(tmp_path: Path) -> None:
    """An encoder was loaded as one, with random weights for what it lacked or looking both ways."""
    with pytest.raises(ValueError, match="holds no causal language model: it lacks .* of its weights, such as cls"):
        find_planner(str(make_language_model(tmp_path / "encoder", "bert")))
    with pytest.raises(ValueError, match="holds no causal language model .*keeps no keys and values"):
        find_planner(str(make_language_model(tmp_path / "masked", "masked")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no causal language model"):
        find_planner(str(tmp_path / "empty"))
    with pytest.raises(ValueError, match="neither a folder nor a Hub id"):
        find_planner("scriptd")
    with pytest.raises(ValueError, match="no language model is named"):
        find_planner("")
    with pytest.raises(ValueError, match="server_model x is for a server; got the planner scripted"):
        find_planner("scripted", server_model="x")


# A server


class Handler(BaseHTTPRequestHandler):
    """Does with every question what the test says."""

    respond: Callable[[Handler], None]
    asked: list[tuple[str, dict[str, Any], str | None]]

    def do_POST(self) -> None:  # noqa: N802
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, content, self.headers.get("Authorization")))
        type(self).respond(self)

    def do_GET(self) -> None:  # noqa: N802
        self.asked.append((self.path, {}, self.headers.get("Authorization")))
        self.send_error(404)

    def log_message(self, *told: object) -> None:
        """Says nothing."""


def says(body: bytes, status: int = 200, **headers: str) -> Callable[[Handler], None]:
    def respond(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return respond


def chat(content: object) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, type[Handler]]]:
    """Its address, and the handler that tests fill in."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv(KEY, raising=False)
    handler = type("Own", (Handler,), {"asked": [], "respond": staticmethod(says(chat("turn left")))})
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}/v1", handler
    running.shutdown()
    running.server_close()


def test_a_server_is_asked_as_openai_asks_and_its_answer_is_taken(
    server: tuple[str, type[Handler]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, handler = server
    monkeypatch.setenv(KEY, "secret")
    asked = situation(30)
    planner = ServerPlanner(address + "/", "small")
    assert planner.decide(asked).option == "turn left"
    (path, content, authorization) = handler.asked[0]
    assert (path, authorization) == ("/v1/chat/completions", "Bearer secret")
    assert content["messages"] == [{"role": "user", "content": asked.text}]
    assert (content["model"], content["temperature"]) == ("small", 0)
    assert "secret" not in planner.name
    monkeypatch.delenv(KEY)
    assert ServerPlanner(address).decide(asked).option == "turn left"
    assert handler.asked[1][2] is None and "model" not in handler.asked[1][1]


def test_the_key_is_sent_without_what_stands_around_it_and_never_shown(
    server: tuple[str, type[Handler]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line break behind the key, as files have it, became an error that showed the key, in the log of decisions."""
    address, handler = server
    monkeypatch.setenv(KEY, " secret\n")
    assert ServerPlanner(address).decide(situation(30)).option == "turn left"
    assert handler.asked[0][2] == "Bearer secret"
    for wrong in ("sec\r\nret", "sec\x1bret", "sec\u2026ret"):
        monkeypatch.setenv(KEY, wrong)
        with pytest.raises(ValueError, match=f"{KEY} holds a line break") as found:
            find_planner(address)
        assert "sec" not in str(found.value) and "ret" not in str(found.value)


def test_fields_that_a_model_refuses_by_name_are_left_out_from_then_on(server: tuple[str, type[Handler]]) -> None:
    """Hosted reasoning models refuse both; every decision failed."""
    address, handler = server

    def respond(handler: Handler) -> None:
        unwanted = [name for name in ("max_tokens", "temperature") if name in handler.asked[-1][1]]
        refusal = b"Unsupported parameter: '%s'" % unwanted[0].encode() if unwanted else b""
        says(refusal or chat("turn left"), 400 if refusal else 200)(handler)

    handler.respond = staticmethod(respond)  # type: ignore[assignment]
    planner = ServerPlanner(address, "small")
    assert [planner.decide(situation(30)).option for _ in range(2)] == ["turn left"] * 2
    fields = [sorted({*content} - {"messages"}) for _, content, _ in handler.asked]
    assert fields == [["max_tokens", "model", "temperature"], ["model", "temperature"], ["model"], ["model"]]


@pytest.mark.parametrize(
    "said",
    [
        "Turn left",
        ' "turn left". ',
        "**turn left**\n",
        "<think>\nWalk forward? No.\n</think>\n\nturn left",
        "Walk forward? No.</think>turn left",
    ],
)
def test_quotes_a_stop_and_thoughts_around_an_answer_do_not_matter(
    server: tuple[str, type[Handler]], said: str
) -> None:
    address, handler = server
    handler.respond = staticmethod(says(chat(said)))  # type: ignore[assignment]
    choice = ServerPlanner(address).decide(situation(0))
    assert (choice.option, choice.answer) == ("turn left", said.rpartition("</think>")[2])


@pytest.mark.parametrize(
    ("respond", "error", "told"),
    [
        (says(chat("I would turn left")), ValueError, "answered 'I would turn left'; allowed: stand still, walk"),
        (says(chat("")), ValueError, "answered ''; allowed"),
        (says(chat("\N{DUCK}" * 9999)), ValueError, r"answered '\\U0001f986"),
        (says(chat(None)), ValueError, "holds no text but None"),
        (says(b'{"choices": []}'), ValueError, "no chat completion: '{\"choices\": \\[\\]}'"),
        (says(b"[]"), ValueError, "no chat completion"),
        (says(b"[" * 100_000), ValueError, "no chat completion"),
        (says(b"\xff\x00nonsense"), ValueError, "no chat completion"),
        (says(b"x" * (1 << 21)), ValueError, "longer than 1048576 bytes"),
        (says(b"out of memory", 500), ConnectionError, "refused: 500 Internal Server Error, 'out of memory'"),
        (says(b"the prompt is too long", 400), ConnectionError, "refused: 400 Bad Request, 'the prompt is"),
        (says(b"max_tokens", 500), ConnectionError, "refused: 500"),
        (says(b"", 302, Location="/elsewhere"), ConnectionError, "refused: 302"),
        (lambda handler: handler.connection.close(), ConnectionError, "chat/completions"),
    ],
)
def test_what_is_no_answer_is_told_in_one_line(
    server: tuple[str, type[Handler]], respond: Callable[[Handler], None], error: type[Exception], told: str
) -> None:
    address, handler = server
    handler.respond = staticmethod(respond)  # type: ignore[assignment]
    with pytest.raises(error, match=told) as found:
        ServerPlanner(address).decide(situation(0))
    assert len(str(found.value)) < 400 and len(str(found.value).splitlines()) == 1
    assert len(handler.asked) == 1, "nowhere else is asked, nor told the key"


def test_a_slow_server_and_none_at_all_are_given_up(server: tuple[str, type[Handler]]) -> None:
    address, handler = server
    let_go = threading.Event()
    handler.respond = staticmethod(lambda handler: let_go.wait(10))  # type: ignore[assignment]
    began = time.monotonic()
    with pytest.raises(ConnectionError, match="timed out"):
        ServerPlanner(address, timeout=0.3).decide(situation(0))
    assert time.monotonic() - began < 3
    let_go.set()
    with pytest.raises(ConnectionError, match="refused"):
        ServerPlanner("http://127.0.0.1:9/v1", timeout=2).decide(situation(0))


@pytest.mark.parametrize("status", [200, 500])
def test_a_server_that_drips_is_given_up(server: tuple[str, type[Handler]], status: int) -> None:
    """The timeout was every byte's own: blanks, one now and then, held a decision for hours."""
    address, handler = server

    def drip(handler: Handler) -> None:
        handler.send_response(status)
        handler.end_headers()
        with suppress(OSError):
            for _ in range(60):
                handler.wfile.write(b" ")
                time.sleep(0.05)

    handler.respond = staticmethod(drip)  # type: ignore[assignment]
    with pytest.raises(ConnectionError, match="timed out"):
        ServerPlanner(address, timeout=0.3).decide(situation(0))


@pytest.mark.parametrize(
    "address",
    [
        *("ftp://somewhere/v1", "http:///v1", "http://key@somewhere/v1", "file:///etc/passwd"),
        *("http://somewhere:99999/v1", "http://somewhere:0/v1", "http://key@somewhere:port/v1"),
    ],
)
def test_addresses_that_are_none_are_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="a server's address is needed, such as http://localhost:8080/v1") as found:
        find_planner(address)
    assert "key@" not in str(found.value)
