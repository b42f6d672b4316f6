"""The batch stepper gives Gymnasium's own bits."""

import copy

import gymnasium
import mujoco
import numpy as np
import pytest

from gato.skills.batch_stepper import BatchStepper
from gato.skills.bodies import get_body
from gato.skills.environment import SkillEnv, skill_env_spec
from gato.skills.gym_stepper import GymStepper
from gato.skills.stepper import make_stepper
from gato.skills.table import SKILLS, get_skill
from gato.skills.transition import Stepper, Transition

STANDARD = {
    "half-cheetah/run-forward": "HalfCheetah-v5",
    "hopper/hop-forward": "Hopper-v5",
    "walker2d/run-forward": "Walker2d-v5",
    "inverted-pendulum/balance": "InvertedPendulum-v5",
    "ant/run-forward": "Ant-v5",
    "humanoid/run-forward": "Humanoid-v5",
    "humanoid-standup/stand-up": "HumanoidStandup-v5",
    "swimmer/swim-forward": "Swimmer-v5",
    "reacher/reach": "Reacher-v5",
    "pusher/push": "Pusher-v5",
    "inverted-double-pendulum/balance": "InvertedDoublePendulum-v5",
}
NEVER_ENDS = {"half-cheetah", "humanoid-standup", "swimmer"}
"""Bodies whose episodes only time ends, after 1000 steps."""


def gymnasium_spec(skill_id: str) -> gymnasium.envs.registration.EnvSpec:
    """The standard environment of a skill's body, with what the body leaves out of its observations."""
    spec = copy.deepcopy(gymnasium.spec(STANDARD[skill_id]))
    spec.kwargs.update(get_body(get_skill(skill_id).body).gym_kwargs or {})
    return spec


def make_batch(skill_id: str, num_envs: int, num_threads: int = 2) -> BatchStepper:
    stepper = make_stepper(skill_id, num_envs, num_threads=num_threads)
    assert isinstance(stepper, BatchStepper)
    return stepper


def random_actions(stepper: Stepper, generator: np.random.Generator) -> np.ndarray:
    low_A, high_A = stepper.spec.action_low, stepper.spec.action_high
    return generator.uniform(low_A, high_A, (stepper.num_envs, len(low_A))).astype(np.float32)


def assert_same(one: Transition, other: Transition) -> None:
    for name in ("observations_BO", "rewards_B", "terminated_B", "truncated_B"):
        first, second = getattr(one, name), getattr(other, name)
        assert first.dtype == second.dtype
        assert (first == second).all(), name
    for name, values_B in other.readings.items():
        assert (one.readings[name] == values_B).all(), name


def assert_equal_stepping(batch: Stepper, plain: Stepper, steps: int) -> int:
    """Steps both with the same random actions and resets; how many episodes ended."""
    generator = np.random.default_rng(0)
    everyone = np.arange(batch.num_envs)
    assert (batch.reset(everyone, everyone + 50) == plain.reset(everyone, everyone + 50)).all()
    ended = 0
    for _ in range(steps):
        actions_BA = random_actions(batch, generator)
        one, other = batch.step(actions_BA), plain.step(actions_BA)
        assert_same(one, other)
        over = np.flatnonzero(one.terminated_B | one.truncated_B)
        seeds = range(1000 + ended, 1000 + ended + len(over))
        if len(over):
            assert (batch.reset(over, seeds) == plain.reset(over, seeds)).all()
        ended += len(over)
    return ended


@pytest.mark.parametrize("skill_id", SKILLS)
def test_batch_equals_gymnasium_stepping_of_the_skill_bit_for_bit(skill_id: str) -> None:
    ended = assert_equal_stepping(make_batch(skill_id, 3), GymStepper(skill_env_spec(skill_id), 3), 300)
    assert ended >= 3 or get_skill(skill_id).body in NEVER_ENDS


@pytest.mark.parametrize("skill_id", STANDARD)
def test_standard_skills_give_gymnasiums_own_reward(skill_id: str) -> None:
    assert_equal_stepping(make_batch(skill_id, 2), GymStepper(gymnasium_spec(skill_id), 2), 300)


def test_every_standard_skill_is_compared_with_gymnasium() -> None:
    assert set(STANDARD) == {skill.id for skill in SKILLS.values() if skill.is_standard}


@pytest.mark.parametrize(
    ("skill_id", "limit"), [("half-cheetah/run-backward", 1000), ("reacher/reach", 50), ("pusher/push", 100)]
)
def test_time_limit_is_gymnasiums(skill_id: str, limit: int) -> None:
    batch = make_batch(skill_id, 1)
    plain = gymnasium.make(skill_env_spec(skill_id))
    batch.reset(np.arange(1), [0])
    plain.reset(seed=0)
    action_BA = np.zeros((1, len(batch.spec.action)), np.float32)
    for step in range(1, limit + 1):
        truncated = bool(batch.step(action_BA).truncated_B[0])
        assert truncated == plain.step(action_BA[0])[3] == (step == limit)


@pytest.mark.parametrize("skill_id", ["half-cheetah/run-forward", "ant/run-forward", "humanoid/run-forward"])
def test_only_the_named_rows_step(skill_id: str) -> None:
    generator = np.random.default_rng(1)
    whole, part = make_batch(skill_id, 4), make_batch(skill_id, 4)
    everyone, some = np.arange(4), np.array([3, 1])
    whole.reset(everyone, everyone)
    part.reset(everyone, everyone)
    before = part.get_state(np.array([0, 2]))
    for _ in range(10):
        actions_BA = random_actions(whole, generator)
        expected = whole.step(actions_BA)
        got = part.step(actions_BA[some], some)
        assert (got.observations_BO == expected.observations_BO[some]).all()
        assert (got.rewards_B == expected.rewards_B[some]).all()
    after = part.get_state(np.array([0, 2]))
    assert (before[0] == after[0]).all()
    assert (before[1] == after[1]).all()


@pytest.mark.parametrize("skill_id", ["half-cheetah/run-forward", "ant/run-forward", "humanoid/run-forward"])
def test_a_snapshot_goes_on_elsewhere_to_the_bit(skill_id: str) -> None:
    """Speeds are measured from where the last step saw the body, which qpos does not tell for every body."""
    generator = np.random.default_rng(4)
    there, here = make_batch(skill_id, 2), make_batch(skill_id, 2)
    there.reset(np.arange(2), [0, 1])
    here.reset(np.arange(2), [2, 3])
    for _ in range(20):
        there.step(random_actions(there, generator))
    here.restore(there.snapshot())
    for _ in range(5):
        actions_BA = random_actions(there, generator)
        assert_same(here.step(actions_BA), there.step(actions_BA))


@pytest.mark.parametrize("skill_id", STANDARD)
def test_number_of_threads_and_environments_changes_no_bit(skill_id: str) -> None:
    generator = np.random.default_rng(2)
    many, one = make_batch(skill_id, 21, num_threads=2), make_batch(skill_id, 1)
    many.reset(np.arange(21), range(21))
    one.reset(np.arange(1), [20])
    for _ in range(20):
        actions_BA = random_actions(many, generator)
        expected, got = many.step(actions_BA), one.step(actions_BA[20:])
        assert (got.observations_BO[0] == expected.observations_BO[20]).all()
        assert got.rewards_B[0] == expected.rewards_B[20]
        assert [values_B[0] for values_B in got.readings.values()] == [
            values_B[20] for values_B in expected.readings.values()
        ]


def test_each_row_is_rewarded_for_its_own_skill() -> None:
    batch = make_batch("hopper/hop-forward", 3)
    plain = [SkillEnv("hopper/hop-forward") for _ in range(3)]
    batch.reset(np.arange(3), range(3))
    for seed, env in enumerate(plain):
        env.reset(seed=seed)
    batch.select_skill(np.array([1]), "hopper/hop-backward")
    plain[1].select_skill("hopper/hop-backward")
    generator = np.random.default_rng(3)
    for step in range(10):
        actions_BA = random_actions(batch, generator)
        got = batch.step(actions_BA)
        expected = [env.step(action_A)[1] for env, action_A in zip(plain, actions_BA, strict=True)]
        assert got.rewards_B.tolist() == expected
        if step == 5:
            batch.select_skill(np.array([1]), "hopper/hop-forward")
            plain[1].select_skill("hopper/hop-forward")


def test_an_episode_can_begin_in_any_state() -> None:
    batch = make_batch("hopper/hop-forward", 3)
    batch.reset(np.arange(3), range(3))
    batch.step(np.full((3, 3), 0.5, np.float32))
    qpos_BQ, qvel_BV = batch.get_state(np.array([0]))
    started_BO = batch.set_state(np.array([2]), qpos_BQ, qvel_BV)
    assert (started_BO[0] == np.concatenate([qpos_BQ[0, 1:], np.clip(qvel_BV[0], -10, 10)])).all()
    env = SkillEnv("hopper/hop-forward")
    env.reset(seed=0)
    env.simulation.set_state(qpos_BQ[0], qvel_BV[0])
    action_A = np.full(3, -0.3, np.float32)
    assert (batch.step(action_A[None], np.array([2])).observations_BO[0] == env.step(action_A)[0]).all()


def test_what_a_step_returns_is_the_callers_to_keep() -> None:
    batch = make_batch("half-cheetah/run-forward", 2)
    batch.reset(np.arange(2), range(2))
    first = batch.step(np.zeros((2, 6), np.float32))
    kept = first.observations_BO.copy(), {name: values_B.copy() for name, values_B in first.readings.items()}
    batch.step(np.ones((2, 6), np.float32))
    assert (first.observations_BO == kept[0]).all()
    assert all((first.readings[name] == values_B).all() for name, values_B in kept[1].items())


def test_what_is_not_finite_is_an_error_that_names_the_rows() -> None:
    batch = make_batch("inverted-pendulum/balance", 3)
    batch.reset(np.arange(3), range(3))
    actions_BA = np.zeros((3, 1), np.float32)
    actions_BA[1] = np.inf
    with pytest.raises(FloatingPointError, match=r"action is not finite in environment\(s\) \[1\]"):
        batch.step(actions_BA)
    batch.set_state(np.array([2]), np.zeros((1, 2)), np.full((1, 2), 1e300))
    with pytest.raises(FloatingPointError, match=r"state is not finite in environment\(s\) \[2\]"):
        for _ in range(20):
            batch.step(np.zeros((3, 1), np.float32))


def test_misuse_says_what_is_needed() -> None:
    batch = make_batch("hopper/hop-forward", 2)
    with pytest.raises(ValueError, match=r"\(1, 3\); \(2, 3\) is needed"):
        batch.step(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="one seed a row"):
        batch.reset(np.arange(2), [0])
    with pytest.raises(ValueError, match='did you mean "hopper/hop-backward"'):
        batch.select_skill(np.arange(2), "hopper/hop-backwards")
    with pytest.raises(ValueError, match="at least 1"):
        make_stepper("hopper/hop-forward", 0)
    with pytest.raises(ValueError, match='did you mean "HalfCheetah-v5"'):
        make_stepper("HalfCheeta-v5", 1)


def test_environments_with_changed_settings_are_stepped_by_gymnasium() -> None:
    spec = gymnasium.make("Hopper-v5", healthy_reward=2.0).spec
    assert spec is not None
    assert isinstance(make_stepper(spec, 1), GymStepper)
    assert isinstance(make_stepper("Hopper-v5", 1), BatchStepper)
    assert make_stepper("Hopper-v5", 1).env_spec.id == "Hopper-v5"


def test_an_ant_that_sees_contact_forces_is_another_body() -> None:
    assert isinstance(make_stepper("Ant-v5", 1), GymStepper)
    assert isinstance(make_stepper(gymnasium_spec("ant/run-forward"), 1), BatchStepper)


def test_foreign_environments_step_with_flat_observations_and_actions() -> None:
    stepper = make_stepper("CartPole-v1", 2)
    assert [one.name for one in stepper.spec.action] == ["action"]
    observations_BO = stepper.reset(np.arange(2), [0, 1])
    env = gymnasium.make("CartPole-v1")
    assert (observations_BO[1] == env.reset(seed=1)[0]).all()
    got = stepper.step(np.array([[1.0]]), np.array([1]))
    expected = env.step(1)
    assert (got.observations_BO[0] == expected[0]).all()
    assert got.rewards_B[0] == expected[1]
    assert got.readings == {}
    with pytest.raises(ValueError, match="has no skills"):
        stepper.select_skill(np.arange(1), "hopper/hop-forward")


def test_plain_stepping_switches_skills_like_the_batch() -> None:
    batch, plain = make_batch("hopper/hop-forward", 2), GymStepper(skill_env_spec("hopper/hop-forward"), 2)
    for stepper in (batch, plain):
        stepper.reset(np.arange(2), range(2))
        stepper.select_skill(np.array([1]), "hopper/hop-backward")
    actions_BA = np.full((2, 3), 0.2, np.float32)
    assert_same(batch.step(actions_BA), plain.step(actions_BA))
    assert plain.spec == batch.spec
    assert get_skill("hopper/hop-forward").body == plain.spec.name


def test_actions_of_double_precision_are_rounded_as_a_recording_would() -> None:
    batch, plain = make_batch("hopper/hop-forward", 1), SkillEnv("hopper/hop-forward")
    batch.reset(np.arange(1), [0])
    plain.reset(seed=0)
    action_A = np.array([0.1, -0.7, 0.3])
    got = batch.step(action_A[None])
    observation_O, reward, *_ = plain.step(action_A.astype(np.float32))
    assert (got.observations_BO[0] == observation_O).all()
    assert got.rewards_B[0] == reward


def test_rows_are_carried_by_their_shares_while_they_lie_after_a_reset_too() -> None:
    stepper = make_batch("humanoid-standup/stand-up", 3)
    stepper.lift(np.array([0.0, 0.4, 1.2]))
    stepper.reset(np.arange(3), [0, 1, 2])
    for _ in range(100):
        heights_B = stepper.step(np.zeros((3, 17), np.float32)).readings["height"]
    assert heights_B[0] < 0.1 < heights_B[1] < 0.5 < heights_B[2] < 1.14  # by its limbs alone it would stand as high
    stepper.lift(0.0)
    for _ in range(100):
        heights_B = stepper.step(np.zeros((3, 17), np.float32)).readings["height"]
    assert heights_B.max() < 0.2


def test_motion_that_is_kept_changes_nothing() -> None:
    """Moments within control steps: their ends are the states, and what follows has the same bits."""
    plain, kept = (make_batch("ant/run-forward", 2) for _ in range(2))
    kept.keep_motion(3)
    rows, rng = np.arange(2), np.random.default_rng(0)
    assert plain.reset(rows, [1, 2]).tolist() == kept.reset(rows, [1, 2]).tolist()
    for step in range(20):
        actions_BA = rng.uniform(-1, 1, (2, 8))
        ids = None if step % 3 else np.array([1])
        stepped = actions_BA if ids is None else actions_BA[1:]
        one, other = plain.step(stepped, ids), kept.step(stepped, ids)
        assert one.observations_BO.tolist() == other.observations_BO.tolist()
        assert one.rewards_B.tolist() == other.rewards_B.tolist()
        assert kept.motion_TbQ is not None and kept.motion_TbQ.shape == (3, len(stepped), 15)
        assert np.array_equal(kept.motion_TbQ[-1], kept.get_state(rows if ids is None else ids)[0])
    assert plain.motion_TbQ is None


def test_a_push_is_a_force_at_the_trunk_of_its_rows_alone() -> None:
    """Hoppers in the air: the speed of the pushed one's mass centre grows by F t / m, the other's does not."""
    stepper, rows = make_batch("hopper/hop-forward", 2), np.arange(2)
    stepper.reset(rows, [0, 0])
    qpos_BQ, qvel_BV = stepper.get_state(rows)
    qpos_BQ[:, 1] = 5
    stepper.set_state(rows, qpos_BQ, qvel_BV)

    def speeds() -> np.ndarray:
        data, found = mujoco.MjData(stepper.model), []
        for data.qpos[:], data.qvel[:] in zip(*stepper.get_state(rows), strict=True):
            mujoco.mj_forward(stepper.model, data)
            mujoco.mj_subtreeVel(stepper.model, data)
            found.append(data.subtree_linvel[0, 0])
        return np.array(found)

    before_B = speeds()
    stepper.push(np.array([1]), np.array([[2.0 * stepper.model.body_mass.sum(), 0, 0]]))
    for _ in range(5):
        stepper.step(np.zeros((2, 3)))
    assert speeds() - before_B == pytest.approx([0, 2.0 * 5 * 0.008], abs=1e-4)
    stepper.push(np.array([1]), np.zeros((1, 3)))
    stepper.step(np.zeros((2, 3)))
    assert speeds() - before_B == pytest.approx([0, 2.0 * 5 * 0.008], abs=1e-4)
