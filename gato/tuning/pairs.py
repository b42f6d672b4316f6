"""Sentences with the plans that they mean, made by the grammar without end, and what of them is kept for the test.

In: bodies, a split, a generator. Out: `Pair`s. A sentence is one to three requests, each the phrase of a skill with a
time, a way, an angle or a number of repeats, joined by words of order; its plan is what `gato.language.plans` reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeVar, get_args

import numpy as np

from gato.language.matching import CONNECTIVES
from gato.language.plans import parse_plan
from gato.skills.plan import Plan, plan_skills
from gato.skills.table import get_skill

Option = TypeVar("Option")
Split = Literal["seen", "combinations", "phrasings"]
SPLITS: tuple[Split, ...] = get_args(Split)
"""seen: new sentences of the kind that training has; combinations: a skill right after another that training never has
in that order; phrasings: ways of putting a request that training never has (`gato.skills.prompts`)."""
MOST_TRIES = 10_000
"""Sentences drawn for one of a split before it counts as empty."""

_TIMES = (
    *(f"for {number} seconds" for number in (*range(2, 10), "1.5", "2.5", "3.5", "two", "three", "four", "five")),
    *("for 1 second", "for half a second", "for 2 s", "for 4 s", "for 8 s"),
)
_WAYS = tuple(f"{number} metres" for number in ("2", "3", "4", "5", "2.5", "two", "three"))
_ANGLES = tuple(f"{number} degrees" for number in (30, 45, 60, 90, 120, 180, 270, 360))
_REPEATS = ("twice", "thrice", "2 times", "3 times", "four times", "5 times")
_AMOUNTS = (("",), _TIMES, _WAYS, _ANGLES)
_OUTER = {"you", "please", "again"}
"""What no phrase begins or ends with here."""
_REPEATED = 0.2
"""Of the requests, the share that is asked for several times."""
_JOINED: dict[int, tuple[str, ...]] = {
    1: ("{}", "{}", "{}, do that twice"),
    2: (
        "{}, then {}",
        "{} and then {}",
        "{} and {}",
        "{}, {}",
        "first {}, then {}",
        "{}, after that {}",
        "{} before {}",
        "{1} after {0}",
        "after {}, {}",
        "before {1}, {0}",
        "{} and {}, do that twice",
    ),
    3: ("{}, then {}, then {}", "{}, {} and {}", "first {}, next {}, finally {}", "{} and {}, then {}"),
}
"""Number of requests -> what stands around them; {0} is what is done first."""


@dataclass(frozen=True)
class Pair:
    """A sentence, and what it means to the body of the plan."""

    sentence: str
    plan: Plan


def is_kept_back(plan: Plan) -> bool:
    """Whether a skill follows on another as it never does in training: a diagonal of the table of pairs, so that every
    skill comes first and last in training, too. Bodies of one or two skills have none."""
    places = {skill: place for place, skill in enumerate(plan_skills(plan.body))}
    order = [places[part.skill] for part in plan.parts]
    return any((first + 3 * second) % 5 == 2 for first, second in zip(order, order[1:], strict=False))


def pairs(
    bodies: Sequence[str], split: Split, rng: np.random.Generator, *, besides: Collection[str] = ()
) -> Iterator[Pair]:
    """Without end, and not without repetition; `besides`: sentences that are left out.

    ValueError for an unknown body, or one that has nothing of that split.
    """
    while True:
        yield _pair(bodies[int(rng.integers(len(bodies)))], split, rng, besides)


def some_pairs(bodies: Sequence[str], split: Split, count: int, *, seed: int) -> tuple[Pair, ...]:
    """`count` different ones, of those bodies that have any of that split; none where no body has."""
    rng = np.random.default_rng([seed, SPLITS.index(split)])
    able = [body for body in bodies if split != "combinations" or len(plan_skills(body)) > 2]
    if not able:
        return ()
    found: dict[str, Pair] = {}
    for pair in pairs(able, split, rng, besides=found):
        if len(found) == count:
            break
        found[pair.sentence] = pair
    return tuple(found.values())


def _pair(body: str, split: Split, rng: np.random.Generator, besides: Collection[str]) -> Pair:
    for _ in range(MOST_TRIES):
        sentence = _sentence(body, split, rng)
        if sentence in besides:
            continue
        try:
            plan = parse_plan(sentence, body)
        except ValueError:
            # Long ways of a slow body, asked for again and again, may take longer than a plan may.
            continue
        if is_kept_back(plan) == (split == "combinations"):
            return Pair(sentence, plan)
    raise ValueError(f"{body} has no more sentences of the split {split}; ask for fewer, or name other bodies")


def _sentence(body: str, split: Split, rng: np.random.Generator) -> str:
    skills = plan_skills(body)
    fewest = 2 if split == "combinations" else 1
    joined = _one(_JOINED[int(rng.integers(fewest, 4))], rng)
    number = max(joined.count("{"), 1)
    requests = [_request(skills[int(rng.integers(len(skills)))], split, rng) for _ in range(number)]
    return joined.format(*requests)


def _request(skill_id: str, split: Split, rng: np.random.Generator) -> str:
    phrases = _phrases(skill_id, "phrasings" if split == "phrasings" else "train")
    # The canonical prompt as often as all others together: it is what everything else means.
    is_canonical = split != "phrasings" and rng.random() < 0.5
    said = [get_skill(skill_id).prompt if is_canonical else _one(phrases, rng)]
    said.append(_one(_one(_amounts(skill_id), rng), rng))
    if rng.random() < _REPEATED:
        said.append(_one(_REPEATS, rng))
    return " ".join(filter(None, said))


@lru_cache
def _phrases(skill_id: str, split: str) -> tuple[str, ...]:
    """Those without words that the grammar takes for what stands around requests: "after you must walk" is "after" and
    "must walk", and a last "please" is left out."""
    found = [phrase.split() for phrase in get_skill(skill_id).phrases(split)]
    free = (words for words in found if not {*CONNECTIVES} & {*words} and not _OUTER & {words[0], words[-1]})
    return tuple(map(" ".join, free))


@lru_cache
def _amounts(skill_id: str) -> tuple[tuple[str, ...], ...]:
    """The kinds of amounts that the grammar understands of that skill: who stands goes no way."""
    skill, known = get_skill(skill_id), []
    for kind in _AMOUNTS:
        try:
            parse_plan(f"{skill.prompt} {kind[0]}", skill.body)
        except ValueError:
            continue
        known.append(kind)
    return tuple(known)


def _one(options: Sequence[Option], rng: np.random.Generator) -> Option:
    return options[int(rng.integers(len(options)))]
