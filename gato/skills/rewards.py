"""What a step was worth and what was measured in it: named terms over a batch of environments.

In: a `StepResult` (B environments after one control step). Out: reward (B,), readings name -> (B,).
Terms use + - * and comparisons only, so that a batch of one gives the same bits as a batch of many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gato.skills.bodies import Body
from gato.specs import near_match


@dataclass(slots=True)
class StepResult:
    """One control step of B environments of one body."""

    actions_BA: np.ndarray
    """As given to the simulator, in the dtype of the caller: Gymnasium sums their squares in that dtype."""
    is_healthy_B: np.ndarray
    readings: dict[str, np.ndarray]
    """Physical units, name -> (B,)."""


@dataclass(frozen=True)
class Term:
    """One summand of a reward: `weight * TERMS[name]`, the term held between `least` and `limit`."""

    name: str
    weight: float
    limit: float = np.inf
    least: float = -np.inf

    def __post_init__(self) -> None:
        if self.name not in TERMS:
            raise ValueError(f'unknown reward term "{self.name}"; {near_match(self.name, TERMS)}')


def _forward_speed(step: StepResult) -> np.ndarray:
    return step.readings["forward_speed"]


def _backward_speed(step: StepResult) -> np.ndarray:
    return -step.readings["forward_speed"]


def _alive(step: StepResult) -> np.ndarray:
    return step.is_healthy_B.astype(np.float64)


def _control_cost(step: StepResult) -> np.ndarray:
    return np.square(step.actions_BA).sum(1)


def _pitch_cost(step: StepResult) -> np.ndarray:
    return np.square(step.readings["pitch"])


TERMS: dict[str, Callable[[StepResult], np.ndarray]] = {
    "forward_speed": _forward_speed,
    "backward_speed": _backward_speed,
    "alive": _alive,
    "control_cost": _control_cost,
    "pitch_cost": _pitch_cost,
}
"""Speeds in m/s; alive 1 or 0; control cost is the sum of squared actions; pitch cost rad^2."""


def reward(terms: tuple[Term, ...], step: StepResult) -> np.ndarray:
    """The sum of the weighted terms, (B,) float64, added in their written order (the order decides the last bit)."""
    total_B: np.ndarray | float = 0.0
    for index, term in enumerate(terms):
        value_B = TERMS[term.name](step)
        if term.least > -np.inf or term.limit < np.inf:
            value_B = np.minimum(np.maximum(value_B, term.least), term.limit)
        value_B = term.weight * value_B
        total_B = value_B if index == 0 else total_B + value_B
    return np.asarray(total_B, np.float64)


def measure(body: Body, qpos_BQ: np.ndarray, track_before_B: np.ndarray) -> dict[str, np.ndarray]:
    """Readings after a control step that began with the body at `track_before_B` metres along the track."""
    readings = {"forward_speed": (qpos_BQ[:, 0] - track_before_B) / body.dt}
    for name, position in body.positions.items():
        readings[name] = qpos_BQ[:, position.index] + position.offset
    return readings
