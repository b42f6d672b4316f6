"""Left and right: a mirrored body, mirrored, moves as the body does."""

import mujoco
import numpy as np
import pytest

from gato.skills.bodies import BODIES
from gato.skills.environment import make_simulation

ALIKE = [name for name, body in BODIES.items() if body.mirror is not None]


def test_these_bodies_are_built_alike_on_both_sides():
    assert ALIKE == ["walker2d", "ant", "humanoid", "humanoid-standup", "swimmer"]


@pytest.mark.parametrize("name", ALIKE)
def test_the_mirror_image_of_a_movement_is_the_movement_of_the_mirror_image(name):
    body, rng = BODIES[name], np.random.default_rng(0)
    simulation = make_simulation(body)
    model = simulation.model
    if name.startswith("humanoid"):
        _make_alike(model)
    model.opt.solver, model.opt.iterations = mujoco.mjtSolver.mjSOL_NEWTON, 100  # one that does not go left to right
    unseen = model.nq + model.nv - len(body.spec.observation)
    for _ in range(8):
        qpos_Q, qvel_V = body.start(rng, simulation.init_qpos, simulation.init_qvel)
        action_A = rng.uniform(body.spec.action_low, body.spec.action_high)
        after_O = _moved(model, qpos_Q, qvel_V, action_A)[unseen:]

        image_O = body.mirror.observation(np.concatenate([qpos_Q[unseen:], qvel_V]))
        place_U = (qpos_Q * [1.0, -1.0, *qpos_Q[2:]])[:unseen]
        image_Q, image_V = np.concatenate([place_U, image_O[: model.nq - unseen]]), image_O[model.nq - unseen :]
        image_after_O = _moved(model, image_Q, image_V, body.mirror.action(action_A))[unseen:]

        np.testing.assert_allclose(image_after_O, body.mirror.observation(after_O), atol=1e-5)


@pytest.mark.parametrize("name", ALIKE)
def test_two_reflections_give_back_what_was_there(name):
    mirror, spec = BODIES[name].mirror, BODIES[name].spec
    values_O, values_A = np.arange(1.0, len(spec.observation) + 1), np.arange(1.0, len(spec.action) + 1)
    assert (mirror.observation(values_O) != values_O).any()
    np.testing.assert_array_equal(mirror.observation(mirror.observation(values_O)), values_O)
    np.testing.assert_array_equal(mirror.action(mirror.action(values_A)), values_A)


def _moved(model, qpos_Q, qvel_V, action_A):
    data = mujoco.MjData(model)
    data.qpos, data.qvel, data.ctrl = qpos_Q, qvel_V, action_A
    mujoco.mj_step(model, data, 20)
    return np.concatenate([data.qpos, data.qvel])


def _make_alike(model):
    """Gymnasium's humanoid limps a little: its left knee is a spring (1 N m/rad), its left hip has more armature."""
    model.joint("left_knee").stiffness = model.joint("right_knee").stiffness
    model.joint("left_hip_y").armature = model.joint("right_hip_y").armature
    mujoco.mj_setConst(model, mujoco.MjData(model))
