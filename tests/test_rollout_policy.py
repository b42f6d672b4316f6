"""`gato.load(...).agent(env, prompt)`: five lines of Python, and Stable-Baselines3's `predict`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from making import make_model
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

import gato
from gato.model.config import ModelConfig
from gato.rollout.agent import Agent
from gato.skills.bodies import BODIES
from gato.skills.environment import make_env, skill_env_spec


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    bodies = [BODIES[name] for name in ("half-cheetah", "humanoid", "humanoid-standup")]
    make_model(ModelConfig(size="nano"), *(body.spec for body in bodies)).save(folder, card={})
    return folder


def test_five_lines_act_as_an_agent_does(place: Path) -> None:
    env = gymnasium.make("HalfCheetah-v5")
    policy = gato.load(place).agent(env, prompt="run forward")
    observation, _ = env.reset(seed=3)
    agent = Agent(gato.load(place).model, "half-cheetah", ["run forward"])
    for _ in range(20):
        action, state = policy.predict(observation)
        assert state is None and np.array_equal(action, agent(observation[None])[0])
        observation, *_ = env.step(action)


def test_forgetting_and_other_words_change_what_it_does(place: Path) -> None:
    env = gymnasium.make("HalfCheetah-v5")
    policy = gato.load(place).agent(env, prompt="run forward")
    observation, _ = env.reset(seed=3)
    first = policy.predict(observation)[0]
    assert not np.array_equal(policy.predict(observation)[0], first)
    policy.reset()
    assert np.array_equal(policy.predict(observation)[0], first)
    policy.reset()
    policy.tell("run backward")
    assert not np.array_equal(policy.predict(observation)[0], first)


def test_stable_baselines3_evaluates_it_over_many_environments(place: Path) -> None:
    envs = make_vec_env("HalfCheetah-v5", n_envs=3, seed=0, env_kwargs={"max_episode_steps": 20})
    policy = gato.load(place).agent(envs, prompt="run forward")
    returns, lengths = evaluate_policy(policy, envs, n_eval_episodes=3, return_episode_rewards=True)
    assert lengths == [20, 20, 20] and len({round(one, 6) for one in returns}) == 3
    drawn = evaluate_policy(policy, envs, n_eval_episodes=3, deterministic=False, return_episode_rewards=True)[0]
    assert drawn != returns


def test_stable_baselines3_evaluates_it_in_one_environment(place: Path) -> None:
    """It gives rows of one, whatever the policy was made for; these were taken for a single observation."""
    env = Monitor(gymnasium.make("HalfCheetah-v5", max_episode_steps=20))
    policy = gato.load(place).agent(env, prompt="run forward")
    assert evaluate_policy(policy, env, n_eval_episodes=2, return_episode_rewards=True)[1] == [20, 20]
    observation, _ = env.reset(seed=3)
    policy.reset()
    one = policy.predict(observation)[0]
    policy.reset()
    assert np.array_equal(policy.predict(observation[None])[0], one[None])


def test_bodies_alike_in_numbers_are_told_apart_by_the_environment(place: Path) -> None:
    model = gato.load(place)
    env = make_env(skill_env_spec("humanoid-standup/stand-up"))
    assert model.agent(env, prompt="stand up").body == "humanoid-standup"
    with pytest.raises(ValueError, match="it could be humanoid or humanoid-standup .*: say body="):
        model.agent(_without_spec(env), prompt="stand up")
    assert model.agent(_without_spec(env), prompt="run", body="humanoid").body == "humanoid"


def test_an_environment_made_otherwise_is_refused_with_what_fits(place: Path) -> None:
    with pytest.raises(ValueError, match=r'has 348 observation .* 45 and 17 .*make\("Humanoid-v5", \*\*\{'):
        gato.load(place).agent(gymnasium.make("Humanoid-v5"), prompt="run")
    with pytest.raises(ValueError, match="the model's half-cheetah, humanoid, humanoid-standup it could be none"):
        gato.load(place).agent(gymnasium.make("CartPole-v1"), prompt="run")


def test_an_unknown_model_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='no model ".*nowhere", neither a folder here nor one that ships'):
        gato.load(tmp_path / "nowhere")


def _without_spec(env: gymnasium.Env) -> Any:
    """Spaces and nothing else, as an environment of somebody's own may be."""
    return SimpleNamespace(observation_space=env.observation_space, action_space=env.action_space)
