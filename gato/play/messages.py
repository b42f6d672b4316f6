"""What a page may wish, read from text that nobody has checked yet.

In: the text of a message. Out: `Wish`; whether it makes sense for a body is decided where it is done.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from gato.specs import near_match

MOST_BYTES = 8192
"""Of a message: a sentence is a tenth of that."""
MOST_LETTERS = 1000
"""Of what is said: near matches of longer words would take long."""
SHOWN = 40
"""Letters of an unknown key that are shown."""
KINDS = {
    "say": "words",
    "ask": "words for the planner",
    "body": "the name of a body",
    "pause": "true or false",
    "reset": "true",
    "push": "true",
    "token": "text",
}
"""Key of a message -> what it holds."""
SWITCHES = ("pause", "reset", "push")
DEEDS = ("reset", "push")
"""Of the switches: done, or not wished at all."""


@dataclass(frozen=True)
class Wish:
    """One thing that a viewer wants."""

    kind: str
    """In KINDS."""
    text: str = ""
    """Of say, ask, body and token."""
    is_on: bool = True
    """Of pause."""


def read_wish(data: str | bytes) -> Wish:
    """ValueError, one line, for what is no message."""
    if isinstance(data, bytes):
        raise ValueError(f'got {len(data)} bytes that are no text; send JSON as text, such as {{"say": "turn left"}}')
    if len(data) > MOST_BYTES:
        raise ValueError(f"got a message of {len(data)} characters; at most {MOST_BYTES}: say it in fewer words")
    try:
        given = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f'got text that is no JSON; send an object such as {{"say": "turn left"}} ({error})'
        ) from error
    if not isinstance(given, dict) or len(given) != 1:
        raise ValueError('send an object with one key, such as {"say": "turn left"}; keys: ' + ", ".join(KINDS))
    kind, value = next(iter(given.items()))
    if kind not in KINDS:
        raise ValueError(f"no key {kind[:SHOWN]!r}; {near_match(kind[:SHOWN], KINDS)}")
    wanted = bool if kind in SWITCHES else str
    if not isinstance(value, wanted):
        raise ValueError(f"{kind} is a {type(value).__name__}; send {KINDS[kind]}")
    if kind in DEEDS and not value:
        raise ValueError(f"{kind} is false; send {KINDS[kind]}, or nothing")
    if isinstance(value, bool):
        return Wish(kind, is_on=value)
    text = str(value)
    if len(text) > MOST_LETTERS:
        raise ValueError(f"{kind} has {len(text)} letters; at most {MOST_LETTERS}")
    return Wish(kind, text=text)
