"""One page from the JSON of `gato eval` or from a training: scores, pictures, videos, where it all came from; or a page
that compares several. Needs nothing from outside.

In: a folder with results.json or logs/metrics.csv, and whatever lies beside it (videos/, logs/stages.json of a demo) or
beside the model (logs/metrics.csv). Out: one HTML file that can be mailed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gato.reporting import charts, comparison, sections
from gato.reporting.page import document
from gato.reporting.plan_section import plan, plans
from gato.reporting.sources import read_run, read_runs
from gato.runs import write_atomic

PAGE, COMPARISON = "report.html", "comparison.html"


def write_report(run: str | Path, *, out: str | Path = "", picture: str | Path = "") -> Path:
    """Write the page of an evaluation or a training, by default as report.html in its folder; its path.

    `picture`: also write the prompt matrix there, as a PNG. FileNotFoundError: no run there. ValueError: its results
    are damaged, no result of `gato eval`, or hold no prompt matrix for the picture.
    """
    sources = read_run(run)
    if str(picture):
        if not sources.matrices:
            raise ValueError(f"{run} holds no prompt matrix of a body with two skills; evaluate a suite first")
        charts.write_png(charts.prompt_matrix(sources.matrices), picture)
    parts = (
        sections.scores,
        plan,
        sections.answers,
        sections.matrices,
        sections.ablation,
        sections.switching,
        sections.curves,
        sections.cost,
        sections.where_from,
        sections.again,
    )
    rest = "".join(part(sources) for part in parts)
    body = sections.videos(sources, room=_room(rest)) + rest
    page = document(sections.title(sources), sections.lead(sources), body, sections.footer())
    return _write(page, out, sources.folder / PAGE)


def write_comparison(runs: Sequence[str | Path], *, out: str | Path = "") -> Path:
    """Write a page of evaluations and trainings, by default as comparison.html beside the first one; its path.

    ValueError: the same run twice, or evaluations of different suites. FileNotFoundError: a folder that is no run.
    """
    named = read_runs(runs)
    parts = (comparison.listed, comparison.scores, plans, comparison.matrices, comparison.curves)
    rest = "".join(part(named) for part in parts)
    body = rest + comparison.videos(named, room=_room(rest)) + comparison.again(named)
    page = document(comparison.title(named), "", body, sections.footer())
    return _write(page, out, next(iter(named.values())).folder.parent / COMPARISON)


def _room(rest: str) -> int:
    """Bytes that are left for videos."""
    return sections.MOST_BYTES - len(rest.encode())


def _write(page: str, out: str | Path, default: Path) -> Path:
    target = Path(out) if str(out) else default
    target = target / default.name if target.is_dir() else target
    write_atomic(target, page.encode())
    return target
