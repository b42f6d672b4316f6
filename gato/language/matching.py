"""Which skill of a body a phrase asks for, by the phrases that the skills are declared with.

In: a phrase, a body. Out: a `Skill`. The grammar of plans knows no more of skills than these functions: whatever else
may tell what a phrase means takes the place of `match`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gato.language.text import normalise, short
from gato.skills.bodies import BODIES
from gato.skills.plan import plan_skills
from gato.skills.prompts import SPLITS, frames
from gato.skills.robots.known import robot_hash
from gato.skills.skill import Skill
from gato.skills.table import get_skill
from gato.specs import near_match

CONNECTIVES = ("and", "then", "after", "before", "while", ",")
"""Words between the parts of a plan."""
WAITING = ("wait", "pause", "freeze")
"""Verbs that mean the same without the "there" of their phrases, and leave nothing open."""
MOST_POLITE = 64
"""Ways of leaving politeness out that are tried."""


def match(phrase: str, body: str) -> Skill | None:
    """The skill that one of the body's own phrases means, politeness and manner left out; None where there is none.

    `phrase` is as `normalise` gives it; the phrases of all splits count.
    """
    known = _phrasebook(body, robot_hash(body)).skills
    return next((known[bare] for bare in _bare(phrase, frames(body)) if bare in known), None)


def find_skill(phrase: str, body: str) -> Skill:
    """`match`, or a ValueError that says what the body can do, and who else can do that."""
    skill = match(phrase, body)
    if skill is None:
        others = [name for name in BODIES if name != body and match(phrase, name)]
        whose = f", but {' and '.join(others)} can" if others else ""
        prompts = [get_skill(skill_id).prompt for skill_id in plan_skills(body)]
        raise ValueError(
            f'"{short(phrase)}" is nothing that {body} can do{whose}; {near_match(short(phrase), prompts)}'
        )
    return skill


def idioms(body: str) -> tuple[str, ...]:
    """The body's phrases that hold a connective ("hop up and down"), the longest first."""
    return _phrasebook(body, robot_hash(body)).idioms


@dataclass(frozen=True)
class _Phrasebook:
    skills: dict[str, Skill]
    idioms: tuple[str, ...]


@lru_cache
def _phrasebook(body: str, robot: str) -> _Phrasebook:
    """Of a body, or of that robot where it is one of somebody's own."""
    skills = {
        normalise(phrase): get_skill(skill_id)
        for skill_id in plan_skills(body)
        for split in SPLITS
        for phrase in get_skill(skill_id).phrases(split)
    }
    skills |= {verb: skills[f"{verb} there"] for verb in WAITING if f"{verb} there" in skills}
    found = [phrase for phrase in skills if set(CONNECTIVES) & set(phrase.split())]
    return _Phrasebook(skills, tuple(sorted(found, key=len, reverse=True)))


def _bare(phrase: str, around: Sequence[str]) -> Iterator[str]:
    """The phrase, and what is left of it without what stands around it, "turning" being "turn"."""
    waiting, seen = [phrase], {phrase}
    while waiting:
        polite_one = waiting.pop(0)
        yield polite_one
        verb, *rest = polite_one.split(" ")
        if verb.endswith("ing"):
            stem = verb.removesuffix("ing")
            yield from (" ".join([one, *rest]) for one in (stem, stem + "e", re.sub(r"(.)\1$", r"\1", stem)))
        for before, after in (frame.split("{}") for frame in around):
            inner = polite_one.removeprefix(before).removesuffix(after)
            is_new = inner not in seen and len(seen) < MOST_POLITE
            if is_new and len(inner) == len(polite_one) - len(before) - len(after) and inner:
                seen.add(inner)
                waiting.append(inner)
