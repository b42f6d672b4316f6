"""Where a body stands and what it sees, in words: "speed 0.7 m/s forward, upright; the waypoint is 3.1 m away, 40
degrees to the left".

In: MuJoCo's state of a body that moves freely, readings, places on the floor. Out: `Pose`, `Sight`, and sentences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gato.skills.bodies import get_body

STILL = 0.1
"""m/s and rad/s: what is slower is said to stand, and not to turn."""
UPRIGHT = 0.5
"""Of the torso's own upward axis, the share that points up, from which it is called upright: 60 degrees."""
STRAIGHT = 5
"""Degrees to either side that are said to be straight ahead or behind."""
_PLANE = ("forward_speed", "lateral_speed", "yaw_rate", "track_speed")
"""Readings that are said together, as a movement."""
_SIDES = ("forward", "to the left", "backward", "to the right")


@dataclass(frozen=True)
class Pose:
    """Of the torso."""

    x: float
    """m, in the world."""
    y: float
    heading: float
    """rad, of the torso's own forward axis on the floor; 0 along the world's x axis, positive to the left."""
    up: float
    """-1 to 1: how much of the torso's upward axis points up."""


@dataclass(frozen=True)
class Sight:
    """Something on the floor, as the body sees it."""

    name: str
    distance: float
    """m, from the torso's middle."""
    bearing: float
    """rad from the heading, positive to the left, within half a turn."""

    @property
    def words(self) -> str:
        """ "the ball is 2.0 m away, 15 degrees to the right"."""
        degrees = round(math.degrees(self.bearing))
        if abs(degrees) <= STRAIGHT:
            where = "straight ahead"
        elif abs(degrees) >= 180 - STRAIGHT:
            where = "straight behind"
        else:
            where = f"{abs(degrees)} degrees to the {'left' if degrees > 0 else 'right'}"
        return f"the {self.name} is {self.distance:.1f} m away, {where}"


def poses(qpos_BQ: np.ndarray) -> tuple[Pose, ...]:
    """Of bodies whose qpos begins with a free root: place (3,), then a quaternion (4,), w first."""
    x_B, y_B, w_B, qx_B, qy_B, qz_B = (qpos_BQ[:, index] for index in (0, 1, 3, 4, 5, 6))
    along_B, across_B = w_B**2 + qx_B**2 - qy_B**2 - qz_B**2, 2 * (qx_B * qy_B + w_B * qz_B)
    up_B = 1 - 2 * (qx_B**2 + qy_B**2)
    rows = np.stack([x_B, y_B, np.arctan2(across_B, along_B), up_B], 1)
    return tuple(Pose(*row) for row in rows.tolist())


def see(pose: Pose, name: str, place: tuple[float, float]) -> Sight:
    """Something at (x, y) m of the world."""
    x, y = place[0] - pose.x, place[1] - pose.y
    return Sight(name, math.hypot(x, y), within_half_a_turn(math.atan2(y, x) - pose.heading))


def within_half_a_turn(angle: float) -> float:
    """The same direction, in rad from -pi to pi."""
    return math.remainder(angle, math.tau)


def describe(body: str, readings: Mapping[str, float], up: float | None = None) -> str:
    """What these readings of a body say, and whether it is upright; what is not there is not said."""
    known = get_body(body).readings
    said = [_movement(readings)] if "forward_speed" in readings else []
    said += [
        f"{name.replace('_', ' ')} {value:.2f} {known[name].unit}".strip()
        for name, value in readings.items()
        if name in known and name not in _PLANE
    ]
    if up is None:
        return ", ".join(said)
    posture = "upright" if up >= UPRIGHT else "upside down" if up <= -UPRIGHT else "tilted"
    return ", ".join([*said, posture])


def _movement(readings: Mapping[str, float]) -> str:
    forward, left, turning = (readings.get(name, 0.0) for name in _PLANE[:3])
    speed = math.hypot(forward, left)
    quarter = round(math.atan2(left, forward) / (math.pi / 2)) % 4
    moves = f"speed {speed:.1f} m/s {_SIDES[quarter]}" if speed >= STILL else "standing"
    if abs(turning) < STILL:
        return moves
    return f"{moves}, turning {'left' if turning > 0 else 'right'} at {abs(math.degrees(turning)):.0f} degrees/s"
