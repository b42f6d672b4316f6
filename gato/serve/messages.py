"""What a client may say, read from bytes that nobody has checked yet.

In: the bytes of a message. Out: `Message`, whose fields have the right types; whether they make sense for a body is the
catalogue's matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gato.client import unpack
from gato.specs import near_match

MOST_BYTES = 1 << 18
"""Of a message: the largest body senses some 3 kB, a picture by mistake is told of."""
MOST_LETTERS = 1000
"""Of a text in it: near matches of a longer one would take long, and the tokenizer remembers prompts."""
SHOWN = 3
"""Unknown keys that are named."""
KINDS = {"observation": "(O,) numbers", "prompt": "text", "reset": "true or false", "body": "text", "env": "text"}
"""Key of a message -> what it holds."""


@dataclass(frozen=True)
class Message:
    """One step of a body: what it senses, and what else is new."""

    observation_O: np.ndarray
    """As sent; not checked."""
    prompt: str | None = None
    """Words, or a skill's id; None: as before."""
    reset: bool = False
    """Whether an episode begins."""
    body: str = ""
    """"" where nothing is said."""
    env: str = ""
    """Gymnasium id, for the body that acts in it."""


def read_message(data: bytes | str) -> Message:
    """ValueError for bytes, keys and types that are not a message's, all offenders at once."""
    if len(data) > MOST_BYTES:
        raise ValueError(f"got a message of {len(data)} bytes; at most {MOST_BYTES}: send one observation at a time")
    given = unpack(data)
    if not isinstance(given, dict):
        raise ValueError(f"got a {type(given).__name__}; send a map with the key observation")
    unknown = [str(key)[:40] for key in given if key not in KINDS]
    problems = [f"no key {key!r}; {near_match(key, KINDS)}" for key in unknown[:SHOWN]]
    if "observation" not in given:
        problems.append("the key observation is missing")
    for key, kind in (("prompt", str), ("reset", bool), ("body", str), ("env", str)):
        if key in given and not isinstance(given[key], kind):
            problems.append(f"{key} is a {type(given[key]).__name__}; send {KINDS[key]}")
        elif kind is str and len(given.get(key, "")) > MOST_LETTERS:
            problems.append(f"{key} has {len(given[key])} letters; at most {MOST_LETTERS}")
    if problems:
        raise ValueError("; ".join(problems))
    plain: dict[str, Any] = {key: value for key, value in given.items() if key != "observation"}
    return Message(_array(given["observation"]), **plain)


def _array(value: Any) -> np.ndarray:
    """Lists of numbers are taken, too, for clients that have no numpy."""
    if isinstance(value, list) and all(isinstance(one, int | float) for one in value):
        return np.array(value, np.float64)
    if not isinstance(value, np.ndarray):
        what = "list of other things" if isinstance(value, list) else type(value).__name__
        raise ValueError(f"the observation is a {what}; send {KINDS['observation']}")
    return value
