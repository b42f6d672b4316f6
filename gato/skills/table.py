"""Everything that can be asked for: one grep over its families shows all.

In: the families of skills. Out: `SKILLS`, `get_skill(id)`, `skills_of(body)`.
"""

from __future__ import annotations

from gato.skills.acrobatics import ACROBATICS
from gato.skills.bodies import BODIES, get_body
from gato.skills.commanded import COMMANDED
from gato.skills.skill import Condition, Skill
from gato.skills.standard import STANDARD
from gato.specs import near_match

__all__ = ["SKILLS", "Condition", "Skill", "get_skill", "skills_of"]

SKILLS: dict[str, Skill] = {skill.id: skill for skill in (*STANDARD, *COMMANDED, *ACROBATICS)}


def get_skill(skill_id: str) -> Skill:
    """The skill of that id; ValueError with a near match when there is none."""
    if skill_id not in SKILLS:
        raise ValueError(f'unknown skill "{skill_id}"; {near_match(skill_id, SKILLS)}')
    return SKILLS[skill_id]


def skills_of(body: str) -> tuple[Skill, ...]:
    """Every skill of a body, in the table's order; ValueError with a near match for an unknown body."""
    get_body(body)
    return tuple(skill for skill in SKILLS.values() if skill.body == body)


assert {skill.body for skill in SKILLS.values()} <= BODIES.keys()
