"""Arms that stand where they are: reacher and pusher."""

from __future__ import annotations

import numpy as np

from gato.skills.bodies.body import Body, Reading, State, distance, sensing

FINGERTIP, TARGET = 3, 4
"""MuJoCo's numbers of the parts of reacher."""
HAND, OBJECT, GOAL = 10, 11, 12
"""MuJoCo's numbers of the parts of pusher; the hand is `tips_arm`."""
STILL = 5e-3
"""Half-width of the uniform noise on both arms' velocities at the start."""

_REACHER_JOINTS = "joint0 joint1"
_PUSHER_JOINTS = (
    "r_shoulder_pan_joint r_shoulder_lift_joint r_upper_arm_roll_joint r_elbow_flex_joint r_forearm_roll_joint "
    "r_wrist_flex_joint r_wrist_roll_joint"
)


def _between(first: int, second: int) -> Reading:
    """Distance of two parts."""

    def measure(state: State, velocity_BP: np.ndarray) -> np.ndarray:
        parts_BN3 = state.derived["xpos"]
        return distance(parts_BN3[:, first], parts_BN3[:, second])

    return Reading("m", measure)


def _observe_reacher(state: State) -> np.ndarray:
    angles_B2 = state.qpos_BQ[:, :2].copy()
    parts_BN3 = state.derived["xpos"]
    to_fingertip_B2 = (parts_BN3[:, FINGERTIP] - parts_BN3[:, TARGET])[:, :2]
    parts = [np.cos(angles_B2), np.sin(angles_B2), state.qpos_BQ[:, 2:], state.qvel_BV[:, :2], to_fingertip_B2]
    return np.concatenate(parts, 1)


def _start_reacher(rng: np.random.Generator, qpos_Q: np.ndarray, qvel_V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The target lies anywhere within 0.2 m."""
    started_Q = rng.uniform(low=-0.1, high=0.1, size=len(qpos_Q)) + qpos_Q
    while np.linalg.norm(target_2 := rng.uniform(low=-0.2, high=0.2, size=2)) >= 0.2:
        pass
    started_Q[-2:] = target_2
    started_V = qvel_V + rng.uniform(low=-STILL, high=STILL, size=len(qvel_V))
    started_V[-2:] = 0.0
    return started_Q, started_V


def _observe_pusher(state: State) -> np.ndarray:
    parts_BN3 = state.derived["xpos"]
    places = [parts_BN3[:, part] for part in (HAND, OBJECT, GOAL)]
    return np.concatenate([state.qpos_BQ[:, :7], state.qvel_BV[:, :7], *places], 1)


def _start_pusher(rng: np.random.Generator, qpos_Q: np.ndarray, qvel_V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The object lies more than 0.17 m from the goal."""
    started_Q = qpos_Q.copy()
    while True:
        started_Q[-4] = rng.uniform(low=-0.3, high=0.0, size=1)[0]
        started_Q[-3] = rng.uniform(low=-0.2, high=0.2, size=1)[0]
        if np.linalg.norm(started_Q[-4:-2]) > 0.17:
            break
    started_Q[-2:] = 0.0
    started_V = qvel_V + rng.uniform(low=-STILL, high=STILL, size=len(qvel_V))
    started_V[-4:] = 0.0
    return started_Q, started_V


REACHER = Body(
    gym_id="Reacher-v5",
    spec=sensing(
        "reacher",
        [
            *(f"{function}/{joint}" for function in ("cos", "sin") for joint in _REACHER_JOINTS.split()),
            *("target_x", "target_y"),
            *(f"vel/{joint}" for joint in _REACHER_JOINTS.split()),
            *("fingertip-target/x", "fingertip-target/y"),
        ],
        _REACHER_JOINTS,
    ),
    timestep=0.01,
    frame_skip=2,
    observe=_observe_reacher,
    start=_start_reacher,
    readings={"distance": _between(FINGERTIP, TARGET)},
    max_episode_steps=50,
    derived=("xpos",),
)

PUSHER = Body(
    gym_id="Pusher-v5",
    spec=sensing(
        "pusher",
        [
            *_PUSHER_JOINTS.split(),
            *(f"vel/{joint}" for joint in _PUSHER_JOINTS.split()),
            *(f"{part}/{axis}" for part in ("tips_arm", "object", "goal") for axis in "xyz"),
        ],
        _PUSHER_JOINTS,
        bound=2.0,
    ),
    timestep=0.01,
    frame_skip=5,
    observe=_observe_pusher,
    start=_start_pusher,
    readings={"distance": _between(OBJECT, GOAL), "hand_distance": _between(OBJECT, HAND)},
    max_episode_steps=100,
    derived=("xpos",),
)
