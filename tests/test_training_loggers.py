"""CSV, TensorBoard and W&B each get the figures, and go on where a run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from toys import losses_of, run_fit

from gato.experts.logs import is_logged_in_to_wandb
from gato.training.checkpoints import RunIdentity
from gato.training.loggers import MetricsFile


def test_a_new_figure_widens_the_table_of_rows(tmp_path: Path) -> None:
    table = MetricsFile(tmp_path / "logs" / "metrics.csv", done=0)
    table.log_metrics({"loss": 0.5}, step=1)
    table.log_metrics({"loss": 0.25}, step=2)
    table.log_metrics({"score": 1.0}, step=2)
    assert table.path.read_text() == "step,loss,score\n1,0.5,\n2,0.25,\n2,,1.0\n"


def test_rows_after_the_checkpoint_and_a_line_cut_off_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss,score\n1,0.5,\n2,0.25,\n2,,1.0\n3,0.125,\n4,0.06")
    table = MetricsFile(path, done=2)
    assert path.read_text() == "step,loss,score\n1,0.5,\n2,0.25,\n2,,1.0\n"
    table.log_metrics({"loss": 0.75}, step=3)
    assert path.read_text().endswith("2,,1.0\n3,0.75,\n")


def test_nothing_is_kept_of_a_run_that_had_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss\n1,0.5\n")
    MetricsFile(path, done=0).log_metrics({"loss": 0.5}, step=1)
    assert path.read_text() == "step,loss\n1,0.5\n"


def test_tensorboard_and_wandb_get_the_same_figures_and_a_resumed_run_keeps_its_wandb_id(
    toy_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W&B ignores `resume` when offline, so the id is kept in the checkpoint."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    out = tmp_path / "run"
    words = ["--run.loggers", "[csv,tensorboard,wandb]", "--trainer.val_check_interval", "4"]
    assert run_fit(out, *words, "--trainer.max_steps", "4", config=toy_config) == 0
    wandb_id = RunIdentity.stored(out / "checkpoints" / "step=4.ckpt")
    assert len(wandb_id) == 8
    assert run_fit(out, *words, "--trainer.max_steps", "6", "--resume") == 0
    assert RunIdentity.stored(out / "checkpoints" / "step=6.ckpt") == wandb_id
    runs = [path.name for path in (out / "wandb").glob("offline-run-*")]
    assert len(runs) == 2 and all(wandb_id in name for name in runs)
    events = EventAccumulator(str(out / "logs" / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3, 4, 5, 6]
    assert [event.value for event in events.Scalars("train/loss")] == pytest.approx(losses_of(out))
    assert [event.value for event in events.Scalars("val/loss")] == pytest.approx(losses_of(out, "val/loss"))


def test_wandb_is_offline_unless_someone_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    assert not is_logged_in_to_wandb()
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password word\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert is_logged_in_to_wandb()
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert not is_logged_in_to_wandb()
