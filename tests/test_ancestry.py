"""Ancestors are written once each, and read as if they stood everywhere; files of before are read as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gato import api, runs
from gato.ancestry import fold, unfold
from gato.experts.shipped import find_expert
from gato.lineage import lineage
from gato.model.find import find_model

FIRST = {"id": "first", "hash": "11", "command": "gato first", "inputs": {}}
EXPERT = {"id": "shipped:hopper/hop", "hash": "22", "command": "gato train", "inputs": {"first": FIRST}}
DATASETS = {
    name: {"id": name, "hash": name[-1] * 2, "command": f"gato record {name}", "inputs": {"expert": EXPERT}}
    for name in ("data-a", "data-b")
}
RECORD: dict[str, Any] = {
    "command": "gato export",
    "inputs": {"model": {"id": "fit/model", "hash": "33", "command": "gato fit", "inputs": DATASETS, "path": "../fit"}},
    "content_hash": "44",
}


def test_each_ancestor_is_told_once() -> None:
    folded = fold(RECORD)
    text = json.dumps(folded)
    assert [text.count(f'"{command}"') for command in ("gato first", "gato train", "gato fit")] == [1, 1, 1]
    assert folded["inputs"] == {"model": {"id": "fit/model", "hash": "33", "path": "../fit", "made": "33"}}
    assert folded["ancestors"]["22"] == {
        "command": "gato train",
        "inputs": {"first": {"id": "first", "hash": "11", "made": "11"}},
    }


def test_what_was_folded_unfolds_to_what_it_was() -> None:
    assert unfold(json.loads(json.dumps(fold(RECORD)))) == RECORD


def test_what_was_never_folded_stays_as_it_is() -> None:
    assert unfold(RECORD) == RECORD
    plain = {"command": "gato x", "inputs": {"data": {"id": "a", "hash": "1"}}}
    assert fold(plain) == plain == unfold(plain)


def test_the_same_content_made_in_two_ways_keeps_both() -> None:
    again = {**FIRST, "command": "gato first --again"}
    record = {"inputs": {"one": FIRST, "two": again, "three": FIRST}}
    assert [entry["made"] for entry in fold(record)["inputs"].values()] == ["11", "11-2", "11"]
    assert unfold(fold(record)) == record


def test_the_shipped_model_tells_each_ancestor_once_and_loses_none() -> None:
    """Its generations learned from each other's corrections: unfolded, half a thousand million ancestors."""
    written = runs.read_json(find_model("gato-small") / runs.PROVENANCE)
    told = [json.dumps(ancestor, sort_keys=True) for ancestor in written["ancestors"].values()]
    assert len(set(told)) == len(told) > 100
    assert fold(unfold(written)) == written


def test_lineage_of_a_folded_provenance_is_the_same_tree(tmp_path: Path) -> None:
    for name, written in (("plain", RECORD), ("folded", fold(RECORD))):
        (tmp_path / name).mkdir()
        runs.write_json(tmp_path / name / runs.PROVENANCE, written)
    plain, folded = (lineage(tmp_path / name) for name in ("plain", "folded"))
    assert plain.inputs == folded.inputs
    assert sum(len(data.inputs[0].inputs) for data in folded.inputs[0].inputs) == 2


def test_what_was_told_of_above_is_one_line(tmp_path: Path) -> None:
    """`gato info gato-small` told 43 datasets' experts with all of theirs in 2603 lines."""
    runs.write_json(tmp_path / runs.PROVENANCE, RECORD)
    lines = lineage(tmp_path).lines()
    assert sum("gato first" in line for line in lines) == 1
    assert [line for line in lines if "as above" in line] == [
        "      expert: shipped:hopper/hop  22  (not kept)  (as above)"
    ]


def test_a_run_writes_its_provenance_folded(tmp_path: Path) -> None:
    told = runs.write_provenance(tmp_path, command="gato x", config={}, seeds={}, inputs=DATASETS)
    assert runs.read_provenance(tmp_path) == told and told["inputs"] == DATASETS
    assert (tmp_path / runs.PROVENANCE).read_text().count("gato first") == 1


def test_a_shipped_model_is_told_of_by_its_name(
    minari_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tree = api.info("gato-small")
    assert tree.lines() == lineage(find_model("gato-small")).lines() and tree.inputs
    ancestors = runs.read_json(find_model("gato-small") / runs.PROVENANCE)["ancestors"].values()
    links = sum(len(ancestor.get("inputs", {})) for ancestor in ancestors)
    assert len(tree.lines()) < 3 * len(ancestors) + links, "what many share is told once"
    shown = json.loads(runs.to_json(tree.told()))
    assert shown["command"].startswith("gato export") and shown["inputs"][0]["inputs"]


@pytest.mark.parametrize(("name", "told"), [("55", "'55' is not told of"), ("11", "'11' is its own")])
def test_a_damaged_table_is_named(name: str, told: str, tmp_path: Path) -> None:
    folded = fold(RECORD)
    folded["ancestors"]["11"]["inputs"] = {"x": {"id": "x", "hash": "9", "made": name}}
    runs.write_json(tmp_path / runs.PROVENANCE, folded)
    with pytest.raises(ValueError, match=rf"provenance\.json is damaged: ancestor {told}; make it again"):
        runs.read_provenance(tmp_path)


def test_another_thing_of_the_same_name_is_not_the_ancestor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever fetched a model and had a folder of the same name as its maker's was told that this had changed."""
    monkeypatch.chdir(tmp_path)
    Path("fit/model").mkdir(parents=True)
    Path("fit/model/weights").write_text("mine")
    source = {key: value for key, value in RECORD["inputs"]["model"].items() if key != "path"}
    Path("fetched").mkdir()
    runs.write_provenance("fetched", command="gato export", config={}, seeds={}, inputs={"model": source})
    (found,) = lineage("fetched").inputs
    assert (found.status, found.content_hash, found.command) == ("remembered", "33", "gato fit")
    assert lineage("fetched").changed() == []


def test_what_a_command_with_a_name_was_done_by_is_its_teacher(tmp_path: Path) -> None:
    teacher = runs.content_hash(find_expert("hopper/stand"))
    for name, said in (("ok", teacher), ("missing", "77")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").write_text("1")
        entry = {"id": "shipped:hopper/stand", "hash": said}
        runs.write_provenance(tmp_path / name, command="gato", config={}, seeds={}, inputs={"expert": entry})
        assert lineage(tmp_path / name).inputs[0].status == name
