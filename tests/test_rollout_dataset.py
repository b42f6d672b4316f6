"""A model in the environment of a dataset, ours or anybody's."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import gymnasium
import minari
import numpy as np
import pytest
from making import CART, make_model
from minari.data_collector import EpisodeBuffer

from gato.data.minari_io import Dataset, open_dataset
from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.record import Recording, record_skill
from gato.rollout.from_dataset import evaluate_dataset
from gato.rollout.prompted import Conditions

QUICK = Conditions(episodes=2, seed=0, steps=6, is_shown=False)
WHOLE = dataclasses.replace(QUICK, steps=1000)


def model_of(dataset: Dataset) -> Gato:
    return make_model(ModelConfig(size="nano"), dataset.spec)


def record_foreign(dataset_id: str, env_id: str) -> str:
    """One random episode of an environment that Gato has no skills for, with reference scores, written by Minari."""
    env = gymnasium.make(env_id)
    first, _ = env.reset(seed=0)
    env.action_space.seed(0)
    observations, actions, rewards, is_over = [first], [], [], False
    while not is_over:
        actions.append(env.action_space.sample())
        observation, reward, terminated, truncated, _ = env.step(actions[-1])
        observations.append(observation)
        rewards.append(reward)
        is_over = terminated or truncated
    over = np.arange(len(rewards)) == len(rewards) - 1
    buffer = EpisodeBuffer(
        observations=np.stack(observations),
        actions=np.stack(actions),
        rewards=np.array(rewards),  # type: ignore[arg-type]
        terminations=over,  # type: ignore[arg-type]
        truncations=np.zeros(len(over), bool),  # type: ignore[arg-type]
        infos={},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = minari.create_dataset_from_buffers(dataset_id, [buffer], env=env)
        made.storage.update_metadata({"ref_min_score": 10.0, "ref_max_score": 500.0})
    return dataset_id


def test_our_dataset_is_evaluated_by_skill_against_its_own_reference(minari_root: Path) -> None:
    dataset = open_dataset(record_skill(Recording("hopper/hop-backward", episodes=2, expert="random")))
    dataset = dataclasses.replace(dataset, reference={"random": 5.0, "expert": 25.0})
    found = evaluate_dataset(model_of(dataset), dataset, WHOLE).json()
    task = found["tasks"]["hopper/hop-backward"]
    assert found["dataset"] == "gato/hopper/hop-backward-v0" and task["prompt"] == "hop backward"
    assert task["normalised"] == pytest.approx((task["return"]["mean"] - 5.0) / 20.0)
    assert found["prompt_matrix"]["hopper"]["behaviours"] == ["hopper/hop-backward"]


def test_an_environment_without_skills_is_one_task_with_discrete_actions_too(minari_root: Path) -> None:
    dataset = open_dataset(record_foreign("somebody/cart-pole/random-v0", "CartPole-v1"))
    found = evaluate_dataset(model_of(dataset), dataset, WHOLE).json()
    task = found["tasks"]["somebody/cart-pole/random-v0"]
    assert (task["random"], task["expert"], task["success"]) == (10.0, 500.0, None)
    assert task["normalised"] == pytest.approx((task["return"]["mean"] - 10.0) / 490.0)
    assert found["prompt_matrix"] == {}


def test_a_part_of_an_episode_is_not_compared_with_scores_of_whole_ones(minari_root: Path) -> None:
    dataset = open_dataset(record_foreign("somebody/cart-pole/random-v0", "CartPole-v1"))
    task = evaluate_dataset(model_of(dataset), dataset, QUICK).json()["tasks"]["somebody/cart-pole/random-v0"]
    assert task["return"]["mean"] == 6.0, "one point a step, and nobody falls in six"
    assert (task["random"], task["expert"], task["normalised"]) == (None, None, None)


def test_a_model_of_another_body_and_a_dataset_without_environment_are_refused(minari_root: Path) -> None:
    dataset = open_dataset(record_foreign("somebody/cart-pole/random-v0", "CartPole-v1"))
    with pytest.raises(ValueError, match='the model knows no body "cart-pole"'):
        evaluate_dataset(make_model(ModelConfig(size="nano"), CART), dataset, QUICK)
    other = dataclasses.replace(CART, name="cart-pole")
    with pytest.raises(ValueError, match="body 'cart-pole' does not fit"):
        evaluate_dataset(make_model(ModelConfig(size="nano"), other), dataset, QUICK)
    with pytest.raises(ValueError, match="does not say what environment"):
        evaluate_dataset(model_of(dataset), dataclasses.replace(dataset, env_spec=None), QUICK)


def test_an_environment_that_changed_since_the_recording_is_refused(minari_root: Path) -> None:
    dataset = open_dataset(record_foreign("somebody/cart-pole/random-v0", "CartPole-v1"))
    changed = dataclasses.replace(dataset, env_spec=gymnasium.spec("Acrobot-v1"))
    with pytest.raises(ValueError, match="install the version of the environment"):
        evaluate_dataset(model_of(dataset), changed, QUICK)


def test_a_dataset_of_commands_is_refused(minari_root: Path) -> None:
    """Its skill stands in it once a cell of commands, and was evaluated as often, under words that name no command."""
    recording = Recording("half-cheetah/command", episodes=1, expert="random", max_episode_steps=5)
    dataset = open_dataset(record_skill(recording))
    with pytest.raises(ValueError, match="is of half-cheetah/command, which is told numbers"):
        evaluate_dataset(model_of(dataset), dataset, QUICK)


def test_an_environment_without_a_limit_needs_one(minari_root: Path) -> None:
    dataset = open_dataset(record_foreign("somebody/cart-pole/random-v0", "CartPole-v1"))
    assert dataset.env_spec is not None
    endless = dataclasses.replace(
        dataset, env_spec=dataclasses.replace(dataset.env_spec, max_episode_steps=None), reference={}
    )
    with pytest.raises(ValueError, match="has no step limit, its episodes may never end; pass --steps"):
        evaluate_dataset(model_of(dataset), endless, dataclasses.replace(QUICK, steps=0))
    assert evaluate_dataset(model_of(dataset), endless, QUICK).tasks[0].return_.mean == 6.0
