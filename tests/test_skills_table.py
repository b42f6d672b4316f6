"""The tables say what Gymnasium says, and their rules judge as they read."""

import gymnasium
import numpy as np
import pytest

from gato.skills.bodies import BODIES, body_of, get_body
from gato.skills.environment import make_simulation
from gato.skills.rewards import StepResult, Term, reward
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
    assert gymnasium.spec(body.gym_id).max_episode_steps == 1000
    joints = [simulation.model.joint(index).name for index in range(simulation.model.njnt)]
    driven = [simulation.model.joint(joint).name for joint in simulation.model.actuator_trnid[:, 0]]
    positions = joints[body.first_position :]
    assert [one.name for one in body.spec.observation] == positions + [f"vel/{joint}" for joint in joints]
    assert [one.name for one in body.spec.action] == driven


@pytest.mark.parametrize("name", ["half-cheetah", "hopper", "walker2d"])
def test_height_is_metres_above_the_floor(name: str) -> None:
    body = get_body(name)
    simulation = make_simulation(body)
    simulation.reset(seed=3)
    height = body.positions["height"]
    assert simulation.data.qpos[height.index] + height.offset == pytest.approx(simulation.data.body("torso").xpos[2])


def test_bodies_differ_by_spaces_not_by_name() -> None:
    assert len({body.spec.digest for body in BODIES.values()}) == len(BODIES)


def test_unknown_names_get_a_near_match() -> None:
    with pytest.raises(ValueError, match='did you mean "half-cheetah/run-forward"'):
        get_skill("half-cheetah/run-forwrd")
    with pytest.raises(ValueError, match='did you mean "hopper"'):
        get_body("hoper")
    with pytest.raises(ValueError, match='did you mean "walker2d"'):
        skills_of("walker")
    with pytest.raises(ValueError, match='did you mean "control_cost"'):
        Term("controlcost", 1.0)


def test_ids_of_gymnasium_are_made_from_skill_ids() -> None:
    assert [skill.env_id for skill in SKILLS.values()] == [
        "gato/HalfCheetahRunForward-v0",
        "gato/HalfCheetahRunBackward-v0",
        "gato/HopperHopForward-v0",
        "gato/HopperHopBackward-v0",
        "gato/Walker2dRunForward-v0",
        "gato/Walker2dWalkBackward-v0",
        "gato/InvertedPendulumBalance-v0",
    ]


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
    assert Condition("forward_speed", "mean", low=0.5, high=0.5).holds(reading_T)
    assert Condition("forward_speed", "min", low=-3.0, high=-3.0).holds(reading_T)
    assert Condition("forward_speed", "max", low=4.0, high=4.0).holds(reading_T)
    assert Condition("forward_speed", "rms", low=3.5, high=3.6).holds(reading_T)
    assert str(Condition("pitch", "max", high=1.5)) == "max pitch <= 1.5"


def test_reward_adds_weighted_terms_up_to_their_limits() -> None:
    step = StepResult(
        actions_BA=np.array([[1.0, 2.0], [0.0, 0.0]]),
        is_healthy_B=np.array([True, False]),
        readings={"forward_speed": np.array([-3.0, 0.5]), "pitch": np.array([0.5, 3.0])},
    )
    assert reward((Term("backward_speed", 2.0, limit=2.5),), step).tolist() == [5.0, -1.0]
    assert reward((Term("forward_speed", 1.0, limit=0.25),), step).tolist() == [-3.0, 0.25]
    assert reward((Term("alive", 1.5), Term("control_cost", -0.5)), step).tolist() == [-1.0, 0.0]
    assert reward((Term("pitch_cost", -1.0, limit=4.0),), step).tolist() == [-0.25, -4.0]
