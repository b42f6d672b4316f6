"""New words while the body moves: python benchmarks/steering.py MODEL [--trials 200] [--seconds 2]

Of every body with several skills that have experts: `--trials` episodes in each of which the words are replaced, at a
random moment, by those of another skill. How many obey within `--seconds` of simulated time (the reading's mean over
half a second meets the rule, and the body has not fallen), how many fall, and when they obey. Trials in which the rule
held before the words changed are counted apart, and count for falls only. Writes
benchmarks/results/steering.json and the picture docs/steering.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from gato.model.find import find_model
from gato.model.gato import Gato
from gato.reporting.charts import COLOURS, STYLE, write_png
from gato.reporting.markdown import table
from gato.reporting.page import number
from gato.rollout.prompted import Conditions
from gato.rollout.suite import skills_by_body, suite_skills
from gato.rollout.switching import Switching, switching
from gato.runs import content_hash, write_json
from gato.specs import share_interval

HERE = Path(__file__).parent
RESULT, PICTURE = HERE / "results" / "steering.json", HERE.parent / "docs" / "steering.png"


def measure(model: Gato, trials: int) -> dict[str, Switching]:
    """Body -> what came of the changes."""
    bodies = skills_by_body(suite_skills(model, "library"))
    conditions = Conditions(trials, 0, is_shown=False)
    return {body: switching(model, own, conditions) for body, own in bodies.items() if len(own) > 1}


def figures(found: Switching, seconds: float) -> dict[str, Any]:
    """As in the results."""
    soon, counted = sum(one <= seconds for one in found.seconds), found.trials - found.held_before
    return {
        **found.json(),
        "within": seconds,
        "obeyed": soon / counted if counted else None,
        "obeyed_ci95": list(share_interval(soon, counted)) if counted else None,
        "seconds": [round(one, 3) for one in sorted(found.seconds)],
    }


def draw(bodies: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Share of the trials that have obeyed by each moment after the change, without those that held before it."""
    with matplotlib.rc_context({**STYLE, **{key: "black" for key in STYLE if "color" in key}}):
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        for index, (body, one) in enumerate(bodies.items()):
            shares = np.arange(1, len(one["seconds"]) + 1) / (one["trials"] - one["held_before"])
            axes.step([0, *one["seconds"]], [0, *shares], where="post", color=COLOURS[index % len(COLOURS)], label=body)
        axes.axvline(next(iter(bodies.values()))["within"], color="grey", linewidth=0.8, linestyle="--")
        axes.set_ylim(0, 1)
        axes.set_xlabel("seconds after the new words")
        axes.set_ylabel("share of the trials that do it")
        axes.legend(fontsize=8)
        axes.grid(alpha=0.2)
    return figure


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    given = parser.parse_args()
    folder = find_model(given.model)
    bodies = {body: figures(one, given.seconds) for body, one in measure(Gato.load(folder), given.trials).items()}
    rows = [
        [
            body,
            number(one["obeyed"], ".0%"),
            number(one["rate"], ".0%"),
            f"{one['falls'] / one['trials']:.1%}",
            f"{one['held_before']}",
            f"{one['trials']}",
        ]
        for body, one in bodies.items()
    ]
    head = ["body", f"obeyed within {given.seconds:g} s", "within 3 s", "fell", "held before", "trials"]
    print(table(head, rows))
    write_json(given.out, {"model": content_hash(folder), "bodies": bodies})
    write_png(draw(bodies), given.picture, dpi=150)


if __name__ == "__main__":
    main()
