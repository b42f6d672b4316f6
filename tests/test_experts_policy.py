"""Policies: what they compute, that they come back as they were saved, and what is said of damaged ones."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gato.experts.policy import Policy
from gato.experts.shipped import shipped_policy
from gato.skills.bodies import get_body


def small_policy(low=-1.0, high=1.0):
    rng = np.random.default_rng(0)
    layers = tuple(
        (rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[1]).astype(np.float32))
        for shape in ((3, 5), (5, 2))
    )
    return Policy(
        skill="hopper/hop-forward",
        mean_O=np.array([1.0, 2.0, 3.0]),
        std_O=np.array([0.5, 1.0, 2.0]),
        layers=layers,
        log_std_A=np.full(2, -1.0, np.float32),
        low_A=np.full(2, low, np.float32),
        high_A=np.full(2, high, np.float32),
    )


def test_policy_is_normalise_tanh_clip():
    policy = small_policy()
    observation = np.array([[1.5, 2.0, -1.0]])
    (first, first_bias), (last, last_bias) = policy.layers
    hidden = np.tanh(np.array([[1.0, 0.0, -2.0]]) @ first + first_bias)
    expected = np.clip(hidden @ last + last_bias, -1, 1)
    np.testing.assert_allclose(policy(observation), expected, rtol=1e-5)


def test_far_observations_are_cut_at_ten_deviations():
    policy = small_policy()
    np.testing.assert_array_equal(policy(np.full((1, 3), 1e9)), policy(np.array([[6.0, 12.0, 23.0]])))


def test_actions_stay_in_the_box_and_float32():
    policy = small_policy(low=-3.0, high=1.0)
    actions = policy.sample(np.random.default_rng(0).normal(size=(500, 3)) * 10, np.random.default_rng(1))
    assert actions.dtype == np.float32
    assert actions.min() == -3.0 and actions.max() == 1.0


def test_saved_policy_comes_back_to_the_bit(tmp_path):
    policy = small_policy()
    again = Policy.load(policy.save(tmp_path / "expert"))
    observations = np.random.default_rng(2).normal(size=(64, 3))
    np.testing.assert_array_equal(policy(observations), again(observations))
    assert again.skill == policy.skill
    assert sum(file.stat().st_size for file in (tmp_path / "expert").iterdir()) < 100_000


def test_missing_or_damaged_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"policy\.json is missing"):
        Policy.load(tmp_path)
    folder = small_policy().save(tmp_path / "expert")
    weights = folder / "policy.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(ValueError, match="cannot be read"):
        Policy.load(folder)


def test_policy_prints_shapes_only():
    assert repr(small_policy()) == "Policy('hopper/hop-forward', 3-5-2)"


def test_relu_and_squash_come_back_to_the_bit(tmp_path):
    policy = replace(small_policy(low=-2.0), activation="relu", is_squashed=True, observation_clip=np.inf)
    observation = np.array([[1.5, 2.0, -1.0]])
    (first, first_bias), (last, last_bias) = policy.layers
    hidden = np.maximum(np.array([[1.0, 0.0, -2.0]]) @ first + first_bias, 0)
    np.testing.assert_allclose(policy(observation), -0.5 + 1.5 * np.tanh(hidden @ last + last_bias), rtol=1e-5)
    again = Policy.load(policy.save(tmp_path / "expert"))
    observations = np.random.default_rng(2).normal(size=(64, 3)) * 100
    np.testing.assert_array_equal(policy(observations), again(observations))
    assert again.observation_clip == np.inf


def test_tanh_policies_are_written_as_before_and_unknown_formats_are_named(tmp_path):
    folder = small_policy().save(tmp_path / "expert")
    facts = json.loads((folder / "policy.json").read_text())
    assert facts == {"format": 1, "skill": "hopper/hop-forward", "layers": 2}
    how = {"activation": "rleu", "is_squashed": False, "observation_clip": None}
    for wrong, told in (({"format": 3}, "reads 1 and 2"), ({"format": 2, **how}, 'did you mean "relu"')):
        (folder / "policy.json").write_text(json.dumps({**facts, **wrong}))
        with pytest.raises(ValueError, match=told):
            Policy.load(folder)


def test_angles_are_seen_within_half_a_turn_and_else_to_the_bit():
    """Bug: nobody could take over from a flip, whose pitch counts turns that no other expert has ever seen."""
    body = get_body("half-cheetah")
    observations_BO = np.random.default_rng(0).normal(size=(5, len(body.spec.observation)))
    observations_BO[:, 1] = [0.3, 3.0, 3.0 + 4 * np.pi, -3.0 - 2 * np.pi, 7.0]
    seen_BO = body.as_it_looks(observations_BO)
    np.testing.assert_allclose(seen_BO[:, 1], [0.3, 3.0, 3.0, -3.0, 7.0 - 2 * np.pi])
    assert (seen_BO[:2] == observations_BO[:2]).all() and observations_BO[4, 1] == 7.0
    policy = shipped_policy("half-cheetah/run-forward")
    turned_BO = observations_BO.copy()
    turned_BO[:, 1] += 6 * np.pi
    np.testing.assert_allclose(policy(turned_BO), policy(observations_BO), atol=1e-5)
