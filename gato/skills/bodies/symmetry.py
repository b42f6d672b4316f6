"""Bodies that look alike from several sides: what they sense and do, as another side would call it.

In: which names change places and which change sign. Out: `Symmetry`, whose `observation` and `action` turn numbers into
those of the image. A body that is built alike on both sides moves, mirrored, exactly as its mirror image does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gato.specs import BodySpec, Element


@dataclass(frozen=True, repr=False)
class SignedPermutation:
    """(..., N) -> (..., N): number i of the image is `sign_N[i]` times number `order_N[i]`."""

    order_N: np.ndarray
    sign_N: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The image of values (..., N)."""
        return values[..., self.order_N] * self.sign_N

    def after(self, first: SignedPermutation) -> SignedPermutation:
        """The image of the image by `first`."""
        return SignedPermutation(first.order_N[self.order_N], first.sign_N[self.order_N] * self.sign_N)

    def inverse(self) -> SignedPermutation:
        """What turns the image back."""
        order_N = np.argsort(self.order_N)
        return SignedPermutation(order_N, self.sign_N[order_N])


@dataclass(frozen=True)
class Symmetry:
    """Of one body."""

    observation: SignedPermutation
    action: SignedPermutation

    def after(self, first: Symmetry) -> Symmetry:
        """The image of the image by `first`."""
        return Symmetry(self.observation.after(first.observation), self.action.after(first.action))


def symmetry(spec: BodySpec, *, places: str = "", flipped: str = "") -> Symmetry:
    """From names: of `places` ("a b, c d e") each is what the next one was, the last one the first; the image of
    `flipped` changes sign.

    What holds for a joint holds for its speed, `vel/joint`. Names that occur in neither are as they were.
    """
    cycles = [cycle.split() for cycle in places.split(",") if cycle]
    other = {one: two for cycle in cycles for one, two in zip(cycle, [*cycle[1:], cycle[0]], strict=True)}
    return Symmetry(
        _permutation(spec.observation, other, flipped.split()), _permutation(spec.action, other, flipped.split())
    )


def _permutation(elements: Sequence[Element], other: dict[str, str], flipped: list[str]) -> SignedPermutation:
    names = [element.name for element in elements]
    order, sign = [], []
    for name in names:
        kind, joint = name[: name.find("/") + 1], name[name.find("/") + 1 :]
        order.append(names.index(kind + other.get(joint, joint)))
        sign.append(-1.0 if name in flipped or joint in flipped else 1.0)
    return SignedPermutation(np.array(order), np.array(sign, np.float32))
