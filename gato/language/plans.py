"""Sentences to plans, by a grammar of the common forms.

In: "walk forward for three seconds, then turn left twice and stop", a body. Out: a `Plan`.
Loosest first: stops, commas and "then"; "x after y" (y comes first) and "x before y"; "and"; a part: the phrase of a
skill with how long and how often. "do that twice" and "repeat" are about everything before them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gato.language.amounts import QUANTITY, Asked, ends_condition, is_of_one_part, lasting, repeats_of
from gato.language.matching import CONNECTIVES, find_skill, idioms, match
from gato.language.text import NUMBER, normalise, short
from gato.runs import read_json
from gato.skills.bodies import get_body
from gato.skills.plan import MOST_PARTS, Part, Plan

_KEPT = "\0"
"""Before a connective that belongs to a phrase; no sentence holds it."""
_THEN = re.compile(r"(?<!\S)(?:(?:after|following) (?:that|this|which)|afterwards?|thereafter|followed by)(?!\S)")
_STOP = re.compile(r"(?<!\S)(?:and )?(?:[,:]|then)(?: and)?(?!\S)")
_FILLER = re.compile(r"^(?:(?:first of all|firstly|first|next|finally|lastly|also) ?\b|(?:ok|okay|please|robot|now)$)+")
_ORDER = re.compile(r"(?<!\S)(after|before)(?: you)?(?!\S)")
_AND = re.compile(r"(?<!\S)and(?!\S)")
_AT_ONCE = re.compile(r"(?<!\S)(?:while|meanwhile|at the same time)(?!\S)")
_COURTESY = re.compile(r" (?:again|please)$")
_TIMES = rf"(?P<number>{NUMBER}) (?:times?|x)"
_IT = "(?:that|this|it|everything|all that|all of that|all of it|the whole thing|the whole plan|the plan)"
_AGAIN = re.compile(rf"(?:(?P<more>repeat(?: {_IT})?|do {_IT} again)|do {_IT})(?: {_TIMES})?")
_AGAIN_OF = re.compile(rf"(?<!\S){_AGAIN.pattern} :(?!\S)")
_LEADING = re.compile(rf"{QUANTITY} , ")
_INNER = re.compile(rf"(?<=\S ){QUANTITY} (?=\S)")
_OVERALL = re.compile(rf"(?:(?:repeat|do) )?(?:(?:the following|this|that) )?{_TIMES} : (?P<rest>.+)")


@dataclass(frozen=True)
class _Again:
    """Everything so far, that many times in all."""

    times: int


def read_plan(text: str, body: str) -> Plan:
    """The plan that a user named: FILE.json, as `gato plan --json` prints it, or a sentence for that body."""
    if not text.strip().endswith(".json"):
        return parse_plan(text, body)
    plan = Plan.from_json(read_json(Path(text.strip())))
    if body and plan.body != body:
        raise ValueError(f"{text} is a plan for {plan.body}, not for {body}; name that body, or write another plan")
    return plan


def parse_plan(text: str, body: str) -> Plan:
    """The plan that a sentence means to that body.

    ValueError, one line, for what the body cannot do or measure, for no or senseless times, and for what takes more
    than `MOST_SECONDS`.
    """
    if not body:
        raise ValueError("a plan is for a body: add --body, such as --body ant")
    get_body(body)
    said = _THEN.sub("then", _keep_idioms(normalise(text), body))
    if (at_once := _AT_ONCE.search(said)) is not None:
        raise ValueError(f'"{at_once[0]}" asks for two things at once; a plan is one after the other: say "then"')
    overall = _OVERALL.fullmatch(said)
    items = _sequence(overall["rest"] if overall else said, body)
    if overall:
        items.append(_Again(repeats_of(overall)))
    if not items:
        raise ValueError(f'"{short(said)}" does not say what to do; allowed: "walk forward for 3 seconds"')
    return Plan(body, tuple(_in_time(items)))


def _keep_idioms(said: str, body: str) -> str:
    """Marks the connectives that belong to a phrase, as in "hop up and down"."""
    for idiom in (one for one in idioms(body) if one in said):
        kept = " ".join(_KEPT + word if word in CONNECTIVES else word for word in idiom.split(" "))
        said = re.sub(rf"(?<!\S){re.escape(idiom)}(?!\S)", kept, said)
    return said


def _sequence(said: str, body: str) -> list[Part | _Again]:
    """Parts between stops, commas and "then"."""
    if (again := _AGAIN_OF.search(said)) is not None:
        raise ValueError(
            f'"{short(again[0])}": of what is before it, or after it? Say "x and y, do that twice", or plans apart'
        )
    said = _with_leading(said)
    chunks: list[str] = []
    waiting = ""
    for chunk in _STOP.split(said):
        chunk = _FILLER.sub("", chunk.strip())
        if _ORDER.match(chunk):
            # "after x, y" is "y after x".
            waiting = f" {chunk}{waiting}"
        elif chunk:
            chunks.append(chunk + waiting)
            waiting = ""
    if waiting:
        # "y, after x" at the end of a sentence is, too.
        if not chunks:
            raise ValueError(
                f'"{short(waiting.strip().replace(_KEPT, ""))}": and what else? Say "x after y", or "after x, y"'
            )
        chunks[-1] += waiting
    return [item for chunk in chunks for item in _ordered(chunk, body)]


def _with_leading(said: str) -> str:
    """ "for 3 seconds, walk forward" as "for 3 seconds walk forward", where one thing follows that it can be about."""
    found = _LEADING.match(said)
    if found is None or not is_of_one_part(found):
        return said
    rest = said[found.end() :]
    (follows, *_) = _STOP.split(rest)
    is_one_thing = follows.strip() and not _AND.search(follows) and not _ORDER.search(follows)
    return f"{found[0].removesuffix(' , ')} {rest}" if is_one_thing else said


def _ordered(said: str, body: str) -> list[Part | _Again]:
    """What stands before and after "after" or "before", in time."""
    found = _ORDER.search(said)
    if found is None:
        pieces = [piece.strip() for piece in _AND.split(said)]
        return _listed([piece for piece in pieces if piece], body)
    left, right = said[: found.start()].strip(), said[found.end() :].strip()
    if not left or not right or re.match(QUANTITY, right):
        raise ValueError(
            f'"{short(said.replace(_KEPT, ""))}": two things to do are needed around "{found[1]}"; of a time say "walk'
            ' forward for 3 seconds, then ..."'
        )
    first, second = _ordered(left, body), _ordered(right, body)
    return second + first if found[1] == "after" else first + second


def _listed(pieces: Sequence[str], body: str) -> list[Part | _Again]:
    """What "and" joins; "turn left and right" says its verb once."""
    items: list[Part | _Again] = []
    verb = ""
    for piece in pieces:
        item, verb = _with_verb(piece, verb, body)
        items.append(item)
    return items


def _with_verb(piece: str, verb: str, body: str) -> tuple[Part | _Again, str]:
    """The item and its verb, which is the one before where it says none."""
    try:
        return _item(piece, body), piece.partition(" ")[0]
    except ValueError as refused:
        try:
            return _item(f"{verb} {piece}", body), verb
        except ValueError:
            raise refused from None


def _in_time(items: Sequence[Part | _Again]) -> list[Part]:
    """The parts, those that are done again written out."""
    parts: list[Part] = []
    for item in items:
        if isinstance(item, Part):
            parts.append(item)
        elif not parts:
            raise ValueError('"repeat": nothing was said before it; say what, then "do that twice"')
        else:
            parts *= item.times
        if len(parts) > MOST_PARTS:
            raise ValueError(f"the plan has more than {MOST_PARTS} parts; say it in fewer")
    return parts


def _item(said: str, body: str) -> Part | _Again:
    again = _AGAIN.fullmatch(said)
    if again is None or not (again["more"] or again["number"]):
        return _part(said.replace(_KEPT, ""), body)
    times = repeats_of(again) if again["number"] else 1
    return _Again(times + 1 if again["more"] else times)


def _part(said: str, body: str) -> Part:
    """One skill, with what is said of its time on either side of it."""
    asked = Asked()
    phrase, _, condition = said.partition(" until ")
    if match(said, body) is None:
        dt = get_body(body).dt
        condition = _strip(condition, asked, dt, is_condition=True)
        phrase = _without_inner(_strip(phrase, asked, dt), body, asked, dt)
    if not phrase:
        raise ValueError(f'"{short(said)}" does not say what to do; allowed: "walk forward for 3 seconds"')
    skill = find_skill(phrase, body)
    seconds, until = lasting(skill, asked, condition or None)
    return Part(skill.id, seconds, until, asked.repeats or 1)


def _without_inner(said: str, body: str, asked: Asked, dt: float) -> str:
    """ "turn 90 degrees left" as "turn left", the angle told to `asked`; only where that is a phrase of the body."""
    found = _INNER.search(said)
    if found is None or match(said, body) is not None:
        return said
    rest = said[: found.start()] + said[found.end() :]
    if match(rest, body) is None:
        return said
    asked.add(found, dt)
    return rest


def _strip(said: str, asked: Asked, dt: float, *, is_condition: bool = False) -> str:
    """The words without the times, ways and numbers of repeats around them, which `asked` is told.

    Of a condition only what ends it: repeats, and times that are limits.
    """
    while True:
        said = _COURTESY.sub("", said)
        found = re.search(rf"(?<!\S){QUANTITY}$", said)
        if found is None and not is_condition:
            found = re.match(rf"{QUANTITY}(?: |$)", said)
        if found is None or (is_condition and not ends_condition(found)):
            return said
        asked.add(found, dt)
        said = (said[: found.start()] + said[found.end() :]).strip()
