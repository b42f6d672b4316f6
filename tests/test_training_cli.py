"""The words of `gato fit`: near matches, fixed seeds, short help, Lightning's environment variables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gato import cli
from gato.training.cli import GatoCLI, make_cli

Capture = pytest.CaptureFixture[str]


def parsed(config: Path, out: Path, *words: str) -> GatoCLI:
    return make_cli("fit", ["-c", str(config), "--out", str(out), *words])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--model.learning_rat 1", 'did you mean "--model.learning_rate"?'),
        ("--trainer.max_step 3", 'did you mean "--trainer.max_steps"?'),
        ("--model.network.siz nano", 'did you mean "--model.network.size"?'),
        ("--model.network.embedding fre", "allowed"),
        ("--evaluaton.every 3", 'did you mean "--evaluation.every"?'),
        ("--run.loggers [cvs]", "csv"),
    ],
)
def test_a_misspelt_flag_is_exit_code_2_with_a_near_match(
    words: str, told: str, toy_config: Path, tmp_path: Path, capsys: Capture
) -> None:
    """LightningCLI takes the beginning of a flag for the flag, and has no near match."""
    assert cli.run(["fit", "-c", str(toy_config), "--out", str(tmp_path / "run"), *words.split()]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("gato: error: fit: ") and told in lines[0]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("max_steps:", "max_step:", 'did you mean "trainer.max_steps"?'),
        ("window_steps:", "windows_step:", "window_steps"),
        ("hop-backward-v0}", "hop-backward-v0, wight: 2}", 'did you mean "weight"?'),
        ("run:", "runn:", 'did you mean "run'),
    ],
)
def test_a_misspelt_key_of_the_config_is_exit_code_2_with_a_near_match(
    before: str, after: str, told: str, toy_config: Path, tmp_path: Path, capsys: Capture
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(toy_config.read_text().replace(before, after))
    assert cli.run(["fit", "-c", str(config), "--out", str(tmp_path / "run")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and told in lines[0]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("hop-backward-v0", "hop-backwrd-v0", 'did you mean "gato/hopper/hop-backward-v0"?'),
        ("hop-backward-v0}", "hop-backward-v0, prompts: {langage: 1}}", 'did you mean "language"?'),
        ("size: nano", "size: nanno", 'did you mean "nano"?'),
    ],
)
def test_an_unknown_value_is_told_with_a_near_match(
    before: str, after: str, told: str, toy_config: Path, tmp_path: Path, capsys: Capture
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(toy_config.read_text().replace(before, after))
    assert cli.run(["fit", "-c", str(config), "--out", str(tmp_path / "run")]) == 1
    assert told in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--trainer.max_steps -1", "trainer.max_steps is -1; the data has no end, give a number"),
        ("--run.checkpoint_every 0", "run.checkpoint_every is 0; at least 1 is needed"),
    ],
)
def test_numbers_without_sense_are_refused(
    words: str, told: str, toy_config: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert cli.run(["fit", "-c", str(toy_config), "--out", str(tmp_path / "run"), *words.split()]) in (1, 2)
    assert told in capsys.readouterr().err


def test_seeds_are_fixed_and_one_flag_sets_both(toy_config: Path, tmp_path: Path) -> None:
    """LightningCLI draws one at random."""
    plain = parsed(toy_config, tmp_path / "run")
    assert (plain.config.seed_everything, plain.config.data.seed) == (0, 0)
    for words in (["--seed", "7"], ["--seed=7"]):
        seeded = parsed(toy_config, tmp_path / "run", *words)
        assert (seeded.config.seed_everything, seeded.config.data.seed) == (7, 7)


def test_lightnings_environment_variables_set_keys_and_the_config_beats_them(
    toy_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PL_MODEL__WEIGHT_DECAY", "0.125")
    monkeypatch.setenv("PL_TRAINER__MAX_STEPS", "99")
    found = parsed(toy_config, tmp_path / "run")
    assert found.config.model.weight_decay == 0.125
    assert found.trainer.max_steps == 12


def test_the_trainer_takes_what_the_config_gives_beside_our_own_callbacks(toy_config: Path, tmp_path: Path) -> None:
    words = ["--trainer.callbacks+=lightning.pytorch.callbacks.EarlyStopping", "--trainer.callbacks.monitor=val/loss"]
    found = parsed(toy_config, tmp_path / "run", *words)
    names = [type(callback).__name__ for callback in found.trainer.callbacks]  # type: ignore[attr-defined]
    assert {"EarlyStopping", "Figures", "RolloutEvaluation", "RunIdentity", "KeepConfig"} <= set(names)
    assert names[-1] == "Checkpoints"


@pytest.mark.parametrize("verb", ["fit", "validate", "test"])
def test_help_is_one_screen_and_names_real_keys(verb: str, capsys: Capture) -> None:
    """Lightning's own is more than 500 lines."""
    assert cli.run([verb, "--help"]) == 0
    short = capsys.readouterr().out
    assert len(short.splitlines()) <= 30
    with pytest.raises(SystemExit) as stop:
        cli.run([verb, "--help-all"])
    assert stop.value.code == 0
    whole = capsys.readouterr().out
    assert len(whole.splitlines()) > 200
    keys = [word for word in re.split(r"[\s,)]+", short) if word.startswith("--") and "." in word]
    assert len(keys) >= 8
    for key in keys:
        assert f"{key} " in whole or f"{key}." in whole, key


def test_print_config_is_yaml_on_standard_output(toy_config: Path, tmp_path: Path, capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        cli.run(["fit", "-c", str(toy_config), "--print_config"])
    assert "learning_rate: 0.001" in capsys.readouterr().out
