"""One page from the JSON of `gato eval`: scores, pictures, videos, where it all came from. Needs nothing from outside.

In: a folder with results.json, and whatever lies beside it (videos/, logs/stages.json of a demo) or beside the model
(logs/metrics.csv). Out: one HTML file that can be mailed.
"""

from __future__ import annotations

from pathlib import Path

from gato.reporting import charts, sections
from gato.reporting.page import document
from gato.reporting.sources import read_sources
from gato.runs import write_atomic

PAGE = "report.html"


def write_report(results: str | Path, *, out: str | Path = "", picture: str | Path = "") -> Path:
    """Write the page, by default as report.html beside the results; its path.

    `picture`: also write the prompt matrix there, as a PNG. FileNotFoundError: no results there. ValueError: they are
    damaged, no result of `gato eval`, or hold no prompt matrix for the picture.
    """
    sources = read_sources(results)
    target = Path(out) if str(out) else sources.folder / PAGE
    if target.is_dir():
        target = target / PAGE
    if str(picture):
        if not sources.matrices:
            raise ValueError(f"{results} holds no prompt matrix of a body with two skills; evaluate a suite first")
        charts.write_png(charts.prompt_matrix(sources.matrices), picture)
    parts = (
        sections.videos,
        sections.scores,
        sections.answers,
        sections.matrices,
        sections.ablation,
        sections.switching,
        sections.curves,
        sections.cost,
        sections.where_from,
        sections.again,
    )
    body = "".join(part(sources) for part in parts)
    page = document(sections.title(sources), sections.lead(sources), body, sections.footer())
    write_atomic(target, page.encode())
    return target
