"""Plans in sentences, followed: python benchmarks/plans.py [--model gato-small] [--episodes 30]

Two to four sentences for each body that can do several things, in the forms of docs/plans.md, compositions as in SCAN
(Lake & Baroni 2018) among them: times, ways, angles, repeats, "and", "then" and "after". A plan counts when all of its
parts are done; then each part alone, of the episodes that came to it, and how often it fell. Writes
benchmarks/results/plans.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from gato.language.plans import parse_plan
from gato.model.find import find_model
from gato.model.gato import Gato
from gato.reporting.markdown import table, with_interval
from gato.rollout.planned import Followed, follow
from gato.rollout.prompted import Conditions
from gato.runs import content_hash, write_json

RESULT = Path(__file__).parent / "results" / "plans.json"
PLANS = {
    "ant": (
        "walk forward for three seconds, then turn left twice and stop",
        "walk forward twice after turn left",
        "walk forward 2 metres, turn right 90 degrees, do that 4 times",
        "walk left 2 metres and walk right 2 metres, then walk backward for 2 seconds",
    ),
    "half-cheetah": (
        "walk forward for 3 seconds, then run backward for 3 seconds and stop",
        "run forward 10 metres, then walk forward for 3 seconds",
        "stand still after run backward twice",
    ),
    "walker2d": (
        "walk forward for 3 seconds, then walk backward for 3 seconds and stop",
        "walk backward 3 metres, then walk forward 3 metres, do that twice",
    ),
    "swimmer": (
        "swim forward for 5 seconds, then turn left twice",
        "turn right after swim backward for 5 seconds",
    ),
    "humanoid": ("walk forward for 3 seconds, then run along the track for 3 seconds, do that twice",),
    "hopper": (
        "stand still for 2 seconds, then hop forward for 3 seconds",
        "hop in place for 2 seconds and hop forward for 2 seconds",
    ),
}


def cells(body: str, sentence: str, found: Followed) -> list[str]:
    """As the table shows a plan."""
    parts = [f"{part.success.mean / part.reached:.2f}" if part.reached else "-" for part in found.parts]
    falls = sum(part.falls for part in found.parts)
    return [body, sentence, with_interval(found.success.mean, found.success.ci95), ", ".join(parts), str(falls)]


def main(words: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gato-small")
    parser.add_argument("--episodes", type=int, default=30)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args(words)
    place = find_model(given.model)
    model = Gato.load(place)
    conditions = Conditions(given.episodes, is_shown=False)
    asked = [(body, sentence) for body, own in PLANS.items() if body in model.bodies for sentence in own]
    followed = [(*one, follow(model, parse_plan(one[1], one[0]), conditions)[0]) for one in asked]
    rows = [{"body": body, "sentence": sentence, **found.json()} for body, sentence, found in followed]
    for row in rows:
        for score in (row["plan_success"], *(part["success"] for part in row["plan_parts"])):
            del score["episodes"]
    write_json(given.out, {"model": content_hash(place), "episodes": given.episodes, "seed": 0, "plans": rows})
    print(table(["body", "sentence", "whole plan", "parts", "fell"], (cells(*one) for one in followed), texts=2))


if __name__ == "__main__":
    main()
