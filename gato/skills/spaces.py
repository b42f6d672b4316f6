"""Any Gymnasium space as a flat vector of named numbers.

In: Box, Discrete, MultiDiscrete, MultiBinary, and Dicts of these. Out: `BodySpec`, flat arrays, and actions as
`env.step` takes them. Order: keys lexicographic, discrete elements before continuous ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from gato.specs import BodySpec, Element

Leaf = tuple[tuple[str, ...], spaces.Space]
"""Where a plain space sits inside a Dict (keys from the outside in), and the space."""

IMAGE_RANK = 3
"""A Box of this rank with whole numbers is a picture, which is tokenised as patches and not as numbers."""


def body_spec(name: str, observation_space: spaces.Space, action_space: spaces.Space) -> BodySpec:
    """The elements of both spaces; ValueError naming the first part that is no vector of numbers."""
    return BodySpec(name, _elements(observation_space, "observation"), _elements(action_space, "action"))


def flatten_observations(space: spaces.Space, observations: Any) -> np.ndarray:
    """(..., O) floats from observations with any leading dimensions; a Dict space takes a dict of arrays."""
    parts = [_flat(leaf, _at(observations, keys)) for keys, leaf in _leaves(space)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, -1)


flatten_actions = flatten_observations
"""(..., A) floats, in the same way."""


def unflatten_action(space: spaces.Space, action_A: np.ndarray) -> Any:
    """The action as `env.step` takes it; whole numbers are rounded to."""
    pieces: dict[tuple[str, ...], Any] = {}
    start = 0
    for keys, leaf in _leaves(space):
        size = _size(leaf)
        pieces[keys] = _unflat(leaf, action_A[start : start + size])
        start += size
    if len(action_A) != start:
        raise ValueError(f"action has {len(action_A)} numbers; {space} takes {start}")
    if () in pieces:
        return pieces[()]
    nested: dict[str, Any] = {}
    for keys, piece in pieces.items():
        inner = nested
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
        inner[keys[-1]] = piece
    return nested


def _leaves(space: spaces.Space) -> list[Leaf]:
    found = list(_walk(space, ()))
    return [leaf for leaf in found if _is_discrete(leaf[1])] + [leaf for leaf in found if not _is_discrete(leaf[1])]


def _walk(space: spaces.Space, keys: tuple[str, ...]) -> Iterator[Leaf]:
    if isinstance(space, spaces.Dict):
        for key in sorted(space.spaces):
            yield from _walk(space.spaces[key], (*keys, key))
        return
    where = "/".join(keys) or "the space"
    if not isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        raise ValueError(
            f"{where} is {type(space).__name__}; allowed: Box, Discrete, MultiDiscrete, MultiBinary and Dicts of them"
        )
    if isinstance(space, spaces.Box) and len(space.shape) >= IMAGE_RANK and space.dtype.kind in "ui":
        raise ValueError(f"{where} is a picture of shape {space.shape}; only vectors of numbers can be flattened")
    yield keys, space


def _is_discrete(space: spaces.Space) -> bool:
    return not isinstance(space, spaces.Box)


def _size(space: spaces.Space) -> int:
    return 1 if isinstance(space, spaces.Discrete) else int(np.prod(space.shape or ()))


def _bounds(space: spaces.Space) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(space, spaces.Box):
        return space.low.ravel(), space.high.ravel()
    if isinstance(space, spaces.MultiBinary):
        return np.zeros(_size(space)), np.ones(_size(space))
    assert isinstance(space, spaces.Discrete | spaces.MultiDiscrete)
    size = space.n if isinstance(space, spaces.Discrete) else space.nvec.ravel()
    low = np.atleast_1d(np.ravel(space.start))
    return low, low + np.atleast_1d(size) - 1


def _elements(space: spaces.Space, role: str) -> tuple[Element, ...]:
    elements = []
    for keys, leaf in _leaves(space):
        name = "/".join(keys) or role
        low, high = _bounds(leaf)
        kind = "discrete" if _is_discrete(leaf) else "continuous"
        for index in range(_size(leaf)):
            label = name if isinstance(leaf, spaces.Discrete) else f"{name}[{index}]"
            elements.append(Element(label, kind, float(low[index]), float(high[index])))  # type: ignore[arg-type]
    return tuple(elements)


def _at(observations: Any, keys: tuple[str, ...]) -> Any:
    for depth, key in enumerate(keys):
        if key not in observations:
            raise ValueError(f"observation lacks {'/'.join(keys[: depth + 1])}; it has {sorted(observations)}")
        observations = observations[key]
    return observations


def _flat(space: spaces.Space, values: Any) -> np.ndarray:
    array = np.asarray(values)
    rank = len(space.shape or ())
    if array.ndim < rank or array.shape[array.ndim - rank :] != (space.shape or ()):
        raise ValueError(f"values of shape {array.shape} do not end in {space.shape}, the shape of {space}")
    flat = array.reshape(*array.shape[: array.ndim - rank], _size(space))
    return flat if flat.dtype.kind == "f" else flat.astype(np.float64)


def _unflat(space: spaces.Space, values: np.ndarray) -> Any:
    if isinstance(space, spaces.Discrete):
        return int(np.rint(values[0]))
    rounded = values if isinstance(space, spaces.Box) and space.dtype.kind == "f" else np.rint(values)
    return rounded.reshape(space.shape or ()).astype(space.dtype)
