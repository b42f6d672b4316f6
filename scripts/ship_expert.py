"""Measure trained experts and put them into the package: python scripts/ship_expert.py RUN[:BRAKE:ELEMENT:BEYOND] ...

In: run folders of `gato expert train`, or `RUN/last` for the newest instead of the best policy. BRAKE is another run:
its policy acts first, while element ELEMENT of the observation is beyond BEYOND (above it, or below a negative one).
Out: gato/experts/shipped/<body>/<skill>/, its provenance with the score.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from gato.experts.policy import Policy, Takeover
from gato.experts.shipped import SHIPPED, find_expert
from gato.runs import PROVENANCE, content_hash, find_artifact, read_provenance, write_json
from gato.skills.bodies import get_body
from gato.skills.evaluate import evaluate, random_actor
from gato.skills.table import SKILLS, get_skill

EPISODES = 50
SEED = 0


def ship(run: Path, brake: str = "", element: str = "", beyond: str = "") -> dict[str, object]:
    """Copy the run's policy; returns its figures."""
    policy = replace(Policy.load(find_expert(run)), takeover=None)
    home = run if (run / PROVENANCE).is_file() else run.parent
    record = read_provenance(home)
    if brake:
        policy = replace(policy, takeover=Takeover(Policy.load(find_expert(brake)), int(element), float(beyond)))
        record["inputs"][brake] = {"path": brake, "hash": content_hash(find_expert(brake))}
    expert = evaluate(policy, policy.skill, episodes=EPISODES, seed=SEED)
    spec = get_body(get_skill(policy.skill).body).spec
    random = evaluate(random_actor(spec, SEED), policy.skill, episodes=EPISODES, seed=SEED)
    score = {"mean": expert.return_.mean, "ci95": expert.return_.ci95, "episodes": EPISODES, "seed": SEED}
    measured = {"success": expert.success, "length": expert.length, **expert.measured}
    result = {
        **record["result"],
        "policy": "last" if run.name == "last" else "best",
        "score": score,
        **measured,
        "random": random.return_.mean,
    }
    shutil.rmtree(SHIPPED / policy.skill, ignore_errors=True)
    folder = policy.save(SHIPPED / policy.skill)
    said = {"inputs": remembered(record["inputs"], home), "content_hash": content_hash(folder), "result": result}
    write_json(folder / PROVENANCE, {**record, **said})
    return result


def remembered(inputs: dict[str, dict[str, str]], beside: Path) -> dict[str, dict[str, Any]]:
    """Hashes and commands of what the expert was trained from, back to the beginning: the runs themselves go."""
    kept: dict[str, dict[str, Any]] = {}
    for name, entry in inputs.items():
        shipped = SHIPPED / name if name in SKILLS else None
        is_shipped = shipped is not None and content_hash(shipped) == entry["hash"]
        earlier = f"earlier {name}" if shipped else name
        kept[name] = {"id": f"shipped:{name}" if is_shipped else earlier, "hash": entry["hash"]}
        if is_shipped:
            continue
        place = find_artifact(entry.get("path", name), beside=beside)
        home = next((one for one in (place, place and place.parent) if one and (one / PROVENANCE).is_file()), None)
        if home and not home.is_relative_to(SHIPPED):
            record = read_provenance(home)
            kept[name] |= {"command": record["command"], "inputs": remembered(record["inputs"], home)}
    return kept


def main() -> None:
    """Ship every run named."""
    for words in sys.argv[1:]:
        run, *brake = words.split(":")
        result = ship(Path(run), *brake)
        print(f"{run}: {result['score']} success {result['success']}, random {result['random']:.1f}")


if __name__ == "__main__":
    main()
