"""Left and right, and all four sides: a body called by other names moves as the body does."""

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


TURNING = ["ant", "humanoid"]


@pytest.mark.parametrize("name", TURNING)
def test_which_way_a_body_looks_makes_no_difference_to_it(name):
    """Turned by any angle it senses the same from its heading, and after the same action again."""
    body, rng = BODIES[name], np.random.default_rng(0)
    simulation = make_simulation(body)
    unseen = simulation.model.nq + simulation.model.nv - len(body.spec.observation)
    for angle in (0.7, -2.5, 3.1):
        qpos_Q, qvel_V = body.start(rng, simulation.init_qpos, simulation.init_qvel)
        action_A = rng.uniform(body.spec.action_low, body.spec.action_high)
        here_O = np.concatenate([qpos_Q, qvel_V])
        there_O = np.concatenate(_turned(qpos_Q, qvel_V, angle))
        assert np.abs(here_O - there_O).max() > 0.3
        seen = [body.from_heading(one_O[None, unseen:])[0] for one_O in (here_O, there_O)]
        np.testing.assert_allclose(seen[1], seen[0], atol=1e-9)
        moved = [
            body.from_heading(_moved(simulation.model, *np.split(one_O, [len(qpos_Q)]), action_A)[None, unseen:])[0]
            for one_O in (here_O, there_O)
        ]
        np.testing.assert_allclose(moved[1], moved[0], atol=1e-5)


def _turned(qpos_Q, qvel_V, angle):
    qpos_Q, qvel_V = qpos_Q.copy(), qvel_V.copy()
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    qpos_Q[:2], qvel_V[:2] = turn @ qpos_Q[:2], turn @ qvel_V[:2]
    half, before = np.array([np.cos(angle / 2), 0, 0, np.sin(angle / 2)]), qpos_Q[3:7].copy()
    mujoco.mju_mulQuat(qpos_Q[3:7], half, before)
    return qpos_Q, qvel_V


def test_an_ant_that_looks_to_its_left_is_an_ant():
    body, rng = BODIES["ant"], np.random.default_rng(0)
    simulation = make_simulation(body)
    model = simulation.model
    model.opt.solver, model.opt.iterations = mujoco.mjtSolver.mjSOL_NEWTON, 100
    for _ in range(8):
        qpos_Q, qvel_V = body.start(rng, simulation.init_qpos, simulation.init_qvel)
        action_A = rng.uniform(-1, 1, 8)
        seen_O = body.from_heading(np.concatenate([qpos_Q, qvel_V])[None, 2:])[0]
        after_O = body.from_heading(_moved(model, qpos_Q, qvel_V, action_A)[None, 2:])[0]
        image_O = body.quarter_turn.observation(seen_O)
        image_Q = np.concatenate([qpos_Q[:2], image_O[:13]])
        image_after_O = _moved(model, image_Q, image_O[13:], body.quarter_turn.action(action_A))[2:]
        # The image began at heading 0; the body turned on from its own.
        np.testing.assert_allclose(
            body.from_heading(image_after_O[None])[0], body.quarter_turn.observation(after_O), atol=1e-5
        )


def test_four_quarter_turns_give_back_what_was_there():
    turn = BODIES["ant"].quarter_turn
    whole = turn.after(turn).after(turn).after(turn)
    for permutation in (whole.observation, whole.action):
        np.testing.assert_array_equal(permutation.order_N, np.arange(len(permutation.order_N)))
        np.testing.assert_array_equal(permutation.sign_N, 1)
    values_A = np.arange(1.0, 9)
    np.testing.assert_array_equal(turn.action.inverse()(turn.action(values_A)), values_A)


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
