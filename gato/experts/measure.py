"""Experts measured, one skill or all: what `gato expert eval` shows.

In: a skill id or "all", an expert's name. Out: a table that is JSON.
"""

from __future__ import annotations

from typing import Any

from gato.experts.adapters import load_expert
from gato.experts.shipped import has_shipped_expert
from gato.skills.evaluate import evaluate
from gato.skills.stepper import find_env_spec
from gato.skills.table import SKILLS, get_skill


def measure_experts(skill: str, *, episodes: int, seed: int, expert: str, normalizer: str = "") -> dict[str, Any]:
    """Returns, success and length without exploration; of all skills, those without a shipped expert are named."""
    chosen = [get_skill(skill)] if skill != "all" else list(SKILLS.values())
    without = [one.id for one in chosen if skill == "all" and expert == "shipped" and not has_shipped_expert(one.id)]
    tasks: dict[str, Any] = {}
    for one in chosen:
        if one.id in without:
            continue
        actor = load_expert(one.id if expert == "shipped" else expert, find_env_spec(one.id), normalizer)
        result = evaluate(actor, one.id, episodes=episodes, seed=seed)
        tasks[one.id] = {
            "standard": one.is_standard,
            "return": result.return_.json(),
            "success": result.success,
            "length": result.length,
        }
    return {"expert": expert, "episodes": episodes, "seed": seed, "tasks": tasks, "no_expert_yet": without}
