"""The thread that acts: a batch gives each connection what an agent of its own would, whatever the others do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from making import ARM, CART, draw
from serving import make_telling_model

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.rollout.agent import Agent
from gato.sequences import Layout
from gato.serve.batcher import Answer, Batcher, Session
from gato.serve.catalogue import Catalogue
from gato.serve.messages import Message
from gato.specs import BodySpec

CONFIG = ModelConfig(size="nano", layout=Layout(prompt_positions=4, window_steps=5, demonstration_steps=0))
WORDS = ("run forward", "run backward", "hop", "")
MOST = 4


@pytest.fixture(scope="module")
def model() -> Gato:
    return make_telling_model(CONFIG, CART, ARM)


@pytest.fixture(scope="module")
def catalogue(model: Gato) -> Catalogue:
    return Catalogue(model)


@pytest.fixture
def batcher(model: Gato, catalogue: Catalogue) -> Batcher:
    """Its thread does not run: a test says when it looks at what waits."""
    return Batcher(model, catalogue, MOST)


def answers(batcher: Batcher, *asked: tuple[Session, Message]) -> list[Answer]:
    """All of it waits, then it is answered."""
    futures = [batcher.ask(session, message) for session, message in asked]
    batcher._work(batcher._waiting())
    return [future.result(timeout=0) for future in futures]


def message(spec: BodySpec, rng: np.random.Generator | None = None, **more: Any) -> Message:
    observation_O = np.zeros(len(spec.observation)) if rng is None else draw(spec.observation, (), rng)
    return Message(observation_O, **more)


@dataclass
class Lone:
    """A session, and an agent that acts for it alone."""

    spec: BodySpec
    agent: Agent
    session: Session = field(default_factory=Session)

    def expected(self, asked: Message) -> list[float]:
        if asked.reset:
            self.agent.reset(np.array([0]))
        if asked.prompt is not None and asked.prompt != self.agent.prompts[0]:
            self.agent.set_prompt(np.array([0]), [asked.prompt])
        return self.agent(asked.observation_O[None])[0].tolist()


def test_sessions_that_come_go_reset_and_are_told_get_what_a_lone_agent_gives(model: Gato, batcher: Batcher) -> None:
    rng, open_, seen, batches = np.random.default_rng(0), list[Lone](), set[int](), set[int]()
    for step in range(120):
        if step % 3 == 0 and len(open_) == MOST or (open_ and rng.random() < 0.1):
            batcher.leave(open_.pop(int(rng.integers(len(open_)))).session)
        if len(open_) < MOST and rng.random() < 0.6:
            spec = (CART, ARM)[int(rng.integers(2))]
            open_.append(Lone(spec, Agent(model, spec.name, [""])))
        asked = []
        for one in open_:
            if one.session.body and rng.random() < 0.3:
                continue  # slower than the others
            more: dict[str, Any] = {"reset": bool(rng.random() < 0.15)}
            if not one.session.body or rng.random() < 0.15:
                more |= {"body": one.spec.name, "prompt": str(rng.choice(WORDS))}
            asked.append((one, message(one.spec, rng, **more)))
        if not asked:
            continue
        given = answers(batcher, *((one.session, said) for one, said in asked))
        for (one, said), answer in zip(asked, given, strict=True):
            assert answer.action_A.tolist() == one.expected(said)
            seen.add(id(one.session))
            batches.add(answer.rows)
    assert len(seen) > 3 * MOST and batches >= {1, 2, 3}  # rows had several owners, and were answered together


def test_a_row_is_free_again_once_its_session_is_over(batcher: Batcher) -> None:
    for _ in range(3 * MOST):
        session = Session()
        answers(batcher, (session, message(CART, body="cart", prompt="run")))
        assert batcher.num_sessions() == 1
        batcher.leave(session)
        batcher._work(batcher._waiting())
    assert batcher.num_sessions() == 0


def test_who_left_before_the_answer_gets_none_and_leaves_the_row_to_the_next(model: Gato, batcher: Batcher) -> None:
    first, second = Session(), Session()
    answers(batcher, (first, message(CART, body="cart", prompt="run")))
    lost = batcher.ask(first, message(CART))
    batcher.leave(first)
    [answer] = answers(batcher, (second, message(CART, body="cart", prompt="hop")))
    assert second.row == first.row and not lost.done() and batcher.num_sessions() == 1
    assert answer.action_A.tolist() == Agent(model, "cart", ["hop"])(np.zeros((1, 2)))[0].tolist()


def test_words_said_again_change_nothing(model: Gato, batcher: Batcher) -> None:
    """Clients of openpi's kind send the prompt with every observation; new words halve the history, the same do not."""
    rng, once, always, seen = np.random.default_rng(1), Session(), Session(), set[float]()
    for step in range(12):
        said = message(CART, rng, body="cart", prompt="run")
        quiet = said if step == 0 else Message(said.observation_O)
        one, other = answers(batcher, (once, quiet), (always, said))
        assert one.action_A.tolist() == other.action_A.tolist()
        seen.add(float(one.action_A[0]))
    assert len(seen) > 9  # the model's actions are not two or three at the ends of the box


def test_a_message_that_is_wrong_changes_nothing_and_the_others_of_its_batch_are_answered(batcher: Batcher) -> None:
    rng, sessions = np.random.default_rng(2), [Session() for _ in range(3)]
    begin = message(CART, rng, body="cart", prompt="run")
    answers(batcher, *((session, begin) for session in sessions[:2]))
    for _ in range(7):
        right = message(CART, rng)
        wrong = Message(np.array([np.nan, 0]), prompt="run backward", reset=True)
        futures = [batcher.ask(session, one) for session, one in zip(sessions, (right, wrong, right), strict=True)]
        batcher._work(batcher._waiting())
        with pytest.raises(ValueError, match=r"1 of 2 numbers are wrong: place \(-inf to inf\) is nan"):
            futures[1].result(0)
        with pytest.raises(ValueError, match="names no body"):
            futures[2].result(0)
        [unchanged] = answers(batcher, (sessions[1], right))
        assert futures[0].result(0).action_A.tolist() == unchanged.action_A.tolist()


def test_a_batch_that_fails_is_begun_anew_and_harms_no_other_body(
    model: Gato, batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gets the row next must not see how far the failed one came."""
    rng, cart, arm = np.random.default_rng(3), Session(), Session()
    begin = [(cart, message(CART, rng, body="cart", prompt="run")), (arm, message(ARM, rng, body="arm", prompt="run"))]
    answers(batcher, *begin)
    head = model.body("cart").head

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(head, "forward", fail)
        futures = [batcher.ask(cart, message(CART, rng)), batcher.ask(arm, message(ARM, rng))]
        batcher._work(batcher._waiting())
    with pytest.raises(RuntimeError, match="MemoryError, see its log"):
        futures[0].result(0)
    assert futures[1].result(0).rows == 1 and batcher.num_sessions() == 1
    with pytest.raises(ValueError, match="no body"):
        answers(batcher, (cart, message(CART)))
    agent = Agent(model, "cart", ["hop"])
    for step in range(8):
        said = message(CART, rng, **({"body": "cart", "prompt": "hop"} if step == 0 else {}))
        assert answers(batcher, (cart, said))[0].action_A.tolist() == agent(said.observation_O[None])[0].tolist()


def test_a_check_that_fails_is_told_and_stops_nobody(
    batcher: Batcher, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It ended the thread that acts, and nobody was answered any more."""
    session, begin = Session(), message(CART, body="cart", prompt="run")

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "observation", fail)
        future = batcher.ask(session, begin)
        batcher._work(batcher._waiting())
    with pytest.raises(RuntimeError, match="MemoryError, see its log.; the message has changed nothing"):
        future.result(0)
    assert "could not be checked" in caplog.text
    assert answers(batcher, (session, begin))[0].rows == 1


def test_a_connection_keeps_its_body(batcher: Batcher) -> None:
    session = Session()
    with pytest.raises(ValueError, match='has no prompt; send "prompt"'):
        answers(batcher, (session, message(CART, body="cart")))
    answers(batcher, (session, message(CART, body="cart", prompt="")))
    with pytest.raises(ValueError, match="acts for cart, got arm; open another one"):
        answers(batcher, (session, message(ARM, body="arm")))


def _rows(asked: Sequence[Answer]) -> list[int]:
    return [one.rows for one in asked]


def test_what_waits_is_one_batch_a_body(batcher: Batcher) -> None:
    specs = (CART, ARM, CART, CART)
    asked = [(Session(), message(spec, body=spec.name, prompt="run")) for spec in specs]
    assert _rows(answers(batcher, *asked)) == [3, 1, 3, 3]
