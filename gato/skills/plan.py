"""One thing after the other: a plan is parts, each a skill for a time, or until a reading says that it is enough.

In: parts, or their JSON. Out: `Plan`, and `schema(body)`, the JSON schema of the plans for a body.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from gato.skills.bodies import get_body
from gato.skills.table import get_skill, skills_of
from gato.specs import near_match

AVERAGE = 0.5
"""s; the moving average of a reading that is judged, about one stride."""
REACTION = 3.0
"""s; the time in which new words must show."""
MOST_PARTS, MOST_REPEATS = 64, 64
MOST_SECONDS = 300.0
"""s; of a part, and of a whole plan."""
MOST_FAULTS, MOST_SHOWN = 4, 60
"""Faults that one line of error tells, and characters of what was got."""
STATISTICS, RELATIONS = ("mean", "total"), ("at least", "at most")


@dataclass(frozen=True)
class Until:
    """A reading says that it is enough."""

    reading: str
    statistic: Literal["mean", "total"]
    """The mean of the newest `AVERAGE` seconds; or the sum over the part's own time, in the reading's unit times s: of
    a speed the way gone in m, of a turning rate the angle turned in rad."""
    relation: Literal["at least", "at most"]
    value: float

    def holds(self, values_T: Sequence[float], dt: float) -> bool:
        """Whether it is enough after these values of the reading, one a control step of `dt` s since the part began."""
        if self.statistic == "total":
            now = sum(values_T) * dt
        else:
            width = max(round(AVERAGE / dt), 1)
            if len(values_T) < width:
                return False
            now = sum(values_T[-width:]) / width
        return now >= self.value if self.relation == "at least" else now <= self.value


@dataclass(frozen=True)
class Part:
    """One skill of the plan's body."""

    skill: str
    """Skill id; its canonical prompt is what the model is told."""
    seconds: float
    """How long it is asked for; with `until`, how long at most."""
    until: Until | None = None
    repeats: int = 1
    """How often, one time after the other; each counts its own time and its own total."""


@dataclass(frozen=True)
class Plan:
    """What a body is asked for, in order. ValueError for what `schema` does not allow, or for more than
    `MOST_SECONDS`."""

    body: str
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        _check(self.json(), schema(self.body))
        if not self.seconds <= MOST_SECONDS:
            raise ValueError(
                f"the plan takes up to {self.seconds:g} s; at most {MOST_SECONDS:g} are allowed: shorten it, or run two"
            )

    @property
    def seconds(self) -> float:
        """s it takes at most."""
        return sum(part.seconds * part.repeats for part in self.parts)

    @property
    def runs(self) -> tuple[Part, ...]:
        """Its parts in time, each as often as it repeats."""
        return tuple(part for part in self.parts for _ in range(part.repeats))

    @property
    def words(self) -> str:
        """A sentence that is read as this plan again, to the last bit."""
        return ", then ".join(map(_words, self.parts))

    def json(self) -> dict[str, Any]:
        """{"body", "parts": [{"skill", "seconds", "until", "repeats"}]}, as `schema` says."""
        return {"body": self.body, "parts": [asdict(part) for part in self.parts]}

    @classmethod
    def from_json(cls, content: object) -> Plan:
        """The plan of what `json` gave, parsed. ValueError with one line that tells what is wrong where."""
        if not isinstance(content, Mapping) or not isinstance(content.get("body"), str):
            raise ValueError(
                f'a plan is an object with "body" and "parts", such as gato plan --json prints; got {_shown(content)}'
            )
        _check(content, schema(content["body"]))
        parts = [
            Part(one["skill"], one["seconds"], Until(**one["until"]) if one["until"] else None, one["repeats"])
            for one in content["parts"]
        ]
        return cls(content["body"], tuple(parts))


def plan_skills(body: str) -> tuple[str, ...]:
    """Ids of what a plan for that body may ask for: what is told in words, not in numbers.

    ValueError with a near match for an unknown body."""
    return tuple(skill.id for skill in skills_of(body) if not skill.is_commanded)


def schema(body: str) -> dict[str, Any]:
    """The JSON schema of the plans for that body, which `Plan.from_json` checks; ValueError for an unknown body."""
    known = get_body(body)
    until = _object(
        reading={"enum": [*known.readings]},
        statistic={"enum": [*STATISTICS]},
        relation={"enum": [*RELATIONS]},
        value={"type": "number"},
    )
    part = _object(
        skill={"enum": [*plan_skills(body)]},
        seconds={"type": "number", "minimum": known.dt, "maximum": MOST_SECONDS},
        until={"anyOf": [{"type": "null"}, until]},
        repeats={"type": "integer", "minimum": 1, "maximum": MOST_REPEATS},
    )
    parts = {"type": "array", "minItems": 1, "maxItems": MOST_PARTS, "items": part}
    return _object(body={"enum": [body]}, parts=parts)


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _words(part: Part) -> str:
    said = get_skill(part.skill).prompt
    if part.until is None:
        said += f" for {part.seconds!r} seconds"
    else:
        until = part.until
        total = "total " * (until.statistic == "total")
        said += f" until the {total}{until.reading.replace('_', ' ')} is {until.relation} {until.value!r}"
        said += f" within {part.seconds!r} seconds"
    return said + f" {part.repeats} times" * (part.repeats > 1)


# A schema's few keywords, checked


def _check(content: object, allowed: Mapping[str, Any]) -> None:
    faults = _faults(content, allowed, "plan")
    if faults:
        more = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        raise ValueError("; ".join(faults[:MOST_FAULTS]) + more)


def _faults(value: Any, allowed: Mapping[str, Any], where: str) -> list[str]:
    """All that is wrong with the value, by the keywords that `schema` uses."""
    if "anyOf" in allowed:
        return [] if value is None else _faults(value, allowed["anyOf"][1], where)
    got = f"{where}: got {_shown(value)}"
    if "enum" in allowed:
        known = allowed["enum"]
        return [] if value in known else [f"{got}; {near_match(str(value)[:MOST_SHOWN], known)}"]
    if allowed["type"] == "object":
        return _faults_of_object(value, allowed["properties"], where)
    if allowed["type"] == "array":
        fewest, most = allowed["minItems"], allowed["maxItems"]
        if not isinstance(value, (list, tuple)) or not fewest <= len(value) <= most:
            size = f"{len(value)} of them" if isinstance(value, (list, tuple)) else _shown(value)
            return [f"{where}: got {size}; allowed: a list of {fewest} to {most}"]
        return [fault for i, one in enumerate(value) for fault in _faults(one, allowed["items"], f"{where}[{i}]")]
    return [] if _is_number(value, allowed) else [f"{got}; allowed: {_numbers(allowed)}"]


def _faults_of_object(value: Any, properties: Mapping[str, Any], where: str) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"{where}: got {_shown(value)}; allowed: an object with {', '.join(properties)}"]
    faults = [f"{where}: no {name}; it is needed" for name in properties if name not in value]
    faults += [
        f"{where}: unknown {_shown(name)}; {near_match(str(name)[:MOST_SHOWN], properties)}"
        for name in value
        if name not in properties
    ]
    inner = "" if where == "plan" else f"{where}."
    known = [(name, one) for name, one in properties.items() if name in value]
    return faults + [fault for name, one in known for fault in _faults(value[name], one, inner + name)]


def _is_number(value: Any, allowed: Mapping[str, Any]) -> bool:
    kinds = (int,) if allowed["type"] == "integer" else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool):
        return False
    return allowed.get("minimum", -math.inf) <= value <= allowed.get("maximum", math.inf) and abs(value) < math.inf


def _numbers(allowed: Mapping[str, Any]) -> str:
    kind = "whole numbers" if allowed["type"] == "integer" else "numbers"
    return f"{kind} from {allowed['minimum']:g} to {allowed['maximum']:g}" if "minimum" in allowed else kind


def _shown(value: object) -> str:
    """What was got, in few characters of one line."""
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
