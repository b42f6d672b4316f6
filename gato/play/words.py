"""What somebody who types means: words to act by, or a plan.

In: a body and a line of text. Out: `Meaning`; ValueErrors of one line, with a near match.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from gato.language.matching import match
from gato.language.plans import parse_plan
from gato.language.text import normalise
from gato.serve.catalogue import Catalogue, is_id
from gato.skills.plan import Plan
from gato.skills.table import get_skill
from gato.skills.told import is_numbers

PARTED = (" , ", " then ", " until ", " and ", " for ")
"""Of a sentence that was meant as a plan, if it is no phrase: then what is wrong with the plan is told."""
TIMED = (" until ", " for ")
"""Of these what is heard as well: everyday sentences have commas and "and", and seldom these after a phrase."""


@dataclass(frozen=True)
class Meaning:
    """What a body is to be told."""

    prompt: str
    skill: str | None
    """Whose phrase that is; None where it is nobody's."""
    plan: Plan | None = None
    """Told instead, part by part; `prompt` and `skill` are those of its first part."""
    note: str = ""
    """What the person should know about how it was understood."""


def sayable(text: str) -> str:
    """On one line; ValueError where nothing is said, or what no keyboard types."""
    text = " ".join(text.split())
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        raise ValueError("there are control characters in it; say it in plain letters")
    if not any(map(str.isalnum, text)):
        raise ValueError('nothing was said; say what to do, such as "turn left"')
    return text


class Interpreter:
    """Understands sentences for the bodies of one model; in any thread."""

    def __init__(self, catalogue: Catalogue, hear: Callable[[str, str], str | None] | None = None) -> None:
        """`hear`: (body, sentence) -> what to tell the body, None where nothing that it can do."""
        self._catalogue, self._hear = catalogue, hear
        self._hearing = threading.Lock()
        """Tokenizers are not for several threads at once."""

    def understand(self, body: str, text: str) -> Meaning:
        """A phrase or a skill's id, a plan, a sentence that is heard, or words that the model is told as they are.

        ValueError for what another body can do, for a skill that the model was not taught, for a plan that cannot be
        done, and for nothing.
        """
        text = sayable(text)
        if is_id(text) or is_numbers(text):
            return Meaning(*self._catalogue.words(body, text))
        said = normalise(text)
        if (skill := match(said.strip(" ,"), body)) is not None:
            return self._phrase(body, text, skill.id)
        try:
            plan = parse_plan(text, body)
        except ValueError as error:
            return self._other(body, text, said, fault=error)
        for part in plan.parts:
            self._catalogue.words(body, part.skill)
        first = get_skill(plan.parts[0].skill)
        return Meaning(first.prompt, first.id, plan)

    def _phrase(self, body: str, text: str, skill_id: str) -> Meaning:
        """As it was said, where the model was taught to hear it so; else by the skill's own words."""
        prompt, _ = self._catalogue.words(body, skill_id)
        try:
            said, meant = self._catalogue.words(body, text)
        except ValueError:
            meant = None
        if meant == skill_id:
            return Meaning(said, skill_id)
        return Meaning(prompt, skill_id, note=f'told "{prompt}"')

    def _other(self, body: str, text: str, said: str, *, fault: ValueError) -> Meaning:
        """What is neither a phrase of a skill nor a plan."""
        try:
            prompt, skill = self._catalogue.words(body, text)
        except ValueError:
            prompt, skill = "", None
        if skill is not None:  # asked for in numbers, such as "walk slowly"
            return Meaning(prompt, skill)
        if self._is_plan(body, f"{said} "):
            raise fault
        if self._hear is not None:
            with self._hearing:
                heard = self._hear(body, text)
            if heard is None:
                raise fault
            return Meaning(*self._catalogue.words(body, heard), note=f'heard as "{heard}"')
        if not prompt:
            raise fault
        return Meaning(prompt, None, note=f"{fault}; told as it is, it may not know the words")

    def _is_plan(self, body: str, said: str) -> bool:
        """Whether what is no plan was meant as one; where somebody listens, only what can hardly be anything else."""
        if self._hear is None:
            return any(mark in said for mark in PARTED)
        pieces = re.split("|".join(PARTED), said)
        is_timed = any(mark in said for mark in TIMED) and any(match(one.strip(" ,"), body) for one in pieces)
        return " then " in said or is_timed
