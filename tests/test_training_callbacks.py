"""What is measured while it learns."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from toys import losses_of, rows_of, run_fit

from gato.rollout.suite import Reference, Results, Task
from gato.specs import Score
from gato.training import callbacks
from gato.training.callbacks import RolloutEvaluation

Capture = pytest.CaptureFixture[str]


def test_rollouts_are_scored_while_it_learns_and_change_nothing_in_what_is_learned(
    toy_config: Path, tmp_path: Path
) -> None:
    """The real suite, on the one body of it that the model knows."""
    steps = ["--trainer.max_steps", "4", "--trainer.val_check_interval", "100"]
    assert run_fit(tmp_path / "plain", *steps, config=toy_config) == 0
    words = ["--evaluation.every", "2", "--evaluation.episodes", "1"]
    assert run_fit(tmp_path / "rolled", *steps, *words, config=toy_config) == 0
    assert losses_of(tmp_path / "rolled") == losses_of(tmp_path / "plain")
    scored = [row for row in rows_of(tmp_path / "rolled") if row["rollout/mean"]]
    assert [row["step"] for row in scored] == ["2", "4"]
    scores = [float(value) for name, value in scored[0].items() if name.startswith("rollout/hopper/") and value]
    assert scores and float(scored[0]["rollout/mean"]) == pytest.approx(sum(scores) / len(scores))


def test_a_task_without_reference_is_left_out_of_the_figures(
    toy_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluated(model: Any, suite: str, *, episodes: int, seed: int) -> Results:
        assert not model.training
        score = Score.of([50.0])
        known = Task("hopper/hop-forward", "hop", score, Reference(0.0, 100.0), 1.0, 1.0)
        unknown = Task("hopper/hop-backward", "hop", score, Reference(None, None), 1.0, 1.0)
        return Results(seed, episodes, tasks=(known, unknown))

    monkeypatch.setattr(callbacks, "evaluate_suite", evaluated)
    words = ["--evaluation.every", "2", "--trainer.max_steps", "2"]
    assert run_fit(tmp_path / "run", *words, config=toy_config) == 0
    last = rows_of(tmp_path / "run")[-1]
    assert {name: last[name] for name in last if last[name]} == {
        "step": "2",
        "rollout/hopper/hop-forward": "0.5",
        "rollout/mean": "0.5",
    }


def test_a_suite_that_is_not_known_is_an_error_before_the_first_update(
    toy_config: Path, tmp_path: Path, capsys: Capture
) -> None:
    words = ["--evaluation.every", "2", "--evaluation.suite", "demmo"]
    assert run_fit(tmp_path / "run", *words, config=toy_config) == 1
    assert capsys.readouterr().err.splitlines()[-1] == 'gato: error: unknown suite "demmo"; did you mean "demo"?'
    assert not (tmp_path / "run" / "logs").exists()


def test_evaluation_needs_sensible_numbers() -> None:
    with pytest.raises(ValueError, match="every is -1, episodes 0; at least 0 and 1"):
        RolloutEvaluation(every=-1, episodes=0)


def test_a_log_file_gets_lines_and_a_row_has_the_figures_that_users_look_for(
    toy_config: Path, tmp_path: Path, capsys: Capture
) -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.INFO)
    words = ["--trainer.max_steps", "4", "--trainer.accumulate_grad_batches", "2", "--trainer.val_check_interval", "8"]
    assert run_fit(tmp_path / "run", *words, config=toy_config) == 0
    told = capsys.readouterr().err
    assert "fit  50 %  2/4 updates" in told and "loss" in told
    assert "update 4: loss on held-out episodes" in told
    for noise in ("GPU available", "Tip", "estimate", "Seed set", "`Trainer.fit` stopped", "LeafSpec"):
        assert noise not in told
    rows = rows_of(tmp_path / "run")
    assert [row["step"] for row in rows] == ["1", "2", "3", "4", "4"]
    assert {"train/loss", "train/body/hopper", "train/modality/continuous", "learning_rate"} <= set(rows[0])
    header = (tmp_path / "run" / "logs" / "metrics.csv").read_text().splitlines()[0]
    assert "speed/positions_per_second" in header and "speed/env_steps_per_second" in header
