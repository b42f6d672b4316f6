"""Left and right: the mirror image of what a body senses and does.

In: which names change places and which change sign. Out: `Mirror`, whose `observation` and `action` turn numbers into
those of the mirrored body. A body that is built alike on both sides moves, mirrored, exactly as its mirror image does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gato.specs import BodySpec, Element


@dataclass(frozen=True, repr=False)
class Reflection:
    """(..., N) -> (..., N): number i of the image is `sign_N[i]` times number `order_N[i]`."""

    order_N: np.ndarray
    sign_N: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The mirror image of values (..., N)."""
        return values[..., self.order_N] * self.sign_N


@dataclass(frozen=True)
class Mirror:
    """Of one body; reflecting twice gives back what was there."""

    observation: Reflection
    action: Reflection


def mirror(spec: BodySpec, *, pairs: str = "", flipped: str) -> Mirror:
    """From names: `pairs` ("a b, c d") change places and `flipped` change sign.

    What holds for a joint holds for its speed, `vel/joint`. Names that occur in neither are as they were.
    """
    places = [pair.split() for pair in pairs.split(",") if pair]
    other = {one: two for first, second in places for one, two in ((first, second), (second, first))}
    return Mirror(
        _reflection(spec.observation, other, flipped.split()), _reflection(spec.action, other, flipped.split())
    )


def _reflection(elements: Sequence[Element], other: dict[str, str], flipped: list[str]) -> Reflection:
    names = [element.name for element in elements]
    order, sign = [], []
    for name in names:
        kind, joint = name[: name.find("/") + 1], name[name.find("/") + 1 :]
        order.append(names.index(kind + other.get(joint, joint)))
        sign.append(-1.0 if name in flipped or joint in flipped else 1.0)
    return Reflection(np.array(order), np.array(sign, np.float32))
