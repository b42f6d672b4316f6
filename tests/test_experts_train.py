"""Whole runs, small: equal when seeded, exact when resumed, and errors that say what to do."""

import csv
import dataclasses
import json
import os
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors import safe_open

from gato import cli
from gato.experts import train
from gato.experts.logs import WandbWriter
from gato.experts.policy import Policy
from gato.experts.ppo import PPOConfig
from gato.experts.settings import command_line
from gato.experts.train import train_expert
from gato.runs import content_hash, read_provenance

SKILL = "inverted-pendulum/balance"
TINY = PPOConfig(hidden=(16,), num_envs=4, rollout_steps=32, minibatch_size=64, epochs=2)


@pytest.fixture(autouse=True)
def few_evaluations(monkeypatch):
    monkeypatch.setattr(train, "NUM_EVALUATIONS", 2)
    monkeypatch.setattr(train, "EVALUATION_EPISODES", 2)


def test_two_seeded_runs_are_equal_and_another_seed_is_not(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train_expert(SKILL, steps=2000, seed=seed, out=tmp_path / name, config=TINY)
    hashes = [content_hash(tmp_path / name / "last") for name in "abc"]
    assert hashes[0] == hashes[1] != hashes[2]
    assert content_hash(tmp_path / "a" / "best") == content_hash(tmp_path / "b" / "best")


RESUMABLE = f"""
import sys
from gato.experts import train
from gato.experts.ppo import PPOConfig
train.CHECKPOINT_SECONDS, train.NUM_EVALUATIONS, train.EVALUATION_EPISODES = 0.0, 4, 2
config = {TINY!r}
train.train_expert({SKILL!r}, steps=20_000, seed=3, out=sys.argv[1], config=config, resume=sys.argv[2] == "resume")
"""


def test_a_killed_run_goes_on_to_the_result_of_an_undisturbed_one(tmp_path):
    (tmp_path / "run.py").write_text(RESUMABLE)
    begin = [sys.executable, str(tmp_path / "run.py")]
    undisturbed = subprocess.Popen([*begin, str(tmp_path / "whole"), "new"])
    assert undisturbed.wait() == 0
    killed = subprocess.Popen([*begin, str(tmp_path / "killed"), "new"])
    progress = tmp_path / "killed" / "logs" / "progress.csv"
    while killed.poll() is None and not (progress.is_file() and len(progress.read_text().splitlines()) > 20):
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert subprocess.run([*begin, str(tmp_path / "killed"), "resume"], check=False).returncode == 0
    for part in ("best", "last"):
        assert content_hash(tmp_path / "killed" / part) == content_hash(tmp_path / "whole" / part)
    rows = [list(csv.DictReader((tmp_path / n / "logs" / "progress.csv").open())) for n in ("killed", "whole")]
    for killed_row, whole_row in zip(*rows, strict=True):
        assert {**killed_row, "seconds": ""} == {**whole_row, "seconds": ""}


def test_ctrl_c_keeps_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0.0)
    advance, calls = train._Run.advance, []

    def interrupted(run, pool):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return advance(run, pool)

    monkeypatch.setattr(train._Run, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_expert(SKILL, steps=2000, seed=0, out=tmp_path / "a", config=TINY)
    assert isinstance(Policy.load(tmp_path / "a" / "last"), Policy)
    train_expert(SKILL, steps=2000, seed=0, out=tmp_path / "a", config=TINY, resume=True)
    train_expert(SKILL, steps=2000, seed=0, out=tmp_path / "b", config=TINY)
    assert content_hash(tmp_path / "a" / "last") == content_hash(tmp_path / "b" / "last")


def test_the_policy_of_every_evaluation_is_kept_and_is_no_content_of_the_run(tmp_path):
    run = train_expert(SKILL, steps=2000, seed=0, out=tmp_path / "a", config=TINY)
    kept = sorted(folder.name for folder in (run / "history").iterdir())
    rows = list(csv.DictReader((run / "logs" / "progress.csv").open()))
    assert kept == [f"{int(row['step']):08}" for row in rows if row["evaluation"]]
    assert len({content_hash(run / "history" / name) for name in kept}) == len(kept) > 1
    assert content_hash(run / "history" / kept[-1]) == content_hash(run / "last")
    before = content_hash(run)
    shutil.rmtree(run / "history")
    assert content_hash(run) == before


def test_init_from_begins_with_the_weights_of_the_other_expert(tmp_path):
    first = train_expert(SKILL, steps=1000, seed=0, out=tmp_path / "a", config=TINY)
    config = PPOConfig(hidden=(16,), num_envs=4, rollout_steps=32, minibatch_size=64, init_from=str(first / "last"))
    second = train_expert(SKILL, steps=1000, seed=1, out=tmp_path / "b", config=config)
    old, new = Policy.load(first / "last"), Policy.load(second / "last")
    assert all(np.array_equal(x[0], y[0]) for x, y in zip(old.layers, new.layers, strict=True))
    inputs = read_provenance(second)["inputs"]
    assert [entry["hash"] for entry in inputs.values()] == [content_hash(first / "last")]


def test_start_states_of_another_body_are_refused(tmp_path):
    first = train_expert(SKILL, steps=500, seed=0, out=tmp_path / "a", config=TINY)
    with pytest.raises(ValueError, match=r"inverted-pendulum.*hopper"):
        train_expert(
            "hopper/hop-forward", steps=500, seed=0, out=tmp_path / "b", config=PPOConfig(start_states=(str(first),))
        )


def test_resume_with_other_settings_names_them(tmp_path):
    train_expert(SKILL, steps=500, seed=0, out=tmp_path / "a", config=TINY)
    with pytest.raises(ValueError, match="seed was 0, now 1"):
        train_expert(SKILL, steps=500, seed=1, out=tmp_path / "a", config=TINY, resume=True)


def test_damaged_checkpoint_is_named(tmp_path):
    train_expert(SKILL, steps=500, seed=0, out=tmp_path / "a", config=TINY)
    state = tmp_path / "a" / "checkpoints" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(ValueError, match="is damaged"):
        train_expert(SKILL, steps=500, seed=0, out=tmp_path / "a", config=TINY, resume=True)


def test_unknown_skill_and_senseless_steps_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r'did you mean "hopper/hop-forward"'):
        train_expert("hopper/hop-forwards", steps=1000, seed=0, out=tmp_path / "a")
    with pytest.raises(ValueError, match="steps=0"):
        train_expert(SKILL, steps=0, seed=0, out=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_tensorboard_is_written_when_asked(tmp_path):
    pytest.importorskip("tensorboard")
    train_expert(SKILL, steps=500, seed=0, out=tmp_path / "a", config=TINY, logger="tensorboard")
    assert list((tmp_path / "a" / "logs").glob("events.out.tfevents.*"))


def test_wandb_asks_nobody_who_is_not_logged_in(tmp_path, monkeypatch):
    """`gato fit` went offline, `gato expert train` stood still and asked for a key; and its runs had no project."""
    asked = []
    run = SimpleNamespace(log=lambda *_, **__: None, finish=lambda: None)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=lambda **given: asked.append(given) or run))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    WandbWriter(tmp_path, {})
    monkeypatch.setenv("WANDB_API_KEY", "key")
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    WandbWriter(tmp_path, {})
    assert [(one["mode"], one["project"]) for one in asked] == [("offline", "gato"), (None, "mine")]


def test_wandb_is_written_when_asked_and_resumes_under_its_id(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    train_expert(SKILL, steps=500, seed=0, out=tmp_path / "a", config=TINY, logger="wandb")
    assert (tmp_path / "a" / "logs" / "wandb_id").read_text()
    assert list((tmp_path / "a" / "logs" / "wandb").glob("offline-run-*"))


def test_command_line_names_what_differs_from_the_defaults():
    config = PPOConfig(discount=0.98, start_states=("hopper/hop-backward",))
    words = command_line("hopper/hop-forward", steps=10, seed=2, out="x", config=config)
    assert words.startswith("gato expert train hopper/hop-forward --steps 10 --seed 2")
    assert "discount 0.98" in words and "hop-backward" in words and words.endswith("--out x")
    assert "epochs" not in words


def test_help_with_the_weight_reaches_from_all_to_nothing_and_falls(tmp_path, monkeypatch):
    shares = []
    monkeypatch.setattr("gato.skills.batch_stepper.BatchStepper.lift", lambda stepper, share: shares.append(share))
    config = dataclasses.replace(TINY, lift=0.5)
    train_expert("hopper/hop-forward", steps=300, seed=0, out=tmp_path / "a", config=config)
    assert shares[0][0] == 0 and shares[0][-1] == 0.5
    most = [share[-1] for share in shares]
    assert most == sorted(most, reverse=True) and 0 < most[-1] < most[0]


def test_the_command_line_in_a_provenance_can_be_typed(monkeypatch):
    """Bug: it said `--symmetric True`, which the command refuses."""
    config = PPOConfig(hidden=(32, 16), symmetric=True, reward_limit=4.5, start_states=("hopper/hop-backward",))
    words = command_line("swimmer/swim-forward", steps=10, seed=2, out="my runs/x", config=config)
    given = {}
    monkeypatch.setattr("gato.experts.train.train_expert", lambda skill, **settings: given.update(settings))
    assert cli.run(shlex.split(words)[1:]) == 0
    assert given["config"] == config and given["out"] == "my runs/x"


@pytest.mark.parametrize(
    ("config", "hint"),
    [
        (PPOConfig(init_from="reacher/reach"), "is one of reacher"),
        (PPOConfig(symmetric=True), "is not alike on both sides"),
        (PPOConfig(lift=0.1), "cannot get up; these can: half-cheetah"),
        (PPOConfig(init_from=SKILL, hidden=(8,)), "pass the same hidden widths"),
    ],
)
def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path, config, hint):
    """Bug: the corrected command found a folder that was not empty, and --resume another run."""
    with pytest.raises(ValueError, match=hint):
        train_expert(SKILL, steps=500, seed=0, out=tmp_path / "a", config=config)
    assert not (tmp_path / "a").exists()


def test_a_run_that_cannot_go_on_loses_nothing(tmp_path):
    """Bug: --resume in a folder of Gato's without run.json (a model, say) removed it when the run could not begin."""
    train_expert(SKILL, steps=300, seed=0, out=tmp_path / "a", config=TINY)
    (tmp_path / "a" / "run.json").unlink()
    with pytest.raises(ValueError, match="is not alike on both sides"):
        train_expert(SKILL, steps=300, seed=0, out=tmp_path / "a", config=PPOConfig(symmetric=True), resume=True)
    assert (tmp_path / "a" / "best" / "policy.json").is_file()


def test_a_run_that_began_from_an_expert_is_resumed_without_it(tmp_path):
    parent = train_expert(SKILL, steps=300, seed=0, out=tmp_path / "parent", config=TINY)
    config = dataclasses.replace(TINY, init_from=str(parent / "last"))
    train_expert(SKILL, steps=600, seed=0, out=tmp_path / "a", config=config)
    kept = {file: (tmp_path / "a" / file).read_bytes() for file in ("provenance.json", "run.json")}
    shutil.rmtree(parent)
    train_expert(SKILL, steps=600, seed=0, out=tmp_path / "a", config=config, resume=True)
    assert kept == {file: (tmp_path / "a" / file).read_bytes() for file in kept}
    rows = list(csv.DictReader((tmp_path / "a" / "logs" / "progress.csv").open()))
    # Bug: the time of the training was counted twice.
    assert json.loads(kept["provenance.json"])["result"]["seconds"] == pytest.approx(
        float(rows[-1]["seconds"]), abs=0.1
    )
    assert json.loads(kept["run.json"])["command"].startswith(f"gato expert train {SKILL} --steps 600")


def test_what_changed_since_a_run_began_is_told_by_name(tmp_path):
    train_expert(SKILL, steps=300, seed=0, out=tmp_path / "a", config=TINY)
    before = json.loads((tmp_path / "a" / "run.json").read_text())
    del before["config"]["lift"]  # a setting newer than the run
    (tmp_path / "a" / "run.json").write_text(json.dumps(before))
    train_expert(SKILL, steps=300, seed=0, out=tmp_path / "a", config=TINY, resume=True)
    with pytest.raises(ValueError, match=r"is another run \(discount was 0.99, now 0.9\);"):
        changed = dataclasses.replace(TINY, discount=0.9)
        train_expert(SKILL, steps=300, seed=0, out=tmp_path / "a", config=changed, resume=True)


def test_a_run_kept_for_another_day_goes_on(tmp_path, monkeypatch):
    """scripts/keep_run.py leaves out the rollout that waits: a new one is collected."""
    monkeypatch.chdir(tmp_path)
    keep_run = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "keep_run.py"))
    train_expert(SKILL, steps=2000, seed=0, out="run", config=TINY)
    kept = keep_run["keep"](Path("run"))
    assert kept == Path("runs-state/run")
    with safe_open(kept / "checkpoints" / "state.safetensors", "numpy") as state:
        assert not any("pending" in name for name in state.keys())  # noqa: SIM118 (not a dict)
    settings = json.loads((kept / "run.json").read_text())
    (kept / "run.json").write_text(json.dumps(settings | {"steps": 4000}))
    train_expert(SKILL, steps=4000, seed=0, out=kept, config=TINY, resume=True)
    rows = list(csv.DictReader((kept / "logs" / "progress.csv").open()))
    assert [int(row["step"]) for row in rows] == [128 * n for n in range(1, 33)]


def test_a_kept_run_goes_on(tmp_path):
    """Bug: snapshots and logs had grown and lost parts since, and the runs under runs-state/ could not be resumed."""
    for kept in sorted((Path(__file__).parents[1] / "runs-state").glob("*/run.json")):
        shutil.copytree(kept.parent, tmp_path / kept.parent.name)
        facts = json.loads(kept.read_text())
        config = {key: tuple(value) if isinstance(value, list) else value for key, value in facts["config"].items()}
        run = train._Run(
            facts["skill"],
            steps=facts["steps"],
            seed=facts["seed"],
            config=PPOConfig(**config),
            folder=tmp_path / kept.parent.name,
        )
        run.load()
        assert run.steps_done > 0
        train.open_writers(run.folder / "logs", "csv", facts, first_step=run.steps_done)[0].close()
