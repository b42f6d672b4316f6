"""benchmarks/steering.py: shares by hand, and a picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import steering

from gato.rollout.switching import Switching


def test_who_obeys_late_has_not_obeyed_in_time(tmp_path: Path) -> None:
    found = Switching(0.75, falls=1, median_seconds=1.5, trials=5, held_before=1, seconds=(2.5, 0.5, 1.5))
    one = steering.figures(found, 2.0)
    assert (one["obeyed"], one["rate"], one["seconds"]) == (0.5, 0.75, [0.5, 1.5, 2.5])
    assert one["obeyed_ci95"] == pytest.approx([0.15, 0.85], abs=0.01)
    assert one["held_before"] == 1 and "seconds" not in found.json()
    picture = steering.draw({"ant": one, "hopper": one})
    assert [line.get_ydata()[-1] for line in picture.axes[0].lines[:2]] == [0.75, 0.75]
    picture.savefig(tmp_path / "steering.png")
    assert (tmp_path / "steering.png").stat().st_size > 1000


def test_where_all_trials_held_before_there_is_no_share(tmp_path: Path) -> None:
    one = steering.figures(Switching(None, falls=0, median_seconds=None, trials=2, held_before=2), 2.0)
    assert (one["obeyed"], one["obeyed_ci95"], one["seconds"]) == (None, None, [])
    steering.draw({"ant": one}).savefig(tmp_path / "steering.png")
