"""Pictures of results: prompt matrix, ablation, learning curves.

In: parts of the JSON of `gato eval`, columns of metrics.csv and of experts' curve.csv. Out: matplotlib figures, as SVG
that takes the page's own text colour (light and dark), or as PNG on white.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

INK = "#010203"
"""Stands for the page's text colour until the SVG is written."""
ACCENT = "#2f74d9"
"""Of luminance 0.18: black and white letters on it are equally readable (contrast 4.5)."""
COLOURS = ("#2f74d9", "#d9622f", "#2a9d6f", "#a05bd6", "#c99a1a", "#d24a86", "#4a9fb5")
"""Mid-tones, told apart on white and on black."""
DASHES = ("-", "--", ":")
"""Of lines, once there are more than colours."""
Curve = tuple[Sequence[float], Sequence[float]]
"""Updates, and a figure at each."""
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "svg.fonttype": "path",
    "svg.hashsalt": "gato",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
CELL = 0.85
"""Inches a cell of the prompt matrix."""
LETTER = 0.08
"""Inches a letter beside it."""
LABEL_LETTERS = 34
"""Of a line of words beside a bar."""
SCALE = 1.1
"""Inches of the colour scale."""


def to_svg(figure: Figure, name: str) -> str:
    """The figure as an inline SVG element; `name` keeps its ids apart from those of the page's other figures."""
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    width = re.search(r'width="([\d.]+)pt"', text)
    assert width is not None
    # The viewBox scales the rest; wider than it was drawn only makes letters large.
    size = f'style="max-width:{float(width[1]) * 4 / 3:.0f}px" aria-hidden="true"'
    return re.sub(r'height="[\d.]+pt"', size, re.sub(r'width="[\d.]+pt"', 'width="100%"', text, count=1), count=1)


def write_png(figure: Figure, path: str | Path, *, dpi: int = 160) -> Path:
    """The figure on white, for a README; of 256 colours, a third of the bytes."""
    target, buffer = Path(path), io.BytesIO()
    target.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(target, "PNG", optimize=True)
    return target


def prompt_matrix(matrices: Mapping[str, Mapping[str, Any]], *, only: str = "") -> Figure:
    """One square a body, side by side: row = prompt given, column = behaviour measured, colour and number = rate.

    `only`: that body alone, without the colour scale, in the size that all bodies share.
    """
    quoted = {body: {**one, "rows": [f"“{prompt}”" for prompt in one["prompts"]]} for body, one in matrices.items()}
    return rate_matrix(quoted, rows="prompt given", columns="behaviour measured", only=only)


def rate_matrix(matrices: Mapping[str, Mapping[str, Any]], *, rows: str, columns: str, only: str = "") -> Figure:
    """One square a body, side by side: {"rows", "behaviours", "rate"}; colour and number = rate.

    `only`: that body alone, without the colour scale, in the size that all bodies share.
    """
    most = max(len(matrix["rows"]) for matrix in matrices.values())
    longest = max(len(row) for matrix in matrices.values() for row in matrix["rows"])
    # Placed by hand, in inches: layouts that fit themselves to the labels give every body another size.
    margin, side, below = 0.55 + LETTER * longest, most * CELL, 0.85
    shown = {only: matrices[only]} if only else matrices
    width, height = len(shown) * (margin + side) + (0.1 if only else SCALE), below + side + 0.35
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        for index, (body, matrix) in enumerate(shown.items()):
            left = margin + index * (margin + side)
            axes = figure.add_axes((left / width, below / height, side / width, side / height))
            _draw_matrix(axes, matrix)
            axes.set_title(body, fontweight="bold")
            axes.set_xlabel(columns, labelpad=6)
            axes.set_ylabel(rows if index == 0 else "", labelpad=6)
        if not only:
            shades = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(0, 1), _shades())
            place = figure.add_axes(((width - SCALE + 0.3) / width, below / height, 0.15 / width, side / height))
            figure.colorbar(shades, cax=place, label="share of episodes", ticks=[0, 0.5, 1])
    return figure


def _shades() -> matplotlib.colors.Colormap:
    """From nothing to the accent: the background of the page shows through, and so letters stay readable."""
    red, green, blue = matplotlib.colors.to_rgb(ACCENT)
    return matplotlib.colors.LinearSegmentedColormap.from_list(
        "accent", [(red, green, blue, 0.04), (red, green, blue, 1)]
    )


def _draw_matrix(axes: Axes, matrix: Mapping[str, Any]) -> None:
    rate = np.asarray(matrix["rate"], float)
    words = [behaviour.split("/")[-1].replace("-", "\n", 1) for behaviour in matrix["behaviours"]]
    # A square a cell, not an image: SVG images are pixels, and have no transparency on some screens.
    for (row, column), value in np.ndenumerate(rate):
        square = matplotlib.patches.Rectangle(
            (column - 0.5, row - 0.5), 1, 1, facecolor=_shades()(value), edgecolor=INK, linewidth=0.6, clip_on=False
        )
        axes.add_patch(square)
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=12)
    axes.set_xlim(-0.5, len(words) - 0.5)
    axes.set_ylim(len(rate) - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_xticks(range(len(words)), words)
    axes.set_yticks(range(len(rate)), matrix["rows"])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def ablation(arms: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Bars: for each way of saying it and each body, the share of episodes that did what was wanted."""
    bodies = list(dict.fromkeys(body for figures in arms.values() for body in figures))
    width = 0.8 / max(len(bodies), 1)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.4 + 0.55 * len(arms), 3.4), layout="constrained")
        axes = figure.subplots()
        for index, body in enumerate(bodies):
            places = [place + (index - (len(bodies) - 1) / 2) * width for place in range(len(arms))]
            heights = [figures[body]["success"] if body in figures else np.nan for figures in arms.values()]
            axes.bar(places, heights, width * 0.9, color=COLOURS[index % len(COLOURS)], label=body)
        axes.set_xticks(range(len(arms)), list(arms), rotation=30, ha="right", rotation_mode="anchor")
        axes.tick_params(axis="x", length=0)
        axes.set_ylim(0, 1.02)
        axes.set_ylabel("did what was wanted\n(share of episodes)")
        axes.set_xlabel("how it was said")
        figure.legend(loc="outside upper center", ncols=len(bodies))
    return figure


def loss_curve(updates: Sequence[float], loss: Sequence[float]) -> Figure:
    """Loss against updates: every logged value, and a running mean."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.0), layout="constrained")
        axes = figure.subplots()
        axes.plot(updates, loss, color=ACCENT, alpha=0.3, linewidth=0.8)
        axes.plot(updates, _running_mean(loss), color=ACCENT, linewidth=1.8)
        axes.set_xlabel("updates")
        axes.set_ylabel("loss (nats an action number)")
        axes.grid(alpha=0.2)
    return figure


def _running_mean(values: Sequence[float]) -> np.ndarray:
    """Over a twentieth of the run on either side, less at the ends."""
    array = np.asarray(values, float)
    reach = max(1, len(array) // 20)
    return np.array([array[max(0, at - reach) : at + reach + 1].mean() for at in range(len(array))])


def score_curve(updates: Sequence[float], scores: Mapping[str, Sequence[float]], mean: Sequence[float]) -> Figure:
    """Normalised score of each skill against updates, and their mean."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.0 + 0.11 * len(scores)), layout="constrained")
        axes = figure.subplots()
        for index, (skill, values) in enumerate(scores.items()):
            axes.plot(updates, values, color=COLOURS[index % len(COLOURS)], linewidth=1, marker=".", label=skill)
        axes.plot(updates, mean, color=INK, linewidth=2, marker="o", markersize=4, label="mean")
        axes.axhline(1, color=INK, linewidth=0.8, linestyle="--", alpha=0.6, label="expert")
        axes.axhline(0, color=INK, linewidth=0.8, linestyle=":", alpha=0.6, label="random actions")
        axes.set_xlabel("updates")
        axes.set_ylabel("normalised score (1 = expert)")
        axes.grid(alpha=0.2)
        figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure


def overlaid(curves: Mapping[int, tuple[str, Curve]], figure_of: str, *, is_noisy: bool = False) -> Figure:
    """One figure of several trainings against updates: index of the run -> its name, (updates, values).

    The index chooses colour and dash, the same in all curves of a page. `is_noisy`: a running mean over pale values.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.0 + 0.2 * -(-len(curves) // 2)), layout="constrained")
        axes = figure.subplots()
        for index, (name, (updates, values)) in curves.items():
            colour, dash = COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]
            if is_noisy:
                axes.plot(updates, values, color=colour, alpha=0.2, linewidth=0.6)
            shown = _running_mean(values) if is_noisy else values
            marker = "" if is_noisy else "."
            axes.plot(updates, shown, color=colour, linestyle=dash, marker=marker, linewidth=1.6, label=name)
        axes.set_xlabel("updates")
        axes.set_ylabel(figure_of)
        axes.grid(alpha=0.2)
        figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure


def plan_parts(labels: Sequence[str], by_run: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Bars: for each part of one plan and each run, episodes that came to it (pale) and that did it, with interval.

    `by_run`: name of a run -> its "plan_parts"; the name of the only one may be empty.
    """
    width = 0.75 / len(by_run)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 1.1 + len(labels) * (0.35 + 0.2 * len(by_run))), layout="constrained")
        axes = figure.subplots()
        for index, (name, parts) in enumerate(by_run.items()):
            colour = COLOURS[index % len(COLOURS)]
            places = [row + (index - (len(by_run) - 1) / 2) * width for row in range(len(labels))]
            done = [part["success"]["mean"] for part in parts]
            low, high = np.array([part["success"]["ci95"] for part in parts]).T
            axes.barh(places, [part["reached"] for part in parts], width * 0.9, color=colour, alpha=0.25)
            axes.barh(places, done, width * 0.9, color=colour, label=name)
            axes.errorbar(done, places, xerr=[done - low, high - done], fmt="none", ecolor=INK, elinewidth=1)
        axes.set_yticks(range(len(labels)), [textwrap.fill(label, LABEL_LETTERS) for label in labels])
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.02)
        axes.set_xlabel("share of episodes")
        if "" not in by_run:
            figure.legend(loc="outside upper center", ncols=min(len(by_run), 3))
    return figure


@dataclass(frozen=True)
class CurvePanel:
    """The training of one expert."""

    title: str
    curve: Mapping[str, Sequence[float]]
    """Columns steps, return, evaluation."""
    bar: float | None
    """Return it is to reach."""
    score: float
    """Return it was measured with."""
    note: str

    @property
    def is_below(self) -> bool:
        """Whether there is a bar, and the expert does not reach it."""
        return self.bar is not None and self.score < self.bar


def learning_curves(panels: Sequence[CurvePanel], *, columns: int = 4) -> Figure:
    """Return against steps, one panel an expert; titles of those below their bar stand out."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    with matplotlib.rc_context({**STYLE, "font.size": 8}):
        figure = Figure(figsize=(3.0 * columns, 2.1 * rows), layout="constrained")
        places = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, panel in zip(places, panels, strict=False):
            _draw_curve(axes, panel)
        for axes in places[len(panels) :]:
            axes.set_axis_off()
        figure.supxlabel("million steps")
        figure.supylabel("return")
    return figure


def _draw_curve(axes: Axes, panel: CurvePanel) -> None:
    title = f"{panel.title} (below its bar)" if panel.is_below else panel.title
    axes.set_title(title, color=COLOURS[1] if panel.is_below else INK, fontweight="bold", fontsize=8)
    steps, evaluation = np.asarray(panel.curve["steps"]) / 1e6, np.asarray(panel.curve["evaluation"])
    axes.plot(steps, panel.curve["return"], color=ACCENT, alpha=0.4, linewidth=0.8)
    is_shown = np.isfinite(evaluation)
    axes.plot(steps[is_shown], evaluation[is_shown], color=ACCENT, linewidth=1.6)
    if panel.bar is not None:
        axes.axhline(panel.bar, color=COLOURS[1], linewidth=1, linestyle="--")
    axes.axhline(panel.score, color=INK, linewidth=0.8, linestyle=":")
    axes.text(0.97, 0.06, panel.note, transform=axes.transAxes, ha="right", alpha=0.7)
    axes.margins(y=0.1)
    axes.grid(alpha=0.2)
