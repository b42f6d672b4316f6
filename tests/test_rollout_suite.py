"""Suites, scores and the prompt matrix, on figures typed by hand and on a model that knows nothing."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from making import CART, make_model

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.rollout.prompted import Conditions, Request, Rollout
from gato.rollout.suite import (
    Reference,
    Results,
    Task,
    evaluate_suite,
    expert_name,
    measure_suite,
    prompt_matrix,
    reference,
    suite_skills,
    task_of,
)
from gato.skills.bodies import BODIES
from gato.skills.evaluate import Outcome
from gato.skills.table import get_skill
from gato.specs import BodySpec, Score

FORWARD, BACKWARD = get_skill("half-cheetah/run-forward"), get_skill("half-cheetah/run-backward")
TOP = {"model", "suite", "seed", "episodes", "tasks", "mean_normalised", "iqm_normalised", "prompt_matrix"}
QUICK = Conditions(episodes=2, seed=3, steps=5, is_shown=False)


def rollout(speed: float, *, pitch: float = 0.0, fell: bool = False, return_: float = 0.0) -> Rollout:
    """An episode of the half-cheetah at one speed."""
    readings = {"forward_speed": np.full(8, speed), "pitch": np.full(8, pitch), "height": np.full(8, 0.7)}
    return Rollout(Request("", FORWARD.id, 0), Outcome(0, return_, 8, fell, readings), np.zeros((8, 6)))


def task(mean: float, random: float | None, expert: float | None) -> Task:
    return Task("a/b", "do", Score(mean, (mean, mean), (mean,)), Reference(random, expert), 1.0, 1.0)


@pytest.fixture(scope="module")
def model() -> Gato:
    return make_model(ModelConfig(size="nano"), BODIES["half-cheetah"].spec, BODIES["inverted-pendulum"].spec)


def test_the_matrix_has_a_row_a_prompt_and_a_column_a_behaviour() -> None:
    runs_forward = [rollout(5.0), rollout(5.0), rollout(5.0, pitch=2.0), rollout(-3.0)]
    runs_backward = [rollout(-3.0), rollout(-3.0), rollout(0.0), rollout(-3.0, fell=True)]
    matrix = prompt_matrix([FORWARD, BACKWARD], [runs_forward, runs_backward])
    assert matrix.json() == {
        "prompts": ["run forward", "run backward"],
        "behaviours": ["half-cheetah/run-forward", "half-cheetah/run-backward"],
        "rate": [[0.5, 0.25], [0.0, 0.5]],
    }


def test_normalised_is_zero_for_random_and_one_for_the_expert() -> None:
    assert task(10.0, 10.0, 30.0).normalised == 0.0
    assert task(30.0, 10.0, 30.0).normalised == 1.0
    assert task(25.0, 10.0, 30.0).normalised == 0.75
    assert task(25.0, 10.0, None).normalised is None


def test_the_interquartile_mean_leaves_out_the_lowest_and_the_highest_quarter() -> None:
    tasks = tuple(task(mean, 0.0, 1.0) for mean in (9.0, 0.2, 0.4, 0.6, -5.0, 0.8, 1.0))
    results = Results(0, 1, tasks=tasks)
    assert results.iqm_normalised == pytest.approx(0.6)
    assert results.mean_normalised == pytest.approx(1.0)
    assert Results(0, 1).iqm_normalised is None


def test_a_task_says_what_the_schema_says() -> None:
    own = [rollout(5.0, return_=40.0), rollout(1.0, return_=20.0)]
    found = task_of(FORWARD, own, Reference(10.0, 50.0), 123.0).json()
    assert found["return"].pop("ci95")[0] <= 30.0
    assert found == {
        "prompt": "run forward",
        "return": {"mean": 30.0, "episodes": [40.0, 20.0]},
        "random": 10.0,
        "expert": 50.0,
        "normalised": 0.5,
        "success": 0.5,
        "steps_per_second": 123.0,
    }


def test_equal_runs_give_equal_json_but_for_the_speed(model: Gato) -> None:
    found = [measure_suite(model, "demo", QUICK).json() for _ in range(2)]
    assert set(found[0]) == TOP
    for one in found[0]["tasks"], found[1]["tasks"]:
        for figures in one.values():
            assert figures.pop("steps_per_second") > 0
    assert found[0] == found[1]
    assert list(found[0]["tasks"]) == [FORWARD.id, BACKWARD.id, "inverted-pendulum/balance"]
    assert len(found[0]["tasks"][FORWARD.id]["return"]["episodes"]) == 2
    assert {body: len(matrix["rate"]) for body, matrix in found[0]["prompt_matrix"].items()} == {
        "half-cheetah": 2,
        "inverted-pendulum": 1,
    }


def test_a_model_that_knows_some_bodies_is_measured_on_them_and_the_rest_is_told(
    model: Gato, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("gato"), "propagate", True)
    with caplog.at_level(logging.WARNING, logger="gato"):
        found = measure_suite(model, "demo", Conditions(1, 0, 1, is_shown=False))
    assert set(found.rollouts) == {"half-cheetah", "inverted-pendulum"}
    assert "left out" in caplog.text and "hopper/hop-forward" in caplog.text


def test_a_body_restricts_the_suite(model: Gato) -> None:
    assert [skill.id for skill in suite_skills(model, "demo", ["half-cheetah"])] == [FORWARD.id, BACKWARD.id]
    with pytest.raises(ValueError, match='did you mean "half-cheetah"'):
        suite_skills(model, "demo", ["half-cheeta"])


def test_unknown_suites_and_foreign_models_are_refused(model: Gato) -> None:
    with pytest.raises(ValueError, match='unknown suite "dem"; did you mean "demo"'):
        evaluate_suite(model, "dem")
    with pytest.raises(ValueError, match="the model knows cart, and none of the bodies"):
        evaluate_suite(make_model(ModelConfig(size="nano"), CART))


def test_statistics_of_another_body_of_that_name_are_refused() -> None:
    other = BodySpec("hopper", CART.observation, CART.action)
    with pytest.raises(ValueError, match="body 'hopper' does not fit"):
        evaluate_suite(make_model(ModelConfig(size="nano"), other))


def test_the_references_are_measured_on_the_same_starts() -> None:
    known = reference(FORWARD.id, QUICK, FORWARD.id)
    assert known.random is not None and known.expert is not None
    assert known == reference(FORWARD.id, QUICK, FORWARD.id)
    assert known != reference(FORWARD.id, Conditions(episodes=2, seed=4, steps=5), FORWARD.id)


@pytest.mark.parametrize("skill_id", ["ant/walk-left", "walker2d/walk-forward", "humanoid/walk-forward"])
def test_references_are_acted_by_experts_as_they_see(skill_id: str) -> None:
    """Bug: experts that see the body from its heading, or read what they are told, acted on the plain observation."""
    known = reference(skill_id, Conditions(2, 0, 20, is_shown=False), expert_name("library", skill_id))
    assert known.random is not None and known.expert is not None and known.expert > known.random + 10


def test_a_skill_without_an_expert_is_not_normalised_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("gato"), "propagate", True)
    with caplog.at_level(logging.WARNING, logger="gato"):
        known = reference(FORWARD.id, QUICK, str(tmp_path / FORWARD.id))
    assert known.expert is None and known.random is not None
    assert "is not normalised" in caplog.text


def test_a_suite_names_whom_its_skills_are_compared_with(tmp_path: Path) -> None:
    """The demo learns from experts that take over from each other: the strongest ones would be another task."""
    assert expert_name("demo", "half-cheetah/run-forward") == "half-cheetah/run-forward/steady"
    assert expert_name("demo", "half-cheetah/run-backward") == "half-cheetah/run-backward"
    assert expert_name("demo", FORWARD.id, tmp_path) == str(tmp_path / FORWARD.id)


def test_the_interval_of_the_mean_holds_it_and_narrows_with_episodes() -> None:
    def spread(count: int) -> tuple[float, float]:
        values = np.random.default_rng(1).normal(50, 10, count).tolist()
        scored = Task("a/b", "do", Score.of(values), Reference(0.0, 100.0), 1.0, 1.0)
        unknown = task(5.0, None, 100.0)
        results = Results(0, count, tasks=(scored, unknown))
        low, high = results.interval_normalised() or (np.nan, np.nan)
        assert low < (results.mean_normalised or np.nan) < high
        return low, high

    few, many = spread(10), spread(1000)
    assert many[1] - many[0] < (few[1] - few[0]) / 5
    assert Results(0, 1, tasks=(task(1.0, None, None),)).interval_normalised() is None
