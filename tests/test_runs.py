"""Run folders, atomic files, provenance, progress and logging."""

from __future__ import annotations

import errno
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from gato import progress, runs
from gato.lineage import lineage
from gato.progress import Progress
from gato.runs import content_hash, open_run, read_json, write_atomic, write_json, write_provenance

FULL_DISK = """
import errno, resource, signal, sys
from gato.runs import write_json
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_json(sys.argv[1], {"numbers": list(range(100_000))})
except OSError as error:
    print(errno.errorcode[error.errno], error.filename)
"""


def make_artifact(folder: Path, text: str, **inputs: dict[str, str]) -> str:
    """A folder with one file and provenance; its content hash."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "content.txt").write_text(text)
    record = write_provenance(folder, command=f"gato make {folder.name}", config={}, seeds=[0], inputs=inputs)
    return record["content_hash"]


def test_a_filled_folder_is_refused_without_a_flag(tmp_path: Path) -> None:
    open_run(tmp_path / "run")
    (tmp_path / "run" / "kept.txt").touch()
    with pytest.raises(FileExistsError, match="is not empty; pass --resume"):
        open_run(tmp_path / "run")
    assert open_run(tmp_path / "run", resume=True) == tmp_path / "run"
    assert (tmp_path / "run" / "kept.txt").exists()
    open_run(tmp_path / "run", overwrite=True)
    assert not (tmp_path / "run" / "kept.txt").exists()


def test_overwrite_never_removes_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="was not made by gato"):
        open_run(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").exists()


def test_an_empty_or_missing_folder_is_opened(tmp_path: Path) -> None:
    assert open_run(tmp_path).is_dir()
    assert open_run(tmp_path / "new" / "run").is_dir()


def test_resume_with_nothing_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        open_run(tmp_path / "none", resume=True)
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        open_run(Path(__file__).parent, resume=True)
    with pytest.raises(ValueError, match="both --overwrite and --resume"):
        open_run(tmp_path / "none", resume=True, overwrite=True)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="is a file"):
        open_run(tmp_path / "file", overwrite=True)


def test_a_full_disk_leaves_the_old_file_and_no_half_of_the_new_one(tmp_path: Path) -> None:
    """The limit on file sizes stands in for a full disk: both fail in the middle of writing."""
    target = tmp_path / "results.json"
    write_json(target, {"old": True})
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(target)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["EFBIG", str(target)]
    assert read_json(target) == {"old": True}
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_no_space_left_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(runs.os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left on device: .*model.bin"):
        write_atomic(tmp_path / "model.bin", b"weights")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_json_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"half": ')
    with pytest.raises(ValueError, match=r"results\.json is not valid JSON"):
        read_json(tmp_path / "results.json")


def test_content_hash_counts_names_and_bytes_and_leaves_out_what_holds_times(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "logs").mkdir(parents=True)
        (tmp_path / name / "weights").write_bytes(b"same")
        (tmp_path / name / "logs" / "progress.csv").write_text(name)
        write_provenance(tmp_path / name, command=name, config={}, seeds=[], inputs={})
    before = content_hash(tmp_path / "one")
    assert before == content_hash(tmp_path / "two")
    (tmp_path / "one" / "weights").rename(tmp_path / "one" / "weight")
    assert content_hash(tmp_path / "one") != before
    (tmp_path / "two" / "weights").write_bytes(b"other")
    assert content_hash(tmp_path / "two") != before


def test_lineage_walks_from_report_to_expert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    expert = tmp_path / "expert"
    expert_hash = make_artifact(expert, "expert")
    dataset_hash = make_artifact(
        tmp_path / "minari/gato/hopper-v0", "data", expert={"path": str(expert), "hash": expert_hash}
    )
    model = tmp_path / "work/model"
    model_hash = make_artifact(model, "model", data={"id": "gato/hopper-v0", "hash": dataset_hash})
    make_artifact(tmp_path / "work/report", "report", model={"path": str(model), "hash": model_hash})
    (tmp_path / "work").rename(tmp_path / "moved")
    lines = lineage(tmp_path / "moved/report").lines()
    assert [line.split(":")[0].strip() for line in lines if "by:" not in line] == [
        "artifact",
        "model",
        "data",
        "expert",
    ]
    assert [line.split("by: ")[1] for line in lines if "by:" in line] == [
        "gato make report",
        "gato make model",
        "gato make hopper-v0",
        "gato make expert",
    ]
    assert not any("CHANGED" in line or "MISSING" in line for line in lines)


def test_lineage_marks_what_changed_since_and_what_is_missing(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    hashes = {"first": make_artifact(first, "one"), "second": make_artifact(second, "two")}
    inputs = {name: {"path": str(tmp_path / name), "hash": value} for name, value in hashes.items()}
    make_artifact(tmp_path / "model", "model", **inputs, third={"id": "gato/none-v0", "hash": "0"})
    (first / "content.txt").write_text("another one")
    found = lineage(tmp_path / "model")
    assert found.status == "ok"
    assert {one.name: one.status for one in found.inputs} == {"first": "changed", "second": "ok", "third": "missing"}


def test_ancestors_of_what_was_made_anew_since_are_not_those_of_what_was_used(tmp_path: Path) -> None:
    expert, data = ({"path": str(tmp_path / name), "hash": make_artifact(tmp_path / name, name)} for name in "xy")
    used = make_artifact(tmp_path / "data", "before", expert=expert)
    make_artifact(tmp_path / "model", "model", data={"path": str(tmp_path / "data"), "hash": used})
    (found,) = lineage(tmp_path / "model").inputs
    assert found.status == "ok" and [one.name for one in found.inputs] == ["expert"]
    make_artifact(tmp_path / "data", "now", other=data)
    (found,) = lineage(tmp_path / "model").inputs
    assert found.status == "changed" and found.inputs == ()


def test_lineage_finds_the_datasets_of_a_demo_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "elsewhere"))
    dataset_hash = make_artifact(tmp_path / "demo/datasets/gato/hopper-v0", "data")
    make_artifact(tmp_path / "demo/model", "model", data={"id": "gato/hopper-v0", "hash": dataset_hash})
    assert [one.status for one in lineage(tmp_path / "demo/model").inputs] == ["ok"]


def test_lineage_of_a_file_or_a_runs_subfolder_is_that_of_its_run(tmp_path: Path) -> None:
    make_artifact(tmp_path / "run", "text")
    (tmp_path / "run/best").mkdir()
    for path in ("run/content.txt", "run/best"):
        assert lineage(tmp_path / path).command == "gato make run"


def test_lineage_of_an_input_that_lies_inside_its_user_ends(tmp_path: Path) -> None:
    """A demo's folder holds its model; a model without provenance of its own once led back to the demo, for ever."""
    (tmp_path / "demo/model").mkdir(parents=True)
    (tmp_path / "demo/model/weights").touch()
    model = {"path": str(tmp_path / "demo/model"), "hash": content_hash(tmp_path / "demo/model")}
    make_artifact(tmp_path / "demo", "report", model=model)
    assert [one.status for one in lineage(tmp_path / "demo").inputs] == ["untracked"]


def test_provenance_says_what_made_it(tmp_path: Path) -> None:
    record = write_provenance(tmp_path, command="gato demo", config={"steps": 3}, seeds={"train": 0}, inputs={})
    assert runs.read_provenance(tmp_path) == record
    assert record["packages"]["torch"] and record["python"]
    with pytest.raises(ValueError, match=r"has no provenance\.json"):
        runs.read_provenance(tmp_path.parent)


def test_progress_writes_a_line_every_tenth_into_a_log(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("gato").propagate = True
    with caplog.at_level(logging.INFO, "gato"), Progress(100, "steps", "train") as shown:
        for _ in range(100):
            shown.update(loss=0.25)
    assert len(caplog.messages) == 10
    assert caplog.messages[0].startswith("train  10 %  10/100 steps")
    assert caplog.messages[-1].endswith("loss 0.25")


def test_progress_of_a_resumed_run_counts_only_new_work_as_speed(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("gato").propagate = True
    with caplog.at_level(logging.INFO, "gato"), Progress(1000, "steps", "train", done=999) as shown:
        shown._began -= 10
        shown.update()
    assert "1000/1000 steps  0/s" in caplog.messages[-1]


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress(4, "steps", "train") as told:
        told.update(4)
    told = capsys.readouterr().err
    assert told.startswith("\r\033[Ktrain [####################] 4/4 steps")
    assert told.endswith("\n")


def test_logs_can_be_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GATO_LOG", "json")
    progress.setup_logging()
    with Progress(1, "steps", "train") as shown:
        shown.update(loss=0.5)
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["done"], line["total"], line["loss"]) == ("info", 1, 1, 0.5)
    monkeypatch.setenv("GATO_LOG_LEVEL", "error")
    progress.setup_logging()
    progress.log.warning("unheard")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["GATO_LOG", "GATO_LOG_LEVEL"])
def test_a_wrong_log_setting_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "loud")
    with pytest.raises(ValueError, match=f"{name}=loud; allowed"):
        progress.setup_logging()


@pytest.fixture(autouse=True)
def quiet_logger() -> None:
    """Each test begins with the package's logger as it is in a library."""
    progress.log.handlers, progress.log.propagate = [], True
    progress.log.setLevel(logging.NOTSET)


def test_ancestors_that_were_not_kept_are_told_by_their_commands(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "weights").write_text("1")
    record = write_provenance(made, command="gato made", config={}, seeds={}, inputs={})
    grandmother = {"id": "gone/first", "hash": "12", "command": "gato first", "inputs": {}}
    mother = {"id": "gone/second", "hash": "34", "command": "gato second", "inputs": {"first": grandmother}}
    write_json(made / runs.PROVENANCE, {**record, "inputs": {"second": mother, "third": {"id": "gone/third"}}})
    tree = lineage(made)
    second, third = tree.inputs
    assert (second.status, second.command, second.inputs[0].command) == ("remembered", "gato second", "gato first")
    assert third.status == "missing"
    assert any("gone/first" in line and "not kept" in line for line in tree.lines())


def test_what_many_were_made_of_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bug: trainings name the datasets of those before them; an export read each thousands of times, for 14 minutes."""
    (tmp_path / "0").mkdir()
    (tmp_path / "0/weights").write_text("1")
    for number in range(1, 5):
        (tmp_path / str(number)).mkdir()
        before = runs.as_input(tmp_path / str(number - 1))
        inputs = {"student": before, "model": before}
        runs.write_provenance(tmp_path / str(number), command=f"gato {number}", config={}, seeds={}, inputs=inputs)
    read: list[Path] = []
    hashed = runs.content_hash

    def counted(path: Path) -> str:
        read.append(path)
        return hashed(path)

    monkeypatch.setattr("gato.lineage.content_hash", counted)
    tree = lineage(tmp_path / "4")
    assert tree.inputs[0].inputs[1].inputs[0].inputs[1].content_hash == hashed(tmp_path / "0")
    assert len(read) == 5
