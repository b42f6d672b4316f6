"""What a training was asked for: its settings, the command that asks for the same, and that a resumed run is the same.

In: a skill, a PPOConfig. Out: plain values for `run.json`, a command line, or a ValueError.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from gato.experts.ppo import PPOConfig
from gato.experts.shipped import expert_input, find_expert
from gato.skills.robots.known import robot_hash, typed
from gato.skills.table import get_skill


def settings_of(skill_id: str, *, steps: int, seed: int, config: PPOConfig) -> dict[str, Any]:
    """As JSON holds them; ValueError for a number of steps or a seed that is none."""
    if steps < 1:
        raise ValueError(f"steps={steps}; an expert needs at least 1, and usually millions")
    if seed < 0:
        raise ValueError(f"seed={seed}; allowed: 0 or more")
    asked = {"skill": skill_id, "steps": steps, "seed": seed, "config": asdict(config)}
    if robot := robot_hash(get_skill(skill_id).body):
        asked["robot"] = robot
    return dict(json.loads(json.dumps(asked)))


def command_line(skill_id: str, *, steps: int, seed: int, out: str | Path, config: PPOConfig) -> str:
    """What to type to train this expert again: every setting that is not the default."""
    words = ["gato", "expert", "train", typed(skill_id), "--steps", steps, "--seed", seed]
    for field in fields(PPOConfig):
        value = getattr(config, field.name)
        if value == getattr(PPOConfig(), field.name):
            continue
        words.append("--" + field.name.replace("_", "-"))
        if value is not True:
            words.extend(value if isinstance(value, tuple) else [value])
    return shlex.join(map(str, [*words, "--out", out]))


def parents(config: PPOConfig) -> dict[str, dict[str, str]]:
    """The experts a run begins from, as provenance names them: {name: {"id" or "path", "hash"}}."""
    return {text: expert_input(text, find_expert(text)) for text in config.others()}


def refuse_other_run(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """ValueError unless the run in `folder` was asked for the same; a setting newer than the run was its default."""
    begun = {**before, **asdict(PPOConfig()), **before["config"]}
    asked = {**now, **now["config"]}
    changed = [
        f"{key} was {begun[key]}, now {asked[key]}"
        for key in asked
        if key != "config" and json.dumps(begun.get(key)) != json.dumps(asked[key])
    ]
    if changed:
        raise ValueError(
            f"{folder} is another run ({'; '.join(changed)}); resume with its own settings or change --out"
        )
