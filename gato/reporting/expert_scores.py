"""Every shipped expert measured: without and with exploration, beside random actions and the published figures.

In: the experts that come with Gato. Out: a JSON file of figures, from which `expert_page` is written. What was measured
before is kept while expert, reward, rule, episodes and seed are the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gato.experts.measure import measure_expert
from gato.experts.policy import Policy
from gato.experts.shipped import POLICY, SHIPPED
from gato.progress import Progress
from gato.runs import HISTORY, content_hash, read_json, read_provenance, write_json
from gato.skills.bodies import get_body
from gato.skills.evaluate import evaluate, random_actor
from gato.skills.rewards import flat
from gato.skills.table import SKILLS, get_skill


def shipped_experts() -> dict[str, str]:
    """Name -> skill: standard tasks in the order of the table, other skills, then named variants of either."""
    found = [path.parent for path in sorted(SHIPPED.rglob(POLICY)) if HISTORY not in path.relative_to(SHIPPED).parts]
    names = {folder.relative_to(SHIPPED).as_posix(): Policy.load(folder).skill for folder in found}
    order = [*sorted(SKILLS, key=lambda skill: not SKILLS[skill].is_standard), *sorted(names.keys() - SKILLS.keys())]
    return {name: names[name] for name in order if name in names}


def measure_shipped(path: Path, *, episodes: int, seed: int) -> dict[str, Any]:
    """Measure what `path` does not hold yet, write it, and return all: {"episodes", "seed", "experts", "missing"}."""
    known = read_json(path) if path.is_file() else {}
    is_same = (known.get("episodes"), known.get("seed")) == (episodes, seed)
    earlier: Mapping[str, Any] = known["experts"] if is_same else {}
    experts = shipped_experts()
    figures: dict[str, Any] = {}
    with Progress(len(experts), "experts", "measuring") as progress:
        for name, skill in experts.items():
            digest = what_counts(name, skill)
            fresh = earlier.get(name, {}).get("hash") != digest
            measured = _measure(name, skill, episodes, seed) if fresh else earlier[name]
            figures[name] = {**measured, "skill": skill, "hash": digest, **_training(name)}
            progress.update()
    missing = [skill.id for skill in SKILLS.values() if skill.is_standard and skill.id not in experts]
    result = {"episodes": episodes, "seed": seed, "experts": figures, "missing": missing}
    write_json(path, result)
    return result


def what_counts(name: str, skill_id: str) -> str:
    """A hash of all that the figures of an expert hang on: itself, and what its skill pays and asks for."""
    skill = get_skill(skill_id)
    words = [content_hash(SHIPPED / name), *map(str, flat(skill.reward)), *map(str, skill.rule)]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _measure(name: str, skill: str, episodes: int, seed: int) -> dict[str, Any]:
    figures = measure_expert(str(SHIPPED / name), skill, episodes=episodes, seed=seed)
    random = evaluate(
        random_actor(get_body(get_skill(skill).body).spec, seed), skill, episodes=episodes, seed=seed
    ).return_.json()
    scores = {key: figures.get(key) for key in ("return", "sampled_return")} | {"random": random}
    kept = {key: {"mean": score["mean"], "ci95": score["ci95"]} if score else None for key, score in scores.items()}
    return {**kept, **{key: figures.get(key) for key in ("success", "sampled_success", "length")}}


def _training(name: str) -> dict[str, Any]:
    """Steps, seconds and commands: of the run itself, and of those before it that it learned from, oldest first."""
    record = read_provenance(SHIPPED / name)
    result = record.get("result", {})
    earlier = list(dict.fromkeys(_commands(record["inputs"])))
    return {
        "steps": result.get("steps"),
        "seconds": result.get("seconds"),
        "command": record["command"],
        "earlier": [command for command in earlier if command != record["command"]],
        "earlier_steps": sum(int(number) for command in earlier for number in re.findall(r"--steps (\d+)", command)),
    }


def _commands(inputs: Mapping[str, Any]) -> Iterator[str]:
    for entry in inputs.values():
        yield from _commands(entry.get("inputs", {}))
        if "command" in entry:
            yield entry["command"]
        elif entry.get("id", "").startswith("shipped:"):
            shipped = SHIPPED / entry["id"].removeprefix("shipped:")
            # Experts that learned from each other remember one another: what is shipped now is told in its own place.
            if (shipped / POLICY).is_file() and content_hash(shipped) == entry["hash"]:
                yield read_provenance(shipped)["command"]
