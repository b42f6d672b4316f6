"""benchmarks/balance.py: who is starved, what the table says, and that its arms train."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import balance
import pytest
from questions import train
from toys import SKILLS

from gato.data.mixture import Source
from gato.data.module import GatoDataModule
from gato.model.config import ModelConfig
from gato.sequences import Layout
from gato.training.lightning_module import GatoModule

NETWORK = ModelConfig(size="nano", layout=Layout(window_steps=4, prompt_positions=6, demonstration_steps=0))


def test_three_tasks_are_starved_unless_all_are_alike() -> None:
    starved = {f"gato/{skill}/expert-v0" for skill in balance.STARVED}
    weights = {source.id: source.weight for source in balance.sources("rows")}
    assert len(weights) == 11
    assert {id_ for id_, weight in weights.items() if weight < 1} == starved
    assert {source.weight for source in balance.sources(balance.EVEN)} == {1.0}


def test_the_table_is_of_means_over_runs() -> None:
    tasks = {"walker2d/run-forward": 0.2, "humanoid/run-forward": 0.4, "reacher/reach": 0.0, "ant/run-forward": 1.0}
    better = {skill: value + 0.2 for skill, value in tasks.items()}
    rows = [{"arm": "rows", "normalised": tasks}, {"arm": "rows", "normalised": better}, {"arm": "x", "normalised": {}}]
    assert balance.cells(rows, "rows") == ["rows", "0.500", "0.300", "1.100", "0.100 (reacher/reach)", "2"]


@pytest.mark.usefixtures("toy_config")
def test_every_arm_trains_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for made in (GatoDataModule, GatoModule):

        def watched(self: object, *given: object, init: Any = made.__init__, **settings: object) -> None:
            told.append(settings.get("temperature", settings.get("balance")))
            init(self, *given, **settings)

        monkeypatch.setattr(made, "__init__", watched)
    datasets = [Source(f"gato/{skill}-v0", prompts={"language": 1}) for skill in SKILLS]
    for arm in balance.arms("nano"):
        train(replace(arm, network=NETWORK), datasets, updates=1, seed=0)
    assert told == [1, "rows", 1, "gradients", 3, "rows", 1, "rows"]
