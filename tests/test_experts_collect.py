"""Collecting: log-probabilities, start states, and what ends an episode."""

import numpy as np
import pytest

from gato.experts.collect import Collector, Moments
from gato.experts.curriculum import StartedStepper, gather_starts, training_stepper
from gato.experts.policy import Policy
from gato.experts.ppo import Learner, PPOConfig
from gato.skills.bodies import get_body
from gato.skills.table import Condition


def test_moments_in_pieces_equal_moments_at_once():
    data = np.random.default_rng(0).normal(3.0, 2.0, size=(100, 4))
    moments = Moments.zeros(4)
    for piece in np.split(data, [7, 50, 51]):
        moments.update(piece)
    np.testing.assert_allclose(moments.mean, data.mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.variance, data.var(0), rtol=1e-12)


def untrained(skill="hopper/hop-forward"):
    spec = training_stepper(skill, 1).spec
    learner = Learner(PPOConfig(), num_observations=len(spec.observation), num_actions=len(spec.action), seed=0)
    layers, log_std_A = learner.weights()
    ones = np.ones(len(spec.observation))
    box = {"low_A": spec.action_low, "high_A": spec.action_high}
    return Policy(skill, mean_O=0 * ones, std_O=ones, layers=layers, log_std_A=log_std_A, **box)


def collector(starts=None):
    stepper = training_stepper("hopper/hop-forward", 4)
    return Collector(stepper, seed=0, discount=0.99, starts=starts, start_share=1.0)


def test_what_a_reward_has_beyond_the_limit_counts_against_it_and_the_return_is_the_tasks_own():
    limited = [collector(), collector()]
    limited[1].reward_limit = 0.9
    (data, finished), (cut, cut_finished) = (one.collect(untrained(), 60) for one in limited)
    np.testing.assert_allclose(cut.rewards_TB, 0.9 - abs(data.rewards_TB - 0.9), atol=1e-6)
    assert (data.rewards_TB > 0.95).any()
    assert finished.returns == cut_finished.returns != ()


def test_collector_put_back_continues_to_the_bit():
    policy, first = untrained(), collector()
    first.collect(policy, 40)
    arrays, facts = first.state()
    arrays = {name: values.copy() for name, values in arrays.items()}
    expected, _ = first.collect(first.normaliser(policy), 40)
    second = collector()
    second.load_state(arrays, facts)
    got, _ = second.collect(second.normaliser(policy), 40)
    for name in ("observations_TBO", "actions_TBA", "rewards_TB", "terminated_TB", "final_observations_FO"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name))


def test_log_probabilities_are_those_of_the_policy_that_acted():
    policy = untrained()
    stepper = training_stepper("hopper/hop-forward", 4)
    data, _ = Collector(stepper, seed=0, discount=0.99, quietest=0.1).collect(policy, 10)
    std = data.loudness_B[:, None] * np.exp(policy.log_std_A)
    assert data.loudness_B.min() == pytest.approx(0.1) and data.loudness_B.max() == 1
    error = (data.actions_TBA - policy.act(data.observations_TBO[:-1])) / std
    expected = (-0.5 * error**2 - np.log(std) - 0.5 * np.log(2 * np.pi)).sum(-1)
    np.testing.assert_allclose(data.log_probabilities_TB, expected, atol=1e-4)


def test_episodes_begin_in_states_that_another_expert_left():
    starts = gather_starts([untrained("hopper/hop-backward")], seed=0, num_envs=4, with_reversed=True)
    assert len(starts.qpos_NQ) == len(starts.qvel_NV) > 0
    begun = collector(starts)
    qpos, _ = begun.stepper.get_state(np.arange(4))
    assert all((starts.qpos_NQ == row).all(1).any() for row in qpos)


def test_an_evaluation_from_start_states_begins_where_its_seeds_say():
    starts = gather_starts([untrained("hopper/hop-backward")], seed=0, num_envs=4, with_reversed=True)
    stepper = StartedStepper("hopper/hop-forward", 3, starts)
    first = stepper.reset(np.arange(3), [5, 6, 7])
    qpos, _ = stepper.get_state(np.arange(3))
    assert all((starts.qpos_NQ == row).all(1).any() for row in qpos)
    np.testing.assert_array_equal(stepper.reset(np.arange(3), [7, 6, 5]), first[::-1])


def test_the_normaliser_of_an_expert_that_is_trained_on_stays():
    policy, begun = untrained(), collector()
    begun.keep_normaliser(policy)
    begun.collect(policy, 40)
    np.testing.assert_array_equal(begun.normaliser(policy).mean_O, policy.mean_O)
    np.testing.assert_allclose(begun.normaliser(policy).std_O, policy.std_O)


def test_an_episode_that_begins_in_a_start_state_ends_early(monkeypatch):
    """It is cut, not failed: what would have come is bootstrapped."""
    monkeypatch.setattr("gato.experts.collect.START_STEPS", 3)
    starts = gather_starts([untrained("hopper/hop-backward")], seed=0, num_envs=4)
    data, finished = collector(starts).collect(untrained(), 30)
    assert max(finished.lengths) == 3
    assert data.truncated_TB[~data.terminated_TB].any()


def test_who_takes_over_from_a_flip_may_land_first_but_only_once(monkeypatch):
    monkeypatch.setattr("gato.experts.collect.GRACE_STEPS", 3)
    begun = collector(gather_starts([untrained("hopper/hop-backward")], seed=0, num_envs=4))
    begun.rule = (Condition("pitch", "max", high=1.0),)
    lying_B, upright_B = {"pitch": np.full(4, 3.0)}, {"pitch": np.zeros(4)}
    assert not begun._is_hopeless(lying_B).any()
    begun._is_hopeless(upright_B)
    assert begun._is_hopeless(lying_B).all(), "who was upright and lies down has failed"
    begun.is_arriving_B[:] = True
    begun.lengths_B[:] = [0, 2, 3, 4]
    assert begun._is_hopeless(lying_B).tolist() == [False, False, True, True]


def test_start_states_count_no_turns():
    """Bug: who took over from a flip began with a pitch of many turns, which ended the episode at once."""
    body = get_body("half-cheetah")
    qpos_NQ = np.zeros((3, 9))
    qpos_NQ[:, 2] = [0.3, 3.0 + 4 * np.pi, -7.0]
    np.testing.assert_allclose(body.unturned(qpos_NQ)[:, 2], [0.3, 3.0, -7.0 + 2 * np.pi])
    assert (np.delete(body.unturned(qpos_NQ), 2, 1) == 0).all()
    ant_NQ = np.ones((2, 15))
    assert get_body("ant").unturned(ant_NQ) is ant_NQ


def test_first_episodes_are_cut_anywhere_so_that_ages_differ():
    """Bug: bodies that never fall (half-cheetah, humanoid on its back) all began and ended together, so that a
    rollout of 64 steps held a single part of the episode."""
    one = collector()
    assert len(set(one.limits_B)) > 1
    one.limits_B[:] = [2, 3, 5, 7]
    data, finished = one.collect(untrained(), 8)
    assert finished.lengths == (2, 3, 5, 7)
    assert np.flatnonzero(data.truncated_TB[:, 3]).tolist() == [6]
    assert (one.limits_B == one.stepper.max_episode_steps).all()
