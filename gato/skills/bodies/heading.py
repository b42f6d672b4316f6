"""What a body senses as seen from its own heading: which way it looks in the world makes no difference.

In: names of elements, observations. Out: functions (B, O) -> (B, O) for `Body.from_heading`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gato.specs import BodySpec

View = Callable[[np.ndarray], np.ndarray]


def _columns(spec: BodySpec, names: str) -> list[int]:
    return [[element.name for element in spec.observation].index(name) for name in names.split()]


def free_view(spec: BodySpec) -> View:
    """Of a body with a free root: the turn about the vertical is taken out of its orientation and its velocity."""
    orientation, velocity = _columns(spec, "root_qw root_qx root_qy root_qz"), _columns(spec, "vel/root_x vel/root_y")

    def view(observations_BO: np.ndarray) -> np.ndarray:
        seen_BO = observations_BO.copy()
        w_B, z_B = observations_BO[:, orientation[::3]].T
        length_B = np.maximum(np.hypot(w_B, z_B), np.finfo(float).tiny)
        # Of half the turn; upside down there is none.
        cos_B, sin_B = np.where(length_B > 1e-6, [w_B / length_B, z_B / length_B], [[1.0], [0.0]])
        for pair in (orientation[::3], orientation[1:3]):
            seen_BO[:, pair] = _turned_back(observations_BO[:, pair], cos_B, sin_B)
        seen_BO[:, velocity] = _turned_back(observations_BO[:, velocity], cos_B**2 - sin_B**2, 2 * cos_B * sin_B)
        return seen_BO

    return view


def _turned_back(vectors_B2: np.ndarray, cos_B: np.ndarray, sin_B: np.ndarray) -> np.ndarray:
    x_B, y_B = vectors_B2.T
    return np.stack([cos_B * x_B + sin_B * y_B, cos_B * y_B - sin_B * x_B], 1)
