"""The bodies that can be asked to do something: Gymnasium's v5 tasks, written out, and when each counts as fallen.

In: nothing (no simulator is loaded). Out: `BODIES`, `get_body(name)`, `body_of(env_spec)`.
A test compares every number here with Gymnasium itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gato.specs import BodySpec, Element, near_match

MAX_EPISODE_STEPS = 1000
"""Control steps an episode, for every body: Gymnasium's own limit for these tasks."""

Healthy = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(qpos_BQ, qvel_BV) -> (B,) bool: False where Gymnasium ends the episode."""


class NamedSpec(Protocol):
    """What is read of a Gymnasium `EnvSpec`."""

    id: str
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class Position:
    """A reading that is one generalised coordinate plus a constant."""

    index: int
    """Which number of qpos."""
    offset: float = 0.0
    """Added to it, in the reading's unit."""


@dataclass(frozen=True)
class Body:
    """One body: its spaces, its clock, how it is reset, when it has fallen, what is measured of it."""

    name: str
    gym_id: str
    spec: BodySpec
    frame_skip: int
    """Simulation steps a control step."""
    dt: float
    """Seconds a control step."""
    positions: Mapping[str, Position]
    """Readings taken from qpos; `forward_speed` is measured over the control step."""
    readings: Mapping[str, str]
    """Every reading and its unit."""
    reset_noise: float
    """Half-width of the uniform noise on qpos (and on qvel) at reset."""
    has_normal_velocity_noise: bool = False
    """Whether qvel noise is normal with that deviation instead of uniform."""
    first_position: int = 1
    """First number of qpos that is observed: 1 leaves out where along the track the body is."""
    velocity_limit: float = np.inf
    """Observed velocities are clipped to +- this."""
    is_healthy: Healthy | None = None
    """None: this body never ends an episode early."""
    gym_kwargs: Mapping[str, Any] | None = None


def _hopper_is_healthy(qpos_BQ: np.ndarray, qvel_BV: np.ndarray) -> np.ndarray:
    angle_B = qpos_BQ[:, 2]
    is_inside_B = (np.abs(qpos_BQ[:, 2:]) < 100.0).all(1) & (np.abs(qvel_BV) < 100.0).all(1)
    return is_inside_B & (qpos_BQ[:, 1] > 0.7) & (angle_B > -0.2) & (angle_B < 0.2)


def _walker_is_healthy(qpos_BQ: np.ndarray, qvel_BV: np.ndarray) -> np.ndarray:
    height_B, angle_B = qpos_BQ[:, 1], qpos_BQ[:, 2]
    return (height_B > 0.8) & (height_B < 2.0) & (angle_B > -1.0) & (angle_B < 1.0)


def _pendulum_is_healthy(qpos_BQ: np.ndarray, qvel_BV: np.ndarray) -> np.ndarray:
    return np.abs(qpos_BQ[:, 1]) <= 0.2


def _spec(name: str, joints: str, actuators: str, *, unseen: int = 1, bound: float = 1.0) -> BodySpec:
    """Elements are named after joints: `x` its position, `vel/x` its velocity; an action after the joint it drives."""
    names = joints.split()
    observation = [Element(joint) for joint in names[unseen:]] + [Element(f"vel/{joint}") for joint in names]
    action = [Element(joint, low=-bound, high=bound) for joint in actuators.split()]
    return BodySpec(name, tuple(observation), tuple(action))


_PLANAR_READINGS = {"forward_speed": "m/s", "pitch": "rad", "height": "m"}
"""Pitch is positive nose down; height is that of the torso's frame above the floor."""

BODIES: dict[str, Body] = {
    "half-cheetah": Body(
        name="half-cheetah",
        gym_id="HalfCheetah-v5",
        spec=_spec(
            "half-cheetah",
            "rootx rootz rooty bthigh bshin bfoot fthigh fshin ffoot",
            "bthigh bshin bfoot fthigh fshin ffoot",
        ),
        frame_skip=5,
        dt=0.05,
        positions={"pitch": Position(2), "height": Position(1, offset=0.7)},
        readings=_PLANAR_READINGS,
        reset_noise=0.1,
        has_normal_velocity_noise=True,
    ),
    "hopper": Body(
        name="hopper",
        gym_id="Hopper-v5",
        spec=_spec("hopper", "rootx rootz rooty thigh_joint leg_joint foot_joint", "thigh_joint leg_joint foot_joint"),
        frame_skip=4,
        dt=0.008,
        positions={"pitch": Position(2), "height": Position(1)},
        readings=_PLANAR_READINGS,
        reset_noise=5e-3,
        velocity_limit=10.0,
        is_healthy=_hopper_is_healthy,
    ),
    "walker2d": Body(
        name="walker2d",
        gym_id="Walker2d-v5",
        spec=_spec(
            "walker2d",
            "rootx rootz rooty thigh_joint leg_joint foot_joint thigh_left_joint leg_left_joint foot_left_joint",
            "thigh_joint leg_joint foot_joint thigh_left_joint leg_left_joint foot_left_joint",
        ),
        frame_skip=4,
        dt=0.008,
        positions={"pitch": Position(2), "height": Position(1)},
        readings=_PLANAR_READINGS,
        reset_noise=5e-3,
        velocity_limit=10.0,
        is_healthy=_walker_is_healthy,
    ),
    "inverted-pendulum": Body(
        name="inverted-pendulum",
        gym_id="InvertedPendulum-v5",
        spec=_spec("inverted-pendulum", "slider hinge", "slider", unseen=0, bound=3.0),
        frame_skip=2,
        dt=0.04,
        positions={"angle": Position(1)},
        readings={"forward_speed": "m/s", "angle": "rad"},
        reset_noise=0.01,
        first_position=0,
        is_healthy=_pendulum_is_healthy,
    ),
}


def get_body(name: str) -> Body:
    """The body of that name; ValueError with a near match when there is none."""
    if name not in BODIES:
        raise ValueError(f'unknown body "{name}"; {near_match(name, BODIES)}')
    return BODIES[name]


def body_of(env_spec: NamedSpec) -> Body | None:
    """The body that a Gymnasium spec describes unchanged (`HalfCheetah-v5` with its defaults), else None."""
    for body in BODIES.values():
        if env_spec.id == body.gym_id and dict(env_spec.kwargs) == dict(body.gym_kwargs or {}):
            return body
    return None
