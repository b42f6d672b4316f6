"""benchmarks/steering.py: shares by hand, and a picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import steering

from gato.rollout.switching import Switching


def test_who_obeys_late_has_not_obeyed_in_time(tmp_path: Path) -> None:
    found = Switching(rate=0.75, falls=1, median_seconds=1.5, trials=4, seconds=(2.5, 0.5, 1.5))
    one = steering.figures(found, 2.0)
    assert (one["obeyed"], one["rate"], one["seconds"]) == (0.5, 0.75, [0.5, 1.5, 2.5])
    assert one["obeyed_ci95"] == pytest.approx([0.15, 0.85], abs=0.01)
    assert "seconds" not in found.json()
    steering.draw({"ant": one, "hopper": one}).savefig(tmp_path / "steering.png")
    assert (tmp_path / "steering.png").stat().st_size > 1000
