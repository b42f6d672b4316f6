"""Measure trained experts and put them into the package: python scripts/ship_expert.py RUN ... [--steady]

In: run folders of `gato expert train`, or `RUN/last` for the newest instead of the best policy, `RUN/history/STEPS` for
another; with `--steady` they are those that others of their body can take over from.
Out: gato/experts/shipped/<body>/<skill>[/steady]/, its learning curve, its provenance with the score; a history stays.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gato.experts.commanded import as_actor
from gato.experts.logs import ship_curve
from gato.experts.policy import Policy
from gato.experts.shipped import SHIPPED, find_expert, has_shipped_expert
from gato.lineage import find_artifact
from gato.runs import PROVENANCE, STEADY, content_hash, read_json, read_provenance, write_json
from gato.skills.bodies import get_body
from gato.skills.evaluate import evaluate, random_actor
from gato.skills.table import get_skill

UNFINISHED = "run.json"
"""What a run that was stopped has."""
EPISODES = 100
SEED = 0


def ship(run: Path, *, is_steady: bool) -> dict[str, object]:
    """Copy the run's policy; returns its figures."""
    policy = Policy.load(find_expert(run))
    home = _home(run)
    if home is None or not (home / PROVENANCE).is_file():
        raise ValueError(f"{run} has no {PROVENANCE} in it or above: only finished runs are shipped")
    record = read_provenance(home)
    expert = evaluate(as_actor(policy), policy.skill, episodes=EPISODES, seed=SEED)
    spec = get_body(get_skill(policy.skill).body).spec
    random = evaluate(random_actor(spec, SEED), policy.skill, episodes=EPISODES, seed=SEED)
    score = {"mean": expert.return_.mean, "ci95": expert.return_.ci95, "episodes": EPISODES, "seed": SEED}
    measured = {"success": expert.success, "length": expert.length, **expert.measured}
    result = {
        **record["result"],
        "policy": str(run.relative_to(home)) if run != home else "best",
        "score": score,
        **measured,
        "random": random.return_.mean,
    }
    inputs = remembered(record["inputs"], home, set(), replaced="" if is_steady else policy.skill)
    folder = policy.save(SHIPPED / policy.skill / (STEADY if is_steady else ""))
    ship_curve(home, folder)
    said = {"inputs": inputs, "content_hash": content_hash(folder), "result": result}
    write_json(folder / PROVENANCE, {**record, **said})
    return result


def remembered(
    inputs: dict[str, dict[str, Any]], beside: Path, told: set[str], *, replaced: str
) -> dict[str, dict[str, Any]]:
    """Hashes and commands of what the expert was trained from, back to the beginning: the runs themselves go.

    Experts that learn from each other share ancestors: what one was made of is `told` once. The shipped expert of
    `replaced` goes too, so that its own record is told.
    """
    kept: dict[str, dict[str, Any]] = {}
    for name, entry in inputs.items():
        shipped = find_expert(name) if has_shipped_expert(name) else None
        is_shipped = shipped is not None and content_hash(shipped) == entry["hash"]
        earlier = f"earlier {name}" if shipped else name
        stays = is_shipped and name != replaced
        kept[name] = {"id": f"shipped:{name}" if stays else earlier, "hash": entry["hash"]}
        if stays:
            continue
        if is_shipped and shipped:
            record = read_provenance(shipped)
            kept[name] |= {"command": record["command"], "inputs": record["inputs"]}
            continue
        place = find_artifact(entry.get("path", name), beside=beside)
        home = place and _home(place)
        is_here = home is not None and not home.is_relative_to(SHIPPED)
        record = _record(home) if home and is_here else entry  # a shipped expert's own record remembers already
        if "command" in record:
            is_new = entry["hash"] not in told
            told.add(entry["hash"])
            before = remembered(record["inputs"], home or beside, told, replaced=replaced) if is_new else {}
            kept[name] |= {"command": record["command"], "inputs": before}
    return kept


def _home(place: Path) -> Path | None:
    """The run that a policy lies in."""
    folders = [place, *place.parents][:3]
    return next((one for one in folders if any((one / name).is_file() for name in (PROVENANCE, UNFINISHED))), None)


def _record(home: Path) -> dict[str, Any]:
    """What is known of a run, also of one that was stopped."""
    return read_provenance(home) if (home / PROVENANCE).is_file() else read_json(home / UNFINISHED)


def main() -> None:
    """Ship every run named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--steady", action="store_true")
    options = parser.parse_args()
    for run in options.runs:
        result = ship(Path(run), is_steady=options.steady)
        print(f"{run}: {result['score']} success {result['success']}, random {result['random']:.1f}")


if __name__ == "__main__":
    main()
