"""A planner in the loop, on the ant: python benchmarks/loop.py [--models experts gato-small] [--episodes 30]

Each model steered by the scripted planner through each task, answers arriving at once; the same course without the
instruction, where most walk through the ball; and, of the first model, answers that arrive late. Success with Wilson's
95 % interval. Writes benchmarks/results/loop.json and the picture docs/loop.png.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gato.planner.act import find_told
from gato.planner.charts import draw_courses
from gato.planner.deliberation import Timing
from gato.planner.loop import Setting, run
from gato.planner.scripted import Scripted
from gato.planner.tasks import TASKS, Course, Task, figures
from gato.reporting.charts import write_png
from gato.reporting.markdown import table, with_interval
from gato.runs import write_json

HERE = Path(__file__).parent
RESULT, PICTURE = HERE / "results" / "loop.json", HERE.parent / "docs" / "loop.png"
LATENCIES = (0.5, 1.0, 2.0)
"""s after which answers arrive, beside none."""
UNTOLD = "avoid, not told"
BODY = "ant"


def arms() -> dict[str, Task]:
    """The tasks, and the last one without its instruction."""
    return {**TASKS, UNTOLD: dataclasses.replace(TASKS["avoid"], instructions=())}


def measure(model: str, task: Task, episodes: int, latency: float = 0.0) -> tuple[Course, ...]:
    """Its courses, steered by the scripted planner."""
    make_told, _ = find_told(model, BODY)
    timing = Timing(latency=latency)
    setting = Setting(task, task.instructions, BODY, episodes, timing=timing, is_shown=False)
    return tuple(course for course, _ in run(make_told, Scripted(), setting))


def row(model: str, arm: str, latency: float, courses: Sequence[Course]) -> dict[str, Any]:
    """As in the results: success without the list of its episodes."""
    found = figures(courses)
    del found["success"]["episodes"]
    return {"model": model, "task": arm, "latency": latency, "episodes": len(courses), **found}


def cells(one: dict[str, Any]) -> list[str]:
    """As the table shows it."""
    seconds = "-" if one["seconds"] is None else f"{one['seconds']:.1f}"
    ball = "-" if one["closest_to_ball"] is None else f"{one['closest_to_ball']['mean']:.2f}"
    success = with_interval(one["success"]["mean"], one["success"]["ci95"])
    return [one["model"], one["task"], f"{one['latency']:g}", success, seconds, ball, str(one["falls"])]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["experts", "gato-small"])
    parser.add_argument("--episodes", type=int, default=30)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    shown: dict[str, tuple[Course, ...]] = {}
    for model in given.models:
        for arm, task in arms().items():
            courses = measure(model, task, given.episodes)
            rows.append(row(model, arm, 0.0, courses))
            if model == given.models[0]:
                shown[arm] = courses
    for latency in LATENCIES:
        rows.append(
            row(given.models[0], "avoid", latency, measure(given.models[0], TASKS["avoid"], given.episodes, latency))
        )
    write_json(given.out, {"planner": Scripted.name, "seed": 0, "rows": rows})
    write_png(draw_courses(shown), given.picture, dpi=100)
    head = ["model", "task", "answers after, s", "done", "seconds", "closest to the ball, m", "fell"]
    print(table(head, map(cells, rows), texts=2))


if __name__ == "__main__":
    main()
