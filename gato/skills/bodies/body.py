"""What a body is, and the pieces that several bodies share.

In: nothing (no simulator is loaded). Out: `Body`, `State`, `Reading`, and makers of observations, starts and readings.
Everything here takes B simulations at once and gives each the bits that Gymnasium gives one: + - * /, comparisons and
square roots do, sums over the last axis too, but no power and no norm of numpy's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gato.skills.bodies.symmetry import Symmetry
from gato.specs import BodySpec, Element

Start = Callable[[np.random.Generator, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(random numbers, the model's own qpos (Q,), qvel (V,)) -> qpos and qvel where an episode begins."""

CONTACT_FORCES = "cfrc_ext"
"""Derived field (B, N, 6): torque and force of contacts on each of the N parts, in N m and N. Only after a step."""


@dataclass(slots=True)
class State:
    """B simulations at one moment. Arrays may be live: what is made of them must be new."""

    qpos_BQ: np.ndarray
    qvel_BV: np.ndarray
    derived: Mapping[str, np.ndarray]
    """The fields of MuJoCo's data that the body names, (B, ...). After a control step they belong to the start of its
    last simulation step, one step behind qpos, in Gymnasium as here."""
    masses_N: np.ndarray
    """kg, of each part of the body, the world first."""


@dataclass(frozen=True)
class Reading:
    """Something measured in physical units at every control step."""

    unit: str
    measure: Callable[[State, np.ndarray], np.ndarray]
    """(state after the step, velocity (B, P) of the body's place over the step in m/s) -> (B,)."""


def along_track(state: State) -> np.ndarray:
    """The first coordinate alone, where a body can only go forward and back."""
    return state.qpos_BQ[:, :1].copy()


@dataclass(frozen=True)
class Body:
    """One body: its spaces, its clock, how it starts, when it has fallen, what is seen and measured of it."""

    gym_id: str
    spec: BodySpec
    timestep: float
    """Seconds a simulation step."""
    frame_skip: int
    """Simulation steps a control step."""
    observe: Callable[[State], np.ndarray]
    """(B, O)."""
    start: Start
    """Draws in Gymnasium's order."""
    readings: Mapping[str, Reading]
    max_episode_steps: int = 1000
    """Control steps."""
    place: Callable[[State], np.ndarray] = along_track
    """(B, P) m: what Gymnasium takes speeds from."""
    is_healthy: Callable[[State], np.ndarray] | None = None
    """(B,) bool: False where Gymnasium ends the episode. None: it never does."""
    derived: tuple[str, ...] = ()
    """Fields of MuJoCo's data, beside qpos and qvel, that these functions or the body's rewards read."""
    gym_kwargs: Mapping[str, Any] | None = None
    mirror: Symmetry | None = None
    """None: not built alike on both sides."""
    quarter_turn: Symmetry | None = None
    """As a body that looks to the left would call it, `from_heading`; None: it is not built alike on four sides."""
    from_heading: Callable[[np.ndarray], np.ndarray] | None = None
    """(B, O) -> (B, O): what is sensed, seen from the body's own heading; None: it always looks the same way."""
    turning: tuple[int, ...] = ()
    """Elements of the observation that are angles and count whole turns."""
    description: Mapping[str, Any] | None = None
    """Of a robot of one's own, in JSON: what `gato.skills.robots` makes it from."""

    @property
    def name(self) -> str:
        """As in skill ids."""
        return self.spec.name

    @property
    def dt(self) -> float:
        """Seconds a control step."""
        return self.timestep * self.frame_skip

    def as_it_looks(self, observations_XO: np.ndarray) -> np.ndarray:
        """Observations (..., O) of a body that turned over and again as if it had not: angles within half a turn."""
        return _within_half_a_turn(observations_XO, self.turning)

    def unturned(self, qpos_BQ: np.ndarray) -> np.ndarray:
        """The same of positions (B, Q)."""
        num_seen = sum(not element.name.startswith("vel/") for element in self.spec.observation)
        unseen = qpos_BQ.shape[1] - num_seen
        return _within_half_a_turn(qpos_BQ, tuple(index + unseen for index in self.turning))

    def state_of(self, data: Any, masses_N: np.ndarray) -> State:
        """One simulation (MuJoCo's `MjData`) as it stands, B = 1."""
        derived = {name: getattr(data, name)[None] for name in self.derived}
        return State(data.qpos[None], data.qvel[None], derived, masses_N)


def _within_half_a_turn(values_XN: np.ndarray, which: tuple[int, ...]) -> np.ndarray:
    if not which:
        return values_XN
    turned_XN, angles_XT = values_XN.copy(), values_XN[..., which]
    looks_XT = (angles_XT + np.pi) % (2 * np.pi) - np.pi
    turned_XN[..., which] = np.where(np.abs(angles_XT) > np.pi, looks_XT, angles_XT)
    return turned_XN


def jointed(name: str, joints: str, actuators: str, *, unseen: int = 1, bound: float = 1.0) -> BodySpec:
    """Elements are named after joints: `x` its position, `vel/x` its velocity; an action after the joint it drives."""
    names = joints.split()
    return sensing(name, [*names[unseen:], *(f"vel/{joint}" for joint in names)], actuators, bound=bound)


def sensing(name: str, observation: list[str], actuators: str, *, bound: float = 1.0) -> BodySpec:
    """A body that observes these elements."""
    action = [Element(joint, low=-bound, high=bound) for joint in actuators.split()]
    return BodySpec(name, tuple(map(Element, observation)), tuple(action))


def coordinates(*, unseen: int = 1, velocity_limit: float = np.inf) -> Callable[[State], np.ndarray]:
    """Observes qpos without its first `unseen` numbers, which say where along the track, and qvel within +- a limit."""

    def observe(state: State) -> np.ndarray:
        seen = state.qpos_BQ.shape[1] - unseen
        observations_BO = np.empty((len(state.qpos_BQ), seen + state.qvel_BV.shape[1]))
        observations_BO[:, :seen] = state.qpos_BQ[:, unseen:]
        if velocity_limit < np.inf:
            np.clip(state.qvel_BV, -velocity_limit, velocity_limit, out=observations_BO[:, seen:])
        else:
            observations_BO[:, seen:] = state.qvel_BV
        return observations_BO

    return observe


def noisy_start(noise: float, *, has_normal_velocity: bool = False) -> Start:
    """Uniform noise of that half-width on qpos and qvel; or on qvel normal noise of that deviation."""

    def start(rng: np.random.Generator, qpos_Q: np.ndarray, qvel_V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        started_Q = qpos_Q + rng.uniform(low=-noise, high=noise, size=len(qpos_Q))
        if has_normal_velocity:
            return started_Q, qvel_V + noise * rng.standard_normal(len(qvel_V))
        return started_Q, qvel_V + rng.uniform(low=-noise, high=noise, size=len(qvel_V))

    return start


def coordinate(unit: str, index: int, *, offset: float = 0.0) -> Reading:
    """One number of qpos plus a constant, in that unit."""
    return Reading(unit, lambda state, velocity_BP: state.qpos_BQ[:, index] + offset)


def rate(unit: str, index: int) -> Reading:
    """One number of qvel, in that unit."""
    return Reading(unit, lambda state, velocity_BP: state.qvel_BV[:, index].copy())


def speed(axis: int = 0) -> Reading:
    """m/s of the body's place along one axis of the world."""
    return Reading("m/s", lambda state, velocity_BP: velocity_BP[:, axis].copy())


def distance(first_B3: np.ndarray, second_B3: np.ndarray) -> np.ndarray:
    """(B,) m. `numpy.linalg.norm` of a vector takes its dot product, which has another last bit than the sum."""
    between_B3 = first_B3 - second_B3
    return np.sqrt(np.vecdot(between_B3, between_B3))
