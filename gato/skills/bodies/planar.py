"""Bodies that move in a plane: half-cheetah, hopper, walker2d, seen from the side, and swimmer, seen from above."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gato.skills.bodies.body import Body, Reading, State, coordinate, coordinates, jointed, noisy_start, rate, speed
from gato.skills.bodies.symmetry import symmetry


def _readings(height_offset: float = 0.0) -> Mapping[str, Reading]:
    """Pitch is positive nose down, and counts whole turns; height is that of the torso's frame above the floor."""
    return {
        "forward_speed": speed(),
        "pitch": coordinate("rad", 2),
        "height": coordinate("m", 1, offset=height_offset),
        "pitch_rate": rate("rad/s", 2),
        "vertical_speed": rate("m/s", 1),
    }


_PART_SHARES = np.array([2.0, -1.5, -0.5]) / 3
"""m along each of the swimmer's parts, whose sum leads from its root to its centre of mass."""


def _swimming_speed(state: State, velocity_BP: np.ndarray) -> np.ndarray:
    """Of the centre of mass, along the mean direction of the parts: a nose that swings goes nowhere."""
    angles_BN, rates_BN = state.qpos_BQ[:, 2:5].cumsum(1), state.qvel_BV[:, 2:5].cumsum(1)
    cos_BN, sin_BN = np.cos(angles_BN), np.sin(angles_BN)
    # Sums, no matrix products: those have other last bits for other numbers of rows.
    x_B = state.qvel_BV[:, 0] - (sin_BN * rates_BN * _PART_SHARES).sum(1)
    y_B = state.qvel_BV[:, 1] + (cos_BN * rates_BN * _PART_SHARES).sum(1)
    along_B, across_B = cos_BN.sum(1), sin_BN.sum(1)
    return (x_B * along_B + y_B * across_B) / np.maximum(np.hypot(along_B, across_B), np.finfo(float).tiny)


def _hopper_is_healthy(state: State) -> np.ndarray:
    qpos_BQ, angle_B = state.qpos_BQ, state.qpos_BQ[:, 2]
    is_inside_B = (np.abs(qpos_BQ[:, 2:]) < 100.0).all(1) & (np.abs(state.qvel_BV) < 100.0).all(1)
    return is_inside_B & (qpos_BQ[:, 1] > 0.7) & (angle_B > -0.2) & (angle_B < 0.2)


def _walker_is_healthy(state: State) -> np.ndarray:
    height_B, angle_B = state.qpos_BQ[:, 1], state.qpos_BQ[:, 2]
    return (height_B > 0.8) & (height_B < 2.0) & (angle_B > -1.0) & (angle_B < 1.0)


_WALKER = jointed(
    "walker2d",
    "rootx rootz rooty thigh_joint leg_joint foot_joint thigh_left_joint leg_left_joint foot_left_joint",
    "thigh_joint leg_joint foot_joint thigh_left_joint leg_left_joint foot_left_joint",
)
_SWIMMER = jointed("swimmer", "slider1 slider2 free_body_rot motor1_rot motor2_rot", "motor1_rot motor2_rot", unseen=2)

HALF_CHEETAH = Body(
    gym_id="HalfCheetah-v5",
    spec=jointed(
        "half-cheetah",
        "rootx rootz rooty bthigh bshin bfoot fthigh fshin ffoot",
        "bthigh bshin bfoot fthigh fshin ffoot",
    ),
    timestep=0.01,
    frame_skip=5,
    observe=coordinates(),
    start=noisy_start(0.1, has_normal_velocity=True),
    readings=_readings(height_offset=0.7),
    turning=(1,),
)

HOPPER = Body(
    gym_id="Hopper-v5",
    spec=jointed("hopper", "rootx rootz rooty thigh_joint leg_joint foot_joint", "thigh_joint leg_joint foot_joint"),
    timestep=0.002,
    frame_skip=4,
    observe=coordinates(velocity_limit=10.0),
    start=noisy_start(5e-3),
    readings=_readings(),
    is_healthy=_hopper_is_healthy,
)

WALKER2D = Body(
    gym_id="Walker2d-v5",
    spec=_WALKER,
    timestep=0.002,
    frame_skip=4,
    observe=coordinates(velocity_limit=10.0),
    start=noisy_start(5e-3),
    readings=_readings(),
    is_healthy=_walker_is_healthy,
    mirror=symmetry(
        _WALKER,
        places="thigh_joint thigh_left_joint, leg_joint leg_left_joint, foot_joint foot_left_joint",
    ),
)

SWIMMER = Body(
    gym_id="Swimmer-v5",
    spec=_SWIMMER,
    timestep=0.01,
    frame_skip=4,
    observe=coordinates(unseen=2),
    start=noisy_start(0.1),
    readings={
        "track_speed": speed(),
        "heading": coordinate("rad", 2),
        "forward_speed": Reading("m/s", _swimming_speed),
        "yaw_rate": rate("rad/s", 2),
    },
    mirror=symmetry(_SWIMMER, flipped="slider2 free_body_rot motor1_rot motor2_rot"),
)
