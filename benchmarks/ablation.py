"""What are words worth? python benchmarks/ablation.py [--model gato-small] [--suite library] [--episodes 4]

The arms of `gato eval --ablate` alone: every skill is asked for correctly, wrongly, not at all, and otherwise. Prints
two Markdown tables, a column a body: the share of episodes that did what was wanted with Wilson's 95 % interval, and
their normalised return (0 random actions, 1 the expert) with a bootstrap one. Writes benchmarks/results/ablation.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gato.model.find import find_model
from gato.model.gato import Gato
from gato.reporting.markdown import table, with_interval
from gato.rollout.ablation import ablate
from gato.rollout.evaluate import ABLATION_STEPS
from gato.rollout.prompted import Conditions
from gato.rollout.suite import expert_name, suite_skills
from gato.runs import content_hash, write_json

RESULT = Path(__file__).parent / "results" / "ablation.json"
WORDS = {
    "correct": "canonical",
    "wrong": "another skill's",
    "empty": "none",
    "seen": "phrases of the training",
    "combinations": "held-out pairs of words",
    "phrasings": "held-out phrasings",
    "words": "held-out words",
    "typo": "typing mistakes",
    "contradictory": "two at once",
}
"""Arm -> what is said."""
Figures = Mapping[str, Any]


def tables(arms: Mapping[str, Mapping[str, Figures]]) -> str:
    """Success, and below it the normalised return."""
    return f"{_table(arms, _success)}\n\n{_table(arms, _return)}"


def _table(arms: Mapping[str, Mapping[str, Figures]], cell: Callable[[Figures], str]) -> str:
    bodies = list(arms["correct"])
    rows = [
        [words, *(cell(arms[arm][body]) if body in arms[arm] else "–" for body in bodies)]
        for arm, words in WORDS.items()
    ]
    return table(["words", *bodies], rows)


def _success(one: Figures) -> str:
    return with_interval(one["success"], one["success_ci95"])


def _return(one: Figures) -> str:
    score = one["normalised"]
    return "–" if score is None else with_interval(score["mean"], score["ci95"])


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gato-small")
    parser.add_argument("--suite", default="library")
    parser.add_argument("--episodes", type=int, default=4)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    command = f"python benchmarks/ablation.py --model {given.model} --suite {given.suite} --episodes {given.episodes}"
    place = find_model(given.model)
    model = Gato.load(place)
    conditions = Conditions(given.episodes, steps=ABLATION_STEPS)
    found = ablate(model, suite_skills(model, given.suite), conditions, expert=partial(expert_name, given.suite))
    arms = {arm: {body: one.json() for body, one in own.items()} for arm, own in found.items()}
    write_json(
        given.out,
        {
            "model": content_hash(place),
            "command": command,
            "episodes": given.episodes,
            "seed": conditions.seed,
            "ablation": arms,
        },
    )
    print(tables(arms))


if __name__ == "__main__":
    main()
