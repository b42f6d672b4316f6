"""The `gato` command: words in, results on standard output, one-line errors with near matches, exit codes."""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gato import api, cli
from gato.runs import content_hash, open_run, write_provenance

HELP_SECONDS = 0.5
"""`gato --help` answers within this: the design, section 1."""
GATO = [sys.executable, "-c", "from gato.cli import main; main()"]

Capture = pytest.CaptureFixture[str]


def gato(line: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*GATO, *line.split()], capture_output=True, text=True, timeout=120, **settings)


def told(line: str, capsys: Capture) -> tuple[int, str]:
    """Exit code and the only line on standard error of a command that fails in this process."""
    code = cli.run(line.split())
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1, shown.err
    return code, shown.err


def test_the_overview_answers_at_once() -> None:
    """Processor time, which a busy machine does not stretch."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = gato("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert "expert train" in done.stdout and done.stderr == ""
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < HELP_SECONDS


@pytest.mark.parametrize("name", [name for name in cli.COMMANDS if name not in cli.LIGHTNING])
def test_every_command_has_help_with_an_example(name: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.run([*name.split(), "--help"])
    shown = capsys.readouterr().out
    assert stop.value.code == 0
    assert shown.startswith(f"usage: gato {name} ")
    assert f"example:\n    gato {name}" in shown


@pytest.mark.parametrize("name", cli.LIGHTNING)
def test_lightning_commands_have_help_with_an_example(name: str, capsys: Capture) -> None:
    assert cli.run([name, "--help"]) == 0
    assert f"example: gato {name} -" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("skils", 'did you mean "skills"?'),
        ("expert trian", 'did you mean "train"?'),
        ("expert", "allowed: eval, train"),
        ("record hopper/hop-forward --nosie 0.1", 'did you mean "--noise"?'),
        ("expert train hopper/hop-forward --out x --learnin-rate 1", 'did you mean "--learning-rate"?'),
        ("expert train hopper/hop-forward", "required: out"),
        ("expert eval hopper/hop-forward --episodes many", "episodes: got many; allowed: int"),
        ("expert train hopper/hop-forward --out x --logger wan", "allowed: ['csv', 'tensorboard', 'wandb']"),
        ("data show", "dataset"),
        ("skills --config nowhere.yaml", "File does not exist"),
        ("fit --modl.learning_rate 1", "no flag --modl.learning_rate; did you mean"),
        ("record hopper/hop-forward --noise nan", "noise: got nan; allowed: finite numbers"),
        ("fit --model.learning_rate quick", "model.learning_rate: got quick; allowed: float"),
    ],
)
def test_misuse_is_told_in_one_line_with_a_near_match(line: str, hint: str, capsys: Capture) -> None:
    code, text = told(line, capsys)
    assert code == 2
    assert text.startswith("gato: error: ") and hint in text


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("skills half-cheetah/run-forwrd", 'did you mean "half-cheetah/run-forward"?'),
        ("skills ants", 'did you mean "ant"?'),
        ("expert eval half-cheetah/run-forwrd", 'did you mean "half-cheetah/run-forward"?'),
        ("record half-cheetah/run-forwrd", 'did you mean "half-cheetah/run-forward"?'),
        ("record demmo.yaml", 'did you mean "demo"?'),
        ("record demo.yaml --episodes 3", "leave out those flags"),
        ("data show gato/none-v0", "there is none yet; gato record makes one"),
        ("data check gato/none-v0", "there is none yet; gato record makes one"),
        ("info nowhere", "nowhere: no such file, folder, Minari dataset id, shipped:SKILL or shipped model"),
        ("eval nowhere", "nowhere"),
    ],
)
def test_failure_is_told_in_one_line(
    line: str, hint: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    code, text = told(line, capsys)
    assert code == 1
    assert text.startswith("gato: error: ") and hint in text


def test_a_misspelt_dataset_gets_a_near_match(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gato.data.minari_io.list_datasets", lambda: ("gato/hopper/hop-forward-v0",))
    for verb in ("show", "check"):
        code, text = told(f"data {verb} gato/hopper/hop-forwrd-v0", capsys)
        assert code == 1
        assert 'no Minari dataset "gato/hopper/hop-forwrd-v0"' in text
        assert 'did you mean "gato/hopper/hop-forward-v0"?' in text


def test_a_misspelt_key_of_a_config_file_gets_a_near_match(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "run.yaml").write_text("stps: 3\n")
    code, text = told(f"expert train hopper/hop-forward --out x --config {tmp_path}/run.yaml", capsys)
    assert code == 2
    assert "no key 'stps' in the config; did you mean \"steps\"?" in text
    (tmp_path / "fit.yaml").write_text("model:\n  learnin_rate: 3\n")
    code, text = told(f"fit -c {tmp_path}/fit.yaml", capsys)
    assert code == 2
    assert 'did you mean "model.learning_rate"?' in text


def test_a_flag_beats_the_config_file_and_says_so(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {}

    def train(skill: str, **settings: Any) -> Path:
        given.update(settings, skill=skill)
        return Path("made")

    monkeypatch.setattr("gato.experts.train.train_expert", train)
    (tmp_path / "run.yaml").write_text("steps: 50\nnum_envs: 16\nout: there\nhidden: [8, 8]\n")
    line = f"expert train hopper/hop-forward --config {tmp_path}/run.yaml --steps 7 --learning_rate 0.1"
    assert cli.run(line.split()) == 0
    shown = capsys.readouterr()
    assert shown.out == "made\n"
    assert "steps: 7 from the command line beats 50" in shown.err
    assert (given["skill"], given["steps"], given["out"], given["seed"]) == ("hopper/hop-forward", 7, "there", 0)
    assert (given["config"].num_envs, given["config"].hidden, given["config"].learning_rate) == (16, (8, 8), 0.1)


def test_results_alone_go_to_standard_output() -> None:
    done = gato("skills --json")
    assert [row["skill"] for row in json.loads(done.stdout)][0] == "half-cheetah/run-forward"
    assert done.stderr == ""


def test_whatever_is_printed_on_the_way_goes_to_standard_error(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chatty(skill: str = "") -> dict[str, Any]:
        """Say.

        Args:
            skill: None.
        """
        sys.stdout.write("a library's greeting")
        return {"answer": 1}

    monkeypatch.setitem(cli.COMMANDS, "skills", chatty)
    assert cli.run(["skills", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"answer": 1}
    assert "a library's greeting" in shown.err


def test_a_closed_pipe_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -c 'from gato.cli import main; main()' skills --json | head -c 5",
        shell=True, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""


def test_found_problems_are_a_failure(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(dataset: str) -> dict[str, Any]:
        """Check.

        Args:
            dataset: Id.
        """
        return {"dataset": dataset, "problems": ["step 3: actions are NaN"]}

    monkeypatch.setitem(cli.COMMANDS, "data check", check)
    assert cli.run(["data", "check", "gato/x-v0", "--json"]) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["problems"] == ["step 3: actions are NaN"]
    assert shown.err == "gato: error: step 3: actions are NaN\n"


def test_a_traceback_needs_debug(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> dict[str, Any]:
        """Break."""
        raise KeyError("unforeseen")

    monkeypatch.setitem(cli.COMMANDS, "skills", broken)
    code, text = told("skills", capsys)
    assert code == 1
    assert text == "gato: error: KeyError: 'unforeseen'; --debug shows where\n"
    assert cli.run(["skills", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_full_disk_is_told_with_the_file(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> dict[str, Any]:
        """Fill."""
        raise OSError(28, "No space left on device", "workspace/model.safetensors")

    monkeypatch.setitem(cli.COMMANDS, "skills", full)
    assert told("skills", capsys) == (1, "gato: error: No space left on device: workspace/model.safetensors\n")


def test_interruption_says_what_is_kept(capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gato.experts.train.train_expert", stop)
    code, text = told(f"expert train hopper/hop-forward --out {tmp_path}", capsys)
    assert code == 130
    assert text == f"gato: interrupted: finished work in {tmp_path} is kept; --resume goes on with it\n"
    assert told(f"expert train hopper/hop-forward --out {tmp_path}/none", capsys)[1].endswith("nothing was finished\n")


def test_ctrl_c_while_training_an_expert_exits_with_130_and_keeps_the_run(tmp_path: Path) -> None:
    line = ["expert", "train", "inverted-pendulum/balance", "--steps", "100000000", "--out", str(tmp_path / "run")]
    running = subprocess.Popen([*GATO, *line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    progress = tmp_path / "run" / "logs" / "progress.csv"
    for _ in range(300):
        if progress.is_file() and len(progress.read_text().splitlines()) > 1:
            break
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err.splitlines()[-1] == (
        f"gato: interrupted: finished work in {tmp_path}/run is kept; --resume goes on with it"
    )
    assert "Traceback" not in err


@pytest.mark.parametrize("seconds", [0.06, 0.12, 0.25])
def test_ctrl_c_while_the_command_starts_is_one_line(seconds: float) -> None:
    """Whether it comes while modules are imported or while the command runs."""
    started = "print('started', flush=True); from gato.__main__ import main; main()"
    line = [sys.executable, "-c", started, "expert", "eval", "hopper/hop-forward", "--episodes", "100000"]
    running = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    running.stdout.readline()
    time.sleep(seconds)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err.startswith("gato: interrupted: ") and len(err.splitlines()) == 1


def test_an_interrupt_that_a_module_in_c_made_its_own_error_is_an_interrupt(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def importing(*_: object) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            cli.interrupt(signal.SIGINT, None)
        raise ImportError("initialization failed")

    monkeypatch.setattr(cli, "_is_interrupted", threading.Event())
    monkeypatch.setattr(cli, "_dispatch", importing)
    assert cli.run(["info"]) == 130
    assert capsys.readouterr().err == "gato: interrupted: nothing was finished\n"


def test_info_shows_versions_and_places(capsys: Capture) -> None:
    assert cli.run(["info", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert set(shown) == {"versions", "devices", "renderer", "paths"}
    assert shown["versions"]["torch"]


def test_info_shows_the_lineage_of_an_artifact(tmp_path: Path, capsys: Capture) -> None:
    for name, parents in (("expert", ()), ("model", ("expert",))):
        inputs = {one: {"path": str(tmp_path / one), "hash": content_hash(tmp_path / one)} for one in parents}
        open_run(tmp_path / name)
        write_provenance(tmp_path / name, command=f"gato make {name}", config={}, seeds=[], inputs=inputs)
    assert cli.run(["info", str(tmp_path / "model")]) == 0
    assert "by: gato make expert" in capsys.readouterr().out
    (tmp_path / "expert" / "weights").write_text("others")
    assert cli.run(["info", str(tmp_path / "model")]) == 1
    shown = capsys.readouterr()
    assert "CONTENT CHANGED SINCE" in shown.out
    assert shown.err.startswith("gato: error: expert (")
    assert cli.run(["info", str(tmp_path / "model"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["inputs"][0]["status"] == "changed"


def test_the_version_is_the_packages(capsys: Capture) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"{cli.gato.__version__}\n"


def test_tables_show_scores_with_intervals() -> None:
    score = {"mean": 5621.5, "ci95": [5600.25, 5640.0], "episodes": [5600.0, 5643.0]}
    result = {"seed": 0, "tasks": {"hopper/hop-forward": {"return": score, "success": 1.0, "expert": None}}}
    assert cli.table(result) == [
        "seed             0",
        "",
        "tasks               return             success  expert",
        "hopper/hop-forward  5622 [5600, 5640]  1        -",
    ]


def test_a_command_that_makes_a_folder_says_where_in_json(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gato.experts.train.train_expert", lambda *_, **__: Path("there"))
    assert cli.run(["expert", "train", "hopper/hop-forward", "--out", "there", "--json"]) == cli.DONE
    assert json.loads(capsys.readouterr().out) == {"path": "there"}


def test_a_long_text_is_cut_in_a_table() -> None:
    assert cli.table({"prompt": "run " * 1000})[0].endswith("...")
    assert len(cli.table({"prompt": "run " * 1000})[0]) < 250


def test_words_that_are_no_text_are_refused_at_once(capsys: Capture) -> None:
    assert cli.run(["skills", "run\udcff"]) == cli.MISUSED
    assert "is not valid UTF-8" in capsys.readouterr().err


def test_a_body_lists_its_skills(capsys: Capture) -> None:
    assert cli.run(["skills", "walker2d", "--json"]) == cli.DONE
    listed = json.loads(capsys.readouterr().out)
    assert [one["skill"] for one in listed[:2]] == ["walker2d/run-forward", "walker2d/walk-backward"]
    assert {one["skill"].split("/")[0] for one in listed} == {"walker2d"}


def test_every_verb_is_a_function_of_the_api() -> None:
    public = {
        name
        for name, value in vars(api).items()
        if callable(value) and getattr(value, "__module__", "").startswith(api.__name__)
    }
    assert {function.__name__ for function in cli.COMMANDS.values()} == {name for name in public if name[0] != "_"}
