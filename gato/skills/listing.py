"""What can be asked for, as plain values.

In: nothing, a body, or a skill. Out: what `gato skills` prints.
"""

from __future__ import annotations

from typing import Any

from gato.skills.bodies import BODIES
from gato.skills.prompts import HELD_OUT
from gato.skills.rewards import flat
from gato.skills.robots.known import add_installed, is_robot, named_body, named_skill
from gato.skills.table import SKILLS
from gato.specs import near_match


def list_skills(name: str = "") -> dict[str, Any] | list[dict[str, Any]]:
    """Every skill, those of a body (or of a robot's file), or all that there is to know of one."""
    add_installed()
    name = named_body(name) if is_robot(name) else named_skill(name)
    if name in ("", *BODIES):
        return [
            {"skill": one.id, "prompt": one.prompt, "standard": one.is_standard, "environment": one.env_id}
            for one in SKILLS.values()
            if name in ("", one.body)
        ]
    if name not in SKILLS:
        raise ValueError(f'no skill or body "{name}"; {near_match(name, {*BODIES, *SKILLS})}')
    one = SKILLS[name]
    return {
        "skill": one.id,
        "body": one.body,
        "environment": one.env_id,
        "standard": one.is_standard,
        "prompt": one.prompt,
        "phrases": list(one.phrases("train")),
        "held_out_phrases": {split: list(one.phrases(split)) for split in HELD_OUT},
        "reading": one.reading,
        "rule": [str(condition) for condition in one.rule],
        "reward": [str(term) for term in flat(one.reward)],
    }
