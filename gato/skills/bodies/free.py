"""Bodies that move freely in space: ant, humanoid, and the humanoid that lies on its back.

Gymnasium pays them for speed along the x axis of the world, the track, wherever they look. Readings of that are called
`track_speed`; `forward_speed`, `lateral_speed` (left) and `yaw_rate` (left) are in the frame of their heading.
Bulk observations are left out, since joints and speeds tell the whole state; contact forces are charged all the same.
"""

from __future__ import annotations

import numpy as np

from gato.skills.bodies.body import (
    CONTACT_FORCES,
    Body,
    Reading,
    State,
    coordinate,
    coordinates,
    noisy_start,
    sensing,
    speed,
)
from gato.skills.bodies.heading import free_view
from gato.skills.bodies.symmetry import symmetry

TORSO = 1
"""MuJoCo's number of that part."""

_ROOT = "root_z root_qw root_qx root_qy root_qz"
_ROOT_VELOCITY = "vel/root_x vel/root_y vel/root_z vel/root_wx vel/root_wy vel/root_wz"
"""The last three are turning speeds about the torso's own axes."""
_ANT_JOINTS = "hip_1 ankle_1 hip_2 ankle_2 hip_3 ankle_3 hip_4 ankle_4"
_LIMBS = (
    "right_hip_x right_hip_z right_hip_y right_knee left_hip_x left_hip_z left_hip_y left_knee "
    "right_shoulder1 right_shoulder2 right_elbow left_shoulder1 left_shoulder2 left_elbow"
)
_HUMANOID_JOINTS, _HUMANOID_ACTUATORS = (
    f"abdomen_z abdomen_y abdomen_x {_LIMBS}",
    f"abdomen_y abdomen_z abdomen_x {_LIMBS}",
)


def _senses(joints: str) -> list[str]:
    return f"{_ROOT} {joints} {_ROOT_VELOCITY}".split() + [f"vel/{joint}" for joint in joints.split()]


def _torso(state: State) -> np.ndarray:
    return state.derived["xpos"][:, TORSO, :2].copy()


def _mass_centre(state: State) -> np.ndarray:
    """Gymnasium's own sum, for many: in another order it has another last bit."""
    weighted_B3 = np.einsum("n,bnj->bj", state.masses_N, state.derived["xipos"])
    return (weighted_B3 / state.masses_N.sum())[:, :2]


def _heading(state: State) -> tuple[np.ndarray, np.ndarray]:
    """Unit vector on the floor, under the torso's own x axis."""
    w_B, x_B, y_B, z_B = state.qpos_BQ[:, 3:7].T
    along_B, across_B = w_B * w_B + x_B * x_B - y_B * y_B - z_B * z_B, 2 * (x_B * y_B + w_B * z_B)
    length_B = np.maximum(np.sqrt(along_B * along_B + across_B * across_B), np.finfo(float).tiny)
    return along_B / length_B, across_B / length_B


def _forward_speed(state: State, velocity_BP: np.ndarray) -> np.ndarray:
    along_B, across_B = _heading(state)
    return velocity_BP[:, 0] * along_B + velocity_BP[:, 1] * across_B


def _lateral_speed(state: State, velocity_BP: np.ndarray) -> np.ndarray:
    along_B, across_B = _heading(state)
    return velocity_BP[:, 1] * along_B - velocity_BP[:, 0] * across_B


def _yaw_rate(state: State, velocity_BP: np.ndarray) -> np.ndarray:
    w_B, x_B, y_B, z_B = state.qpos_BQ[:, 3:7].T
    turning_3B = state.qvel_BV[:, 3:6].T
    up_3B = 2 * (x_B * z_B - w_B * y_B), 2 * (y_B * z_B + w_B * x_B), 1 - 2 * (x_B * x_B + y_B * y_B)
    return up_3B[0] * turning_3B[0] + up_3B[1] * turning_3B[1] + up_3B[2] * turning_3B[2]


def _ant_is_healthy(state: State) -> np.ndarray:
    height_B = state.qpos_BQ[:, 2]
    return (height_B >= 0.2) & (height_B <= 1.0)


def _humanoid_is_healthy(state: State) -> np.ndarray:
    height_B = state.qpos_BQ[:, 2]
    return (height_B > 1.0) & (height_B < 2.0)


_HEIGHT = coordinate("m", 2)
"""Of the torso's frame above the floor."""
READINGS = {
    "track_speed": speed(),
    "forward_speed": Reading("m/s", _forward_speed),
    "lateral_speed": Reading("m/s", _lateral_speed),
    "yaw_rate": Reading("rad/s", _yaw_rate),
    "height": _HEIGHT,
}
"""Of every body whose root moves freely."""
_WITHOUT_BULK = {
    f"include_{bulk}_in_observation": False for bulk in ("cinert", "cvel", "qfrc_actuator", CONTACT_FORCES)
}

_ANT = sensing("ant", _senses(_ANT_JOINTS), "hip_4 ankle_4 hip_1 ankle_1 hip_2 ankle_2 hip_3 ankle_3")
_HUMANOID, _STANDUP = (
    sensing(name, _senses(_HUMANOID_JOINTS), _HUMANOID_ACTUATORS, bound=0.4)
    for name in ("humanoid", "humanoid-standup")
)
_ROOT_FLIPPED = "root_qx root_qz vel/root_y vel/root_wx vel/root_wz"
_HUMANOID_PAIRS = (
    "right_hip_x left_hip_x, right_hip_z left_hip_z, right_hip_y left_hip_y, right_knee left_knee, "
    "right_shoulder1 left_shoulder1, right_shoulder2 left_shoulder2, right_elbow left_elbow"
)
_HUMANOID_FLIPPED = f"{_ROOT_FLIPPED} abdomen_z abdomen_x right_shoulder1 right_shoulder2 left_shoulder1 left_shoulder2"
"""Hips are hinged as mirror images, shoulders are not. Gymnasium's humanoid is alike but for two numbers: the left knee
is a spring of 1 N m/rad, and the left hip has 0.01 of armature, the right one 0.008."""

ANT = Body(
    gym_id="Ant-v5",
    spec=_ANT,
    timestep=0.01,
    frame_skip=5,
    observe=coordinates(unseen=2),
    start=noisy_start(0.1, has_normal_velocity=True),
    readings=READINGS,
    place=_torso,
    is_healthy=_ant_is_healthy,
    derived=("xpos", CONTACT_FORCES),
    gym_kwargs={f"include_{CONTACT_FORCES}_in_observation": False},
    mirror=symmetry(
        _ANT,
        places="hip_1 hip_4, ankle_1 ankle_4, hip_2 hip_3, ankle_2 ankle_3",
        flipped=f"{_ROOT_FLIPPED} hip_1 hip_2 hip_3 hip_4",
    ),
    quarter_turn=symmetry(
        _ANT,
        places="root_x root_y, root_wx root_wy, root_qx root_qy, "
        "hip_1 hip_2 hip_3 hip_4, ankle_1 ankle_2 ankle_3 ankle_4",
        flipped="vel/root_y vel/root_wy root_qy ankle_1 ankle_3",
    ),
    from_heading=free_view(_ANT),
)

HUMANOID = Body(
    gym_id="Humanoid-v5",
    spec=_HUMANOID,
    timestep=0.003,
    frame_skip=5,
    observe=coordinates(unseen=2),
    start=noisy_start(1e-2),
    readings=READINGS,
    place=_mass_centre,
    is_healthy=_humanoid_is_healthy,
    derived=("xipos", CONTACT_FORCES),
    gym_kwargs=_WITHOUT_BULK,
    mirror=symmetry(_HUMANOID, places=_HUMANOID_PAIRS, flipped=_HUMANOID_FLIPPED),
    from_heading=free_view(_HUMANOID),
)

HUMANOID_STANDUP = Body(
    gym_id="HumanoidStandup-v5",
    spec=_STANDUP,
    timestep=0.003,
    frame_skip=5,
    observe=coordinates(unseen=2),
    start=noisy_start(1e-2),
    readings={"height": _HEIGHT},
    derived=(CONTACT_FORCES,),
    gym_kwargs=_WITHOUT_BULK,
    mirror=symmetry(_STANDUP, places=_HUMANOID_PAIRS, flipped=_HUMANOID_FLIPPED),
)
