"""A simulation as somebody else can draw it: the shapes of a MuJoCo model once, then poses.

In: a model and its positions. Out: `scene(model)`, plain JSON, and `Poses`, float32 for every moment. Nothing is
rendered here.
"""

from __future__ import annotations

import base64
from typing import Any

import mujoco
import numpy as np

from gato.skills.environment import TRUNK

SHAPES = {
    int(mujoco.mjtGeom.mjGEOM_PLANE): "plane",
    int(mujoco.mjtGeom.mjGEOM_SPHERE): "sphere",
    int(mujoco.mjtGeom.mjGEOM_CAPSULE): "capsule",
    int(mujoco.mjtGeom.mjGEOM_ELLIPSOID): "ellipsoid",
    int(mujoco.mjtGeom.mjGEOM_CYLINDER): "cylinder",
    int(mujoco.mjtGeom.mjGEOM_BOX): "box",
    int(mujoco.mjtGeom.mjGEOM_MESH): "mesh",
}
"""Fields of heights are not drawn; they are counted in `left_out`."""
FIRST_HIDDEN = 3
"""Groups of geoms from this one on are hidden, as in MuJoCo's own viewer: shapes for contacts."""
NO_COLOUR = (0.5, 0.5, 0.5, 1.0)
"""MuJoCo's colour of a geom that was given none: that of its material counts, if it has one."""


class Poses:
    """Where every part is when the joints are there."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._data = model, mujoco.MjData(model)

    def __call__(self, motion_TQ: np.ndarray) -> np.ndarray:
        """(T, N, 7) float32 of the N parts after the world: place in m, and turn as a quaternion, w first."""
        poses_TN7 = np.empty((len(motion_TQ), self._model.nbody - 1, 7), np.float32)
        for qpos_Q, poses_N7 in zip(motion_TQ, poses_TN7, strict=True):
            self._data.qpos[:] = qpos_Q
            mujoco.mj_kinematics(self._model, self._data)
            poses_N7[:, :3], poses_N7[:, 3:] = self._data.xpos[1:], self._data.xquat[1:]
        return poses_TN7


def scene(model: mujoco.MjModel) -> dict[str, Any]:
    """{"parts", "trunk", "radius", "geoms", "meshes", "textures", "left_out"}, all of it JSON.

    "parts" is N of `Poses`, "trunk" an index among them, "radius" m from the trunk to the farthest point at the start.
    A geom has its "shape", "part" (-1: the world), "place", "turn" (w first), "size" in MuJoCo's sense, "colour" (RGBA,
    0 to 1), "mesh" (index or null).
    """
    drawn = [index for index in range(model.ngeom) if _is_seen(model, index)]
    shown = [index for index in drawn if int(model.geom_type[index]) in SHAPES]
    meshes = sorted({int(model.geom_dataid[index]) for index in shown if _is_mesh(model, index)})
    textures = sorted({_texture(model, index) for index in shown if _is_mesh(model, index)} - {-1})
    return {
        "parts": model.nbody - 1,
        "trunk": TRUNK - 1,
        "radius": _radius(model),
        "geoms": [_geom(model, index, meshes, textures) for index in shown],
        "meshes": [_mesh(model, index) for index in meshes],
        "textures": [_pixels(model, index) for index in textures],
        "left_out": len(drawn) - len(shown),
    }


def _is_seen(model: mujoco.MjModel, index: int) -> bool:
    return bool(model.geom_group[index] < FIRST_HIDDEN and _colour(model, index)[3] > 0)


def _is_mesh(model: mujoco.MjModel, index: int) -> bool:
    return bool(model.geom_type[index] == mujoco.mjtGeom.mjGEOM_MESH)


def _colour(model: mujoco.MjModel, index: int) -> np.ndarray:
    material = model.geom_matid[index]
    is_plain = material >= 0 and np.allclose(model.geom_rgba[index], NO_COLOUR)
    return model.mat_rgba[material] if is_plain else model.geom_rgba[index]


def _texture(model: mujoco.MjModel, index: int) -> int:
    """MuJoCo's number of the flat picture on a geom; -1 for none."""
    material = model.geom_matid[index]
    if material < 0:
        return -1
    texture = int(model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB])
    is_flat = texture >= 0 and model.tex_type[texture] == mujoco.mjtTexture.mjTEXTURE_2D
    return texture if is_flat else -1


def _geom(model: mujoco.MjModel, index: int, meshes: list[int], textures: list[int]) -> dict[str, Any]:
    is_mesh = _is_mesh(model, index)
    texture = _texture(model, index) if is_mesh else -1
    return {
        "shape": SHAPES[int(model.geom_type[index])],
        "part": int(model.geom_bodyid[index]) - 1,
        "place": model.geom_pos[index].tolist(),
        "turn": model.geom_quat[index].tolist(),
        "size": model.geom_size[index].tolist(),
        "colour": _colour(model, index).tolist(),
        "mesh": meshes.index(int(model.geom_dataid[index])) if is_mesh else None,
        "texture": textures.index(texture) if texture >= 0 else None,
    }


def _mesh(model: mujoco.MjModel, index: int) -> dict[str, str | None]:
    """Corners of its triangles one after the other, base64 of float32: "points" and "normals" (F * 3, 3), "uv"
    (F * 3, 2) or null where no texture can lie on it."""
    faces = slice(model.mesh_faceadr[index], model.mesh_faceadr[index] + model.mesh_facenum[index])
    points_V3 = model.mesh_vert[model.mesh_vertadr[index] :][model.mesh_face[faces].ravel()]
    normals_V3 = model.mesh_normal[model.mesh_normaladr[index] :][model.mesh_facenormal[faces].ravel()]
    first = model.mesh_texcoordadr[index]
    uv_V2 = None if first < 0 else model.mesh_texcoord[first:][model.mesh_facetexcoord[faces].ravel()]
    return {"points": _text(points_V3), "normals": _text(normals_V3), "uv": None if uv_V2 is None else _text(uv_V2)}


def _pixels(model: mujoco.MjModel, index: int) -> dict[str, Any]:
    """{"width", "height", "pixels"}: base64 of RGBA bytes, row by row as MuJoCo has them."""
    width, height, channels = (int(one[index]) for one in (model.tex_width, model.tex_height, model.tex_nchannel))
    first = model.tex_adr[index]
    told_PC = model.tex_data[first : first + width * height * channels].reshape(-1, channels)
    pixels_P4 = np.full((len(told_PC), 4), 255, np.uint8)
    pixels_P4[:, : max(channels, 3)] = told_PC  # a single channel is grey
    return {"width": width, "height": height, "pixels": base64.b64encode(pixels_P4.tobytes()).decode()}


def _radius(model: mujoco.MjModel) -> float:
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    own_G = model.geom_bodyid > 0
    away_G = np.linalg.norm(data.geom_xpos[own_G] - data.xpos[TRUNK], axis=1) + model.geom_rbound[own_G]
    return float(away_G.max())


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()
