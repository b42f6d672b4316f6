"""The parts of a report's page, each from its part of the results; "" where there is nothing to show.

In: `Sources`. Out: HTML.
"""

from __future__ import annotations

import base64
import dataclasses
import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from gato.lineage import Artifact, lineage
from gato.reporting import charts
from gato.reporting.page import figure, interval, number, section, table
from gato.reporting.sources import Sources
from gato.runs import PROVENANCE, package_versions, read_provenance

MOST_BYTES = 19_000_000
"""Of a page, videos and all: it can be mailed."""
MOST_VIDEOS = 14
"""Of one run in a page: readers watch no more."""
ARMS = {
    "correct": "the canonical prompt",
    "wrong": "the prompt of another skill of the body",
    "empty": "no words at all",
    "seen": "any phrase of the grammar that was trained on",
    "combinations": "known verbs with known ways, in pairs that were never trained on",
    "phrasings": "known words, put in a way that was never trained on",
    "words": "verbs that were never trained on",
    "typo": "the canonical prompt with a typing mistake",
    "contradictory": "the canonical prompt, and another skill's after it",
}
"""Ways of saying it, in words."""
MATRIX_WORDS = (
    "Row: what was said. Column: what was done, by the rule of each skill. Words that work give ones on the diagonal "
    "and zeros elsewhere."
)
MATRIX_SCALE = '<div class="scale">share of episodes: 0 <i></i> 1</div>'


def title(sources: Sources) -> str:
    """One sentence, as text."""
    if not sources.results:
        return f"The training of {sources.folder.resolve().name}"
    skills = sources.tasks
    bodies = {skill.split("/")[0] for skill in skills}
    if not skills:
        return "What one transformer does when it is told"
    counted = f"{len(bodies)} {'body' if len(bodies) == 1 else 'bodies'}, {len(skills)} skill{'s' * (len(skills) > 1)}"
    return f"One transformer, {counted}, chosen by words"


def lead(sources: Sources) -> str:
    """The page's few figures, large."""
    results, card = sources.results, sources.card
    facts: list[tuple[str, str]] = []
    if results.get("mean_normalised") is not None:
        facts.append((f"{results['mean_normalised']:.2f}", "mean normalised score (0 random, 1 expert)"))
        facts.append((f"{results['iqm_normalised']:.2f}", "interquartile mean of the same"))
    obeyed = [rates[index] for matrix in sources.matrices.values() for index, rates in enumerate(matrix["rate"])]
    if obeyed:
        facts.append((f"{min(obeyed):.0%}", "of episodes obey, for the least obeyed prompt"))
    if card:
        facts.append((f"{card['parameters'] / 1e6:.1f} M", f"parameters, {card['updates']:,} updates"))
    if sources.stages:
        facts.append((_clock(sources.seconds), "minutes from experts to this page"))
    tiles = "".join(f"<div><b>{value}</b><span>{text}</span></div>" for value, text in facts)
    return f'<div class="tiles">{tiles}</div>'


def videos(sources: Sources, *, room: int) -> str:
    """A few seconds of every prompt, side by side, in the order of the scores; at most `room` bytes of them."""
    paths = sources.videos
    shown = fitting([(path,) for path in paths], room)[:MOST_VIDEOS]
    if not paths:
        return ""
    more = left_out([path for path in paths if (path,) not in shown])
    words = f"The same weights in every picture; only the body and the words above it differ.{more}"
    films = "".join(film(path, film_words(path)) for (path,) in shown)
    return section("Told, and done", words, f'<div class="videos">{films}</div>')


def fitting(groups: Sequence[tuple[Path, ...]], room: int) -> list[tuple[Path, ...]]:
    """Those groups of videos, in order, that fit into so many bytes of a page."""
    shown = []
    for group in groups:
        size = sum(4 * -(-path.stat().st_size // 3) + 200 for path in group)  # base64, and its element
        if size <= room:
            shown.append(group)
            room -= size
    return shown


def left_out(paths: Sequence[Path]) -> str:
    """A sentence on videos that the page does not hold; "" for none."""
    if not paths:
        return ""
    size = sum(path.stat().st_size for path in paths) / 1e6
    folders = ", ".join(dict.fromkeys(str(path.parent) for path in paths))
    return f" {len(paths)} more ({size:.1f} MB) lie in {html.escape(folders)}: the page is kept small enough to mail."


def film_words(path: Path) -> str:
    """Body and prompt of a video, by its name; HTML."""
    return html.escape(path.stem.rpartition("-")[0].replace("-", " "))


def film(path: Path, words: str) -> str:
    """A video inside the page; `words` are HTML."""
    data = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<div><video autoplay muted loop playsinline controls aria-label="Video: {words}" '
        f'src="data:video/mp4;base64,{data}"></video>{words}</div>'
    )


def scores(sources: Sources) -> str:
    """Return, expert, random, normalised and success of every skill."""
    results = sources.results
    rows = [
        [
            f"“{html.escape(task['prompt'])}”",
            html.escape(skill),
            f"{task['return']['mean']:,.0f} {interval(task['return']['ci95'], ',.0f')}",
            number(task["expert"], ",.0f"),
            number(task["random"], ",.0f"),
            normalised(task),
            number(task["success"], ".0%"),
        ]
        for skill, task in sources.tasks.items()
    ]
    if not rows:
        return ""
    words = (
        f"{results['episodes']} episodes a prompt from starts that were not trained on (seed {results['seed']}), the "
        "same for model, expert and random actions. In brackets the bootstrap 95 % interval of the mean. Obeyed: the "
        "share of episodes that met the rule of the skill, which is stated in physical units and not in reward."
    )
    head = ("told", "skill", "return", "expert", "random", "normalised", "obeyed")
    return section("Scores", words, table(head, rows, "Scores of every skill", texts=2))


def normalised(task: Mapping[str, Any]) -> str:
    """(return - random) / (expert - random), with the interval of the return."""
    if task["normalised"] is None:
        return "–"
    floor, span = task["random"], task["expert"] - task["random"]
    low, high = sorted((bound - floor) / span for bound in task["return"]["ci95"])
    return score(task["normalised"], (low, high))


def score(value: float, bounds: Sequence[float]) -> str:
    """A normalised score, its interval, and a bar as long as it is good."""
    bar = f'<i class="bar" style="width:{100 * min(max(value, 0), 1):.0f}%"></i>'
    return f"<b>{value:.3f}</b> {interval(bounds, '.2f')}{bar}"


def answers(sources: Sources) -> str:
    """What `gato eval --prompt` and `--prompts` found."""
    rows = [
        [
            html.escape(one["body"]),
            f"“{html.escape(one['prompt'])}”",
            html.escape(one["skill"] or "–"),
            number(one["success"], ".0%"),
            ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in one["measured"].items()),
        ]
        for one in sources.results.get("prompts", [])
    ]
    if not rows:
        return ""
    head = ("body", "told", "meant", "obeyed", "measured (mean, SI units)")
    return section("Other words", "", table(head, rows, "Prompts, and what the body did", texts=5))


def matrices(sources: Sources) -> str:
    """A square a body: prompt given by behaviour measured."""
    shown = [
        matrix_figure(matrix, charts.prompt_matrix(sources.matrices, only=body), body)
        for body, matrix in sources.matrices.items()
    ]
    if not shown:
        return ""
    return section("The prompt matrix", MATRIX_WORDS, f'<div class="figures">{"".join(shown)}</div>{MATRIX_SCALE}')


def matrix_figure(matrix: Mapping[str, Any], drawn: Figure, name: str) -> str:
    """The square of one body (and run), which are its `name`; with all its numbers for who does not see it."""
    names = [behaviour.split("/")[-1] for behaviour in matrix["behaviours"]]
    told = [
        f"Told “{prompt}”: " + ", ".join(f"{name} {rate:.2f}" for name, rate in zip(names, rates, strict=True))
        for prompt, rates in zip(matrix["prompts"], matrix["rate"], strict=True)
    ]
    svg = charts.to_svg(drawn, "matrix-" + re.sub(r"[^\w-]+", "-", name))
    return figure(svg, f"Prompt matrix of {name}. {'. '.join(told)}.")


def ablation(sources: Sources) -> str:
    """The same skills, asked for in other ways."""
    arms = sources.results.get("ablation", {})
    bodies = list(dict.fromkeys(body for figures in arms.values() for body in figures))
    if not bodies:
        return ""
    rows = [
        [f"<b>{arm}</b>: {ARMS.get(arm, '')}", *(_arm(figures.get(body)) for body in bodies)]
        for arm, figures in arms.items()
    ]
    paid = [[f"<b>{arm}</b>", *(_paid(figures.get(body)) for body in bodies)] for arm, figures in arms.items()]
    told = [
        f"{arm}: " + ", ".join(f"{body} {one['success']:.2f}" for body, one in figures.items())
        for arm, figures in arms.items()
    ]
    episodes = len(next(one for figures in arms.values() for one in figures.values())["return"]["episodes"])
    words = (
        f"Episodes for each bar: {episodes}. Wrong words should fail what was wanted, because the body does what was "
        "<em>said</em> instead; in brackets the share of episodes that did what was said. Below, their returns by the "
        "reward of what was wanted, normalised: 0 is random actions, 1 the expert, on the same starts."
    )
    drawn = charts.to_svg(charts.ablation(arms), "ablation")
    picture = figure(drawn, f"Share of episodes that did what was wanted. {'. '.join(told)}.")
    listed = table(("how it was said", *bodies), rows, "Share of episodes that did what was wanted")
    returns = table(("how it was said", *bodies), paid, "Normalised return by the reward of what was wanted")
    return section("What the words are worth", words, picture + listed + returns)


def _arm(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return "–"
    (low, high), said = figures["success_ci95"], figures["obeyed"]
    return f"{figures['success']:.0%} [{low:.0%}, {high:.0%}]" + ("" if said is None else f" ({said:.0%})")


def _paid(figures: Mapping[str, Any] | None) -> str:
    told = None if figures is None else figures["normalised"]
    return "–" if told is None else f"{told['mean']:.2f} {interval(told['ci95'], '.2f')}"


def switching(sources: Sources) -> str:
    """Prompts changed while the body moves."""
    rows = [
        [
            html.escape(body),
            number(one["rate"], ".0%"),
            number(one["median_seconds"], ".1f"),
            str(one["falls"]),
            number(one.get("held_before"), "d"),
            str(one["trials"]),
        ]
        for body, one in sources.results.get("switching", {}).items()
    ]
    if not rows:
        return ""
    head = ("body", "obeyed within 3 s", "median time (s)", "falls", "held before", "trials")
    words = (
        "The words are replaced at a random moment while the body moves. Trials in which it did the new thing already "
        "(held before) count for falls only; results of before these were told apart have a dash there."
    )
    return section("New words on the way", words, table(head, rows, "Prompts changed while the body moves"))


def curves(sources: Sources) -> str:
    """Loss and rollout score against updates."""
    updates, loss = sources.column("train/loss")
    if not updates:
        return ""
    drawn = charts.to_svg(charts.loss_curve(updates, loss), "loss")
    told = f"{loss[0]:.2f} at update {updates[0]:.0f}, {loss[-1]:.2f} at update {updates[-1]:.0f}"
    shown = [figure(drawn, f"Loss against updates: {told}.")]
    words = "How likely the expert's actions are to the model."
    updates, mean = sources.column("rollout/mean")
    if updates:
        names = [name for name in sources.metrics[0] if name.startswith("rollout/") and name != "rollout/mean"]
        each = {name.removeprefix("rollout/"): sources.column(name)[1] for name in names}
        drawn = charts.to_svg(charts.score_curve(updates, each, mean), "score")
        told = ", ".join(f"{value:.2f} at update {update:.0f}" for update, value in zip(updates, mean, strict=True))
        shown.append(figure(drawn, f"Mean normalised score against updates: {told}."))
        words += " And what counts: the score of a few prompted episodes while it learns."
    return section("Learning", words, f'<div class="figures">{"".join(shown)}</div>')


def cost(sources: Sources) -> str:
    """Time and memory of each stage of a demo."""
    if not sources.stages:
        return ""
    rows = [
        [html.escape(name), _clock(stage["seconds"]), f"{stage['peak_bytes'] / 2**30:.2f}"]
        for name, stage in sources.stages.items()
    ]
    peak = max(stage["peak_bytes"] for stage in sources.stages.values())
    rows.append(["<b>all</b>", f"<b>{_clock(sources.seconds)}</b>", f"<b>{peak / 2**30:.2f}</b>"])
    words = "Memory is the most that the process and its largest child had held until the stage ended."
    head = ("stage", "time (min:s)", "peak memory (GiB)")
    return section("Time and memory", words, table(head, rows, "Time and memory of each stage"))


def where_from(sources: Sources) -> str:
    """The lineage of the model."""
    if sources.model is None:
        return ""
    words = (
        "By content hashes, from the model back to the experts; <code>gato info</code> walks it again and marks what "
        "has changed since."
    )
    model = lineage(sources.model, name="model")
    inner = "".join(map(_artifact, model.inputs))
    datasets = f"<details><summary>{len(model.inputs)} datasets and their experts</summary><ul>{inner}</ul></details>"
    walk = f'<ul class="lineage">{_artifact(dataclasses.replace(model, inputs=()))}</ul>'
    return section("Where it comes from", words, f'{walk}<div class="lineage">{datasets}</div>')


def _artifact(artifact: Artifact) -> str:
    told = f"<b>{html.escape(artifact.name)}</b> <code>{artifact.content_hash}</code>"
    if artifact.status not in ("ok", "untracked", "remembered"):
        told += f' <b class="bad">{artifact.status}</b>'
    if artifact.command:
        told += f'<br><code class="by">{html.escape(artifact.command)}</code>'
    inner = "".join(_artifact(one) for one in artifact.inputs)
    return f"<li>{told}{f'<ul>{inner}</ul>' if inner else ''}</li>"


def again(sources: Sources) -> str:
    """Commands that make the results, and the page."""
    lines = html.escape("\n".join([*made_by(sources), f"gato report {sources.folder}"]))
    return section("Again", "What makes the results, and this page.", f"<pre>{lines}</pre>")


def made_by(sources: Sources) -> list[str]:
    """The command that made it, where it is known: of a training run it stands with its model."""
    places = [sources.folder] if sources.results else [sources.model]
    return [read_provenance(place)["command"] for place in places if place and (place / PROVENANCE).is_file()]


def footer() -> str:
    """Versions."""
    versions = ", ".join(f"{name} {version}" for name, version in package_versions().items())
    return f"Made by Gato with {html.escape(versions)}."


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
