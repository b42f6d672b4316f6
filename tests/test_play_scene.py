"""Shapes and poses that a page draws are those of the MuJoCo model."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import mujoco
import numpy as np
from PIL import Image

from gato.play.scene import Poses, scene
from gato.skills.bodies import BODIES
from gato.skills.environment import make_simulation

TEXTURED = """
<mujoco>
  <asset>
    <texture name="paint" type="2d" file="paint.png"/>
    <texture name="floor" type="2d" builtin="checker" width="8" height="8" rgb1="0 0 0" rgb2="1 1 1"/>
    <material name="painted" texture="paint" rgba="1 1 1 1"/>
    <material name="red" rgba="1 0 0 1"/>
    <mesh name="tile" vertex="0 0 0  1 0 0  0 1 0  0 0 1" texcoord="0 0  1 0  0 1  1 1"
      face="0 2 1  0 1 3  0 3 2  1 2 3"/>
  </asset>
  <worldbody>
    <geom type="plane" size="0 0 1"/>
    <body name="trunk" pos="0 0 1">
      <freejoint/>
      <geom type="mesh" mesh="tile" material="painted"/>
      <geom type="box" size=".1 .2 .3" pos="0 0 .5" quat="0 1 0 0" material="red"/>
      <geom type="sphere" size=".1" rgba="0 1 0 .5" material="red"/>
      <geom type="capsule" size=".1 .2" group="3"/>
      <geom type="cylinder" size=".1 .2" rgba="0 0 0 0"/>
      <body name="arm" pos="1 0 0">
        <joint axis="0 0 1"/>
        <geom type="ellipsoid" size=".1 .2 .3"/>
      </body>
    </body>
  </worldbody>
</mujoco>
"""


def made(folder: Path) -> mujoco.MjModel:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    Image.fromarray(pixels).save(folder / "paint.png")
    assets = {"paint.png": (folder / "paint.png").read_bytes()}
    return mujoco.MjModel.from_xml_string(TEXTURED, assets)


def floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def test_shapes_sizes_and_colours_are_the_models_own(tmp_path: Path) -> None:
    told = scene(made(tmp_path))
    assert json.loads(json.dumps(told)) == told
    assert [geom["shape"] for geom in told["geoms"]] == ["plane", "mesh", "box", "sphere", "ellipsoid"]
    assert [geom["part"] for geom in told["geoms"]] == [-1, 0, 0, 0, 1]
    plane, _, box, sphere, ellipsoid = told["geoms"]
    assert (box["size"], box["place"], box["turn"]) == ([0.1, 0.2, 0.3], [0, 0, 0.5], [0, 1, 0, 0])
    assert box["colour"] == [1, 0, 0, 1] and sphere["colour"] == [0, 1, 0, 0.5]
    assert ellipsoid["colour"] == plane["colour"] == [0.5, 0.5, 0.5, 1]
    assert (told["parts"], told["trunk"], told["left_out"]) == (2, 0, 0)
    assert 1 < told["radius"] < 1.7  # the arm at 1 m with its ellipsoid, not the endless floor


def test_meshes_bring_triangles_normals_and_their_picture(tmp_path: Path) -> None:
    model = made(tmp_path)
    told = scene(model)
    (mesh,), (picture,), geom = told["meshes"], told["textures"], told["geoms"][1]
    assert (geom["mesh"], geom["texture"]) == (0, 0)
    points_V3, normals_V3, uv_V2 = floats(mesh["points"]), floats(mesh["normals"]), floats(mesh["uv"])
    assert points_V3.size == normals_V3.size == 4 * 3 * 3 and uv_V2.size == 4 * 3 * 2
    assert np.allclose(np.linalg.norm(normals_V3.reshape(-1, 3), axis=1), 1, atol=1e-5)
    # Turned and moved by the geom, the corners are those of the file.
    turn_33, corners_V3 = np.zeros(9), points_V3.reshape(-1, 3).astype(float)
    mujoco.mju_quat2Mat(turn_33, geom["turn"])
    back_V3 = corners_V3 @ turn_33.reshape(3, 3).T + geom["place"]
    assert {tuple(np.round(corner, 5) + 0.0) for corner in back_V3} == {(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)}
    assert (picture["width"], picture["height"]) == (3, 2)
    pixels = np.frombuffer(base64.b64decode(picture["pixels"]), np.uint8).reshape(6, 4)
    assert (pixels[:, 3] == 255).all() and sorted(pixels[:, :3].ravel().tolist()) == list(range(18))


def test_poses_are_mujocos_own() -> None:
    simulation = make_simulation(BODIES["ant"])
    simulation.reset(seed=0)
    poses, qpos = Poses(simulation.model), []
    for step in range(3):
        simulation.step(np.full(8, 0.3 * step))
        qpos.append(simulation.data.qpos.copy())
    shown_TN7 = poses(np.stack(qpos))
    mujoco.mj_kinematics(simulation.model, simulation.data)
    assert shown_TN7.shape == (3, 13, 7) and shown_TN7.dtype == np.float32
    assert np.array_equal(shown_TN7[-1, :, :3], simulation.data.xpos[1:].astype(np.float32))
    assert np.array_equal(shown_TN7[-1, :, 3:], simulation.data.xquat[1:].astype(np.float32))
    simulation.close()


def test_every_body_can_be_drawn() -> None:
    for name, body in BODIES.items():
        simulation = make_simulation(body)
        told = scene(simulation.model)
        assert told["geoms"] and not told["left_out"] and 0.1 < told["radius"] < 4, name
        assert {geom["part"] for geom in told["geoms"]} <= set(range(-1, told["parts"])), name
        simulation.close()
