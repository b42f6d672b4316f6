"""What everybody who comes with Gato does, judged by the rule of every skill of the body.

In: shipped experts and teachers. Out: a JSON file of figures, from which `skill_page` is written. What was measured
before is kept while expert, skills, episodes and seed are the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gato.experts.adapters import load_expert
from gato.experts.shipped import find_expert, has_shipped_expert, steady
from gato.progress import Progress
from gato.runs import content_hash, read_json, write_json
from gato.skills.bodies import BODIES, get_body
from gato.skills.evaluate import Actor, evaluate, random_actor, zero_actor
from gato.skills.stepper import find_env_spec
from gato.skills.table import SKILLS, Skill, skills_of

IDLE = ("random", "zero")
"""Actors that must succeed at nothing but standing."""


def done_skills(body: str) -> tuple[Skill, ...]:
    """The skills of a body that somebody who comes with Gato can do."""
    return tuple(skill for skill in skills_of(body) if has_shipped_expert(skill.id))


def find_actor(skill: Skill) -> Actor:
    """Whose behaviour stands for the skill: the expert that others of its body can take over from."""
    return load_expert(steady(skill.id), find_env_spec(skill.id))


def measure_skills(path: Path, *, episodes: int, seed: int) -> dict[str, Any]:
    """Measure what `path` does not hold yet, write it, and return all: {"episodes", "seed", "rules", "actors"}.

    `actors` are skill ids, `random <body>` and `zero <body>`; each has the share of episodes that met each rule.
    """
    known = read_json(path) if path.is_file() else {}
    rules = {skill.id: [str(condition) for condition in skill.rule] for skill in SKILLS.values()}
    is_same = (known.get("episodes"), known.get("seed"), known.get("rules")) == (episodes, seed, rules)
    wanted = {skill.id: content_hash(find_expert(steady(skill.id))) for body in BODIES for skill in done_skills(body)}
    wanted |= {f"{name} {body}": name for body in BODIES for name in IDLE}
    actors = {}
    with Progress(len(wanted), "actors", "measuring") as progress:
        for name, digest in wanted.items():
            before = known["actors"].get(name, {}) if is_same else {}
            actors[name] = before if before.get("hash") == digest else _measure(name, digest, episodes, seed)
            progress.update()
    result = {"episodes": episodes, "seed": seed, "rules": rules, "actors": actors}
    write_json(path, result)
    return result


def _measure(name: str, digest: str, episodes: int, seed: int) -> dict[str, Any]:
    kind, _, body = name.partition(" ")
    if kind in IDLE:
        spec, skill = get_body(body).spec, skills_of(body)[0]
        actor = random_actor(spec, seed) if kind == "random" else zero_actor(spec)
    else:
        skill = SKILLS[name]
        actor = find_actor(skill)
    found = evaluate(actor, skill.id, episodes=episodes, seed=seed)
    return {"hash": digest, "behaviours": found.behaviours, "measured": found.measured, "length": found.length}
