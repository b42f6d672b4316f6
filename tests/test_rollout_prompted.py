"""Prompted episodes: many at once, recorded so that they can be seen again, and steered while they run."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest
from making import make_model, told_agents

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.rollout import prompted
from gato.rollout.prompted import Conditions, Request, Rollout, roll_out, shortened
from gato.skills.bodies import BODIES
from gato.skills.stepper import find_env_spec, make_stepper
from gato.skills.table import get_skill

FORWARD, BACKWARD = "half-cheetah/run-forward", "half-cheetah/run-backward"


@pytest.fixture(scope="module")
def model() -> Gato:
    return make_model(ModelConfig(size="nano"), BODIES["half-cheetah"].spec)


def run(model: Gato, *requests: Request, steps: int = 12, sample: bool = False) -> tuple[Rollout, ...]:
    conditions = Conditions(1, 0, steps, sample, is_shown=False)
    return roll_out(model, "half-cheetah", requests, conditions).rollouts


def test_the_recorded_actions_give_the_same_episode_again(model: Gato) -> None:
    for rollout in run(model, Request("run forward", FORWARD, 5), Request("run backward", BACKWARD, 6)):
        stepper = make_stepper(rollout.request.skill, 1)
        stepper.reset(np.array([0]), [rollout.request.seed])
        steps = [stepper.step(action_A[None]) for action_A in rollout.actions_TA]
        assert rollout.outcome.return_ == pytest.approx(sum(step.rewards_B[0] for step in steps), abs=0)
        speeds = [step.readings["forward_speed"][0] for step in steps]
        np.testing.assert_array_equal(rollout.outcome.readings["forward_speed"], speeds)


def test_each_row_is_rewarded_for_its_own_skill(model: Gato) -> None:
    forward, backward = run(model, Request("run", FORWARD, 5), Request("run", BACKWARD, 5))
    np.testing.assert_allclose(forward.actions_TA, backward.actions_TA, atol=0.02)
    assert abs(forward.outcome.return_ - backward.outcome.return_) > 1e-3
    assert get_skill(FORWARD).body == "half-cheetah"


def test_rows_beyond_a_batch_are_run_in_further_batches(model: Gato, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [Request("run forward", FORWARD, seed) for seed in range(5)]
    together = run(model, *requests, steps=4)
    monkeypatch.setattr(prompted, "MOST_ROWS", 2)
    apart = run(model, *requests, steps=4)
    assert [one.request for one in apart] == requests
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(one.actions_TA, other.actions_TA, atol=0.02)


def test_the_prompt_is_replaced_at_its_step_and_in_its_row_alone(model: Gato, monkeypatch: pytest.MonkeyPatch) -> None:
    told = told_agents(monkeypatch)
    kept, _ = run(
        model, Request("run forward", FORWARD, 5), Request("run forward", FORWARD, 5, switch=(6, "run backward"))
    )
    assert told == [(6, [1], ["run backward"])]
    alone = run(model, Request("run forward", FORWARD, 5))[0]
    np.testing.assert_allclose(kept.actions_TA, alone.actions_TA, atol=0.02)


def test_sampled_actions_are_repeatable_and_differ_from_the_likeliest(model: Gato) -> None:
    request = Request("run forward", FORWARD, 5)
    first, again = run(model, request, sample=True)[0], run(model, request, sample=True)[0]
    np.testing.assert_array_equal(first.actions_TA, again.actions_TA)
    assert not np.array_equal(first.actions_TA, run(model, request)[0].actions_TA)


def test_a_prompt_longer_than_the_model_reads_is_told(
    model: Gato, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="gato"):
        monkeypatch.setattr(logging.getLogger("gato"), "propagate", True)
        run(model, Request("run " * 40, FORWARD, 5), steps=1)
    assert "the model reads the first 10" in caplog.text


def test_conditions_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 episode"):
        Conditions(episodes=0)
    with pytest.raises(ValueError, match="seed"):
        Conditions(seed=-1)
    with pytest.raises(ValueError, match="steps >= 0"):
        Conditions(steps=-1)


def test_episodes_last_as_long_as_their_environment_lets_them() -> None:
    """Those of a robot with a longer limit were cut at 1000 steps, the longest of Gymnasium's eleven."""
    own = dataclasses.replace(find_env_spec(FORWARD), max_episode_steps=1500)
    assert shortened(own, Conditions().steps).max_episode_steps == 1500
    assert shortened(own, 20).max_episode_steps == 20
    with pytest.raises(ValueError, match="has no step limit"):
        shortened(dataclasses.replace(own, max_episode_steps=None), 0)
