"""How often plans were followed, part by part: of one run, or of several beside each other.

In: results of `gato eval --plan`. Out: HTML.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from gato.reporting import charts
from gato.reporting.page import figure, interval, number, section, table
from gato.reporting.sources import Sources

WORDS = (
    "A part is done if what it waits for came in time, the body did not fall, and the rule of its skill held over the "
    "second half of the part's own time. Pale: the episodes that came to it."
)


def plan(sources: Sources) -> str:
    """The plan of one run."""
    return plans({"": sources})


def plans(runs: Mapping[str, Sources]) -> str:
    """Each plan that any of these runs followed; "" for none. The name of the only run may be empty."""
    by_words: dict[str, dict[str, dict[str, Any]]] = {}
    for name, one in runs.items():
        if "plan" in one.results:
            by_words.setdefault(one.results["plan"], {})[name] = one.results
    shown = [_followed(words, results, f"plan-{index}") for index, (words, results) in enumerate(by_words.items())]
    return section("Plans, followed", WORDS, "".join(shown)) if shown else ""


def _followed(words: str, results: Mapping[str, Mapping[str, Any]], drawing: str) -> str:
    parts = {name: one["plan_parts"] for name, one in results.items()}
    labels = [_part_words(part) for part in next(iter(parts.values()))]
    rows, told = [], []
    for index, label in enumerate(labels):
        for name, part in ((name, own[index]) for name, own in parts.items()):
            done = part["success"]
            told.append(f"{name} {label}: {done['mean']:.2f}".strip())
            rows.append(
                [
                    html.escape(label),
                    html.escape(name),
                    f"{done['mean']:.0%} {interval(done['ci95'], '.0%')}",
                    number(part["reached"], ".0%"),
                    number(part["took"], ".1f"),
                    str(part["falls"]),
                ]
            )
    head = ["part", "run", "done", "came to it", "took (s)", "falls"]
    if "" in results:
        head, rows = [head[0], *head[2:]], [[row[0], *row[2:]] for row in rows]
    drawn = charts.to_svg(charts.plan_parts(labels, parts), drawing)
    picture = figure(drawn, f"Share of episodes that did each part. {'. '.join(told)}.")
    listed = table(head, rows, "Parts of the plan", texts=len(head) - 4)
    return f"<h3>“{html.escape(words)}”</h3><p>{_whole(results)}</p>{picture}{listed}"


def _whole(results: Mapping[str, Mapping[str, Any]]) -> str:
    told = []
    for name, one in results.items():
        done = one["plan_success"]
        of = f"of {len(done['episodes'])} episodes did all of it"
        told.append(
            f"{html.escape(name)}{': ' * bool(name)}<b>{done['mean']:.0%}</b> {interval(done['ci95'], '.0%')} {of}."
        )
    return "<br>".join(told)


def _part_words(part: Mapping[str, Any]) -> str:
    """Such as "turn-left, at most 6.14 s, until total yaw rate at least 1.57, 2 times"."""
    words = f"{part['skill'].split('/')[-1]}, {'at most ' * bool(part['until'])}{part['seconds']:.3g} s"
    if until := part["until"]:
        reading = until["reading"].replace("_", " ")
        words += f", until {until['statistic']} {reading} {until['relation']} {until['value']:.3g}"
    return words + f", {part['repeats']} times" * (part["repeats"] > 1)
