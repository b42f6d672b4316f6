"""The tables say what Gymnasium says, and their rules judge as they read."""

from dataclasses import replace
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

from gato.skills.bodies import BODIES, arms, body_of, free, get_body
from gato.skills.bodies.body import Body, State
from gato.skills.environment import make_simulation
from gato.skills.rewards import StepResult, Term, flat, reward, terms_of
from gato.skills.skill import Skill
from gato.skills.table import SKILLS, Condition, get_skill, skills_of

RUN_BACKWARD = SKILLS["half-cheetah/run-backward"]


@pytest.mark.parametrize("name", BODIES)
def test_body_says_what_gymnasium_says(name: str) -> None:
    body = get_body(name)
    simulation = make_simulation(body)
    assert simulation.frame_skip == body.frame_skip
    assert simulation.dt == body.dt
    assert simulation.observation_space.shape == (len(body.spec.observation),)
    assert (simulation.action_space.low == body.spec.action_low).all()
    assert (simulation.action_space.high == body.spec.action_high).all()
    assert simulation.model.opt.timestep == body.timestep
    assert gymnasium.spec(body.gym_id).max_episode_steps == body.max_episode_steps
    driven = [simulation.model.joint(joint).name for joint in simulation.model.actuator_trnid[:, 0]]
    assert [one.name for one in body.spec.action] == driven


@pytest.mark.parametrize("name", BODIES)
def test_an_element_named_after_a_joint_is_of_that_joint(name: str) -> None:
    """Each coordinate is set to a number of its own; the names tell where it must show."""
    body = get_body(name)
    simulation = make_simulation(body)
    qpos_Q, qvel_V = (1 + np.arange(size) / 100 for size in (simulation.model.nq, simulation.model.nv))
    simulation.set_state(qpos_Q, qvel_V)
    named = {}
    for index in range(simulation.model.njnt):
        joint = simulation.model.joint(index)
        positions, velocities = ROOT if joint.type[0] == mujoco.mjtJoint.mjJNT_FREE else ([joint.name], [joint.name])
        named |= dict(zip(positions, qpos_Q[joint.qposadr[0] :], strict=False))
        named |= {f"vel/{one}": value for one, value in zip(velocities, qvel_V[joint.dofadr[0] :], strict=False)}
    observation_O = simulation._get_obs()
    shown = dict(zip([one.name for one in body.spec.observation], observation_O.tolist(), strict=True))
    assert {one: value for one, value in shown.items() if one in named} == {
        one: named[one] for one in shown if one in named
    }
    for index, part in enumerate(map(simulation.model.body, range(simulation.model.nbody))):
        for axis, letter in enumerate("xyz"):
            if (one := f"{part.name}/{letter}") in shown:
                assert shown.pop(one) == simulation.data.xpos[index, axis]
    calculated = {one for one in shown if one not in named}
    assert calculated == CALCULATED.get(name, set())


ROOT = (
    [f"root_{part}" for part in ("x", "y", "z", "qw", "qx", "qy", "qz")],
    [f"root_{part}" for part in ("x", "y", "z", "wx", "wy", "wz")],
)
CALCULATED = {
    "reacher": {"cos/joint0", "cos/joint1", "sin/joint0", "sin/joint1", "fingertip-target/x", "fingertip-target/y"},
    "inverted-double-pendulum": {"sin/hinge", "sin/hinge2", "cos/hinge", "cos/hinge2", "constraint/slider"},
}
"""Elements that are no coordinate and no place of a part."""


def test_parts_are_those_that_gymnasium_names() -> None:
    reacher, pusher = make_simulation(get_body("reacher")).model, make_simulation(get_body("pusher")).model
    assert [reacher.body(part).name for part in (arms.FINGERTIP, arms.TARGET)] == ["fingertip", "target"]
    assert [pusher.body(part).name for part in (arms.HAND, arms.OBJECT, arms.GOAL)] == ["tips_arm", "object", "goal"]
    for name in ("ant", "humanoid"):
        assert make_simulation(get_body(name)).model.body(free.TORSO).name == "torso"


def readings_of(body: Body, simulation: Any, velocity_1P: np.ndarray) -> dict[str, float]:
    data = simulation.data
    derived = {name: getattr(data, name)[None] for name in body.derived}
    state = State(data.qpos[None], data.qvel[None], derived, simulation.model.body_mass)
    return {name: float(one.measure(state, velocity_1P)[0]) for name, one in body.readings.items()}


@pytest.mark.parametrize("name", ["half-cheetah", "hopper", "walker2d", "ant", "humanoid", "humanoid-standup"])
def test_height_is_metres_above_the_floor(name: str) -> None:
    body = get_body(name)
    simulation = make_simulation(body)
    simulation.reset(seed=3)
    height = readings_of(body, simulation, np.zeros((1, 2)))["height"]
    assert height == pytest.approx(simulation.data.body("torso").xpos[2])


@pytest.mark.parametrize("name", ["ant", "humanoid"])
def test_speeds_are_in_the_frame_of_the_heading(name: str) -> None:
    """Turned left by a right angle, a body that moves along the track moves to its right, whatever its tilt."""
    body = get_body(name)
    simulation = make_simulation(body)
    simulation.reset(seed=3)
    qpos_Q, qvel_V = simulation.init_qpos.copy(), np.zeros(simulation.model.nv)
    qpos_Q[3:7] = np.sqrt(0.5), 0, 0, np.sqrt(0.5)
    qvel_V[3:6] = 0, 0, 0.7
    simulation.set_state(qpos_Q, qvel_V)
    readings = readings_of(body, simulation, np.array([[2.0, 0.5]]))
    assert readings["track_speed"] == 2.0
    assert readings["forward_speed"] == pytest.approx(0.5)
    assert readings["lateral_speed"] == pytest.approx(-2.0)
    assert readings["yaw_rate"] == pytest.approx(0.7)
    tilt_4 = np.array([np.cos(0.3), 0, np.sin(0.3), 0])
    mujoco.mju_mulQuat(qpos_Q[3:7], qpos_Q[3:7].copy(), tilt_4)
    simulation.set_state(qpos_Q, qvel_V)
    tilted = readings_of(body, simulation, np.array([[2.0, 0.5]]))
    assert tilted["forward_speed"] == pytest.approx(0.5)
    assert tilted["yaw_rate"] == pytest.approx(0.7 * np.cos(0.6))


def test_a_swimmer_swims_as_fast_as_its_centre_of_mass() -> None:
    """Bug: read at its nose, one that swung it seemed to swim backwards at three times its speed."""
    body, rng = get_body("swimmer"), np.random.default_rng(0)
    simulation = make_simulation(body)
    simulation.reset(seed=0)
    for _ in range(5):
        qpos_Q, qvel_V = rng.uniform(-1.5, 1.5, 5), rng.uniform(-2, 2, 5)
        centres, parts = [], []
        for at in (-1e-6, 1e-6):
            simulation.set_state(qpos_Q + at * qvel_V, qvel_V)
            centres.append(simulation.data.subtree_com[1][:2].copy())
            parts.append([simulation.data.xmat[number].reshape(3, 3)[:2, 0] for number in (1, 2, 3)])
        along_2 = np.mean(parts, axis=(0, 1)) / np.linalg.norm(np.mean(parts, axis=(0, 1)))
        simulation.set_state(qpos_Q, qvel_V)
        expected = (centres[1] - centres[0]) @ along_2 / 2e-6
        assert readings_of(body, simulation, np.zeros((1, 1)))["forward_speed"] == pytest.approx(expected, abs=1e-5)


def test_bodies_differ_by_spaces_not_by_name() -> None:
    """Both humanoids sense and move the same: one begins on its feet, the other on its back."""
    same = [body.name for body in BODIES.values() if body.spec.digest == BODIES["humanoid"].spec.digest]
    assert same == ["humanoid", "humanoid-standup"]
    assert len({body.spec.digest for body in BODIES.values()}) == len(BODIES) - 1


def test_unknown_names_get_a_near_match() -> None:
    with pytest.raises(ValueError, match='did you mean "half-cheetah/run-forward"'):
        get_skill("half-cheetah/run-forwrd")
    with pytest.raises(ValueError, match='did you mean "hopper"'):
        get_body("hoper")
    with pytest.raises(ValueError, match='did you mean "walker2d"'):
        skills_of("walker")


@pytest.mark.parametrize("skill", SKILLS.values(), ids=SKILLS)
def test_a_skill_is_paid_for_and_judged_by_what_there_is(skill: Skill) -> None:
    body = get_body(skill.body)
    assert {term.name for term in flat(skill.reward)} <= {*terms_of(body)}
    assert {skill.reading, *(condition.reading for condition in skill.rule), *skill.command} <= body.readings.keys()


def test_ids_of_gymnasium_are_made_from_skill_ids() -> None:
    ids = {skill.id: skill.env_id for skill in SKILLS.values()}
    assert len(set(ids.values())) == len(ids) >= 40
    assert ids["half-cheetah/run-forward"] == "gato/HalfCheetahRunForward-v0"
    assert ids["inverted-double-pendulum/balance"] == "gato/InvertedDoublePendulumBalance-v0"
    assert ids["ant/command"] == "gato/AntCommand-v0"


def test_every_rule_names_readings_of_its_body() -> None:
    for skill in SKILLS.values():
        named = {skill.reading, *(condition.reading for condition in skill.rule)}
        assert named <= set(get_body(skill.body).readings), skill.id


def test_only_an_unchanged_gymnasium_spec_is_a_known_body() -> None:
    spec = gymnasium.spec("Hopper-v5")
    assert body_of(spec) is BODIES["hopper"]
    changed = gymnasium.make("Hopper-v5", healthy_reward=2.0).spec
    assert changed is not None
    assert body_of(changed) is None


def test_success_needs_every_condition_and_survival() -> None:
    upright_T, tumbling_T = np.array([0.1, -0.2]), np.array([0.1, -3.0])
    fast_T, slow_T = np.array([-4.0, -2.0]), np.array([-4.0, -0.5])
    assert RUN_BACKWARD.success({"forward_speed": fast_T, "pitch": upright_T}, survived=True)
    assert not RUN_BACKWARD.success({"forward_speed": slow_T, "pitch": upright_T}, survived=True)
    assert not RUN_BACKWARD.success({"forward_speed": fast_T, "pitch": tumbling_T}, survived=True)
    assert not RUN_BACKWARD.success({"forward_speed": fast_T, "pitch": upright_T}, survived=False)


def test_conditions_measure_what_they_say() -> None:
    reading_T = np.array([-3.0, 4.0])
    assert Condition("forward_speed", "mean", low=0.5, high=0.5).holds({"forward_speed": reading_T})
    assert Condition("forward_speed", "min", low=-3.0, high=-3.0).holds({"forward_speed": reading_T})
    assert Condition("forward_speed", "max", low=4.0, high=4.0).holds({"forward_speed": reading_T})
    assert Condition("forward_speed", "rms", low=3.5, high=3.6).holds({"forward_speed": reading_T})
    assert str(Condition("pitch", "max", high=1.5)) == "max pitch <= 1.5"


def test_reward_adds_weighted_terms_up_to_their_limits() -> None:
    step = StepResult(
        body=BODIES["walker2d"],
        state=State(np.zeros((2, 9)), np.zeros((2, 9)), {}, np.zeros(8)),
        place_BP=np.zeros((2, 1)),
        actions_BA=np.array([[1.0, 2.0], [0.0, 0.0]]),
        before_BA=np.array([[1.0, -1.0], [0.0, 0.5]]),
        command_BC=np.array([[1.0, np.nan, np.nan], [0.25, np.nan, np.nan]]),
        is_healthy_B=np.array([True, False]),
        readings={"forward_speed": np.array([-3.0, 0.5]), "pitch": np.array([0.5, 3.0])},
    )
    assert reward((Term("backward_speed", 2.0, limit=2.5),), step).tolist() == [5.0, -1.0]
    assert reward((Term("forward_speed", 1.0, limit=0.25),), step).tolist() == [-3.0, 0.25]
    assert reward((Term("alive", 1.5), Term("control_cost", -0.5)), step).tolist() == [-1.0, 0.0]
    assert reward((Term("pitch_cost", -1.0, limit=4.0),), step).tolist() == [-0.25, -4.0]
    assert reward((Term("action_change", -1.0),), step).tolist() == [-9.0, -0.25]
    assert reward((Term("forward_speed_error", 3.0, width=0.25),), step).tolist() == [3 / 257, 1.5]
    progress, still = (Term("forward_speed_progress", 2.0),), replace(step, command_BC=np.zeros((2, 3)))
    told, told_nothing = [1.3 - np.hypot(4.0, 0.3), 0.55 - np.hypot(0.25, 0.3)], 0.3 - np.hypot([3.0, 0.5], 0.3)
    np.testing.assert_allclose(reward(progress, step), 2 * np.array(told))
    np.testing.assert_allclose(reward(progress, still), 2 * told_nothing)


def test_brackets_are_added_first() -> None:
    """0.1 + 0.2 + 0.3 and 0.1 + (0.2 + 0.3) differ in their last bit."""
    step = StepResult(
        BODIES["hopper"],
        State(*np.zeros((2, 1, 6)), {}, np.zeros(5)),
        np.zeros((1, 1)),
        np.zeros((1, 3)),
        np.zeros((1, 3)),
        np.zeros((1, 3)),
        np.ones(1),
        {},
    )
    first, second, third = (Term("alive", weight) for weight in (0.1, 0.2, 0.3))
    assert reward((first, second, third), step)[0] == 0.6000000000000001
    assert reward((first, (second, third)), step)[0] == 0.6
    assert flat((first, (second, third))) == (first, second, third)
    assert [str(one) for one in (first, Term("lift", -2.0, limit=3.0))] == ["0.1 * alive", "-2 * lift (at most 3)"]
