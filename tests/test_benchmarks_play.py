"""benchmarks/play.py in small: a viewer is counted, and what they said is answered."""

from __future__ import annotations

import json
from pathlib import Path

import play
from making import make_model

from gato.model.config import ModelConfig
from gato.skills.bodies import BODIES


def test_a_viewer_is_measured(tmp_path: Path) -> None:
    make_model(ModelConfig(size="nano"), BODIES["ant"].spec).save(tmp_path / "model", card={"skills": []})
    line = f"--seconds 3 --cases 1-ant --model {tmp_path / 'model'} --out {tmp_path / 'play.json'}"
    play.main([word.replace("1-ant", "1 ant") for word in line.split()])
    run = json.loads((tmp_path / "play.json").read_text())["1 ant"]
    assert run["viewers"] == 1 and 0.5 < run["pace"] < 1.2 and run["poses_per_second"] > 20
    assert 0 < run["reply_ms"]["median"] <= run["reply_ms"]["most"] and run["simulated_s"]["most"] < 0.3
    assert set(run["shares"]) == {"policy", "physics", "showing", "streaming", "process"}
