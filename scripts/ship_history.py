"""Put what an expert was on its way into the package: python scripts/ship_history.py RUN ...

In: run folders of `gato expert train`, whose history/ holds the policy of each evaluation.
Out: gato/experts/shipped/<body>/<skill>/history/<steps>/, a few of them, the learning curve of the run, and provenance
with every score; and on standard output what datasets/medium.yaml names: the policies, and the medium one, whose
sampled return is nearest to a third of the way from random actions to the shipped expert.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np

from gato.experts.logs import ship_curve
from gato.experts.measure import measure_expert
from gato.experts.policy import Policy
from gato.experts.shipped import SHIPPED
from gato.runs import HISTORY, PROVENANCE, content_hash, read_provenance, write_json

EPISODES = 20
SEED = 0
KEPT = 9
"""Policies of a run."""
MEDIUM = 1 / 3
"""Normalised return of the medium policy (Fu et al. 2020)."""


def ship(run: Path) -> None:
    """Measure, choose and copy the policies of a run."""
    record, names = read_provenance(run), sorted(folder.name for folder in (run / HISTORY).iterdir())
    skill = record["config"]["skill"]
    expert = read_provenance(SHIPPED / skill)
    random, best = expert["result"]["random"], expert["result"]["score"]["mean"]
    scores = {name: measure_expert(str(run / HISTORY / name), skill, episodes=EPISODES, seed=SEED) for name in names}
    returns = {name: score["sampled_return"]["mean"] for name, score in scores.items()}
    normalised = {name: (value - random) / (best - random) for name, value in returns.items()}
    medium = min(names, key=lambda name: abs(normalised[name] - MEDIUM))
    folder = SHIPPED / skill / HISTORY
    shutil.rmtree(folder, ignore_errors=True)
    kept = chosen(names, medium)
    for name in kept:
        Policy.load(run / HISTORY / name).save(folder / name)
    ship_curve(run, folder)
    result = {
        **record["result"],
        "episodes": EPISODES,
        "seed": SEED,
        "medium": medium,
        "sampled_returns": {name: returns[name] for name in kept},
        "normalised": {name: normalised[name] for name in kept},
        "against": {"random": random, "expert": best, "hash": expert["content_hash"]},
    }
    write_json(folder / PROVENANCE, {**record, "content_hash": content_hash(folder), "result": result})
    print(f"{skill}: medium {medium}, {returns[medium]:.0f}, normalised {normalised[medium]:.3f}")
    for name in kept:
        print(f"      - {skill}/{HISTORY}/{name}  # {returns[name]:.0f}, normalised {normalised[name]:.2f}")


def chosen(names: list[str], medium: str) -> list[str]:
    """The first, the last, the medium one and its neighbours, and others evenly between."""
    place = names.index(medium)
    wanted = {0, len(names) - 1, *range(max(place - 1, 0), min(place + 2, len(names)))}
    for number in np.linspace(0, len(names) - 1, KEPT).round().astype(int).tolist():
        if len(wanted) < KEPT:
            wanted.add(number)
    return [names[number] for number in sorted(wanted)]


def main() -> None:
    """Ship the history of every run named."""
    for run in sys.argv[1:]:
        ship(Path(run))


if __name__ == "__main__":
    main()
