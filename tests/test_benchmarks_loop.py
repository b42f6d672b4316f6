"""benchmarks/loop.py: its arms, a row and its cells, from errands walked by hand."""

from __future__ import annotations

import loop

from gato.planner.scene import Pose
from gato.planner.tasks import TASKS, Errand


def test_without_the_instruction_the_ball_counts_from_the_beginning() -> None:
    arms = loop.arms()
    assert arms["avoid"].instructions and not arms[loop.UNTOLD].instructions
    errands = [Errand(task, task.instructions, seed=0) for task in (arms["avoid"], arms[loop.UNTOLD])]
    for errand in errands:
        errand.track(Pose(*errand.world.ball, 0.0, 1.0), 0.0)
        errand.track(Pose(*errand.world.waypoints[0], 0.0, 1.0), 8.0)
    courses = [errand.course(dt=0.05, fell=False, told=("walk forward",), decisions=()) for errand in errands]
    assert [one.is_done for one in courses] == [True, False]
    row = loop.row("experts", "avoid", 0.5, courses)
    assert row["success"]["mean"] == 0.5 and "episodes" not in row["success"] and row["episodes"] == 2
    assert loop.cells(row) == ["experts", "avoid", "0.5", "0.50 [0.09, 0.91]", "0.1", "1.50", "0"]
    assert set(TASKS) < set(arms)
