"""Experts that come with the package: `shipped/<body>/<skill>/`, and how an expert is named in commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gato.experts.policy import Policy
from gato.runs import STEADY, as_input, content_hash
from gato.skills.robots.known import typed
from gato.skills.table import SKILLS, get_skill, skills_of
from gato.specs import near_match

SHIPPED = Path(__file__).parent / "shipped"
POLICY = "policy.json"
"""The file that makes a folder a policy."""


def shipped_policy(skill_id: str) -> Policy:
    """The expert of a skill that comes with Gato; ValueError where there is none."""
    return Policy.load(find_expert(skill_id))


def has_shipped_expert(skill_id: str) -> bool:
    """Whether an expert of that skill, or that variant of one (`<skill>/steady`), comes with Gato."""
    return any((folder / POLICY).is_file() for folder in _shipped_folders(skill_id))


def _shipped_folders(name: str) -> tuple[Path, ...]:
    """Where the expert of that name may lie: a skill that is a command is done by its body's teacher, told it."""
    skill = SKILLS.get(name)
    teachers = [SHIPPED / other.id for other in skills_of(skill.body) if other.is_commanded] if skill else []
    return (SHIPPED / name, *(teachers if skill and skill.command else []))


def steady(skill_id: str) -> str:
    """Name of the shipped expert that others of its body can take over from: `<skill>/steady`, or the skill's only one.

    The strongest may be too fast to be stopped.
    """
    variant = f"{skill_id}/{STEADY}"
    return variant if has_shipped_expert(variant) else skill_id


def refuse_other_body(policy: Policy, text: str, skill_id: str) -> None:
    """ValueError where the expert is one of another body than the skill; shapes alone do not tell.

    Both humanoids sense alike but are built differently: each falls as the other.
    """
    theirs, ours = get_skill(policy.skill).body, get_skill(skill_id).body
    if theirs != ours:
        raise ValueError(f"the expert {text} ({policy.skill}) is one of {theirs}, but {skill_id} needs one of {ours}")


def expert_input(text: str, place: Path) -> dict[str, str]:
    """How provenance names the expert that `find_expert(text)` found there: {"id" or "path", "hash"}."""
    if place.is_relative_to(SHIPPED) and not Path(text).exists():
        return {"id": f"shipped:{text}", "hash": content_hash(place)}
    return as_input(place)


NAMED: dict[str, Callable[[str], str]] = {"shipped": str, "steady": steady}
"""How the experts that come with Gato are spoken of -> skill id -> name of its expert."""


def find_expert(text: str | Path) -> Path:
    """The policy folder meant by a skill id, a policy folder, or a training run (its `best`)."""
    folder = Path(text)
    own, *teachers = _shipped_folders(str(text))
    for candidate in (own, folder, folder / "best", *teachers):
        if (candidate / POLICY).is_file():
            return candidate
    if str(text) in SKILLS:
        raise ValueError(
            f"no expert of {text} comes with Gato; train one: gato expert train {typed(str(text))} --out DIR"
        )
    if folder.suffix == ".zip":
        raise ValueError(f"{text} is no policy folder; an agent of Stable-Baselines3 is named sb3:{text}")
    shipped = [skill for skill in SKILLS if has_shipped_expert(skill)]
    raise ValueError(f'no expert "{text}": neither a policy folder nor a skill; {near_match(str(text), shipped)}')
