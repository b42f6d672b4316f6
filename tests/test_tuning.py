"""gato tune-lm: pairs of the grammar, what is learned of them, and a model that can write nothing but plans."""

from __future__ import annotations

import csv
import json
import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from gato import cli
from gato.language import writing
from gato.language.causal import CausalModel
from gato.language.plans import parse_plan
from gato.language.pretrained import language_folder
from gato.language.writing import PlanWriter, _number, _pattern, plan_text, question
from gato.runs import content_hash, open_run
from gato.skills.plan import Plan, plan_skills
from gato.skills.prompts import phrases
from gato.tuning.base import Base, make_base, make_tiny
from gato.tuning.module import NOT_LEARNED, PlanTuner, make_batch
from gato.tuning.pairs import SPLITS, Pair, is_kept_back, pairs, some_pairs

WRITTEN = (
    '{"body":"ant","parts":[{"skill":"ant/walk-forward","seconds":2.5,"until":null,"repeats":1},'
    '{"skill":"ant/turn-left","seconds":6.142,"until":{"reading":"yaw_rate","statistic":"total","relation":"at least",'
    '"value":1.571},"repeats":2}]}'
)
"""Of "walk forward for 2.5 seconds, then turn left twice": a quarter turn is 1.571 rad, at 0.5 rad/s 3.142 s and 3 s
in which new words show."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> CausalModel:
    """A model that knows nothing."""
    torch.manual_seed(0)
    learned = islice(pairs(["ant"], "seen", np.random.default_rng(0)), 200)
    return make_tiny(learned, tmp_path_factory.mktemp("tiny"))


# Pairs


@pytest.mark.parametrize("split", SPLITS)
def test_splits_are_kept_apart_by_construction(split: str) -> None:
    """Training never has one skill after another as `combinations` has, nor a phrasing that is kept back."""
    kept_back = [one for skill in plan_skills("ant") for one in phrases(skill, "phrasings")]
    for pair in some_pairs(["ant"], split, 30, seed=1):  # type: ignore[arg-type]
        assert parse_plan(pair.sentence, "ant") == pair.plan
        assert is_kept_back(pair.plan) == (split == "combinations")
        assert any(one in pair.sentence for one in kept_back) == (split == "phrasings")


def test_every_skill_comes_first_and_last_in_training() -> None:
    skills = plan_skills("ant")
    for skill in skills:
        ways = (
            [is_kept_back(_two(skill, other)) for other in skills],
            [is_kept_back(_two(one, skill)) for one in skills],
        )
        assert all(0 < sum(way) < len(skills) / 2 for way in ways)


def _two(first: str, second: str) -> Plan:
    part = {"seconds": 3, "until": None, "repeats": 1}
    return Plan.from_json({"body": "ant", "parts": [{"skill": first, **part}, {"skill": second, **part}]})


def test_pairs_are_a_function_of_the_seed_and_leave_out_what_is_tested() -> None:
    tested = some_pairs(["hopper", "ant"], "seen", 20, seed=3)
    assert tested == some_pairs(["hopper", "ant"], "seen", 20, seed=3)
    assert len({pair.sentence for pair in tested}) == 20 and {pair.plan.body for pair in tested} == {"hopper", "ant"}
    again = pairs(["hopper", "ant"], "seen", np.random.default_rng([3, 0]), besides={one.sentence for one in tested})
    assert not {pair.sentence for pair in islice(again, 40)} & {pair.sentence for pair in tested}


def test_a_sentence_of_more_than_a_plan_may_take_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended gato tune-lm, once in some thousand pairs of the swimmer; here every request is repeated."""
    with pytest.raises(ValueError, match="at most 300 are allowed"):
        parse_plan("swim backward 5 metres 4 times, do that twice", "swimmer")
    monkeypatch.setattr("gato.tuning.pairs._REPEATED", 1.0)
    drawn, again = (list(islice(pairs(["swimmer"], "seen", np.random.default_rng(0)), 800)) for _ in range(2))
    assert drawn == again and max(pair.plan.seconds for pair in drawn) > 200


def test_a_body_of_one_skill_has_no_combinations() -> None:
    assert some_pairs(["inverted-pendulum"], "combinations", 5, seed=0) == ()


# What is written


def test_a_plan_is_written_short_and_read_again() -> None:
    plan = parse_plan("walk forward for 2.5 seconds, then turn left twice", "ant")
    assert plan_text(plan) == WRITTEN
    assert plan_text(Plan.from_json(json.loads(WRITTEN))) == WRITTEN


@pytest.mark.parametrize("body", ["ant", "half-cheetah", "reacher"])
def test_every_plan_of_the_grammar_may_be_written(body: str) -> None:
    for pair in islice(pairs([body], "seen", np.random.default_rng(0)), 40):
        text = plan_text(pair.plan)
        assert all(_pattern(body).fullmatch(text[:end], partial=True) for end in range(len(text)))
        assert not _pattern(body).fullmatch(text, partial=True).partial


@pytest.mark.parametrize(
    "text",
    [
        WRITTEN.replace("walk-forward", "hop-forward"),
        WRITTEN.replace("yaw_rate", "yaw"),
        WRITTEN.replace("2.5", "2.50"),
        WRITTEN.replace("2.5", "-2.5"),
        WRITTEN.replace(":1}", ":0}"),
        WRITTEN.replace('"ant",', '"hopper",'),
        WRITTEN + ",",
        "I would walk",
    ],
)
def test_what_is_no_plan_cannot_be_written(text: str) -> None:
    assert _pattern("ant").fullmatch(text, partial=True) is None


@pytest.mark.parametrize(
    ("seconds", "is_allowed"),
    [
        *((one, True) for one in ("0.05", "0.051", "0.1", "0.5", "1", "1.001", "9.9", "10", "99.9", "100", "300")),
        *((one, True) for one in ("299", "299.999", "250.05")),
        *((one, False) for one in ("0", "0.0", "0.04", "0.049", "0.050", "300.001", "300.5", "301", "999.999", "1000")),
        *((one, False) for one in ("-1", "01", "1.0", "1.", "1e2", "2.0001")),
    ],
)
def test_only_seconds_of_the_schema_can_be_written(seconds: str, is_allowed: bool) -> None:
    """0 to 999.999 could be; of the ant a control step is 0.05 s, and a plan takes 300 s."""
    found = _pattern("ant").fullmatch(WRITTEN.replace("2.5", seconds))
    assert (found is not None) == is_allowed


@pytest.mark.parametrize("least", [0.05, 0.008, 1 / 60, 0.0125, 0.99, 1.0, 1.25])
def test_seconds_that_can_be_written_are_those_from_a_control_step_to_the_most(least: float) -> None:
    allowed = re.compile(_number(least, 300.0))
    for thousandths in (*range(2_600), *range(8_900, 11_100), *range(98_900, 101_100), *range(298_900, 301_100)):
        seconds = thousandths / 1000
        assert (allowed.fullmatch(f"{seconds:g}") is not None) == (least <= seconds <= 300), seconds


@pytest.mark.parametrize(
    ("repeats", "is_allowed"),
    [
        *((one, True) for one in ("1", "2", "9", "10", "39", "59", "60", "64")),
        *((one, False) for one in ("0", "65", "69", "70", "99", "100", "640", "01", "2.5", "-1")),
    ],
)
def test_only_repeats_of_the_schema_can_be_written(repeats: str, is_allowed: bool) -> None:
    """1 to 99 could be, and a plan's most are 64."""
    found = _pattern("ant").fullmatch(WRITTEN.replace('"repeats":2', f'"repeats":{repeats}'))
    assert (found is not None) == is_allowed


def test_a_model_that_knows_nothing_still_writes_only_beginnings_of_plans(tiny: CausalModel) -> None:
    writer, text = PlanWriter(tiny), ""
    for text in islice(writer.texts("walk forward", "ant"), 60):
        assert _pattern("ant").fullmatch(text, partial=True)
    assert text.startswith('{"body":"ant","parts":[{"skill":"ant/')
    assert not writer.writes(parse_plan("walk forward for 7 seconds, then stop", "ant"), "walk forward")


def test_sentences_that_are_none_are_refused_before_the_model_is_asked(tiny: CausalModel) -> None:
    for sentence, told in (("", "the sentence is empty"), ("go " * 4000, "allowed: 2000"), ("go\x00", "control")):
        with pytest.raises(ValueError, match=told):
            PlanWriter(tiny).write(sentence, "ant")


def test_a_plan_without_an_end_is_refused_in_one_line(tiny: CausalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence was shown whole, line breaks and all."""
    monkeypatch.setattr(writing, "MOST_TOKENS", 2)
    with pytest.raises(ValueError, match=r'^the model made no plan of "go go [^\n]+\.\.\.": no end after 2 tokens'):
        PlanWriter(tiny).write("go\n" * 100, "ant")


# Training


def test_only_the_tokens_of_the_plan_are_learned(tiny: CausalModel) -> None:
    """What is asked is read: other words in it change the labels' places, never the labels."""
    pair = Pair("walk forward for 2.5 seconds, then turn left twice", Plan.from_json(json.loads(WRITTEN)))
    short = Pair("stop", parse_plan("stop", "ant"))
    batch = make_batch(tiny, [pair, short])
    for row, one in enumerate((pair, short)):
        is_learned_S = batch.labels_BS[row] != NOT_LEARNED
        assert tiny.tokenizer.decode(batch.ids_BS[row][is_learned_S]) == f" {plan_text(one.plan)}"
        begun = tiny.tokenizer.decode(batch.ids_BS[row][: int(is_learned_S.int().argmax())])
        assert begun == f"{question('ant', one.sentence)}\nAnswer:"


def test_the_loss_is_the_likelihood_that_the_model_gives_the_plan(tmp_path: Path) -> None:
    torch.manual_seed(1)
    drawn = list(islice(pairs(["ant"], "seen", np.random.default_rng(5)), 30))
    base = make_base("tiny", drawn, tmp_path)
    asked, text = question("ant", drawn[0].sentence), plan_text(drawn[0].plan)
    batch = make_batch(base.model, drawn[:1])
    with torch.inference_mode():
        loss = float(PlanTuner(base).loss(batch))
    num_learned = int((batch.labels_BS != NOT_LEARNED).sum())
    assert -loss * num_learned == pytest.approx(float(base.model.answers(asked, [text])[0]), rel=1e-4)


def test_a_tuned_model_writes_what_it_learned_and_loads_as_a_planner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A body of one skill, for some seconds: what is learned is in the folder, which writes plans of that skill."""
    out = tmp_path / "plans"
    words = [
        "tune-lm",
        "tiny",
        "--out",
        str(out),
        "--bodies",
        "inverted-pendulum",
        "--steps",
        "100",
        "--batch-size",
        "16",
    ]
    assert cli.run([*words, "--test-sentences", "12", "--json"]) == cli.DONE
    result = json.loads(capsys.readouterr().out)
    assert set(result["accuracy"]) == {"seen", "phrasings"}
    seen = result["accuracy"]["seen"]
    assert seen["before"]["mean"] == 0 and seen["after"]["sentences"] == 12
    assert json.loads((out / "results.json").read_text())["accuracy"] == result["accuracy"]
    assert {"config.json", "model.safetensors", "tokenizer.json", "provenance.json"} <= {
        one.name for one in out.iterdir()
    }
    with (out / "logs" / "metrics.csv").open() as file:
        losses = [float(row["train/loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 10 and losses[-1] < losses[0] / 4
    planner = ["plan", "balance the pole", "--body", "inverted-pendulum", "--planner", str(out), "--json"]
    assert cli.run(planner) == cli.DONE
    assert json.loads(capsys.readouterr().out)["parts"][0]["skill"] == "inverted-pendulum/balance"
    assert cli.run(words) == cli.FAILED and "not empty" in capsys.readouterr().err


def test_low_rank_updates_are_merged_into_the_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without peft the same folder is read again, and says other than the base."""
    pytest.importorskip("peft")
    torch.manual_seed(0)
    make_tiny(islice(pairs(["ant"], "seen", np.random.default_rng(0)), 50), tmp_path / "base")
    out = tmp_path / "tuned"
    words = [
        "tune-lm",
        str(tmp_path / "base"),
        "--out",
        str(out),
        "--bodies",
        "ant",
        "--steps",
        "2",
        "--batch-size",
        "2",
    ]
    assert cli.run([*words, "--test-sentences", "2", "--json"]) == cli.DONE
    assert json.loads(capsys.readouterr().out)["learned_weights"] < 400_000
    assert not list(out.glob("adapter*"))
    models = [CausalModel(folder) for folder in (tmp_path / "base", out)]
    likely = [float(model.answers(question("ant", "stop"), [WRITTEN])[0]) for model in models]
    assert likely[0] != pytest.approx(likely[1], abs=1e-4)


def test_nothing_is_removed_for_a_base_that_is_none_nor_the_base_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--overwrite removed the folder before it looked at the base: a misspelt one lost the last result, and where --out
    was the base's own folder the base."""

    def read(name: str, *_: object) -> Base:
        return Base(CausalModel(language_folder(name)), 1e-4, Path(name))

    monkeypatch.setattr("gato.tuning.tune.make_base", read)
    torch.manual_seed(0)
    folder = open_run(tmp_path / "made")
    make_tiny(islice(pairs(["ant"], "seen", np.random.default_rng(0)), 50), folder / "base")
    (folder / "results.json").write_text("{}")
    before = content_hash(folder)
    for name, out, told in (
        ("nowhere", folder, "neither a folder nor a Hub id"),
        (str(folder / "base"), folder, "holds the base"),
        (str(folder / "base"), folder / "base", "holds the base"),
    ):
        words = ["tune-lm", name, "--out", str(out), "--bodies", "ant", "--test-sentences", "1", "--overwrite"]
        assert cli.run(words) == cli.FAILED and told in capsys.readouterr().err
        assert content_hash(folder) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "neither a folder nor a Hub id"),
        (["tiny", "--bodies", "cow"], 'unknown body "cow"'),
        (["tiny", "--steps", "0"], "all must be at least 1"),
    ],
)
def test_what_cannot_be_tuned_is_refused_in_one_line(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gato.tuning.base._peft", lambda: None)
    assert cli.run(["tune-lm", *words, "--test-sentences", "1", "--out", str(tmp_path / "out")]) == cli.FAILED
    shown = capsys.readouterr().err
    assert told in shown and len(shown.splitlines()) == 1
