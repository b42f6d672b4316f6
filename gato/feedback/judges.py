"""Who says whether an instruction was followed, and why: the skill's rule, a causal language model, or a server.

In: a `Segment`. Out: a `Verdict`. Language models read the summary in words, never the numbers behind it.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from gato.feedback.segments import Segment
from gato.language.causal import CausalModel
from gato.language.chat import ChatServer
from gato.language.classifier import softmax
from gato.language.pretrained import language_folder
from gato.language.text import short

RULE = "rule"
"""The name of the judge that is the reference."""
ANSWERS = ("yes", "no")
SERVER_TIMEOUT = 60.0
"""s that a server has for a verdict with its reason."""
TRIES, PAUSE = 4, 1.0
"""How often a server is asked for one verdict, and the s until it is asked again, which double."""


@dataclass(frozen=True)
class Verdict:
    """What a judge says."""

    is_followed: bool | None
    """None where it said neither yes nor no."""
    why: str


class Judge(Protocol):
    """Whoever judges."""

    name: str

    def judge(self, segment: Segment) -> Verdict:
        """Whether it did what it was told. ValueError, ConnectionError: there is no answer to that."""
        ...


class RuleJudge:
    """The measured reading itself: the reference, which agrees with itself."""

    name = RULE

    def judge(self, segment: Segment) -> Verdict:
        """By the rule of the skill, and with its figures."""
        return Verdict(segment.is_followed, "; ".join(segment.figures))


class CausalJudge:
    """Weighs yes against no; what the model would say without having been told what happened is taken off."""

    def __init__(self, name: str) -> None:
        """ValueError where that is no causal language model."""
        self.name, self.folder = name, language_folder(name)
        model = CausalModel(self.folder)
        self._answers = lru_cache(maxsize=1024)(lambda asked: model.answers(asked, ANSWERS))

    def judge(self, segment: Segment) -> Verdict:
        """The likelier answer, with its probability and what was read."""
        yes, no = softmax(self._answers(question(segment)) - self._answers(question(segment, is_shown=False)))
        answer, chance = ("yes", yes) if yes > no else ("no", no)
        return Verdict(bool(yes > no), f"{answer} ({chance:.2f}): {segment.summary}")


class ServerJudge:
    """A server that speaks OpenAI's chat completions; it begins with yes or no and goes on with why."""

    def __init__(self, url: str, model: str = "") -> None:
        """ValueError for what is no web address, or a key that cannot be sent."""
        self._server = ChatServer(url, model, timeout=SERVER_TIMEOUT)
        self.name = self._server.name

    def judge(self, segment: Segment) -> Verdict:
        """What it says; undecided where that begins otherwise. ConnectionError or ValueError where it gave no answer
        in `TRIES`."""
        said = " ".join(self._asked(f"{question(segment)} Then say why, in one sentence.").split())
        begun = re.match(r"\W*(yes|no)\b\W*", said, re.IGNORECASE)
        if begun is None:
            return Verdict(None, f"it said neither yes nor no: {short(said)}")
        return Verdict(begun[1].lower() == "yes", said[begun.end() :] or said)

    def _asked(self, question: str) -> str:
        for again in range(TRIES - 1):
            try:
                return self._server.say(question)
            except (ConnectionError, ValueError):
                time.sleep(PAUSE * 2**again)
        return self._server.say(question)


def question(segment: Segment, *, is_shown: bool = True) -> str:
    """What a language model is asked; without `is_shown` it is told nothing of what happened."""
    happened = f"{segment.summary}\n" if is_shown else ""
    return (
        f'A robot ({segment.skill.body}) was told: "{segment.instruction}"\n{happened}'
        "Did it do what it was told? Answer yes or no."
    )


def find_judge(name: str, *, server_model: str = "") -> Judge:
    """ "rule", a server's address, or folder or Hub id of a causal language model; ValueError for anything else."""
    is_server = "://" in name
    if server_model and not is_server:
        raise ValueError(f"server_model {server_model} is for a server; got the judge {name}: leave it out")
    if is_server:
        return ServerJudge(name, server_model)
    return RuleJudge() if name == RULE else CausalJudge(name)
