"""benchmarks/plans.py: every sentence is a plan, and what came of it is listed."""

from __future__ import annotations

import json
from pathlib import Path

import plans
import pytest
from making import make_model

from gato.language.plans import parse_plan
from gato.model.config import ModelConfig
from gato.skills.bodies import BODIES


def test_every_sentence_is_a_plan_of_several_parts() -> None:
    found = [parse_plan(sentence, body) for body, own in plans.PLANS.items() for sentence in own]
    assert all(len(plan.parts) > 1 for plan in found) and {plan.body for plan in found} == set(plans.PLANS)


def test_only_bodies_that_the_model_knows_are_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_model(ModelConfig(size="nano"), BODIES["swimmer"].spec).save(tmp_path / "model", card={"skills": []})
    plans.main(["--model", str(tmp_path / "model"), "--episodes", "2", "--out", str(tmp_path / "plans.json")])
    rows = json.loads((tmp_path / "plans.json").read_text())["plans"]
    assert [row["sentence"] for row in rows] == list(plans.PLANS["swimmer"])
    # Random weights do nothing that was said; a swimmer cannot fall, so it comes to every part.
    assert all(row["plan_success"]["mean"] == 0 for row in rows)
    assert [part["reached"] for row in rows for part in row["plan_parts"]] == [1.0] * 4
    assert capsys.readouterr().out.count("| swimmer | ") == 2
