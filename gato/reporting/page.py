"""The bare page of a report: document, sections, tables, figures; light and dark, phone and desk, nothing from outside.

In: texts that are HTML already. Out: HTML.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --ground: #ffffff; --card: #f3f5f8; --line: #d9dee6;
  --accent: #2f74d9; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebf0; --soft: #a3adba; --ground: #12161c; --card: #1c222b;
  --line: #343d4a; --accent: #6ea3f0; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 64rem; color: var(--ink); background: var(--ground);
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: clamp(1.5rem, 5vw, 2.3rem); line-height: 1.2; margin: .6rem 0 1.2rem; text-wrap: balance; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .3rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p { margin: .3rem 0 .9rem; color: var(--soft); max-width: 46rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem; }
.tiles div { background: var(--card); border-radius: .6rem; padding: .8rem .9rem; }
.tiles b { display: block; font-size: 1.6rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--soft); font-size: .85rem; line-height: 1.35; display: block; margin-top: .2rem; }
.videos { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(13rem, 46%), 1fr)); gap: .8rem; }
.videos div { color: var(--soft); font-size: .82rem; }
video { width: 100%; display: block; border-radius: .5rem; background: #000; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(19rem, 100%), 1fr)); gap: 1rem;
  align-items: start; }
figure { margin: 0 0 .6rem; }
figure svg { display: block; height: auto; margin: 0 auto; }
.scale { display: flex; gap: .6rem; align-items: center; justify-content: center; font-size: .85rem;
  color: var(--soft); }
.scale i { width: 9rem; height: .8rem; border: 1px solid var(--line);
  background: linear-gradient(90deg, #2f74d90a, #2f74d9); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .93rem; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { text-align: right; padding: .45rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap;
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
tbody th { color: var(--ink); font-weight: 400; }
.text { text-align: left; white-space: normal; min-width: 7.5rem; }
summary { cursor: pointer; }
@media (max-width: 40rem) { table { font-size: .82rem; } th, td { padding: .4rem .35rem; }
  thead th { white-space: normal; } .text { min-width: 5.5rem; } }
.interval { color: var(--soft); font-size: .85em; }
.bar { display: block; height: 4px; margin-top: .25rem; border-radius: 2px; background: var(--accent); }
.lineage, .lineage ul { padding-left: 1.1rem; }
.lineage li { margin: .35rem 0; overflow-wrap: anywhere; }
code, pre { font: .86em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.by { color: var(--soft); }
pre { background: var(--card); border-radius: .6rem; padding: .8rem 1rem; overflow-x: auto; }
.bad { color: var(--bad); }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .8rem; color: var(--soft);
  font-size: .82rem; }
"""
STILL = """
if (matchMedia("(prefers-reduced-motion: reduce)").matches)
  document.querySelectorAll("video").forEach(video => { video.autoplay = false; video.pause(); });
"""
"""Readers who asked their machine for less motion start the videos themselves."""


def document(title: str, lead: str, body: str, footer: str, *, style: str = "") -> str:
    """The whole page. `title` is text, the others HTML; `style` is what only this page has."""
    name = html.escape(title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n<main>\n<h1>{name}</h1>\n{lead}\n"
        f"{body}\n</main>\n<footer>{footer}</footer>\n<script>{STILL}</script>\n</body>\n</html>\n"
    )


def section(heading: str, words: str, content: str) -> str:
    """A heading, a sentence or two, and what they are about."""
    about = f"<p>{words}</p>" if words else ""
    return f"<section>\n<h2>{html.escape(heading)}</h2>\n{about}\n{content}\n</section>\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str, *, texts: int = 1) -> str:
    """Cells are HTML; the first of a row is its header. The first `texts` columns stand left, the numbers right."""

    def cell(tag: str, index: int, content: str, extra: str = "") -> str:
        align = ' class="text"' if index < texts else ""
        return f"<{tag}{align}{extra}>{content}</{tag}>"

    top = "".join(cell("th", index, name, ' scope="col"') for index, name in enumerate(head))
    lines = [
        cell("th", 0, row[0], ' scope="row"')
        + "".join(cell("td", n, value) for n, value in enumerate(row[1:], start=1))
        for row in rows
    ]
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    # Focusable, so that a wide table can be scrolled by keyboard too.
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(caption)}"><table>'
        f"<caption>{html.escape(caption)}</caption><thead><tr>{top}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"
    )


def figure(svg: str, words: str) -> str:
    """A picture with the words of it for those who do not see it."""
    return f'<figure role="img" aria-label="{html.escape(words)}">{svg}</figure>'


def interval(bounds: Sequence[float], form: str) -> str:
    """[low, high], softly."""
    low, high = bounds
    return f'<span class="interval">[{low:{form}}, {high:{form}}]</span>'


def number(value: float | None, form: str) -> str:
    """The number, or a dash where there is none."""
    return "–" if value is None else format(value, form)
