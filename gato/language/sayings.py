"""What people say: for every skill of a body its phrases and freer sentences, and sentences that mean none of them.

In: a body's skills. Out: `examples`, sentences with the skill that they mean, or None; they are in sayings.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gato.skills.prompts import typo
from gato.skills.table import SKILLS, Skill

FILE = Path(__file__).with_name("sayings.yaml")
PHRASES, FOREIGN_PHRASES = 80, 30
"""Phrases of the grammar that are taken, of a skill of the body and of one that is not."""
MIRROR = {
    "left": "right",
    "right": "left",
    "leftwards": "rightwards",
    "counterclockwise": "clockwise",
    "port": "starboard",
}


def examples(skills: Sequence[Skill]) -> list[tuple[str, Skill | None]]:
    """(sentence, the skill of these that it means, None for none).

    Freer sentences stand there alone, with words around them, and with a typing mistake.
    """
    found: list[tuple[str, Skill | None]] = []
    for skill in skills:
        found += [(one, skill) for one in (*_some(skill, PHRASES), *_varied(_said(skill.id)))]
    foreign = [one for skill in _strangers(skills) for one in (*_some(skill, FOREIGN_PHRASES), *_said(skill.id))]
    found += [(one, None) for one in (*foreign, *_out_of_place(skills), *_varied(_foreign()))]
    return found


def _varied(sentences: Sequence[str]) -> Iterator[str]:
    """Each alone, with words around it, and misspelt; always the same."""
    around, rng = _table()["around"], np.random.default_rng(0)
    for sentence in sentences:
        yield sentence
        yield around[int(rng.integers(len(around)))].format(sentence)
        yield typo(sentence, rng)


@cache
def _table() -> dict[str, Any]:
    return dict(yaml.safe_load(FILE.read_text(encoding="utf-8")))


@cache
def _foreign() -> tuple[str, ...]:
    """What no body does."""
    table = _table()
    verbs, objects = table["verbs"], table["objects"]
    tasks = [
        f"{verb} {objects[(7 * index + 3 * turn) % len(objects)]}"
        for index, verb in enumerate(verbs)
        for turn in range(4)
    ]
    return (*table["foreign"], *tasks)


def _some(skill: Skill, count: int) -> list[str]:
    """The canonical prompt and some of the other phrases, always the same."""
    first, *others = skill.phrases()
    return [first, *np.random.default_rng(0).permutation(others)[: count - 1].tolist()]


@cache
def _said(skill_id: str) -> tuple[str, ...]:
    """The freer sentences of a skill; none for one of somebody's own robot."""
    body, name = skill_id.split("/")
    said, is_mirrored = _table()["said"], name.endswith("-right")
    name = name.replace("-right", "-left")
    names = [f"{body}/{name}" if f"{body}/{name}" in said else name]
    if name == "turn-left" and _swims(body):
        names.append("steer-left")
    words = {word: other if is_mirrored else word for word, other in MIRROR.items()}
    sentences = [one.format(**words) for key in names for one in said.get(key, ())]
    return (*sentences, *(one.replace("counterc", "antic") for one in sentences if "counterc" in one))


def _swims(body: str) -> bool:
    return any(skill.id.startswith(f"{body}/swim") for skill in SKILLS.values())


def _kin(name: str) -> frozenset[str]:
    return next((frozenset(group) for group in _table()["kin"] if name in group), frozenset({name}))


def _name(skill: Skill) -> str:
    return skill.id.split("/")[1]


def _strangers(skills: Sequence[Skill]) -> list[Skill]:
    """Skills of other bodies that these have no kin of; none where these are of a robot of somebody's own."""
    if any(not _said(skill.id) for skill in skills):
        return []
    own = {_name(skill) for skill in skills}
    return [one for one in SKILLS.values() if not one.is_commanded and not _kin(_name(one)) & own]


def _out_of_place(skills: Sequence[Skill]) -> Iterator[str]:
    """Sentences of kin with words for another kind of body: nobody but a swimmer swims."""
    if any(not _said(skill.id) for skill in skills):
        return
    own = {_name(skill).split("-")[0] for skill in skills}
    for way, words in _table()["only"].items():
        if way in own or (way == "hop" and "swim" not in own):
            continue
        for other in (one for one in SKILLS.values() if _name(one).startswith(f"{way}-") and not one.is_commanded):
            yield from (one for one in (*other.phrases(), *_said(other.id)) if any(word in one for word in words))
