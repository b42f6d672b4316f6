"""`gato export`: a folder that loads like any model, the same each time, and a card that tells what is in it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from making import make_model

import gato
from gato import cli, runs
from gato.lineage import Artifact, lineage
from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.sharing.export import export_model
from gato.sharing.folders import without_folders
from gato.sharing.model_card import HERE, _after
from gato.skills.bodies import BODIES

DATASETS = {
    "gato/half-cheetah/run-forward-v0": {
        "id": "gato/half-cheetah/run-forward-v0",
        "hash": "0123456789abcdef",
        "command": "gato record half-cheetah/run-forward",
        "inputs": {"expert half-cheetah/run-forward": {"id": "/here/experts/run/best", "hash": "fedcba9876543210"}},
    }
}
CARD = {
    "bodies": ["half-cheetah", "inverted-pendulum"],
    "skills": ["half-cheetah/run-forward", "inverted-pendulum/balance"],
    "datasets": sorted(DATASETS),
    "parameters": 1,
    "updates": 1500,
    "licence": "MIT",
}


def task(prompt: str, mean: float) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "return": {"mean": mean, "ci95": [mean - 20, mean + 20], "episodes": [mean]},
        "random": -100.0,
        "expert": 1900.0,
        "normalised": (mean + 100) / 2000,
        "success": 0.98,
        "steps_per_second": 1.0,
    }


RESULTS = {
    "model": "elsewhere",
    "suite": "demo",
    "seed": 0,
    "episodes": 50,
    "tasks": {
        "half-cheetah/run-forward": task("run forward", 1700.0),
        "inverted-pendulum/balance": task("balance the pole", 900.0),
    },
    "mean_normalised": 0.7,
    "iqm_normalised": 0.65,
    "prompt_matrix": {},
}


@pytest.fixture
def model(tmp_path: Path, minari_root: Path) -> Path:
    """As `gato fit` leaves it: random weights, a card, a provenance."""
    place = tmp_path / "fit" / "model"
    make_model(ModelConfig(size="nano"), *(BODIES[name].spec for name in CARD["bodies"])).save(place, card=CARD)
    runs.write_provenance(place, command="gato fit -c x.yaml", config={}, seeds={}, inputs=DATASETS)
    return place


@pytest.fixture
def results(tmp_path: Path, model: Path) -> Path:
    """As `gato eval --video` leaves them."""
    place = tmp_path / "eval"
    runs.write_json(place / "results.json", RESULTS)
    (place / "videos").mkdir()
    (place / "videos" / "inverted-pendulum-balance-the-pole-0.mp4").write_bytes(b"second")
    (place / "videos" / "half-cheetah-run-forward-0.mp4").write_bytes(b"first")
    runs.write_provenance(
        place, command="gato eval", config={}, seeds={"seed": 0}, inputs={"model": runs.as_input(model)}
    )
    return place


def test_it_loads_like_any_model_in_half_the_bytes(model: Path, tmp_path: Path) -> None:
    made = export_model(model, out=tmp_path / "shared")
    sizes = [(place / "model.safetensors").stat().st_size for place in (made, model)]
    assert sizes[0] < 0.55 * sizes[1]
    kept, source = Gato.from_pretrained(made).state_dict(), Gato.load(model).state_dict()
    assert all(torch.equal(value, source[name].to(torch.bfloat16).float()) for name, value in kept.items())
    assert json.loads((made / "card.json").read_text()) == CARD


def test_in_full_precision_nothing_is_lost(model: Path, tmp_path: Path, results: Path) -> None:
    made = export_model(model, out=tmp_path / "shared", dtype="fp32", results=results)
    assert runs.content_hash(made) == runs.content_hash(model)
    assert "rounded" not in (made / "README.md").read_text()


def test_twice_gives_equal_hashes_and_equal_cards_and_the_card_is_no_content(
    model: Path, results: Path, tmp_path: Path
) -> None:
    first, second = (export_model(model, out=tmp_path / name, results=results) for name in ("a", "b"))
    bare = export_model(model, out=tmp_path / "c")
    assert runs.content_hash(first) == runs.content_hash(second) == runs.content_hash(bare)
    assert (first / "README.md").read_bytes() == (second / "README.md").read_bytes()
    assert "Results" in (first / "README.md").read_text() and "Results" not in (bare / "README.md").read_text()


def test_the_lineage_is_kept_and_told_where_the_model_is_not(model: Path, tmp_path: Path) -> None:
    made = export_model(model, out=tmp_path / "shared")
    source_hash = runs.content_hash(model)
    found = lineage(made)
    assert (found.status, found.inputs[0].status, found.inputs[0].content_hash) == ("ok", "ok", source_hash)
    model.rename(tmp_path / "gone")
    (source,) = lineage(made).inputs
    assert (source.status, source.content_hash, source.command) == ("remembered", source_hash, "gato fit -c x.yaml")
    (dataset,) = source.inputs
    assert (dataset.place, dataset.content_hash) == ("gato/half-cheetah/run-forward-v0", "0123456789abcdef")
    assert dataset.inputs[0].content_hash == "fedcba9876543210"


def folders_named(made: Path) -> list[str]:
    """Texts of the provenance that are, or hold, a path from the root."""
    texts, left = [], [json.loads((made / runs.PROVENANCE).read_text())]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            left += one
        elif isinstance(one, str) and re.search(r"(^|[\s'\"=:])/", one):
            texts.append(one)
    return texts


def test_the_provenance_names_no_folder_of_this_machine(model: Path, results: Path, tmp_path: Path) -> None:
    """A model that is not beside its export was named by its absolute path, and so were command and results."""
    command = f"gato fit -c '{tmp_path}/my configs/x.yaml' --expert sb3:/somewhere/agent.zip --out=/fit"
    inputs = {"/here/first": {"id": "/here/first", "hash": "12"}}
    runs.write_provenance(model, command=command, config={}, seeds={}, inputs=inputs)
    made = export_model(model, out=tmp_path / "far" / "away" / "shared", results=results)
    assert folders_named(made) == [] and str(tmp_path) not in (made / runs.PROVENANCE).read_text()
    record = runs.read_provenance(made)
    source = record["inputs"]["model"]
    assert source["command"] == "gato fit -c 'my configs/x.yaml' --expert sb3:somewhere/agent.zip --out=fit"
    assert source["inputs"] == {"here/first": {"id": "here/first", "hash": "12"}}
    assert (source["id"], "path" in source) == ("fit/model", False)
    assert record["config"]["results"] == f"{tmp_path.name}/eval"
    (found,) = lineage(made).inputs
    assert (found.status, found.content_hash) == ("remembered", runs.content_hash(model))


def test_beside_its_export_a_model_is_found_by_a_relative_path(model: Path, tmp_path: Path) -> None:
    made = export_model(model, out=tmp_path / "shared")
    assert runs.read_provenance(made)["inputs"]["model"]["path"] == "../fit/model" and folders_named(made) == []


def test_a_model_that_ships_is_told_by_its_name(tmp_path: Path, minari_root: Path) -> None:
    made = export_model("gato-small", out=tmp_path / "shared")
    source = runs.read_provenance(made)["inputs"]["model"]
    assert source["id"] == "gato-small" and "path" not in source and folders_named(made) == []
    ancestors = runs.read_json(made / runs.PROVENANCE)["ancestors"].values()
    links = sum(len(ancestor["inputs"]) for ancestor in ancestors)
    assert (made / runs.PROVENANCE).stat().st_size < 1_000 * (len(ancestors) + links), "each is told once"


def test_what_was_trained_on_is_told_by_the_hash_of_then(model: Path, tmp_path: Path, minari_root: Path) -> None:
    """A dataset recorded anew since is not what the model has learned from."""
    (minari_root / "gato/half-cheetah/run-forward-v0").mkdir(parents=True)
    (minari_root / "gato/half-cheetah/run-forward-v0" / "data").write_text("another")
    made = export_model(model, out=tmp_path / "shared")
    assert "`0123456789abcdef`" in (made / "README.md").read_text()
    kept = runs.read_provenance(made)["inputs"]["model"]["inputs"]["gato/half-cheetah/run-forward-v0"]
    assert (kept["hash"], kept["command"]) == ("0123456789abcdef", "gato record half-cheetah/run-forward")


def test_the_card_has_scores_as_the_hub_reads_them(model: Path, results: Path, tmp_path: Path) -> None:
    made = export_model(model, out=tmp_path / "shared", results=results, datasets=["somebody/cheetah"])
    data = ModelCard.load(made / "README.md").data
    assert (data.license, data.library_name, data.pipeline_tag) == ("mit", "gato-agent", "reinforcement-learning")
    assert data.datasets == ["somebody/cheetah"] and data.model_name == "gato-nano"
    scores = {(one.dataset_name, one.metric_type): one.metric_value for one in data.eval_results}
    assert scores == {
        ("half-cheetah/run-forward", "mean_reward"): 1700.0,
        ("half-cheetah/run-forward", "normalised_score"): 0.9,
        ("half-cheetah/run-forward", "success_rate"): 0.98,
        ("inverted-pendulum/balance", "mean_reward"): 900.0,
        ("inverted-pendulum/balance", "normalised_score"): 0.5,
        ("inverted-pendulum/balance", "success_rate"): 0.98,
    }
    assert data.eval_results[0].dataset_type == "gato/HalfCheetahRunForward-v0"


def test_the_card_tells_words_scores_origin_and_limits(model: Path, results: Path, tmp_path: Path) -> None:
    text = (export_model(model, out=tmp_path / "shared", results=results) / "README.md").read_text()
    for told in (
        "# gato-nano",
        "MB on disk, trained for 1500 updates",
        "| “run forward” | half-cheetah/run-forward | mean forward_speed >= ",
        "| “run forward” | half-cheetah/run-forward | 1,700 [1,680, 1,720] | 1,900 | -100 | 0.900 | 98% |",
        "50 episodes a prompt (seed 0)",
        "Mean normalised 0.700, interquartile mean 0.650. Measured before the weights were rounded to bf16.",
        "[half cheetah run forward](evaluation/videos/half-cheetah-run-forward-0.mp4)",
        "| `gato/half-cheetah/run-forward-v0` | `0123456789abcdef` | run/best (`fedcba9876543210`) |",
        "| half-cheetah | 17 | 6 | HalfCheetah-v5 |",
        "Simulated bodies only",
        "unknown words are read in pieces",
        "\nMIT. Made with Gato",
    ):
        assert told in text, told
    assert str(tmp_path) not in text and "/here" not in text


def test_the_five_lines_of_the_card_run(model: Path, tmp_path: Path) -> None:
    made = export_model(model, out=tmp_path / "shared")
    block = re.search(r"```python\n(.*?)```", (made / "README.md").read_text(), re.DOTALL)
    assert block is not None and len([line for line in block[1].splitlines() if line]) == 5
    known: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(block[1].replace(HERE, str(made)), known)
    assert known["action"].shape == (6,)
    assert gato.load(made).agent(known["env"], prompt="run backward").body == "half-cheetah"


def test_videos_and_results_come_along(
    model: Path, results: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (results / "videos" / "big-0.mp4").write_bytes(bytes(4_000_001))
    runs.write_provenance(
        results, command="gato eval", config={}, seeds={"seed": 0}, inputs={"model": runs.as_input(model)}
    )
    with caplog.at_level(logging.WARNING):
        made = export_model(model, out=tmp_path / "shared", results=results / "results.json")
    assert (made / "replay.mp4").read_bytes() == b"first"
    assert len(list((made / "evaluation" / "videos").iterdir())) == 2 and "2 of 3 videos" in caplog.text
    assert runs.read_json(made / "evaluation" / "results.json") == {**RESULTS, "model": ""}


def test_the_command_refuses_what_is_there_and_what_it_reads(
    model: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["export", str(model), "--out", str(tmp_path / "shared"), "--results", str(results)]
    assert cli.run(line) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'shared'}\n"
    assert cli.run(line) == 1
    assert "is not empty; pass --resume to go on with it, --overwrite" in capsys.readouterr().err
    assert cli.run([*line, "--overwrite"]) == 0
    assert cli.run(["export", str(model), "--out", str(tmp_path / "fit"), "--overwrite"]) == 1
    assert "which is read; choose another --out" in capsys.readouterr().err
    assert (model / "config.json").is_file()


def test_what_was_exported_is_measured_and_exported_again(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The scores are then those of the rounded weights."""
    made, measured = export_model(model, out=tmp_path / "shared"), str(tmp_path / "again")
    line = ["eval", str(made), "--body", "inverted-pendulum", "--episodes", "2", "--steps", "4", "--out", measured]
    assert cli.run(line) == 0
    again = export_model(made, out=tmp_path / "b", results=measured)
    assert runs.content_hash(again) == runs.content_hash(made)
    text = (again / "README.md").read_text()
    assert "2 episodes a prompt" in text and "rounded" not in text and "`0123456789abcdef`" in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--results", "nowhere"], "nowhere: no results there; make them: gato eval MODEL"),
        (
            ["--datasets", "gato/hopper/hop-forward-v0"],
            "of the Hugging Face Hub, owner/name; got gato/hopper/hop",
        ),
        (["--dtype", "fp16"], "dtype: got fp16; allowed: ['bf16', 'fp32']"),
    ],
)
def test_bad_wishes_are_told_in_one_line(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert cli.run(["export", str(model), "--out", str(tmp_path / "shared"), *words]) in (1, 2)
    error = capsys.readouterr().err
    assert told in error and len(error.splitlines()) == 1
    assert not (tmp_path / "shared").exists()


def test_results_of_another_model_are_refused(model: Path, results: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    make_model(ModelConfig(size="nano"), BODIES["half-cheetah"].spec, seed=1).save(other, card=CARD)
    with pytest.raises(ValueError, match=r"has results of another model .*measure this one: gato eval .*other"):
        export_model(other, out=tmp_path / "shared", results=results)


def test_a_model_of_unknown_origin_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_model().save(tmp_path / "model", card={})
    with caplog.at_level(logging.WARNING):
        made = export_model(tmp_path / "model", out=tmp_path / "shared")
    text = (made / "README.md").read_text()
    assert "has no provenance.json: its card has gaps" in caplog.text
    assert "Not recorded." in text and yaml.safe_load(text.split("---")[1])["license"] == "unknown"


def test_an_ancestor_of_many_is_told_of_once() -> None:
    """Bug: each of its places was cut for itself, and there are half a million after five generations."""
    expert = {"id": "/home/me/runs/expert", "command": "gato expert train --out /home/me/runs/expert"}
    told = without_folders({"one": {"inputs": {"expert": expert}}, "two": {"inputs": {"expert": expert}}})
    first, second = (told[name]["inputs"]["expert"] for name in ("one", "two"))
    assert first is second and first == {"id": "runs/expert", "command": "gato expert train --out runs/expert"}


def test_the_card_says_whose_weights_it_began_as() -> None:
    fresh = Artifact("model", "x", "ok", "gato fit", "1", ())
    tuned = replace(fresh, inputs=(replace(fresh, name="init_from"),))
    assert _after(fresh) == ""
    assert _after(tuned).startswith(", after those of the model that it began as")
