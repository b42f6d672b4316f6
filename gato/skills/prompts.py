"""The phrases of every skill: to train with, kept back for the test, and typing mistakes.

A phrase is an action with a way (`gato.skills.wordings`), bare or decorated with a manner or a politeness. The test
split holds combinations that training never sees, of words that it does see.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gato.skills.wordings import WORDINGS, Wording
from gato.specs import near_match

POLITENESS = (
    "please {}",
    "{} please",
    "can you {}",
    "now {}",
    "i want you to {}",
    "could you {}",
    "try to {}",
    "robot {}",
    "let us {}",
    "your task is to {}",
    "start to {}",
    "just {}",
    "you should {}",
    "ok {}",
)


def phrases(skill_id: str, split: str = "train") -> tuple[str, ...]:
    """The phrases of one skill, distinct; the first training phrase is the canonical prompt.

    `split` "train" or "test". ValueError for an unknown skill or split.
    """
    if skill_id not in WORDINGS:
        raise ValueError(f"no phrases for skill {skill_id!r}; {near_match(skill_id, WORDINGS)}")
    if split not in ("train", "test"):
        raise ValueError(f"unknown split {split!r}; {near_match(split, ('train', 'test'))}")
    wording = WORDINGS[skill_id]
    is_test = split == "test"
    cores = [wording.core(action, way) for action, way in _pairs(wording) if _is_kept_back(action, way) == is_test]
    alone = [] if is_test else list(wording.alone)
    return tuple(dict.fromkeys([*cores, *alone, *_decorated([*cores, *alone], wording.manners)]))


def typo(text: str, rng: np.random.Generator) -> str:
    """The text with one mistake: a letter of a word swapped, dropped or doubled, or its case or end changed.

    Always differs from a text that has a word of four letters or more; shorter words keep their letters.
    """
    words = text.split(" ")
    long_words = [index for index, word in enumerate(words) if len(word) >= 4]
    kind = rng.choice(["swap", "drop", "double", "case", "dot"]) if long_words else "dot"
    if kind == "dot":
        return text + "."
    if kind == "case":
        return text.upper() if text.upper() != text else text.lower()
    index = rng.choice(long_words)
    words[index] = _misspelt(words[index], str(kind), rng)
    return " ".join(words)


def _pairs(wording: Wording) -> Iterator[tuple[int, int]]:
    """Every action with every way, the canonical pair first."""
    return ((action, way) for action in range(len(wording.actions)) for way in range(len(wording.ways)))


def _is_kept_back(action: int, way: int) -> bool:
    """A diagonal of the table: every action and every way stays in training, the canonical pair with them."""
    return (action + 3 * way) % 8 == 5


def _decorated(cores: list[str], manners: tuple[str, ...]) -> Iterator[str]:
    """Each manner and each politeness on two cores, spread over the table, and a few with both."""
    for turn in range(2):
        for index, manner in enumerate(manners):
            yield f"{cores[(5 * index + 7 * turn) % len(cores)]} {manner}"
        for index, polite in enumerate(POLITENESS):
            yield polite.format(cores[(3 * index + 11 * turn) % len(cores)])
    for index, polite in enumerate(POLITENESS[::2]):
        yield f"{polite.format(cores[(2 * index + 5) % len(cores)])} {manners[index % len(manners)]}"


def _misspelt(word: str, kind: str, rng: np.random.Generator) -> str:
    """One inner letter swapped with a different next one, dropped, or doubled; the first letter stays."""
    if kind == "swap":
        unequal = [index for index in range(1, len(word) - 1) if word[index] != word[index + 1]]
        if unequal:
            at = rng.choice(unequal)
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    at = rng.integers(1, len(word))
    return word[:at] + word[at + 1 :] if kind == "drop" else word[:at] + word[at] + word[at:]
