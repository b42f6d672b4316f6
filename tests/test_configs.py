"""Every YAML under configs/ is one that `gato fit` takes, on datasets that a recipe makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gato.model.config import ModelConfig
from gato.record import load_recipe
from gato.training.cli import make_cli

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
RECIPES = {"small": ("mujoco", "skills", "corrected")}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_config_makes_model_data_and_trainer_of_recorded_datasets(config: Path, tmp_path: Path) -> None:
    cli = make_cli("fit", ["-c", str(config), "--out", str(tmp_path / "run")])
    made = {recording.id for recipe in RECIPES.get(config.stem, ("demo",)) for recording in load_recipe(recipe)}
    assert {source.id for source in cli.datamodule.sources} <= made
    assert cli.datamodule.layout == cli.model.network.layout
    assert cli.config.seed_everything == cli.config.data.seed == 0


def test_the_papers_layout_is_the_papers() -> None:
    cli = make_cli("fit", ["-c", str(ROOT / "configs" / "paper-layout.yaml"), "--help-free"][:2])
    network = cli.model.network
    assert isinstance(network, ModelConfig)
    assert (network.embedding, network.head, network.layout.group_size) == ("free", "free", 1)
    assert network.layout.separator
