"""The whole of `gato act`: who acts, who decides, one task, and what is kept of it.

In: names. Out: the figures; in `out`: results.json, courses.png, episodes/<i>-decisions.jsonl and <i>-trajectory.csv,
videos/ and provenance.json.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gato.experts.shipped import expert_input, find_expert
from gato.model.find import find_model
from gato.model.gato import Gato
from gato.planner.charts import draw_courses
from gato.planner.deliberation import Timing
from gato.planner.find import find_planner
from gato.planner.local import LocalPlanner
from gato.planner.loop import CHOICES, Setting, Told, run
from gato.planner.tasks import Course, figures
from gato.reporting.charts import write_png
from gato.rollout.agent import Agent
from gato.rollout.experts import Experts
from gato.rollout.suite import check_body
from gato.rollout.video import write_videos
from gato.runs import as_input, open_run, write_atomic, write_json, write_provenance

EXPERTS = "experts"
"""The word that stands for the experts that come with Gato."""
RESULTS, PICTURE = "results.json", "courses.png"
VIDEO_FOLDER = "workspace/act"
"""Where videos go when no folder is named."""

log = logging.getLogger("gato")


def act(
    model: str,
    planner: str,
    setting: Setting,
    *,
    server_model: str = "",
    video: int = 0,
    out: str = "",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Runs the task and says how often it was done. Nothing is written unless `out` or videos are asked for.

    `model`: what `find_model` takes, or "experts"; `planner`, `server_model`: see `gato.planner.find`. In the result,
    "problems" where no decision was ever made.
    """
    if video < 0:
        raise ValueError(f"video is {video}; it is a number of episodes, 0 for none")
    make_told, inputs = find_told(model, setting.body)
    decides = find_planner(planner, server_model=server_model, timeout=setting.timing.timeout)
    if isinstance(decides, LocalPlanner):
        inputs["planner"] = as_input(decides.folder)
    out = out or (VIDEO_FOLDER if video else "")
    folder = open_run(out, overwrite=overwrite) if out else None
    ran = run(make_told, decides, setting)
    courses = [course for course, _ in ran]
    result = {
        "model": model,
        "planner": decides.name,
        "task": setting.task.name,
        "instructions": [f"{one.seconds:g} s: {one.words}" for one in setting.instructions],
        **figures(courses),
    }
    if result["decisions"] == result["failed_decisions"]:
        result["problems"] = [f"{decides.name} never decided anything: {result['first_failure'] or 'no answer yet'}"]
    elif result["failed_decisions"]:
        log.warning("%d decisions failed: %s", result["failed_decisions"], result["first_failure"])
    if folder is not None:
        if video:
            rollouts = {setting.body: [rollout for _, rollout in ran]}
            write_videos(rollouts, folder / "videos", video)
        write_episodes(courses, folder / "episodes")
        write_png(draw_courses({setting.task.name: courses}), folder / PICTURE)
        write_json(folder / RESULTS, result)
        write_provenance(
            folder,
            command=_command(model, planner, setting, {"server-model": server_model, "video": video, "out": out}),
            config={"planner": decides.name, "setting": setting},
            seeds={"seed": setting.seed},
            inputs=inputs,
        )
    return result


def _command(model: str, planner: str, setting: Setting, flags: Mapping[str, object]) -> str:
    """What to type to get this folder again, as far as the planner says the same again."""
    timing, usual = setting.timing, Timing()
    words = ["gato", "act", model, "--planner", planner, "--task", setting.task.name, "--body", setting.body]
    if setting.instructions != setting.task.instructions:
        words += ["--instruct", *(f"{one.seconds:g}:{one.words}" for one in setting.instructions)]
    words += ["--episodes", str(setting.episodes), "--seed", str(setting.seed)]
    for name in ("every", "timeout", "latency"):
        if getattr(timing, name) != getattr(usual, name):
            words += [f"--{name}", f"{getattr(timing, name):g}"]
    words += ["--real-time"] * timing.is_real_time
    words += [word for name, value in flags.items() if value for word in (f"--{name}", str(value))]
    return shlex.join(words)


def find_told(model: str, body: str) -> tuple[Callable[[Sequence[str]], Told], dict[str, dict[str, str]]]:
    """Makes who acts from the first prompts, and names it for a provenance; ValueError where it is no model, or knows
    no such body."""
    if model == EXPERTS:
        inputs = {skill: expert_input(skill, find_expert(skill)) for skill in CHOICES[body]}
        return lambda prompts: Experts(body, prompts), inputs
    place = find_model(model)
    loaded = Gato.load(place)
    check_body(loaded, body)
    return lambda prompts: Agent(loaded, body, prompts), {"model": as_input(place)}


def write_episodes(courses: Sequence[Course], folder: Path) -> None:
    """Of each, the decisions as JSON lines and the trajectory as CSV, beside one another."""
    for index, course in enumerate(courses):
        lines = [json.dumps({"step": step, **decision.json()}) for step, decision in course.decisions]
        write_atomic(folder / f"{index:03}-decisions.jsonl", "".join(f"{line}\n" for line in lines).encode())
        table = io.StringIO()
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(["step", "x_m", "y_m", "heading_degrees", "told"])
        for step, pose in enumerate(course.path):
            told = course.told[step] if step < len(course.told) else ""
            rows.writerow([step, f"{pose.x:.3f}", f"{pose.y:.3f}", f"{math.degrees(pose.heading):.1f}", told])
        write_atomic(folder / f"{index:03}-trajectory.csv", table.getvalue().encode())
