"""Poles on a cart: inverted-pendulum and inverted-double-pendulum."""

from __future__ import annotations

import numpy as np

from gato.skills.bodies.body import Body, Reading, State, coordinate, coordinates, jointed, noisy_start, sensing, speed

FALLEN = 1.0
"""m; the double pendulum has fallen when its tip is no higher (standing straight it is at 1.2)."""


def tip(state: State) -> tuple[np.ndarray, np.ndarray]:
    """Of the double pendulum: (along the rail, height above it), both (B,) m."""
    tip_B3 = state.derived["site_xpos"][:, 0]
    return tip_B3[:, 0], tip_B3[:, 2]


def _tip_height(state: State, velocity_BP: np.ndarray) -> np.ndarray:
    return tip(state)[1].copy()


def _single_is_healthy(state: State) -> np.ndarray:
    return np.abs(state.qpos_BQ[:, 1]) <= 0.2


def _double_is_healthy(state: State) -> np.ndarray:
    return tip(state)[1] > FALLEN


def _observe_double(state: State) -> np.ndarray:
    angles_B2 = state.qpos_BQ[:, 1:].copy()  # in one piece, as Gymnasium's: numpy has several sines
    on_rail_B1 = state.derived["qfrc_constraint"][:, :1]
    parts = [
        state.qpos_BQ[:, :1],
        np.sin(angles_B2),
        np.cos(angles_B2),
        np.clip(state.qvel_BV, -10.0, 10.0),
        np.clip(on_rail_B1, -10.0, 10.0),
    ]
    return np.concatenate(parts, 1)


INVERTED_PENDULUM = Body(
    gym_id="InvertedPendulum-v5",
    spec=jointed("inverted-pendulum", "slider hinge", "slider", unseen=0, bound=3.0),
    timestep=0.02,
    frame_skip=2,
    observe=coordinates(unseen=0),
    start=noisy_start(0.01),
    readings={"forward_speed": speed(), "angle": coordinate("rad", 1)},
    is_healthy=_single_is_healthy,
)

INVERTED_DOUBLE_PENDULUM = Body(
    gym_id="InvertedDoublePendulum-v5",
    spec=sensing(
        "inverted-double-pendulum",
        [
            *("slider", "sin/hinge", "sin/hinge2", "cos/hinge", "cos/hinge2"),
            *("vel/slider", "vel/hinge", "vel/hinge2", "constraint/slider"),
        ],
        "slider",
    ),
    timestep=0.01,
    frame_skip=5,
    observe=_observe_double,
    start=noisy_start(0.1, has_normal_velocity=True),
    readings={"angle": coordinate("rad", 1), "height": Reading("m", _tip_height)},
    is_healthy=_double_is_healthy,
    derived=("site_xpos", "qfrc_constraint"),
)
