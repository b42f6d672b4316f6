"""What a robot of one's own observes and what is measured of it, by the names of its joints and parts.

In: a compiled model and the words of a `Description`. Out: elements, `observe`, `Reading`s.

An observation is a list of: `height`, `orientation` (quaternion), `gravity` (where down is, to the robot), `velocity`,
`turning` of a root that moves freely; `joints` and `joint_velocities` (all, or `{joints: [NAME, ...]}`); `sensors`; and
`{position: PART}`, `{between: [PART, PART]}` in the world's axes, of bodies or sites.

Every robot that moves freely has the readings forward_speed, lateral_speed, yaw_rate, track_speed, height and upright
(1: as in the model, 0: lying). Others: `{joint: NAME}`, `{joint_velocity: NAME}`, `{height_of: PART}`,
`{distance: [PART, PART]}`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from gato.skills.bodies.body import Reading, State, coordinate, distance, rate
from gato.skills.bodies.free import READINGS as FREE_READINGS
from gato.specs import near_match

Measure = Callable[[State], np.ndarray]
_FREE, _SLIDE, _HINGE = (
    int(one) for one in (mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_HINGE)
)
_XYZ = ("x", "y", "z")


@dataclass(frozen=True)
class Sense:
    """Some numbers of an observation."""

    names: tuple[str, ...]
    measure: Measure
    """(B, len(names))"""
    derived: tuple[str, ...] = ()
    """Fields of MuJoCo's data that it reads."""


class Senses:
    """Reads the words of a description for one model."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model
        kinds = model.jnt_type.tolist()
        self.is_free = kinds[:1] == [_FREE]
        if kinds.count(_FREE) > 1:
            raise ValueError("two parts move freely; a robot has one root, other parts hang on it or on the world")
        self.joints = {model.joint(index).name: index for index, kind in enumerate(kinds) if kind in (_SLIDE, _HINGE)}

    def sense(self, word: Any) -> Sense:
        """One part of the observation; ValueError for a word, joint or part that is not there."""
        key, value = _taken_apart(word)
        if key in ("joints", "joint_velocities"):
            return self._joint_sense(key, list(self.joints) if value is None else value)
        if value is None and key in _ROOT_SENSES:
            if not self.is_free:
                raise ValueError(f'observe: "{key}" is of a root that moves freely, and this one does not')
            return _ROOT_SENSES[key]
        if value is None and key == "sensors":
            names = [self.model.sensor(index) for index in range(self.model.nsensor)]
            measured = tuple(f"{one.name}_{number}" for one in names for number in range(one.dim[0]))
            return Sense(measured, lambda state: state.derived["sensordata"].copy(), ("sensordata",))
        if key == "position" and value is not None:
            place, field_ = self._place(value)
            return Sense(tuple(f"{value}_{axis}" for axis in _XYZ), place, (field_,))
        if key == "between" and value is not None:
            (first, first_field), (second, second_field) = self._places(value)
            told = tuple(f"{value[0]}_to_{value[1]}_{axis}" for axis in _XYZ)
            return Sense(told, lambda state: second(state) - first(state), (first_field, second_field))
        known = [*_ROOT_SENSES, "joints", "joint_velocities", "sensors", "position", "between"]
        raise ValueError(f"observe: {word!r} is unknown; {near_match(str(key), known)}")

    def reading(self, name: str, word: Any) -> tuple[Reading, tuple[str, ...]]:
        """One measured quantity, and the fields of MuJoCo's data that it reads."""
        key, value = _taken_apart(word)
        if key in ("joint", "joint_velocity"):
            index = self._joint(value)
            unit = "m" if self.model.jnt_type[index] == _SLIDE else "rad"
            if key == "joint":
                return coordinate(unit, self.model.jnt_qposadr[index]), ()
            return rate(f"{unit}/s", self.model.jnt_dofadr[index]), ()
        if key == "height_of":
            place, field_ = self._place(value)
            return Reading("m", lambda state, velocity_BP: place(state)[:, 2].copy()), (field_,)
        if key == "distance":
            (first, first_field), (second, second_field) = self._places(value)
            measure = lambda state, velocity_BP: distance(first(state), second(state))  # noqa: E731
            return Reading("m", measure), (first_field, second_field)
        known = ("joint", "joint_velocity", "height_of", "distance")
        raise ValueError(f"readings.{name}: {word!r} is unknown; {near_match(str(key), known)}")

    def own_readings(self) -> dict[str, Reading]:
        """What is measured of every robot of this kind."""
        return {**FREE_READINGS, "upright": _UPRIGHT} if self.is_free else {}

    def _joint_sense(self, key: str, names: Sequence[str]) -> Sense:
        joints = [self._joint(name) for name in names]
        if key == "joints":
            places = self.model.jnt_qposadr[joints]
            return Sense(tuple(names), lambda state: state.qpos_BQ[:, places])
        places = self.model.jnt_dofadr[joints]
        return Sense(tuple(f"vel/{name}" for name in names), lambda state: state.qvel_BV[:, places])

    def _joint(self, name: Any) -> int:
        if not isinstance(name, str) or name not in self.joints:
            raise ValueError(f'unknown joint "{name}"; {near_match(str(name), self.joints)}')
        return self.joints[name]

    def _places(self, names: Any) -> tuple[tuple[Measure, str], tuple[Measure, str]]:
        if not isinstance(names, list) or len(names) != 2:
            raise ValueError(f"{names!r} are no two parts; [PART, PART] is needed")
        return self._place(names[0]), self._place(names[1])

    def _place(self, name: Any) -> tuple[Measure, str]:
        """Where a body or a site is, (B, 3), and the field that says so."""
        for field_, count, named in (
            ("xpos", self.model.nbody, self.model.body),
            ("site_xpos", self.model.nsite, self.model.site),
        ):
            for index in range(count):
                if named(index).name == name:
                    return _part(field_, index), field_
        parts = [self.model.body(index).name for index in range(self.model.nbody)]
        parts += [self.model.site(index).name for index in range(self.model.nsite)]
        raise ValueError(f'unknown part "{name}"; {near_match(str(name), filter(None, parts))}')


def _taken_apart(word: Any) -> tuple[str, Any]:
    """NAME or {NAME: VALUE}; ValueError for anything else."""
    if isinstance(word, str):
        return word, None
    if isinstance(word, dict) and len(word) == 1:
        return next((str(key), value) for key, value in word.items())
    raise ValueError(f"{word!r} is neither a name nor one name with a value")


def _part(field_: str, index: int) -> Measure:
    return lambda state: state.derived[field_][:, index].copy()


def _down(state: State) -> np.ndarray:
    """(B, 3): the direction of gravity in the root's own axes."""
    w_B, x_B, y_B, z_B = state.qpos_BQ[:, 3:7].T
    down_3B = 2 * (w_B * y_B - x_B * z_B), -2 * (y_B * z_B + w_B * x_B), 2 * (x_B * x_B + y_B * y_B) - 1
    return np.stack(down_3B, 1)


_UPRIGHT = Reading("", lambda state, velocity_BP: -_down(state)[:, 2])
_ROOT_SENSES = {
    "height": Sense(("root_z",), lambda state: state.qpos_BQ[:, 2:3].copy()),
    "orientation": Sense(("root_qw", "root_qx", "root_qy", "root_qz"), lambda state: state.qpos_BQ[:, 3:7].copy()),
    "gravity": Sense(("gravity_x", "gravity_y", "gravity_z"), _down),
    "velocity": Sense(("vel/root_x", "vel/root_y", "vel/root_z"), lambda state: state.qvel_BV[:, :3].copy()),
    "turning": Sense(("vel/root_wx", "vel/root_wy", "vel/root_wz"), lambda state: state.qvel_BV[:, 3:6].copy()),
}
