"""Which skill a sentence means, in words that nobody foresaw; or that it means none.

In: a body, a sentence. Out: `Heard`, the body's skills by probability, and the one that is meant if any is. Who knows
the probabilities is a sentence encoder (`classifier`) or a causal language model (`likelihood`). The generalist stays
as it is: it is told the skill's canonical prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from gato.experts.shipped import has_shipped_expert
from gato.language.text import short
from gato.skills.bodies import get_body
from gato.skills.table import Skill, get_skill, skills_of

THRESHOLD = 0.5
"""Probability that any skill is meant, below which a body declines; set on benchmarks/sentences/calibration.tsv."""
PREFERRED = 0.55
"""Share of that probability which the likeliest skill has, below which a body asks which is meant; set there, too."""
MOST_CHARACTERS = 500
"""What is longer is declined."""


@dataclass(frozen=True)
class Heard:
    """What a body made of a sentence."""

    body: str
    sentence: str
    ranked: tuple[tuple[str, float], ...]
    """Skill id and probability, the likeliest first; what is left of 1 is that none is meant."""
    skill: str | None
    """The skill that is meant; None where the sentence is declined."""
    reason: str
    """Why it is declined; "" where it is not."""

    @property
    def prompt(self) -> str | None:
        """What to tell the body; None where the sentence is declined."""
        return None if self.skill is None else get_skill(self.skill).prompt

    @property
    def meant(self) -> float:
        """Probability that any skill is meant."""
        return sum(probability for _, probability in self.ranked)

    @property
    def is_clear(self) -> bool:
        """Whether one skill stands out among those that may be meant."""
        return bool(self.ranked) and self.ranked[0][1] >= PREFERRED * self.meant

    def json(self) -> dict[str, Any]:
        """As `gato say --json` prints it."""
        return {
            "body": self.body,
            "sentence": self.sentence,
            "skill": self.skill,
            "prompt": self.prompt,
            "declined": self.reason,
            "skills": [
                {"skill": skill, "prompt": get_skill(skill).prompt, "probability": p} for skill, p in self.ranked
            ],
        }


class Judge(Protocol):
    """Who knows how probable a skill is."""

    def chances(self, skills: Sequence[Skill], text: str) -> np.ndarray:
        """(C + 1,) of each skill, and of none; their sum is 1."""


class Listener:
    """Hears sentences for any body."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge

    def hear(self, body: str, sentence: str) -> Heard:
        """What is meant. Declines what is empty, endless, or may as well be two things; ValueError for no body,
        and for one that is told in numbers only."""
        skills = offered(body)
        text = " ".join("".join(letter if letter.isprintable() else " " for letter in sentence).split())
        if not skills:
            name, (_, high) = next(iter(skills_of(body)[0].command.items()))
            raise ValueError(f'{body} is told in numbers only, such as "{name}={high:g}"; got "{short(text)}"')
        if not any(map(str.isalnum, text)):
            return Heard(body, sentence, (), None, "nothing was said")
        if len(text) > MOST_CHARACTERS:
            return Heard(body, sentence, (), None, f"longer than {MOST_CHARACTERS} characters")
        chance_C = self.judge.chances(skills, text)
        order = np.argsort(-chance_C[:-1], kind="stable")
        ranked = tuple((skills[place].id, float(chance_C[place])) for place in order)
        heard = Heard(body, sentence, ranked, ranked[0][0], "")
        if heard.meant < THRESHOLD:
            known = ", ".join(f'"{skill.prompt}"' for skill in skills)
            reason = f"none of {body}'s skills ({heard.meant:.2f} < {THRESHOLD}): {known}"
            return replace(heard, skill=None, reason=reason)
        if not heard.is_clear:
            known = " or ".join(f'"{get_skill(skill).prompt}"' for skill, _ in ranked[:2])
            return replace(heard, skill=None, reason=f"not clear which is meant: {known}")
        return heard


def offered(body: str) -> tuple[Skill, ...]:
    """What a body can be told in words: its skills with an expert, all where none has one (a robot of your own)."""
    get_body(body)
    own = tuple(skill for skill in skills_of(body) if not skill.is_commanded)
    return tuple(skill for skill in own if has_shipped_expert(skill.id)) or own
