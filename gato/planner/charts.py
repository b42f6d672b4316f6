"""Courses from above, as a picture.

In: courses of one task. Out: a matplotlib figure. Every course is turned so that its first waypoint lies to the right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from gato.planner.tasks import CLEARANCE, NEAR, Course, Place
from gato.reporting.charts import COLOURS, STYLE

PANEL = 4.0
"""Inches of a task."""
DONE, FAILED, MARK = COLOURS[0], COLOURS[1], COLOURS[4]


def draw_courses(courses: Mapping[str, Sequence[Course]]) -> Figure:
    """A panel each (name -> its courses): done in blue, failed in orange; the ball, and its clearance if it counts."""
    with matplotlib.rc_context({**STYLE, **{key: "black" for key in STYLE if "color" in key}}):
        figure = Figure(figsize=(PANEL * len(courses), PANEL), layout="constrained")
        panels = figure.subplots(1, len(courses), squeeze=False)[0]
        for axes, (name, own) in zip(panels, courses.items(), strict=True):
            _draw(axes, own)
            axes.set_title(f"{name}: {sum(one.is_done for one in own)} of {len(own)}", fontsize=10)
        return figure


def _draw(axes: Axes, courses: Sequence[Course]) -> None:
    for one in courses:
        turned = _turned([(pose.x, pose.y) for pose in one.path], one)
        colour = DONE if one.is_done else FAILED
        axes.plot(*turned.T, color=colour, linewidth=0.8, alpha=0.6, zorder=2)
        axes.plot(*turned[-1], marker="x" if one.fell else ".", markersize=4, color=colour, zorder=2)
    first = courses[0]
    for place in _turned(first.world.waypoints, first).tolist():
        axes.add_patch(Circle(place, NEAR, color=COLOURS[2], alpha=0.35, linewidth=0, zorder=1))
    (ball,) = _turned([first.world.ball], first).tolist()
    axes.add_patch(Circle(ball, 0.15, color=MARK, zorder=3))
    if first.task.is_kept_away:
        axes.add_patch(Circle(ball, CLEARANCE, fill=False, edgecolor=MARK, linestyle="--", linewidth=0.8, zorder=3))
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("m")
    axes.grid(alpha=0.2)


def _turned(places: Sequence[Place], course: Course) -> np.ndarray:
    """(N, 2) m, as if the first waypoint lay to the right of the world's middle."""
    angle = -math.atan2(course.world.waypoints[0][1], course.world.waypoints[0][0])
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.array(places, float) @ turn.T
