"""What went wrong, by kinds, and a plan that may mend each.

In: segments that were not followed. Out: `Failure`s, the commonest first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gato.feedback.segments import Segment
from gato.skills.bodies import get_body
from gato.skills.plan import MOST_SECONDS, REACTION, Part, Plan, plan_skills

SETTLING = 2.0
"""s to stand still before it is tried again."""
LEAST = 5.0
"""s for which a skill is asked for again, at least."""


@dataclass(frozen=True)
class Failure:
    """One kind of failure of one skill."""

    skill: str
    kind: str
    """fell; did: another skill; or the condition of the rule that was not met."""
    count: int
    plan: Plan | None
    """What may mend it; None for goal-conditioned skills, which no plan asks for."""

    def json(self) -> dict[str, Any]:
        """As `gato data judge` prints it; the plan as `gato eval --plan` takes it."""
        plan = None if self.plan is None else self.plan.words
        return {"skill": self.skill, "kind": self.kind, "segments": self.count, "plan": plan}


def kind_of(segment: Segment) -> str:
    """Why it counts as a failure."""
    did = segment.did
    return f"did: {did.prompt}" if did is not None else segment.missed


def failures(failed: Iterable[Segment]) -> tuple[Failure, ...]:
    """Those kinds, each with the plan for its longest segment."""
    counts: Counter[tuple[str, str]] = Counter()
    longest: dict[tuple[str, str], Segment] = {}
    for segment in failed:
        key = segment.skill.id, kind_of(segment)
        counts[key] += 1
        if key not in longest or segment.steps > longest[key].steps:
            longest[key] = segment
    return tuple(Failure(*key, count, mend(longest[key])) for key, count in counts.most_common())


def mend(segment: Segment) -> Plan | None:
    """After a fall or another skill: stand still first, where the body can, then the skill again. Where it only did too
    little: the skill for twice as long, since the rule of a part is held against its second half."""
    body, skill_id = segment.skill.body, segment.skill.id
    if skill_id not in plan_skills(body):
        return None
    seconds = max(round(segment.steps * get_body(body).dt, 1), LEAST)
    is_interrupted = not segment.survived or segment.did is not None
    if not is_interrupted:
        return Plan(body, (Part(skill_id, min(2 * seconds, MOST_SECONDS)),))
    again = Part(skill_id, min(seconds, MOST_SECONDS - REACTION))
    stand = f"{body}/stand"
    if stand in plan_skills(body) and stand != skill_id:
        return Plan(body, (Part(stand, SETTLING), again))
    return Plan(body, (again,))
