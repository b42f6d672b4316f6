"""The bodies that can be asked to do something: Gymnasium's eleven v5 tasks.

In: nothing (no simulator is loaded). Out: `BODIES`, `get_body(name)`, `body_of(env_spec)`.
A test compares every number of theirs with Gymnasium itself.
"""

from __future__ import annotations

from typing import Any, Protocol

from gato.skills.bodies.arms import PUSHER, REACHER
from gato.skills.bodies.body import Body
from gato.skills.bodies.free import ANT, HUMANOID, HUMANOID_STANDUP
from gato.skills.bodies.pendulums import INVERTED_DOUBLE_PENDULUM, INVERTED_PENDULUM
from gato.skills.bodies.planar import HALF_CHEETAH, HOPPER, SWIMMER, WALKER2D
from gato.specs import near_match

__all__ = ["BODIES", "LONGEST_EPISODE", "Body", "body_of", "get_body"]

BODIES: dict[str, Body] = {
    body.name: body
    for body in (
        HALF_CHEETAH,
        HOPPER,
        WALKER2D,
        INVERTED_PENDULUM,
        ANT,
        HUMANOID,
        HUMANOID_STANDUP,
        SWIMMER,
        REACHER,
        PUSHER,
        INVERTED_DOUBLE_PENDULUM,
    )
}

LONGEST_EPISODE = max(body.max_episode_steps for body in BODIES.values())
"""Control steps."""


class NamedSpec(Protocol):
    """What is read of a Gymnasium `EnvSpec`."""

    id: str
    kwargs: dict[str, Any]


def get_body(name: str) -> Body:
    """The body of that name; ValueError with a near match when there is none."""
    if name not in BODIES:
        raise ValueError(f'unknown body "{name}"; {near_match(name, BODIES)}')
    return BODIES[name]


def body_of(env_spec: NamedSpec) -> Body | None:
    """The body that a Gymnasium spec describes, settings and all (`HalfCheetah-v5` with its defaults), else None."""
    for body in BODIES.values():
        if env_spec.id == body.gym_id and dict(env_spec.kwargs) == dict(body.gym_kwargs or {}):
            return body
    return None
