"""`gato fit --estimate`: what a run would take, without the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toys import run_fit

from gato import cli
from gato.model.gato import Gato

Capture = pytest.CaptureFixture[str]


def test_an_estimate_counts_what_the_run_then_has_and_keeps_nothing(
    toy_config: Path, tmp_path: Path, capsys: Capture
) -> None:
    words = ["fit", "-c", str(toy_config), "--out", str(tmp_path / "run"), "--trainer.max_steps", "7"]
    assert cli.run([*words, "--estimate", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert not (tmp_path / "run").exists()
    assert told["updates"] == 7 and told["hours"] == pytest.approx(told["seconds_per_update"] * 7 / 3600, abs=1e-3)
    assert told["bodies"] == {"hopper": {"tokens_per_step": 14, "positions_per_step": 2}}
    assert 0 < told["seconds_per_update"] < 60 and 0.1 < told["peak_gib"] < 24
    assert run_fit(tmp_path / "run", "--trainer.max_steps", "7", config=toy_config) == 0
    assert Gato.load(tmp_path / "run" / "model").num_parameters() == told["parameters"]


def test_an_estimate_leaves_a_run_that_is_there_alone(toy_config: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "run"
    assert run_fit(out, "--trainer.max_steps", "2", config=toy_config) == 0
    before = sorted((path, path.stat().st_mtime_ns) for path in out.rglob("*"))
    assert cli.run(["fit", "-c", str(toy_config), "--out", str(out), "--overwrite", "--estimate"]) == 0
    assert "parameters" in capsys.readouterr().out
    assert sorted((path, path.stat().st_mtime_ns) for path in out.rglob("*")) == before
