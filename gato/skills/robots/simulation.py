"""The bare simulation of a robot of one's own, as Gymnasium's MuJoCo environments are: model, data, reset, step.

In: a `Description`. Out: `compiled_text` (its whole MJCF), `make_model`, `RobotSimulation`.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium import spaces

from gato.skills.bodies.body import Body, State
from gato.skills.robots.description import Description
from gato.specs import near_match

FLOOR_SIZE, LIGHT_HEIGHT = 40.0, 4.0
"""m."""


def compiled_text(description: Description, folder: Path) -> str:
    """The MJCF that the description's model file stands for: URDF converted, motors, floor and free joint added.

    FileNotFoundError: no such model. ValueError: MuJoCo cannot read it, or a joint is not there.
    """
    path = folder / description.model
    if not path.is_file():
        raise FileNotFoundError(f"model {path}: no such file; the path is taken from the folder of the YAML file")
    try:
        spec = mujoco.MjSpec.from_file(str(path))
    except ValueError as error:
        raise ValueError(f"{path}: {_in_a_line(error)}") from error
    if path.suffix == ".urdf":
        # Parts that are fixed to others keep their names.
        spec.compiler.fusestatic = False
    if any(asset.file for asset in (*spec.meshes, *spec.textures, *spec.hfields)):
        spec.meshdir, spec.texturedir = (str((path.parent / one).resolve()) for one in (spec.meshdir, spec.texturedir))
    if description.floating:
        root = spec.worldbody.first_body()
        if root is None or root.first_joint() is not None:
            raise ValueError(f"{path}: floating is true, but the first part hangs on the world by a joint of its own")
        root.add_freejoint()
    if description.ground:
        plane = mujoco.mjtGeom.mjGEOM_PLANE
        spec.worldbody.add_geom(name="ground", type=plane, size=[FLOOR_SIZE, FLOOR_SIZE, 1], rgba=[0.7, 0.75, 0.8, 1])
        spec.worldbody.add_light(name="sun", pos=[0, 0, LIGHT_HEIGHT], dir=[0, 0, -1], type=_DIRECTIONAL)
    if description.actuated:
        _replace_actuators(spec, description)
    try:
        model = spec.compile()
    except ValueError as error:
        raise ValueError(f"{path}: {_in_a_line(error)}") from error
    if not 0 < model.opt.timestep < 1 or not np.isfinite(model.body_mass).all():
        raise ValueError(
            f"{path}: timestep {model.opt.timestep} s, masses {model.body_mass} kg; finite ones are needed"
        )
    return spec.to_xml()


DRIVEN = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
"""Joints that a motor can turn or push."""
_DIRECTIONAL = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL


def _replace_actuators(spec: mujoco.MjSpec, description: Description) -> None:
    """Motors on the joints that the description names, by their strength; actions are -1..1."""
    names = [joint.name for joint in spec.joints if joint.type in DRIVEN]
    for joint in description.actuated:
        if joint not in names:
            raise ValueError(f'{description.model}: actuated: unknown joint "{joint}"; {near_match(joint, names)}')
    for actuator in list(spec.actuators):
        spec.delete(actuator)
    for joint, strength in description.actuated.items():
        motor = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        motor.gear[0], motor.ctrllimited, motor.ctrlrange[:] = strength, True, (-1, 1)


def make_model(name: str, text: str) -> mujoco.MjModel:
    """The model that a robot's MJCF describes. ValueError where meshes or textures are not there any more."""
    try:
        return mujoco.MjModel.from_xml_string(text)
    except ValueError as error:
        raise ValueError(f"robot {name}: {_in_a_line(error)}") from error


def bounds(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest of each action, (A,) float32; -1 and 1 where the model limits none."""
    is_limited_A = model.actuator_ctrllimited.astype(bool)
    low_A, high_A = model.actuator_ctrlrange.T
    return np.where(is_limited_A, low_A, -1).astype(np.float32), np.where(is_limited_A, high_A, 1).astype(np.float32)


class RobotSimulation(gymnasium.Env[np.ndarray, np.ndarray]):
    """One robot without a skill: what Gymnasium's own environments are to their bodies. Nothing is paid."""

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array", "depth_array", "rgbd_tuple"]}

    def __init__(
        self, body: Body, model: mujoco.MjModel, render_mode: str | None = None, width: int = 480, height: int = 480
    ) -> None:
        self.body, self.model, self.data = body, model, mujoco.MjData(model)
        self.render_mode, self._size = render_mode, (width, height)
        self.metadata = {**self.metadata, "render_fps": round(1 / body.dt)}
        self.observation_space = spaces.Box(-np.inf, np.inf, (len(body.spec.observation),), np.float64)
        self.action_space = spaces.Box(body.spec.action_low, body.spec.action_high, dtype=np.float32)
        if keyframe := (body.description or {}).get("keyframe"):
            mujoco.mj_resetDataKeyframe(model, self.data, model.key(keyframe).id)
        self.init_qpos, self.init_qvel = self.data.qpos.copy(), self.data.qvel.copy()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """The body's own start for that seed."""
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:], self.data.qvel[:] = self.body.start(self.np_random, self.init_qpos, self.init_qvel)
        mujoco.mj_forward(self.model, self.data)
        return self.body.observe(self._state())[0], {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One control step."""
        self.data.ctrl[:] = action
        mujoco.mj_step(self.model, self.data, nstep=self.body.frame_skip)
        state = self._state()
        has_fallen = self.body.is_healthy is not None and not self.body.is_healthy(state)[0]
        return self.body.observe(state)[0], 0.0, has_fallen, False, {}

    def _state(self) -> State:
        return self.body.state_of(self.data, self.model.body_mass)

    @functools.cached_property
    def mujoco_renderer(self) -> Any:
        """Gymnasium's, made when the first picture is drawn."""
        from gymnasium.envs.mujoco.mujoco_rendering import MujocoRenderer

        width, height = self._size
        buffer = self.model.vis.global_
        buffer.offwidth, buffer.offheight = max(buffer.offwidth, width), max(buffer.offheight, height)
        return MujocoRenderer(self.model, self.data, None, width, height)

    def render(self) -> Any:
        """A picture of the simulation as it stands."""
        return self.mujoco_renderer.render(self.render_mode)

    def close(self) -> None:
        """Frees the renderer."""
        if "mujoco_renderer" in vars(self):
            self.mujoco_renderer.close()


def _in_a_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    missing = re.search(r"Error opening file '(.+?)'", text)
    return f"no such file: {missing[1]}; put it there, or mend the path in the model" if missing else text
