"""The model that comes with the package: its size, its scores, and that words choose what it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gato.model.find import find_model, shipped_models
from gato.model.gato import Gato
from gato.rollout.prompted import Conditions, Request, roll_out
from gato.runs import PROVENANCE, content_hash, read_json
from gato.skills.evaluate import evaluation_seeds
from gato.skills.table import SKILLS

NAME = "gato-small"
RESULT = Path(__file__).parent.parent / "benchmarks" / "results" / "generalist.json"
BODIES = {skill.body for skill in SKILLS.values()}


@pytest.fixture(scope="module")
def model() -> Gato:
    return Gato.load(find_model(NAME))


def test_it_is_small_and_knows_every_body(model: Gato) -> None:
    assert NAME in shipped_models()
    assert sum(path.stat().st_size for path in find_model(NAME).rglob("*")) <= 12e6
    assert set(model.bodies) == BODIES


def test_its_published_scores_are_its_own() -> None:
    assert read_json(RESULT)["model"] == content_hash(find_model(NAME))


def test_its_provenance_names_no_folder_of_a_machine() -> None:
    assert '"path"' not in (find_model(NAME) / PROVENANCE).read_text()


@pytest.mark.parametrize(
    ("body", "prompt", "reading", "sign"),
    [
        ("ant", "turn left", "yaw_rate", 1),
        ("ant", "turn right", "yaw_rate", -1),
        ("half-cheetah", "run backward", "forward_speed", -1),
    ],
)
def test_words_choose_what_it_does(model: Gato, body: str, prompt: str, reading: str, sign: int) -> None:
    skill = next(skill.id for skill in SKILLS.values() if skill.body == body and skill.prompt == prompt)
    requests = [Request(prompt, skill, seed) for seed in evaluation_seeds(3, 4)]
    rollouts = roll_out(model, body, requests, Conditions(4, 3, 120, is_shown=False)).rollouts
    means = [float(one.outcome.readings[reading][40:].mean()) for one in rollouts]
    assert np.mean(np.sign(means) == sign) == 1, means
