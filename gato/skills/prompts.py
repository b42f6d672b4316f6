"""The grammar of instructions: every skill's phrases, to train with and kept back for the test, and typing mistakes.

A request is an action with a way ("run" with "forward", `gato.skills.wordings`); a phrase is a request alone, with a
manner after or before it, put politely, or addressed to the body by name. Kept back by construction: some pairs of
action and way (`combinations`), whole ways of putting it that are made of words training knows (`phrasings`), and
verbs that training never sees (`words`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from gato.skills.wordings import CALM_MANNERS, MANNERS, WORDINGS, Wording
from gato.specs import near_match

HELD_OUT = ("combinations", "phrasings", "words")
SPLITS = ("train", *HELD_OUT)
LONGEST = 10
"""Words of a phrase at most: as many as a prompt has positions, each word of training being one token."""
POLITE = (
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
    "go ahead and {}",
    "would you {}",
    "it is time to {}",
    "you need to {}",
    "show me how you {}",
    "begin to {}",
)
ADDRESSED = (
    "{body} {}",
    "{} {body}",
    "make the {body} {}",
    "let the {body} {}",
    "the {body} should {}",
    "have the {body} {}",
    "i want the {body} to {}",
    "the {body} must {}",
    "get the {body} to {}",
    "ok {body} {}",
)
"""`body` is a name of the body, or `robot`."""
KEPT_BACK = (
    "now please {}",
    "you must {}",
    "could you just {}",
    "ok robot {}",
    "please start to {}",
    "would the {body} {}",
    "it is time to have the {body} {}",
    "you need to try to {}",
    "let the {body} now {}",
    "please have the {body} {}",
    "{body} you should {}",
    "i need you to {}",
)
"""Ways of putting it for the test alone, of words that other ways train."""
NAMES = {
    "half-cheetah": ("cheetah", "half cheetah"),
    "walker2d": ("walker",),
    "humanoid-standup": ("humanoid",),
    "inverted-pendulum": ("pendulum",),
    "inverted-double-pendulum": ("pendulum",),
    "reacher": ("arm", "reacher"),
    "pusher": ("arm", "pusher"),
}
"""What a body is called where its id is not the word for it."""


def phrases(skill_id: str, split: str = "train") -> tuple[str, ...]:
    """The phrases of one skill, distinct; the first training phrase is the canonical prompt.

    `split` is one of SPLITS. ValueError for an unknown skill or split.
    """
    if skill_id not in WORDINGS:
        raise ValueError(f"no phrases for skill {skill_id!r}; {near_match(skill_id, WORDINGS)}")
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; {near_match(split, SPLITS)}")
    wording = WORDINGS[skill_id]
    around = _Frames(skill_id.split("/")[0])
    kept = [wording.core(*pair) for pair in _pairs(wording) if _is_kept_back(*pair)]
    known = [wording.core(*pair) for pair in _pairs(wording) if not _is_kept_back(*pair)]
    if split == "words":
        unknown = [action.format(way) for way in wording.ways[:4] for action in wording.rare]
        made = [*unknown, *around.decorated(unknown, wording.manners)]
    elif split == "combinations":
        made = [*kept, *around.decorated(kept, wording.manners)]
    elif split == "phrasings":
        made = [*around.put(known)]
    else:
        plain = [*known, *wording.alone]
        canonical = [frame.format(plain[0]) for frame in POLITE]
        made = [*plain, *canonical, *around.decorated(known, wording.manners), *around.addressed(list(wording.alone))]
    return tuple(dict.fromkeys(phrase for phrase in made if len(phrase.split()) <= LONGEST))


@cache
def frames(body: str) -> tuple[str, ...]:
    """Everything that may stand around a request to a body, with {} in its place."""
    named = [frame.format("{}", body=name) for frame in (*ADDRESSED, *KEPT_BACK) for name in _names(body)]
    manners = [
        frame
        for manner in {**dict.fromkeys(MANNERS), **dict.fromkeys(CALM_MANNERS)}
        for frame in (f"{{}} {manner}", f"{manner} {{}}")
    ]
    return tuple(dict.fromkeys([*POLITE, *named, *manners]))


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


def _names(body: str) -> tuple[str, ...]:
    return (*NAMES.get(body, (body,)), "robot")


class _Frames:
    """What is put around the requests to one body. Tables are gone through by strides, so that all of each is used."""

    def __init__(self, body: str) -> None:
        self.names = _names(body)

    def decorated(self, requests: list[str], manners: tuple[str, ...]) -> Iterator[str]:
        """Each request with a manner, politely, by name, and with a manner and politely."""
        before = [manner for manner in manners if manner.endswith("ly")]
        for index, request in enumerate(requests):
            late, early = manners[index % len(manners)], before[index % len(before)]
            yield f"{request} {late}"
            yield f"{early} {request}"
            yield POLITE[index % len(POLITE)].format(f"{request} {manners[(index + 3) % len(manners)]}")
        yield from self.addressed(requests)

    def addressed(self, requests: list[str]) -> Iterator[str]:
        """Each request politely and by name."""
        for index, request in enumerate(requests):
            yield POLITE[(7 * index + 3) % len(POLITE)].format(request)
            yield self._named(ADDRESSED[index % len(ADDRESSED)], request, index // len(ADDRESSED))

    def put(self, requests: list[str]) -> Iterator[str]:
        """Each request in two ways that training does not know."""
        for index, request in enumerate(requests):
            for stride in (1, 5):
                frame = KEPT_BACK[(stride * index + stride) % len(KEPT_BACK)]
                yield self._named(frame, request, index // len(KEPT_BACK))

    def _named(self, frame: str, request: str, turn: int) -> str:
        return frame.format(request, body=self.names[turn % len(self.names)])


def _misspelt(word: str, kind: str, rng: np.random.Generator) -> str:
    """One inner letter swapped with a different next one, dropped, or doubled; the first letter stays."""
    if kind == "swap":
        unequal = [index for index in range(1, len(word) - 1) if word[index] != word[index + 1]]
        if unequal:
            at = rng.choice(unequal)
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    at = rng.integers(1, len(word))
    return word[:at] + word[at + 1 :] if kind == "drop" else word[:at] + word[at] + word[at:]
