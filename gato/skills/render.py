"""Pictures of an episode, and which offscreen renderer this machine has.

In: an environment's spec, the seed and the executed actions of an episode, which is replayed. Out: frames (H, W, 3).
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterator

import gymnasium
import mujoco
import numpy as np
from gymnasium.envs.registration import EnvSpec

from gato.skills.environment import ENTRY_POINT, TRUNK, make_env, reach
from gato.skills.spaces import unflatten_action

OFFSCREEN = ("egl", "osmesa")
"""Tried in this order: the graphics card first, then software (Debian's libosmesa6)."""

CAMERA = {"distance": 4.0, "elevation": -20.0}
"""m at most and degrees, where the environment states nothing."""
REACHES = 6.0
"""How far the camera stays from a small body, in distances from its trunk to its farthest part."""

WIDER = 20.0
"""The floor is drawn that much wider, with more of its pattern: a fast body leaves Gymnasium's in six seconds."""

PROBE_SECONDS = 60
"""A driver that takes longer than this to open a window is no use for video."""

_PROBE = """
import importlib, os
context = importlib.import_module("mujoco." + os.environ["MUJOCO_GL"]).GLContext(16, 16)
context.make_current()
import mujoco
mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), 150)
context.free()
"""
"""Run in a process of its own: a driver that is not there may abort the process that asks it."""


@functools.cache
def find_renderer() -> str | None:
    """The renderer that works here ("egl", "osmesa", or what MUJOCO_GL already asks for), None where none does.

    What was found is put into MUJOCO_GL, which Gymnasium reads when the first frame is drawn. Takes about a second.
    """
    asked = os.environ.get("MUJOCO_GL", "").strip().lower()
    for name in (asked,) if asked else OFFSCREEN:
        if _works(name):
            os.environ["MUJOCO_GL"] = name
            return name
    return None


def frames(
    env_spec: EnvSpec, seed: int, actions_TA: np.ndarray, *, every: int = 1, width: int = 320, height: int = 240
) -> Iterator[np.ndarray]:
    """The first frame and then each `every`-th of the episode that those actions replay, (height, width, 3) uint8.

    Environments other than MuJoCo's choose their own picture size. RuntimeError when no renderer works here.
    """
    if find_renderer() is None:
        raise RuntimeError(
            "no offscreen renderer works here, so there are no pictures; install EGL or OSMesa (Debian: libosmesa6)"
        )
    is_mujoco = str(env_spec.entry_point).startswith((ENTRY_POINT, "gymnasium.envs.mujoco."))
    size = {"width": width, "height": height} if is_mujoco else {}
    env = make_env(env_spec, render_mode="rgb_array", **size)
    try:
        _follow_body(env)
        env.reset(seed=seed)
        yield _picture(env)
        for step, action_A in enumerate(actions_TA, start=1):
            env.step(unflatten_action(env.action_space, action_A))
            if step % every == 0:
                yield _picture(env)
    finally:
        env.close()


def _follow_body(env: gymnasium.Env) -> None:
    """Gymnasium 1.4 draws a MuJoCo body from where it started; the camera goes with it instead, unless told to stay."""
    renderer = getattr(getattr(env.unwrapped, "simulation", env.unwrapped), "mujoco_renderer", None)
    stated = getattr(renderer, "default_cam_config", None) or {}
    if renderer is None or stated.get("trackbodyid") == 0:
        return
    _widen_floor(renderer.model)
    follow = {"type": mujoco.mjtCamera.mjCAMERA_TRACKING, "trackbodyid": TRUNK}
    near = {"distance": min(CAMERA["distance"], REACHES * reach(renderer.model, mujoco.MjData(renderer.model)))}
    renderer.default_cam_config = {**CAMERA, **near, **stated, **follow}
    # None leaves the camera as configured; every number makes it a fixed or a free one.
    renderer.camera_id = None


def _widen_floor(model: mujoco.MjModel) -> None:
    floors = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)
    patterns = np.unique(model.geom_matid[floors])
    model.geom_size[floors, :2] *= WIDER
    model.mat_texrepeat[patterns[patterns >= 0]] *= WIDER


def _picture(env: gymnasium.Env) -> np.ndarray:
    picture = env.render()
    if not isinstance(picture, np.ndarray):
        raise RuntimeError(f"{env} draws no rgb_array pictures, so there is no video of it")
    return picture


def _works(name: str) -> bool:
    environment = {**os.environ, "MUJOCO_GL": name}
    command = [sys.executable, "-c", _PROBE]
    try:
        probe = subprocess.run(command, env=environment, capture_output=True, timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return probe.returncode == 0
