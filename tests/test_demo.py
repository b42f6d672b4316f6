"""The whole path in miniature: experts, datasets, training, evaluation, page; kept, resumed, refused, walked back."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gato import demo as demo_module
from gato.demo import SIZES, demo
from gato.lineage import Artifact, lineage
from gato.model.gato import Gato
from gato.rollout.ablation import ARMS
from gato.runs import content_hash, read_json, read_provenance
from gato.skills.render import find_renderer

PENDULUM = dataclasses.replace(SIZES["miniature"], bodies=("inverted-pendulum",), steps=10)
"""One body of four numbers: seconds even where the other tests run beside."""
SKILLS = {"half-cheetah/run-forward", "half-cheetah/run-backward", "inverted-pendulum/balance"}


@pytest.fixture(autouse=True)
def no_places_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo chooses where datasets and caches lie."""
    monkeypatch.delenv("MINARI_DATASETS_PATH", raising=False)
    monkeypatch.delenv("GATO_CACHE", raising=False)
    logging.getLogger("gato").propagate = True


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """`gato demo --size miniature`, once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MINARI_DATASETS_PATH", raising=False)
        patch.delenv("GATO_CACHE", raising=False)
        folder = tmp_path_factory.mktemp("workspace") / "my demo"
        return folder, demo(out=folder, size="miniature")


@pytest.fixture(scope="module")
def first_pendulum(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished demo of one body, to be copied."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MINARI_DATASETS_PATH", raising=False)
        patch.delenv("GATO_CACHE", raising=False)
        patch.setitem(SIZES, "miniature", PENDULUM)
        folder = tmp_path_factory.mktemp("pendulum") / "demo"
        demo(out=folder, size="miniature")
        return folder


@pytest.fixture
def pendulum(first_pendulum: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished demo of one body, moved as a whole to another place."""
    monkeypatch.setitem(SIZES, "miniature", PENDULUM)
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(first_pendulum, tmp_path / "demo"))


def names(artifact: Artifact) -> set[tuple[str, str]]:
    """(name, status) of everything in a lineage."""
    return {(artifact.name, artifact.status)}.union(*map(names, artifact.inputs))


def test_the_whole_path_leaves_all_its_artefacts(miniature: tuple[Path, dict[str, Any]]) -> None:
    folder, told = miniature
    results = read_json(folder / "results.json")
    assert set(results["tasks"]) == set(told["tasks"]) == SKILLS
    assert list(results["prompt_matrix"]) == ["half-cheetah", "inverted-pendulum"]
    assert set(results["ablation"]) == set(ARMS)
    assert set(results["switching"]) == {"half-cheetah"}
    assert len(list((folder / "videos").glob("*.mp4"))) == (3 if find_renderer() else 0)
    assert set(Gato.load(folder / "model").bodies) == {"half-cheetah", "inverted-pendulum"}
    assert told["report"] == str(folder / "report.html")
    page = (folder / "report.html").read_text()
    for part in ("Scores", "The prompt matrix", "What the words are worth", "Learning", "Time and memory", "Again"):
        assert f"<h2>{part}</h2>" in page
    assert not (folder / "eval").exists()


def test_the_command_is_what_a_person_can_type(miniature: tuple[Path, dict[str, Any]]) -> None:
    """Its folder was not quoted."""
    assert read_provenance(miniature[0])["command"] == f"gato demo --size miniature --out '{miniature[0]}'"


def test_every_stage_says_what_it_took(miniature: tuple[Path, dict[str, Any]]) -> None:
    _, told = miniature
    assert list(told["stages"]) == ["datasets", "training", "evaluation"]
    assert all(stage["seconds"] > 0 and stage["peak_gib"] > 0.1 for stage in told["stages"].values())


def test_the_lineage_leads_from_the_page_to_the_experts(miniature: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = miniature
    found = lineage(folder / "report.html", name="report")
    (model,) = found.inputs
    assert model.name == "model" and model.status == "ok"
    assert {dataset.name for dataset in model.inputs} == {
        "gato/half-cheetah/run-forward-v0",
        "gato/half-cheetah/run-backward-v0",
        "gato/half-cheetah/switch-v0",
        "gato/inverted-pendulum/balance-v0",
    }
    assert all(dataset.status == "ok" for dataset in model.inputs)
    experts = {expert for dataset in model.inputs for expert in names(dataset.inputs[0])}
    assert ("expert inverted-pendulum/balance", "ok") in experts
    assert lineage(folder).status == "ok"


def test_finished_stages_are_kept(pendulum: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = (pendulum / "model" / "model.safetensors").stat().st_mtime_ns
    (pendulum / "report.html").unlink()
    with caplog.at_level(logging.INFO, "gato"):
        demo(out=pendulum, size="miniature")
    assert [line.split(",")[0] for line in caplog.messages if "made before" in line] == [
        "datasets: kept",
        "training: kept",
        "evaluation: kept",
    ]
    assert (pendulum / "model" / "model.safetensors").stat().st_mtime_ns == before
    assert (pendulum / "report.html").is_file()


def test_one_configuration_gives_one_content(pendulum: Path, tmp_path: Path) -> None:
    """Made twice, in two places: equal hashes of datasets, model, results, and of the whole."""
    again = tmp_path / "again"
    demo(out=again, size="miniature")
    hashes = [read_json(folder / "logs" / "stages.json") for folder in (pendulum, again)]
    for stage in ("datasets", "training"):
        assert hashes[0][stage]["content_hash"] == hashes[1][stage]["content_hash"]
    results = [read_json(folder / "results.json") for folder in (pendulum, again)]
    for one in results:
        one.pop("model")
        for task in one["tasks"].values():
            task.pop("steps_per_second")
    assert results[0] == results[1]


def test_a_damaged_stage_is_made_again_and_those_after_it_are_kept(
    pendulum: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = content_hash(pendulum / "model")
    (pendulum / "model" / "model.safetensors").write_bytes(b"rotten")
    with caplog.at_level(logging.INFO, "gato"):
        demo(out=pendulum, size="miniature")
    assert "training: not as it was left; made again" in caplog.messages
    assert any(line.startswith("evaluation: kept") for line in caplog.messages)
    assert content_hash(pendulum / "model") == whole


def test_an_interrupted_demo_says_what_is_kept_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(SIZES, "miniature", PENDULUM)
    with monkeypatch.context() as patch:
        patch.setattr(demo_module, "evaluate_model", stop)
        with pytest.raises(KeyboardInterrupt, match="kept in .*demo: datasets, training; the same command goes on"):
            demo(out=tmp_path / "demo", size="miniature")
    with caplog.at_level(logging.INFO, "gato"):
        demo(out=tmp_path / "demo", size="miniature")
    assert [line.split(":")[0] for line in caplog.messages if "made before" in line] == ["datasets", "training"]


def test_a_demo_of_other_settings_is_refused_and_replaced_on_request(pendulum: Path) -> None:
    with pytest.raises(FileExistsError, match=r"datasets: other recordings\); pass --overwrite"):
        demo(out=pendulum, size="miniature", seed=1)
    assert (pendulum / "report.html").is_file()
    demo(out=pendulum, size="miniature", seed=1, overwrite=True)
    assert read_json(pendulum / "provenance.json")["seeds"] == {"seed": 1}


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    for overwrite in (False, True):
        with pytest.raises(FileExistsError):
            demo(out=tmp_path, size="miniature", overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_datasets_lie_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "miniature", PENDULUM)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "mine"))
    for overwrite in (False, True):
        demo(out=tmp_path / "demo", size="miniature", overwrite=overwrite)
    assert (tmp_path / "mine/gato/inverted-pendulum/balance-v0").is_dir()
    assert not (tmp_path / "demo" / "datasets").exists()


def test_from_scratch_trains_the_experts_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "miniature", PENDULUM)
    told = demo(out=tmp_path / "demo", size="miniature", from_scratch=True)
    assert list(told["stages"])[0] == "experts"
    expert = tmp_path / "demo/experts/inverted-pendulum/balance"
    assert read_json(expert / "provenance.json")["result"]["steps"] > 0
    found = names(lineage(tmp_path / "demo"))
    assert ("expert inverted-pendulum/balance", "ok") in found
    assert not [name for name, status in found if status in ("missing", "changed")]
    assert "MINARI_DATASETS_PATH" not in os.environ


def test_ancestors_that_did_not_stay_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shipped experts were trained in rounds, and name runs of their maker's workspace."""
    written = {"steps": 1, "seed": 0, "config": {"start_states": ["workspace/run-7"], "init_from": "workspace/run-6"}}
    monkeypatch.setattr(demo_module, "read_provenance", lambda folder: {"config": written})
    config = demo_module.expert_settings("hopper/hop-forward", ["hopper/hop-backward", "walker2d/run-forward"])[
        "config"
    ]
    assert config == {"start_states": ["hopper/hop-backward"], "init_from": ""}


def test_control_c_ends_the_command_with_130_and_a_word(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from gato.cli import main; main()",
        "demo",
        "--size",
        "miniature",
        "--out",
        "demo",
    ]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    for line in running.stderr:
        if "datasets: begun" in line:
            running.send_signal(signal.SIGINT)
            break
    told = running.stderr.read()
    assert running.wait(timeout=120) == 130
    assert "gato: interrupted: finished and kept in demo: no stage yet; the same command goes on there" in told
