"""The learner against hand-made oracles, and the running statistics."""

import dataclasses

import numpy as np
import pytest
import torch

from gato.experts.collect import Rollout
from gato.experts.policy import Policy
from gato.experts.ppo import Learner, PPOConfig
from gato.skills.bodies.symmetry import symmetry
from gato.specs import BodySpec, Element

T, B, O, A = 5, 3, 4, 2


def rollout(seed=0, terminated=(), truncated=()):
    rng = np.random.default_rng(seed)
    ends = np.zeros((2, T, B), bool)
    for kind, places in enumerate((terminated, truncated)):
        for place in places:
            ends[(kind, *place)] = True
    return Rollout(
        observations_TBO=rng.normal(size=(T + 1, B, O)).astype(np.float32),
        actions_TBA=rng.normal(size=(T, B, A)).astype(np.float32),
        log_probabilities_TB=rng.normal(size=(T, B)).astype(np.float32),
        loudness_B=np.array([1.0, 0.5, 0.25], np.float32),
        rewards_TB=rng.normal(size=(T, B)).astype(np.float32),
        terminated_TB=ends[0],
        truncated_TB=ends[1],
        final_observations_FO=rng.normal(size=(len(terminated) + len(truncated), O)).astype(np.float32),
    )


def values(learner, observations):
    return learner._values(observations)


def test_advantages_equal_the_sum_written_out():
    """Each environment alone, discounted by hand: nothing after a termination, a bootstrap at a time limit."""
    learner = Learner(PPOConfig(hidden=(8,)), num_observations=O, num_actions=A, seed=0)
    data = rollout(terminated=[(1, 0)], truncated=[(2, 1)])
    advantages, targets = learner._advantages(data)
    state_values = values(learner, data.observations_TBO)
    final = values(learner, data.final_observations_FO)
    after = {(1, 0): 0.0, (2, 1): final[1]}
    for b in range(B):
        for start in range(T):
            total, weight = 0.0, 1.0
            for t in range(start, T):
                next_value = after.get((t, b), state_values[t + 1, b])
                total += weight * (data.rewards_TB[t, b] + 0.99 * next_value - state_values[t, b])
                weight *= 0.99 * 0.95
                if (t, b) in after:
                    break
            assert advantages[start, b] == pytest.approx(total, abs=1e-5)
            assert targets[start, b] == pytest.approx(total + state_values[start, b], abs=1e-5)


def test_critic_only_leaves_the_actor_as_it_is():
    learner = Learner(PPOConfig(hidden=(8,), minibatch_size=4), num_observations=O, num_actions=A, seed=0)
    before, _ = learner.weights()
    critic = values(learner, np.ones((1, O), np.float32)).copy()
    learner.update(rollout(), learning_rate=1e-2, critic_only=True)
    after, _ = learner.weights()
    assert all(
        np.array_equal(x, y) for old, new in zip(before, after, strict=True) for x, y in zip(old, new, strict=True)
    )
    assert values(learner, np.ones((1, O), np.float32)) != critic


def learn_to_act(learner, wanted, *, among=None):
    """The learner's policy after 20 updates that reward actions near `wanted`, in random or in `among` observations."""
    rng, ones = np.random.default_rng(0), np.ones(O)
    box = {"low_A": -np.ones(A, np.float32), "high_A": np.ones(A, np.float32)}
    loudness_B = np.geomspace(1, 0.3, 8, dtype=np.float32)
    for _ in range(20):
        layers, log_std_A = learner.weights()
        policy = Policy("x", mean_O=0 * ones, std_O=ones, layers=layers, log_std_A=log_std_A, **box)
        observations = rng.normal(size=(65, 8, O)).astype(np.float32) if among is None else np.tile(among, (65, 8, 1))
        noise = rng.standard_normal((64, 8, A), np.float32)
        std_BA = loudness_B[:, None] * np.exp(log_std_A)
        actions = policy.act(observations[:-1]) + std_BA * noise
        data = Rollout(
            observations_TBO=observations,
            actions_TBA=actions,
            log_probabilities_TB=-(0.5 * noise**2 + np.log(std_BA) + 0.5 * np.log(2 * np.pi))
            .sum(-1)
            .astype(np.float32),
            loudness_B=loudness_B,
            rewards_TB=-((actions - wanted) ** 2).sum(-1),
            terminated_TB=np.ones((64, 8), bool),
            truncated_TB=np.zeros((64, 8), bool),
            final_observations_FO=np.zeros((512, O), np.float32),
        )
        learner.update(data, learning_rate=1e-2)
    return policy.with_layers(*learner.weights())


def test_update_raises_the_probability_of_good_actions():
    config = PPOConfig(hidden=(16,), minibatch_size=256, epochs=10, learning_rate=1e-2)
    learner = Learner(config, num_observations=O, num_actions=A, seed=0)
    np.testing.assert_allclose(learn_to_act(learner, 0.5)(np.zeros((1, O))), 0.5, atol=0.1)


def test_a_symmetric_learner_acts_in_a_mirrored_place_as_its_mirror_image_does():
    """It only ever saw the left, where 0.5 is good; on the right, where it never was, it does -0.5."""
    spec = BodySpec("x", tuple(map(Element, "abcd")), (Element("e", -1, 1), Element("f", -1, 1)))
    both = symmetry(spec, flipped="a b c d e f")
    left_O = np.full(O, 1.0, np.float32)
    config = PPOConfig(hidden=(16,), minibatch_size=256, epochs=10, learning_rate=1e-2)
    acts = {}
    for name, known in (("symmetric", both), ("plain", None)):
        learner = Learner(config, num_observations=O, num_actions=A, seed=0, mirror=known)
        acts[name] = learn_to_act(learner, 0.5, among=left_O)(np.stack([left_O, -left_O]).astype(float))
    np.testing.assert_allclose(acts["symmetric"], [[0.5] * A, [-0.5] * A], atol=0.1)
    assert np.abs(acts["plain"][1] + 0.5).min() > 0.1


def test_a_policy_that_is_not_its_own_mirror_image_has_not_moved_before_it_learns():
    """Bug: mirrored steps kept the probability of the step itself, so the less noise, the higher the divergence;
    the learning rate followed it down to 1e-80 and the humanoid learned nothing more."""
    spec = BodySpec("x", tuple(map(Element, "abcd")), (Element("e", -1, 1), Element("f", -1, 1)))
    config = PPOConfig(hidden=(8,), epochs=1, initial_std=0.1)
    learner = Learner(config, num_observations=O, num_actions=A, seed=0, mirror=symmetry(spec, flipped="a b c d e f"))
    learner.actor.layers[-1][1].fill_(0.5)
    data = rollout()
    observations_NO = data.observations_TBO[:-1].reshape(-1, O)
    std_BA = data.loudness_B[:, None] * np.exp(learner.weights()[1])
    means_TBA = learner.actor(torch.from_numpy(observations_NO)).numpy().reshape(T, B, A)
    chances_TBA = -0.5 * ((data.actions_TBA - means_TBA) / std_BA) ** 2 - np.log(std_BA) - 0.5 * np.log(2 * np.pi)
    data = dataclasses.replace(data, log_probabilities_TB=chances_TBA.sum(-1).astype(np.float32))
    assert abs(learner.update(data, learning_rate=0.0).divergence) < 1e-5


def test_exploration_never_falls_below_its_floor():
    config = PPOConfig(hidden=(8,), initial_std=0.3, minimal_std=0.3, minibatch_size=4)
    learner = Learner(config, num_observations=O, num_actions=A, seed=0)
    learner.update(rollout(), learning_rate=0.1)
    assert np.exp(learner.weights()[1]).min() >= 0.3 - 1e-6


@pytest.mark.parametrize(("asked", "begins"), [(None, 0.05), (0.3, 0.3)])
def test_an_expert_gone_on_from_keeps_its_noise_unless_told_another(asked, begins):
    """Bug: a noise that was asked for only held the expert's own down, and a quiet one explored nothing."""
    quiet = Learner(PPOConfig(hidden=(8,), initial_std=0.05), num_observations=O, num_actions=A, seed=0)
    layers, log_std_A = quiet.weights()
    ones_O, ones_A = np.ones(O), np.ones(A)
    bounds = {"mean_O": ones_O, "std_O": ones_O, "low_A": -ones_A, "high_A": ones_A}
    learner = Learner(PPOConfig(hidden=(8,), initial_std=asked), num_observations=O, num_actions=A, seed=1)
    learner.begin_from(Policy("ant/stand", layers=layers, log_std_A=log_std_A, **bounds))
    np.testing.assert_allclose(np.exp(learner.weights()[1]), begins, rtol=1e-6)


@pytest.mark.parametrize(("target", "factor"), [(1e-9, 1 / 1.5), (1e3, 1.5), (0.0, 1.0)])
def test_the_learning_rate_follows_the_divergence(target, factor):
    """Whatever an update diverges by, it is far above the first target and far below the second."""
    config = PPOConfig(hidden=(8,), minibatch_size=4, target_divergence=target)
    learner = Learner(config, num_observations=O, num_actions=A, seed=0)
    learner.update(rollout(), learning_rate=1e-3)
    assert learner.rate_factor == pytest.approx(factor)
    again = Learner(config, num_observations=O, num_actions=A, seed=1)
    again.load_state(*learner.state())
    assert again.rate_factor == learner.rate_factor
    for _ in range(10):
        learner.update(rollout(), learning_rate=1e-3)
    assert learner.rate_factor <= 4.0


def test_an_actor_that_begins_late_does_not_jump():
    """After ten updates of the critic alone, the first one of the actor is no longer than a fresh learner's."""
    moved = []
    for warm_up in (0, 10):
        config = PPOConfig(hidden=(8,), minibatch_size=15, epochs=1)
        learner = Learner(config, num_observations=O, num_actions=A, seed=0)
        for _ in range(warm_up):
            learner.update(rollout(), learning_rate=1e-3, critic_only=True)
        assert learner.rate_factor == 1.0
        if warm_up:
            learner.begin_actor()
        before = learner.weights()[0][0][0]
        learner.update(rollout(), learning_rate=1e-3)
        moved.append(np.abs(learner.weights()[0][0][0] - before).max())
    assert moved[1] == pytest.approx(moved[0], rel=0.05)


def test_an_update_ends_with_the_epoch_that_moved_the_policy_too_far():
    def moved(target):
        config = PPOConfig(hidden=(8,), minibatch_size=4, epochs=10, target_divergence=target)
        learner = Learner(config, num_observations=O, num_actions=A, seed=0)
        before = learner.weights()[0][0][0]
        learner.update(rollout(), learning_rate=1e-3)
        return np.abs(learner.weights()[0][0][0] - before).max()

    assert moved(1e-9) < 0.3 * moved(0.0)


def test_noise_is_held_below_a_line_over_the_run():
    config = PPOConfig(initial_std=2.0, final_std=0.5)
    assert [config.most_std(done) for done in (0.0, 0.5, 1.0)] == pytest.approx([2.0, 1.0, 0.5])
    assert PPOConfig().most_std(0.5) == np.inf
    learner = Learner(config, num_observations=O, num_actions=A, seed=0)
    learner.update(rollout(), learning_rate=1e-4, most_std=0.7)
    np.testing.assert_allclose(np.exp(learner.weights()[1]), 0.7, rtol=1e-6)
    with pytest.raises(ValueError, match=r"final_std=3\.0 \(allowed: above 0, minimal_std to initial_std\)"):
        PPOConfig(final_std=3.0)


def test_shares_of_a_curriculum_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"start_share=2 \(allowed: 0 to 1\), lift=-1 \(allowed: 0 to 1\)"):
        PPOConfig(start_share=2, lift=-1)
    with pytest.raises(ValueError, match=r"widen=0.5 \(allowed: 0 to 1, and 0 without init_from\)"):
        PPOConfig(widen=0.5)


def test_settings_out_of_range_are_named_together():
    with pytest.raises(ValueError, match=r"epochs=0.*discount=1\.5"):
        PPOConfig(epochs=0, discount=1.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", (64, 0)),
        ("learning_rate", np.inf),
        ("target_divergence", -1.0),
        ("minimal_std", np.nan),
        ("minimal_std", 2.0),
        ("final_std", 0.0),
        ("reward_limit", np.nan),
    ],
)
def test_a_setting_that_training_could_not_stand_is_refused_at_once(name, value):
    """Bug: each of these was taken, and ended in a domain error, in MuJoCo's warnings or in nothing being learned."""
    with pytest.raises(ValueError, match=f"PPO settings out of range: {name}="):
        PPOConfig(**{name: value})


def test_written_out_gradients_equal_autograd():
    """One minibatch of the clipped loss, differentiated by torch, against the gradient that Adam is given."""
    from gato.experts.ppo import CLIP_RANGE

    learner = Learner(PPOConfig(hidden=(16, 32)), num_observations=O, num_actions=A, seed=0)
    generator = torch.Generator().manual_seed(1)
    for flat in learner.flats:
        flat.data.add_(0.1 * torch.randn(flat.shape, generator=generator))
    rng = np.random.default_rng(0)
    observations, actions, old, estimates = (
        torch.from_numpy(rng.normal(size=shape).astype(np.float32)) for shape in ((64, O), (64, A), (64, 1), (64, 2))
    )
    old = old - 3.0
    loudness = torch.from_numpy(rng.uniform(0.5, 1, (64, 1)).astype(np.float32))
    actor, critic = (flat.detach().clone().requires_grad_() for flat in learner.flats)

    def network(flat, widths, start=0):
        hidden = observations
        for inner, outer in zip(widths[:-1], widths[1:], strict=True):
            weight = flat[start : start + inner * outer].view(inner, outer)
            start += inner * outer
            hidden = hidden @ weight + flat[start : start + outer]
            start += outer
            hidden = hidden.tanh() if outer is not widths[-1] else hidden
        return hidden, start

    mean, start = network(actor, [O, 16, 32, A])
    log_std = actor[start : start + A]
    values_N1, _ = network(critic, [O, 16, 32, 1])
    ratio = (torch.distributions.Normal(mean, loudness * log_std.exp()).log_prob(actions).sum(-1) - old[:, 0]).exp()
    bounded = ratio.clamp(1 - CLIP_RANGE, 1 + CLIP_RANGE)
    loss = -torch.minimum(estimates[:, 0] * ratio, estimates[:, 0] * bounded).mean()
    loss = loss + 0.5 * (values_N1[:, 0] - estimates[:, 1]).square().mean()
    loss.backward()
    expected = [flat.grad * (0.5 / flat.grad.norm()).clamp(max=1.0) for flat in (actor, critic)]
    with torch.no_grad():
        learner._minibatch(observations, actions, loudness, old, estimates, critic_only=False)
    for flat, gradient in zip(learner.flats, expected, strict=True):
        np.testing.assert_allclose(flat.grad.numpy(), gradient.numpy(), atol=1e-5)
    assert (ratio != bounded).any() and (ratio == bounded).any()


def test_the_critic_keeps_its_learning_rate_where_the_policy_must_change_slowly():
    """One rate for both starved the critic: where every update moved the policy too far it fell to a hundredth."""
    critics = []
    for factor in (1.0, 0.01):
        learner = Learner(PPOConfig(hidden=(8,), minibatch_size=4), num_observations=O, num_actions=A, seed=0)
        learner.rate_factor = factor
        learner.update(rollout(), learning_rate=1e-3)
        critics.append(learner.flats[1].detach().numpy().copy())
    np.testing.assert_array_equal(*critics)
