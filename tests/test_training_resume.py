"""An interrupted and resumed run is the undisturbed run: same losses to the bit, same model, no row lost or doubled."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from toys import losses_of, record_toys, rows_of, run_fit

from gato import cli
from gato.lineage import lineage
from gato.runs import content_hash
from gato.training.checkpoints import Checkpoints

Capture = pytest.CaptureFixture[str]
DIES_AT_SIX = """
import os, signal, sys
from gato import cli
from gato.training.checkpoints import Checkpoints
saves = Checkpoints.on_train_batch_end
def dies(self, trainer, *rest):
    if trainer.global_step == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    saves(self, trainer, *rest)
Checkpoints.on_train_batch_end = dies
cli.run(sys.argv[1:])
"""
MIB = 1 << 20


@pytest.fixture(scope="session")
def undisturbed(recorded_toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run of 12 updates; not to be changed."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(recorded_toys / "minari"))
        patch.setenv("GATO_CACHE", str(recorded_toys / "cache"))
        assert run_fit(out, config=recorded_toys / "toy.yaml") == 0
    return out


@pytest.fixture
def copied(undisturbed: Path, toy_config: Path, tmp_path: Path) -> Path:
    """A copy of the whole run, to be changed."""
    return shutil.copytree(undisturbed, tmp_path / "run")


@pytest.fixture
def half_done(copied: Path) -> Path:
    """The run as it was left when killed after update 9: checkpoints of 4 and 8, rows to 9, no model."""
    (copied / "checkpoints" / "step=12.ckpt").unlink()
    shutil.rmtree(copied / "model")
    return copied


def assert_same(run: Path, other: Path) -> None:
    assert rows_of(run) == rows_of(other)
    assert content_hash(run / "model") == content_hash(other / "model")


def test_a_run_leaves_config_figures_two_checkpoints_and_a_model(undisturbed: Path) -> None:
    assert sorted(path.name for path in undisturbed.iterdir() if not path.name.startswith(".")) == [
        "checkpoints",
        "config.yaml",
        "logs",
        "model",
    ]
    assert sorted(path.name for path in (undisturbed / "checkpoints").iterdir()) == ["step=12.ckpt", "step=8.ckpt"]
    assert [row["step"] for row in rows_of(undisturbed)] == [*map(str, [1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10, 11, 12, 12])]
    provenance = json.loads((undisturbed / "model" / "provenance.json").read_text())
    assert provenance["seeds"] == {"weights": 0, "data": 0}
    assert sorted(provenance["inputs"]) == ["gato/hopper/hop-backward-v0", "gato/hopper/hop-forward-v0"]


def test_the_same_run_again_gives_the_same_losses_and_content(
    undisturbed: Path, toy_config: Path, tmp_path: Path
) -> None:
    assert run_fit(tmp_path / "again", "--run.checkpoint_every", "5", config=toy_config) == 0
    assert_same(tmp_path / "again", undisturbed)


def test_another_seed_gives_other_losses(undisturbed: Path, toy_config: Path, tmp_path: Path) -> None:
    assert run_fit(tmp_path / "other", "--seed", "5", "--trainer.max_steps", "1", config=toy_config) == 0
    assert losses_of(tmp_path / "other")[0] != losses_of(undisturbed)[0]


@pytest.mark.parametrize("update", [5, 6], ids=["between checkpoints", "where validation is due"])
def test_ctrl_c_ends_the_update_keeps_it_and_resume_gives_the_undisturbed_run(
    update: int,
    undisturbed: Path,
    toy_config: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends_batch = Checkpoints.on_train_batch_end

    def interrupted(self: Checkpoints, trainer, *rest) -> None:  # type: ignore[no-untyped-def]
        if trainer.global_step == update:
            signal.raise_signal(signal.SIGINT)
        ends_batch(self, trainer, *rest)

    out = tmp_path / "run"
    monkeypatch.setattr(Checkpoints, "on_train_batch_end", interrupted)
    assert run_fit(out, config=toy_config) == 130
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == f"gato: interrupted: {out}/checkpoints/step={update}.ckpt is kept; --resume goes on with it"
    assert not (out / "model").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.setattr(Checkpoints, "on_train_batch_end", ends_batch)
    assert run_fit(out, "--resume") == 0
    assert_same(out, undisturbed)


def test_a_second_ctrl_c_stops_at_once(
    toy_config: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Checkpoints, *rest) -> None:  # type: ignore[no-untyped-def]
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Checkpoints, "on_train_batch_end", interrupted)
    assert run_fit(tmp_path / "run", config=toy_config) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "gato: interrupted: there is no checkpoint yet"


def test_a_run_killed_between_checkpoints_resumes_to_the_undisturbed_run(
    undisturbed: Path, toy_config: Path, tmp_path: Path
) -> None:
    """Killed after the row of update 6: update 5 and 6 happen again, and stand in metrics.csv once.

    Its log is held to account here too: every line is JSON, so no library has spoken beside it.
    """
    out = tmp_path / "run"
    killed = subprocess.run(
        [sys.executable, "-c", DIES_AT_SIX, "fit", "-c", str(toy_config), "--out", str(out)],
        capture_output=True,
        text=True,
        env={**os.environ, "GATO_LOG": "json"},
    )
    assert killed.returncode == -signal.SIGKILL
    assert killed.stdout == ""
    lines = [json.loads(line) for line in killed.stderr.splitlines()]
    assert [line["done"] for line in lines if "done" in line] == [2, 4, 6]
    assert {"time", "level", "message", "total", "rate", "loss"} <= set(lines[-1])
    assert [row["step"] for row in rows_of(out)] == ["1", "2", "3", "4", "5", "6"]
    assert run_fit(out, "--resume") == 0
    assert_same(out, undisturbed)


def test_a_damaged_checkpoint_is_passed_over(half_done: Path, undisturbed: Path, capsys: Capture) -> None:
    newest = half_done / "checkpoints" / "step=11.ckpt"
    newest.write_bytes((half_done / "checkpoints" / "step=8.ckpt").read_bytes()[:MIB])
    assert run_fit(half_done, "--resume") == 0
    assert f"{newest} is cut off; the one before it is used" in capsys.readouterr().err
    assert_same(half_done, undisturbed)


def test_a_finished_run_is_left_alone_by_resume(copied: Path, undisturbed: Path, capsys: Capture) -> None:
    assert run_fit(copied, "--resume") == 0
    assert "all 12 updates are done already" in capsys.readouterr().err
    assert_same(copied, undisturbed)


def test_a_finished_run_whose_model_was_lost_gives_it_again(copied: Path, undisturbed: Path) -> None:
    shutil.rmtree(copied / "model")
    assert run_fit(copied, "--resume") == 0
    assert_same(copied, undisturbed)


def test_a_finished_run_goes_on_when_more_updates_are_asked_for(copied: Path, capsys: Capture) -> None:
    assert run_fit(copied, "--resume", "--trainer.max_steps", "14") == 0
    assert f"trainer.max_steps: 14 beats 12 of {copied}/config.yaml" in capsys.readouterr().err
    assert [row["step"] for row in rows_of(copied)][-3:] == ["12", "13", "14"]


def test_flags_beat_the_config_and_the_config_beats_the_checkpoint(
    half_done: Path, toy_config: Path, capsys: Capture
) -> None:
    """Lightning brings learning rate and decay back from the checkpoint, whatever was asked for."""
    flags = ["--model.learning_rate", "0.002", "--model.final_share", "1", "--trainer.max_steps", "9"]
    assert run_fit(half_done, "--resume", *flags, config=toy_config) == 0
    told = capsys.readouterr().err
    assert f"trainer.max_steps: 9 beats 12 of {toy_config}" in told
    assert f"model.learning_rate: 0.002 beats 0.001 of {half_done}/config.yaml" in told
    assert float(rows_of(half_done)[-1]["learning_rate"]) == 0.002


def test_changed_datasets_are_refused_on_resume(
    half_done: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other statistics would give every number another token."""
    (tmp_path / "minari").mkdir()
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setenv("GATO_CACHE", str(tmp_path / "cache"))
    record_toys(seed=2)
    before = (half_done / "config.yaml").read_bytes()
    assert run_fit(half_done, "--resume", "--data.batch_size", "9") == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert "changed since the checkpoint: bodies hopper, datasets gato/hopper/hop-backward-v0, datasets" in told
    assert (half_done / "config.yaml").read_bytes() == before


def test_another_network_is_refused_on_resume(half_done: Path, capsys: Capture) -> None:
    assert run_fit(half_done, "--resume", "--model.network.mixtures", "2") == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("gato: error: changed since the checkpoint: network mixtures; restore")


def test_an_existing_folder_is_refused_and_overwrite_begins_anew(
    half_done: Path, toy_config: Path, capsys: Capture
) -> None:
    assert run_fit(half_done, config=toy_config) == 1
    assert "is not empty; pass --resume to go on with it, --overwrite" in capsys.readouterr().err
    assert run_fit(half_done, "--overwrite", "--trainer.max_steps", "1", config=toy_config) == 0
    assert [row["step"] for row in rows_of(half_done)] == ["1"]


@pytest.mark.parametrize("verb", ["fit --resume", "validate", "test"])
def test_nothing_to_go_on_from_is_an_error(verb: str, toy_config: Path, tmp_path: Path, capsys: Capture) -> None:
    """Lightning's `ckpt_path=last` begins from scratch and exits with 0."""
    assert cli.run([*verb.split(), "-c", str(toy_config), "--out", str(tmp_path / "none")]) == 1
    assert "nothing to resume there" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".gato-run").touch()
    assert cli.run([*verb.split(), "-c", str(toy_config), "--out", str(tmp_path / "empty")]) == 1
    assert "holds no checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lost", "named"), [("step=12.ckpt", "checkpoints/step=12.ckpt"), ("", "model/model.safetensors")]
)
def test_a_full_disk_is_one_clear_line_and_what_was_kept_goes_on(
    lost: str, named: str, copied: Path, undisturbed: Path, capsys: Capture
) -> None:
    """Stands in for a full disk: no file may grow beyond 1 MiB."""
    shutil.rmtree(copied / "model")
    if lost:
        (copied / "checkpoints" / lost).unlink()
    before = {path.name: path.read_bytes() for path in (copied / "checkpoints").iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, limits[1]))
    try:
        code = run_fit(copied, "--resume")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"gato: error: File too large: {copied / named}"
    assert {path.name: path.read_bytes() for path in (copied / "checkpoints").iterdir()} == before
    assert run_fit(copied, "--resume") == 0
    assert_same(copied, undisturbed)


@pytest.mark.parametrize(("verb", "named"), [("validate", "val"), ("test", "test")])
def test_validate_and_test_report_the_newest_checkpoint(
    verb: str, named: str, undisturbed: Path, toy_config: Path, capsys: Capture
) -> None:
    kept = content_hash(undisturbed), rows_of(undisturbed)
    assert cli.run([verb, "--out", str(undisturbed), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["checkpoint"] == str(undisturbed / "checkpoints" / "step=12.ckpt")
    assert told["updates"] == 12
    assert told["loss"] == told["body"]["hopper"] == losses_of(undisturbed, "val/loss")[-1]
    assert list(told["modality"]) == ["continuous"]
    assert (content_hash(undisturbed), rows_of(undisturbed)) == kept


def test_a_run_from_a_model_begins_with_its_weights_and_tokens(
    undisturbed: Path, toy_config: Path, tmp_path: Path
) -> None:
    parent, out = undisturbed / "model", tmp_path / "run"
    flags = (f"--model.init_from={parent}", "--model.learning_rate=0", "--trainer.max_steps=2")
    assert run_fit(out, *flags, config=toy_config) == 0
    for name in ("model.safetensors", "codec.json"):
        assert (out / "model" / name).read_bytes() == (parent / name).read_bytes()
    assert content_hash(parent) in {one.content_hash for one in lineage(out / "model").inputs}


def test_a_model_of_another_network_is_refused(
    undisturbed: Path, toy_config: Path, tmp_path: Path, capsys: Capture
) -> None:
    flags = (f"--model.init_from={undisturbed / 'model'}", "--model.network.mixtures=2")
    assert run_fit(tmp_path / "run", *flags, config=toy_config) == 1
    assert "mixtures is 1 there, 2 here" in capsys.readouterr().err
