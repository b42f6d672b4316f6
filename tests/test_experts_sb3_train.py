"""Experts trained by Stable-Baselines3: the same command, folder and format; what they do not take is refused."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from gato import cli
from gato.api import expert_eval
from gato.experts import sb3_train
from gato.experts.algorithms import ALGORITHMS, train_by
from gato.experts.policy import Policy
from gato.experts.ppo import PPOConfig
from gato.experts.shipped import find_expert
from gato.experts.train import train_expert
from gato.runs import content_hash, read_json, read_provenance

SKILL = "inverted-pendulum/balance"


@pytest.fixture
def few_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("stable_baselines3")
    monkeypatch.setattr(sb3_train, "NUM_EVALUATIONS", 2)
    monkeypatch.setattr(sb3_train, "EVALUATION_EPISODES", 2)


@pytest.mark.parametrize("algorithm", [one for one in ALGORITHMS if one != "ppo"])
def test_every_algorithm_leaves_the_folder_that_ppo_leaves(
    algorithm: str, tmp_path: Path, few_evaluations: None
) -> None:
    folder = train_by(algorithm, SKILL, steps=80, seed=0, out=tmp_path / "my run")
    rows = list(csv.DictReader((folder / "logs" / "progress.csv").open()))
    assert [int(row["step"]) for row in rows] == [40, 80]
    assert all(row["evaluation"] for row in rows) and rows[-1]["policy_loss"] and rows[-1]["value_loss"]
    record, policy = read_provenance(folder), Policy.load(find_expert(folder))
    assert (
        record["command"] == f"gato expert train {SKILL} --algorithm {algorithm} --steps 80 --seed 0 --out '{folder}'"
    )
    assert record["config"] == read_json(folder / "run.json")
    assert record["result"]["score"]["mean"] == max(float(row["evaluation"]) for row in rows)
    assert (policy.skill, policy.is_squashed) == (SKILL, algorithm != "a2c")
    assert expert_eval(SKILL, episodes=1, expert=str(folder))["tasks"][SKILL]["length"] >= 1
    assert not list(folder.rglob("*.zip")) and not list(folder.rglob("*.pkl"))


def test_two_seeded_runs_are_equal_and_another_seed_is_not(tmp_path: Path, few_evaluations: None) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train_by("a2c", SKILL, steps=80, seed=seed, out=tmp_path / name)
    hashes = [content_hash(tmp_path / name / "last") for name in "abc"]
    assert hashes[0] == hashes[1] != hashes[2]


def test_ctrl_c_says_what_is_kept(tmp_path: Path, few_evaluations: None, monkeypatch: pytest.MonkeyPatch) -> None:
    measure, calls = sb3_train._Run.measure, []

    def interrupted(run: sb3_train._Run) -> float:
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return measure(run)

    monkeypatch.setattr(sb3_train._Run, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt, match="best/ and last/ are kept in .*run; --overwrite begins again"):
        train_by("a2c", SKILL, steps=80, seed=0, out=tmp_path / "run")
    assert isinstance(Policy.load(tmp_path / "run" / "last"), Policy)


def test_ppo_does_not_go_on_from_another_kind_of_network(tmp_path: Path, few_evaluations: None) -> None:
    folder = train_by("sac", SKILL, steps=20, seed=0, out=tmp_path / "run")
    config = PPOConfig(hidden=(256, 256), init_from=str(folder))
    with pytest.raises(ValueError, match="is no plain tanh network"):
        train_expert(SKILL, steps=1000, seed=0, out=tmp_path / "b", config=config)


def test_settings_of_ppo_are_refused_also_where_they_are_its_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--hidden 64 64` is what PPO has anyway, and would have trained SAC's 256-256 without a word."""
    line = ["expert", "train", SKILL, "--algorithm", "sac", "--out", str(tmp_path / "run")]
    for flags, named in (("--epochs 3 --min_ibatch_size 9", ""), ("--epochs 3 --discount 0.9", "--epochs, --discount")):
        code = cli.run([*line, *flags.split()])
        told = capsys.readouterr().err
        assert (code, named in told) == (cli.FAILED if named else cli.MISUSED, True)
    assert cli.run([*line, "--hidden", "64", "64"]) == cli.FAILED
    assert "settings of ppo (its defaults, spelt out) mean nothing to sac; leave them out" in capsys.readouterr().err
    assert cli.run([*line, "--resume"]) == cli.FAILED
    assert "--resume is for ppo: sac keeps its state as pickles" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(ValueError, match=r'pip install "gato-agent\[sb3\]"'):
        train_by("sac", SKILL, steps=1000, seed=0, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unknown_algorithms_and_senseless_steps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='algorithm "td4"; did you mean "td3"'):
        train_by("td4", SKILL, steps=1000, seed=0, out=tmp_path / "run")
    with pytest.raises(ValueError, match="steps=0"):
        train_by("sac", SKILL, steps=0, seed=0, out=tmp_path / "run")
