"""`gato eval` from end to end, on a model that has learned nothing: what is printed, kept and refused."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from making import make_model

from gato import cli, runs
from gato.lineage import lineage
from gato.model.config import ModelConfig
from gato.model.find import find_model
from gato.rollout import evaluate, switching
from gato.rollout.ablation import ARMS
from gato.rollout.evaluate import Wishes
from gato.skills.bodies import BODIES


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training run's folder: the model lies in its `model`."""
    run = tmp_path_factory.mktemp("run")
    specs = BODIES["half-cheetah"].spec, BODIES["inverted-pendulum"].spec
    make_model(ModelConfig(size="nano"), *specs).save(run / "model", card={})
    return run


def gato_eval(model: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    """The JSON that was printed on standard output, and nothing else there."""
    assert cli.run(["eval", str(model), "--episodes", "2", "--steps", "4", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_keeps_results_with_provenance_and_two_runs_have_one_hash(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = gato_eval(model, capsys, "--body", "inverted-pendulum", "--out", str(tmp_path / "a"))
    assert runs.read_json(tmp_path / "a" / "results.json") == printed
    assert printed["model"] == str(model) and printed["suite"] == "demo"
    record = runs.read_provenance(tmp_path / "a")
    assert record["inputs"]["model"]["hash"] == runs.content_hash(model / "model")
    assert "--body inverted-pendulum --episodes 2 --steps 4" in record["command"]
    gato_eval(model, capsys, "--body", "inverted-pendulum", "--out", str(tmp_path / "b"))
    assert runs.content_hash(tmp_path / "a") == runs.content_hash(tmp_path / "b")
    assert lineage(tmp_path / "a").status == "ok"


def test_an_existing_folder_is_refused_unless_overwritten(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--prompt", "", "--body", "inverted-pendulum", "--out", str(tmp_path / "a")]
    found = gato_eval(model, capsys, *words)
    assert found["prompts"][0]["prompt"] == "" and found["tasks"] == {} and found["suite"] is None
    assert cli.run(["eval", str(model), *words]) == 1
    assert "is not empty" in capsys.readouterr().err
    gato_eval(model, capsys, *words, "--overwrite")


def test_ablation_and_switching_are_added_to_the_suite(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switching, "LATEST", 1.1)
    monkeypatch.setattr(switching, "REACTION", 0.1)
    monkeypatch.setattr(evaluate, "ABLATION_EPISODES", 1)
    found = gato_eval(model, capsys, "--ablate", "--body", "half-cheetah")
    assert list(found["ablation"]) == list(ARMS)
    assert found["switching"]["half-cheetah"]["trials"] == 2
    assert set(found["tasks"]) == {"half-cheetah/run-forward", "half-cheetah/run-backward"}


def test_prompts_of_a_file_are_added(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.tsv").write_text("half-cheetah\tgo\trun-forward\ninverted-pendulum\tstay up\tbalance\n")
    found = gato_eval(model, capsys, "--prompts", str(tmp_path / "p.tsv"), "--sample")
    assert [one["skill"] for one in found["prompts"]] == ["half-cheetah/run-forward", "inverted-pendulum/balance"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--suite", "dem"], 'unknown suite "dem"; did you mean "demo"?'),
        (["--prompt", "run"], "add --body"),
        (["--prompt", "run", "--body", "half-cheeta"], 'did you mean "half-cheetah"?'),
        (["--prompt", "hop", "--body", "hopper"], 'the model knows no body "hopper"'),
        (["--prompts", "nowhere.tsv"], "nowhere.tsv"),
        (["--dataset", "nobody/nothing-v0"], "nobody/nothing-v0"),
        (["--dataset", "a/b-v0", "--suite", "demo"], "one after the other"),
        (["--episodes", "0"], "at least 1 episode"),
        (["--video", "-1"], "--video is -1"),
    ],
)
def test_bad_wishes_are_told_in_one_line(
    model: Path, minari_root: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert cli.run(["eval", str(model), *words]) == 1
    captured = capsys.readouterr()
    assert told in captured.err and captured.out == "" and "Traceback" not in captured.err


def test_who_cuts_episodes_is_told_so(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the limit of what is measured: 50 steps of the reacher are whole episodes, 50 of the half-cheetah are not."""
    monkeypatch.setattr(logging.getLogger("gato"), "propagate", True)
    with caplog.at_level(logging.WARNING, logger="gato"):
        evaluate._warn_of_cut_episodes(50, ["reacher"], None)
        evaluate._warn_of_cut_episodes(0, ["half-cheetah"], None)
        assert not caplog.records
        evaluate._warn_of_cut_episodes(50, ["reacher", "half-cheetah"], None)
    assert "episodes end after 50 steps" in caplog.text


def test_a_model_folder_may_be_given_itself_or_its_run(model: Path) -> None:
    assert find_model(model) == find_model(model / "model") == model / "model"
    assert Wishes(prompt="go", body="hopper").measures_suite is False
    assert Wishes(ablate=True).measures_suite is True
