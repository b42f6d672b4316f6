"""What a step was worth and what was measured in it: named terms over a batch of environments.

In: a body's `State` after one control step of B environments. Out: a `StepResult`, its reward (B,).
Terms give the bits that Gymnasium gives one environment, whatever B is: see `gato.skills.bodies.body`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gato.skills.bodies import Body
from gato.skills.bodies.body import CONTACT_FORCES, State
from gato.skills.bodies.pendulums import tip
from gato.specs import COMMANDS

SWAY = 0.3
"""m/s and rad/s: who walks sways. What is off by less than this costs little, or nobody would begin to walk."""


@dataclass(slots=True)
class StepResult:
    """One control step of B environments of one body."""

    body: Body
    state: State
    """At its end."""
    place_BP: np.ndarray
    """Where the bodies are then."""
    actions_BA: np.ndarray
    """As given to the simulator, in the dtype of the caller: Gymnasium sums their squares in that dtype."""
    before_BA: np.ndarray
    """The actions of the step before; 0 in the first one."""
    command_BC: np.ndarray
    """What was asked for, in the order of COMMANDS; NaN where nothing was."""
    is_healthy_B: np.ndarray
    readings: dict[str, np.ndarray]
    """Physical units, name -> (B,)."""


@dataclass(frozen=True)
class Term:
    """One summand of a reward: weight times one of TERMS or a reading of the body, held between `least` and `limit`.

    With a `width` it is `weight / (1 + ((value - target) / width)^2)`: a bell, all of the weight where the value is
    `target` and half of it where it is off by `width`.
    """

    name: str
    weight: float
    limit: float = np.inf
    least: float = -np.inf
    width: float = np.inf
    target: float = 0.0

    def __str__(self) -> str:
        least, limit = self.least > -np.inf, self.limit < np.inf
        bounds = f" (at most {self.limit:g})" * limit + f" (at least {self.least:g})" * least
        return f"{self.weight:g} * {self.name}{bounds}" + f" (a bell of {self.width:g} around {self.target:g})" * (
            self.width < np.inf
        )


Terms = tuple[Term | tuple[Term, ...], ...]
"""Added in their written order, an inner tuple by itself first, like brackets: the order decides the last bit."""


CONTACT_TERMS = ("contact_cost", "clipped_contact_cost")
"""That read contact forces, which are dear."""


def flat(terms: Terms) -> tuple[Term, ...]:
    """Without the brackets."""
    return tuple(part for term in terms for part in (term if isinstance(term, tuple) else (term,)))


def _error(name: str) -> Callable[[StepResult], np.ndarray]:
    index = COMMANDS.index(name)
    return lambda step: step.readings[name] - step.command_BC[:, index]


def _progress(name: str) -> Callable[[StepResult], np.ndarray]:
    index = COMMANDS.index(name)

    def progress(step: StepResult) -> np.ndarray:
        asked_B = step.command_BC[:, index]
        return np.abs(asked_B) - _beyond_sway(step.readings[name] - asked_B)

    return progress


def _beyond_sway(speed_B: np.ndarray) -> np.ndarray:
    return np.sqrt(speed_B * speed_B + SWAY * SWAY) - SWAY


def _drift_cost(step: StepResult) -> np.ndarray:
    return _beyond_sway(step.readings["forward_speed"])


def _action_change(step: StepResult) -> np.ndarray:
    return np.square(step.actions_BA - step.before_BA, dtype=np.float64).sum(1)


def _backward_speed(step: StepResult) -> np.ndarray:
    return -step.readings["forward_speed"]


def _lift(step: StepResult) -> np.ndarray:
    return step.readings["height"] / step.body.timestep


def _bounce(step: StepResult) -> np.ndarray:
    return np.square(step.readings["vertical_speed"])


def _alive(step: StepResult) -> np.ndarray:
    return step.is_healthy_B.astype(np.float64)


def _control_cost(step: StepResult) -> np.ndarray:
    return np.square(step.actions_BA).sum(1)


def _exact_control_cost(step: StepResult) -> np.ndarray:
    return np.square(step.actions_BA, dtype=np.float64).sum(1)


def _pitch_cost(step: StepResult) -> np.ndarray:
    return np.square(step.readings["pitch"])


def _contact_forces(step: StepResult) -> np.ndarray:
    return step.state.derived[CONTACT_FORCES].reshape(len(step.actions_BA), -1)


def _contact_cost(step: StepResult) -> np.ndarray:
    return np.square(_contact_forces(step)).sum(1)


def _clipped_contact_cost(step: StepResult) -> np.ndarray:
    return np.square(np.clip(_contact_forces(step), -1.0, 1.0)).sum(1)


def _tip_cost(step: StepResult) -> np.ndarray:
    along_B, height_B = tip(step.state)
    return 0.01 * _power_2(along_B) + _power_2(height_B - 2.0)


def _swing_cost(step: StepResult) -> np.ndarray:
    return 1e-3 * _power_2(step.state.qvel_BV[:, 1]) + 5e-3 * _power_2(step.state.qvel_BV[:, 2])


def _power_2(values_B: np.ndarray) -> np.ndarray:
    """By the C library's `pow`, as Gymnasium's numbers: one in a thousand differs from the square in its last bit."""
    return np.array([value**2 for value in values_B.tolist()])


TERMS: dict[str, Callable[[StepResult], np.ndarray]] = {
    "backward_speed": _backward_speed,
    **{f"{name}_error": _error(name) for name in COMMANDS},
    **{f"{name}_progress": _progress(name) for name in COMMANDS},
    "action_change": _action_change,
    "bounce": _bounce,
    "drift_cost": _drift_cost,
    "lift": _lift,
    "alive": _alive,
    "control_cost": _control_cost,
    "exact_control_cost": _exact_control_cost,
    "pitch_cost": _pitch_cost,
    "contact_cost": _contact_cost,
    "clipped_contact_cost": _clipped_contact_cost,
    "tip_cost": _tip_cost,
    "swing_cost": _swing_cost,
}
"""Backward speed in m/s; an error is a reading less what was asked for, progress the reading towards that, less what is
beyond, and little less for a sway; the action change is the sum of squared differences to the action before; bounce is
the square of the vertical speed, drift cost how far the forward speed is from 0, little for a sway; lift is height by
the seconds of a simulation step; alive 1 or 0; control cost is the sum of squared actions (exact: in double precision);
pitch cost rad^2; contact cost is the sum of squared contact forces and torques (clipped: each within +-1); tip cost is
how far the double pendulum's tip is from 2 m over the middle of the rail, and swing cost how fast its poles turn, as
Gymnasium weighs them. A reading of the body is a term by its own name."""
_NEEDS = {
    "backward_speed": "forward_speed",
    **{f"{name}_{kind}": name for name in COMMANDS for kind in ("error", "progress")},
    "bounce": "vertical_speed",
    "drift_cost": "forward_speed",
    "lift": "height",
    "pitch_cost": "pitch",
    **dict.fromkeys(CONTACT_TERMS, CONTACT_FORCES),
    "tip_cost": "site_xpos",
    "swing_cost": "site_xpos",
}
"""Term -> the reading or the field of MuJoCo's data that it is made from."""


def terms_of(body: Body) -> list[str]:
    """What a skill of this body can be paid for."""
    has = {*body.readings, *body.derived}
    return [*body.readings, *(name for name in TERMS if name not in _NEEDS or _NEEDS[name] in has)]


def reward(terms: Terms, step: StepResult) -> np.ndarray:
    """The sum of the weighted terms, (B,) float64."""
    total_B: np.ndarray | float = 0.0
    for index, term in enumerate(terms):
        value_B = reward(term, step) if isinstance(term, tuple) else _weighted(term, step)
        total_B = value_B if index == 0 else total_B + value_B
    return np.asarray(total_B, np.float64)


def _weighted(term: Term, step: StepResult) -> np.ndarray:
    value_B = TERMS[term.name](step) if term.name in TERMS else step.readings[term.name]
    if term.least > -np.inf or term.limit < np.inf:
        value_B = np.minimum(np.maximum(value_B, term.least), term.limit)
    if term.width < np.inf:
        return term.weight / (1.0 + np.square((value_B - term.target) / term.width))
    return term.weight * value_B


def judge(
    body: Body,
    actions_BA: np.ndarray,
    state: State,
    *,
    place_before_BP: np.ndarray,
    before_BA: np.ndarray,
    command_BC: np.ndarray,
) -> StepResult:
    """What a control step did that began with the bodies at `place_before_BP` and ended in `state`."""
    place_BP = body.place(state)
    velocity_BP = (place_BP - place_before_BP) / body.dt
    is_healthy_B = np.ones(len(place_BP), np.bool_) if body.is_healthy is None else body.is_healthy(state)
    readings = {name: reading.measure(state, velocity_BP) for name, reading in body.readings.items()}
    return StepResult(body, state, place_BP, actions_BA, before_BA, command_BC, is_healthy_B, readings)
