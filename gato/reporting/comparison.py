"""The parts of a page that sets several runs side by side; "" where there is nothing to show.

In: runs by their names. Out: HTML.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gato.reporting import charts
from gato.reporting.page import figure, interval, number, section, table
from gato.reporting.sections import (
    MATRIX_SCALE,
    MATRIX_WORDS,
    MOST_VIDEOS,
    film,
    film_words,
    fitting,
    left_out,
    made_by,
    matrix_figure,
    normalised,
    score,
)
from gato.reporting.sources import Sources
from gato.specs import grouped_interval

Runs = Mapping[str, Sources]
CURVES = {
    "train/loss": "loss (nats an action number)",
    "val/loss": "loss on held-out episodes",
    "rollout/mean": "normalised score (1 = expert)",
}
"""Columns of metrics.csv that are drawn, and what they are."""
NOISY = ("train/loss",)


def title(runs: Runs) -> str:
    """One sentence, as text."""
    *others, last = runs
    return f"{', '.join(others)} and {last}, compared"


def listed(runs: Runs) -> str:
    """What the runs are, and what made them."""
    rows = [
        [
            f"<b>{html.escape(name)}</b>",
            "training" if not one.results else f"{one.results['episodes']} episodes, seed {one.results['seed']}",
            number(one.card["parameters"] / 1e6 if one.card else None, ".1f"),
            number(one.card.get("updates"), ",d"),
            f"<code>{html.escape(next(iter(made_by(one)), '–'))}</code>",
        ]
        for name, one in runs.items()
    ]
    head = ("run", "measured", "parameters (M)", "updates", "made by")
    # What made it comes last and may be long: it is text, and the others stand left with it.
    return section("The runs", "", table(head, rows, "The runs, and what made them", texts=5))


def scores(runs: Runs) -> str:
    """One table: the mean and every task, a column a run."""
    measured = {name: one for name, one in runs.items() if one.tasks}
    if not measured:
        return ""
    tasks = list(dict.fromkeys(task for one in measured.values() for task in one.tasks))
    shared = [task for task in tasks if all(_has_score(one, task) for one in measured.values())]
    rows = [
        [f"<b>mean of {len(shared)}</b>", "", *(_mean(one, shared) for one in measured.values())],
        *([html.escape(_prompt(task, measured)), html.escape(task), *_cells(task, measured)] for task in tasks),
    ]
    words = (
        "Normalised: 0 is random actions, 1 the expert, on the starts of each run. In brackets the bootstrap 95 % "
        "interval over episodes; below it, how often the rule of the skill was met. The mean is over the "
        f"{len(shared)} tasks that every run was measured on."
    )
    if len(shared) < len(tasks):
        words += f" {len(tasks) - len(shared)} of {len(tasks)} are not among them."
    head = ("told", "skill", *map(html.escape, measured))
    return section("Scores", words, table(head, rows, "Scores of every run on every task", texts=2))


def _has_score(sources: Sources, task: str) -> bool:
    return task in sources.tasks and sources.tasks[task]["normalised"] is not None


def _prompt(task: str, runs: Runs) -> str:
    return next(f"“{one.tasks[task]['prompt']}”" for one in runs.values() if task in one.tasks)


def _mean(sources: Sources, tasks: list[str]) -> str:
    """Mean normalised score over these tasks, with its interval; a dash where there is no task."""
    if not tasks:
        return "–"
    scores = [_episode_scores(sources.tasks[task]) for task in tasks]
    return score(sum(sources.tasks[task]["normalised"] for task in tasks) / len(tasks), grouped_interval(scores))


def _episode_scores(task: Mapping[str, Any]) -> list[float]:
    floor, span = task["random"], task["expert"] - task["random"]
    return [(value - floor) / span for value in task["return"]["episodes"]]


def _cells(task: str, runs: Runs) -> list[str]:
    return [_cell(one.tasks[task]) if task in one.tasks else "–" for one in runs.values()]


def _cell(task: Mapping[str, Any]) -> str:
    """The normalised score; the return where there is no expert to compare with."""
    mean, bounds = task["return"]["mean"], task["return"]["ci95"]
    shown = f"return {mean:,.0f} {interval(bounds, ',.0f')}" if task["normalised"] is None else normalised(task)
    obeyed = "" if task["success"] is None else f'<span class="interval">obeyed {task["success"]:.0%}</span>'
    return shown + obeyed


def curves(runs: Runs) -> str:
    """Learning curves over each other; a training that two runs share is drawn once."""
    trained: dict[int, tuple[str, Sources]] = {}
    for index, (name, one) in enumerate(runs.items()):
        if one.metrics and all(one.metrics != other.metrics for _, other in trained.values()):
            trained[index] = (name, one)
    shown = []
    for column, words in CURVES.items():
        found = {index: (name, one.column(column)) for index, (name, one) in trained.items() if one.column(column)[0]}
        if not found:
            continue
        drawn = charts.to_svg(charts.overlaid(found, words, is_noisy=column in NOISY), column.replace("/", "-"))
        told = [f"{name} {values[-1]:.2f} at update {updates[-1]:.0f}" for name, (updates, values) in found.values()]
        shown.append(figure(drawn, f"{words} against updates: {', '.join(told)}."))
    if not shown:
        return ""
    same = [name for index, (name, one) in enumerate(runs.items()) if one.metrics and index not in trained]
    words = f"Drawn once, since the model is the same: {html.escape(', '.join(same))}." if same else ""
    return section("Learning", words, f'<div class="figures">{"".join(shown)}</div>')


def matrices(runs: Runs) -> str:
    """For each body the squares of all runs."""
    bodies = list(dict.fromkeys(body for one in runs.values() for body in one.matrices))
    shown = []
    for body in bodies:
        found = {name: one.matrices[body] for name, one in runs.items() if body in one.matrices}
        squares = [
            matrix_figure(matrix, charts.prompt_matrix(found, only=name), f"{body} {name}")
            for name, matrix in found.items()
        ]
        shown.append(f'<h3>{html.escape(body)}</h3><div class="figures">{"".join(squares)}</div>')
    return section("Prompt matrices", MATRIX_WORDS, "".join(shown) + MATRIX_SCALE) if shown else ""


def videos(runs: Runs, *, room: int) -> str:
    """The same prompt by every run, side by side; at most `room` bytes of videos."""
    names: dict[Path, str] = {path: name for name, one in runs.items() for path in one.videos[:MOST_VIDEOS]}
    every = [path for one in runs.values() for path in one.videos]
    by_file: dict[str, tuple[Path, ...]] = {}
    for path in names:
        by_file[path.name] = (*by_file.get(path.name, ()), path)
    shown = fitting(list(by_file.values()), room)
    if not every:
        return ""
    films = "".join(
        f'<h3>{film_words(group[0])}</h3><div class="videos">'
        f"{''.join(film(path, html.escape(names[path])) for path in group)}</div>"
        for group in shown
    )
    more = left_out([path for path in every if not any(path in group for group in shown)])
    return section("Told, and done", f"The same words to every run.{more}", films)


def again(runs: Runs) -> str:
    """The command that makes the page."""
    line = html.escape(f"gato report {' '.join(str(one.folder) for one in runs.values())}")
    return section("Again", "What makes this page.", f"<pre>{line}</pre>")
