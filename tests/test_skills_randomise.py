"""Bodies that differ from episode to episode: drawn from the seed, the same in both steppers, and replayed."""

import numpy as np
import pytest

from gato import api
from gato.experts.ppo import PPOConfig
from gato.experts.train import train_expert
from gato.skills.environment import make_env
from gato.skills.randomise import FIELDS, draw, read_ranges
from gato.skills.stepper import find_env_spec, make_stepper

WORDS = ("mass=0.7:1.3", "friction=0.5:1.5", "strength=0.8:1.2")


@pytest.mark.parametrize("skill", ["ant/run-forward", "humanoid/run-forward", "hopper/hop-forward"])
def test_both_steppers_make_the_same_body_of_a_seed_every_episode(skill):
    env_spec = find_env_spec(skill, WORDS)
    stepper, env = make_stepper(env_spec, 3), make_env(type(env_spec).from_json(env_spec.to_json()))
    stepper.reset(np.arange(3), [1, 2, 3])
    rng = np.random.default_rng(0)
    for seed in (7, 8):
        first_BO = stepper.reset(np.array([1]), [seed])
        assert (env.reset(seed=seed)[0] == first_BO[0]).all()
        for _ in range(20):
            actions_BA = rng.uniform(-0.4, 0.4, (3, len(stepper.spec.action))).astype(np.float32)
            step = stepper.step(actions_BA)
            observation_O, reward, has_fallen, *_ = env.step(actions_BA[1])
            assert (observation_O == step.observations_BO[1]).all()
            assert reward == step.rewards_B[1]
            if has_fallen:
                break


def test_the_model_is_what_was_drawn():
    ranges = read_ranges(WORDS)
    plain, varied = make_env(find_env_spec("ant/run-forward")), make_env(find_env_spec("ant/run-forward", WORDS))
    for env in (plain, varied):
        env.reset(seed=11)
    factors = draw(ranges, 11)
    assert [*factors] == ["mass", "friction", "strength"]
    for name, factor in factors.items():
        low, high = ranges[name]
        assert low <= factor <= high
        for field in FIELDS[name]:
            first, second = (getattr(env.unwrapped.simulation.model, field) for env in (plain, varied))
            assert second == pytest.approx(first * factor)
    subtree = [env.unwrapped.simulation.model.body_subtreemass[0] for env in (plain, varied)]
    assert subtree[1] == pytest.approx(subtree[0] * factors["mass"])
    assert draw(ranges, 12) != factors


def test_a_snapshot_keeps_the_bodies():
    env_spec = find_env_spec("hopper/hop-forward", WORDS)
    first, second = make_stepper(env_spec, 2), make_stepper(env_spec, 2)
    first.reset(np.arange(2), [3, 4])
    second.reset(np.arange(2), [5, 6])
    second.restore(first.snapshot())
    for _ in range(5):
        one, two = (stepper.step(np.full((2, 3), 0.3, np.float32)) for stepper in (first, second))
        assert (one.observations_BO == two.observations_BO).all()


def test_what_is_recorded_replays(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    (made,) = api.record("hopper/hop-forward", episodes=3, randomise=WORDS, dataset_id="gato/hopper/varied-v0")
    assert api.data_check(made["dataset"], replay=-1)["problems"] == ()
    (plain,) = api.record("hopper/hop-forward", episodes=3)
    assert plain["steps"] != made["steps"] or plain["hash"] != made["hash"]


def test_training_and_evaluation_take_it(tmp_path):
    config = PPOConfig(hidden=(8,), num_envs=4, rollout_steps=16, minibatch_size=32, epochs=1, randomise=WORDS)
    train_expert("hopper/hop-forward", steps=256, seed=0, out=tmp_path / "whole", config=config)
    told = api.expert_eval("hopper/hop-forward", episodes=8, randomise=("mass=2:2",))
    plain = api.expert_eval("hopper/hop-forward", episodes=8)
    heavy, light = (one["tasks"]["hopper/hop-forward"]["return"]["mean"] for one in (told, plain))
    assert heavy < 0.8 * light


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("weight=1:2", 'unknown "weight"; allowed: friction, mass, strength'),
        ("mass=1", "such as mass=0.8:1.2 is needed"),
        ("mass=2:1", "1/100 to 100 are allowed, the lowest first"),
        ("mass=0:1", "1/100 to 100 are allowed"),
        ("mass=a:b", "such as mass=0.8:1.2 is needed"),
    ],
)
def test_wrong_words_are_refused(word, told):
    with pytest.raises(ValueError, match=told):
        read_ranges([word])


def test_only_skills_can_differ():
    with pytest.raises(ValueError, match="is for skills, which CartPole-v1 is not"):
        find_env_spec("CartPole-v1", ["mass=1:2"])
