"""What a robot's YAML file says, checked; a `Description` is plain JSON, and all that a dataset needs to replay it.

In: a YAML file (docs/examples/quadruped.yaml shows every key) and the MJCF or URDF file that it names.
Out: `Description`. ValueError names what is wrong, with a near match.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from gato.specs import COMMANDS, near_match

NAME = re.compile(r"(?=.{1,40}$)[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class SkillDescription:
    """One thing to ask the robot for."""

    prompt: str
    """The canonical one."""
    reward: list[dict[str, Any]]
    """Terms: {term: NAME, weight: W} and, where wanted, least, limit, width, target as `gato.skills.rewards.Term`."""
    rule: dict[str, dict[str, list[float]]]
    """What success means: {READING: {mean|min|max|rms: [LOW, HIGH]}}, over the whole episode."""
    phrases: list[str] = field(default_factory=list)
    """Other ways of saying it; of more than five every eighth is kept for the test."""
    command: dict[str, list[float]] = field(default_factory=dict)
    """Numbers to be told: {forward_speed|lateral_speed|yaw_rate: [LOWEST, HIGHEST]}."""


@dataclass(frozen=True)
class Description:
    """A robot: its model, its clock, what it senses, how it starts, when it has fallen, and what it can be asked."""

    name: str
    """The body's, as in skill ids."""
    model: str
    """In the file: path of the MJCF or URDF, from the folder of the YAML. Here: the MJCF itself."""
    frame_skip: int
    """Simulation steps a control step."""
    observe: list[Any]
    """Parts of the observation, in order: see `gato.skills.robots.senses`."""
    skills: dict[str, SkillDescription]
    actuated: dict[str, float] = field(default_factory=dict)
    """Joint -> strength in N m (or N): motors in this order, instead of the model's own actuators."""
    episode_steps: int = 1000
    """Control steps."""
    start_noise: float = 0.0
    """Half-width of the uniform noise on positions and speeds where an episode begins."""
    keyframe: str = ""
    """Of the model, where an episode begins; without one its reference pose."""
    healthy: dict[str, list[float]] = field(default_factory=dict)
    """Reading -> [lowest, highest]: outside of it an episode ends."""
    readings: dict[str, Any] = field(default_factory=dict)
    """Further readings by name: see `gato.skills.robots.senses`."""
    floating: bool = False
    """Gives the root a free joint: a URDF cannot say it."""
    ground: bool = False
    """Adds a floor and a light: a URDF has none."""


def read_yaml(path: Path) -> Any:
    """What a YAML file holds; ValueError where it is none."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error


def read_mapping(path: Path) -> dict[str, Any]:
    """What a YAML file of names and values holds; ValueError or FileNotFoundError where it holds none."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    content = read_yaml(path)
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ValueError(f"{path} holds no names with values; see docs/examples/quadruped.yaml for the form")
    return content


def read_description(path: Path) -> Description:
    """The description in a YAML file, its `model` still a path; ValueError names every key that is wrong."""
    return described(read_mapping(path), place=str(path))


def described(content: Mapping[str, Any], *, place: str) -> Description:
    """The description that such a mapping holds; ValueError names what is wrong in `place`."""
    problems: list[str] = []
    skills = content.get("skills")
    if isinstance(skills, dict) and skills:
        made = {str(name): _read(SkillDescription, one, f"skills.{name}.", problems) for name, one in skills.items()}
        content = {**content, "skills": made}
    description = _read(Description, content, "", problems)
    if description is not None and not problems:
        problems += _wrong(description)
    if problems:
        raise ValueError(f"{place}: " + "; ".join(problems))
    assert description is not None
    return description


def _read(kind: type[Any], content: Any, place: str, problems: list[str]) -> Any:
    """The record of that kind; None where something is wrong, which `problems` then say."""
    if not isinstance(content, dict):
        problems.append(f"{place.rstrip('.')} is {content!r}; a mapping is needed")
        return None
    hints, before = get_type_hints(kind), len(problems)
    allowed = {one.name: one for one in fields(kind)}
    problems += [f"{place}{key}: unknown key; {near_match(str(key), allowed)}" for key in content if key not in allowed]
    for name, one in allowed.items():
        if name in content:
            wrong = _wrong_kind(content[name], str(hints[name]))
            problems += [f"{place}{name} is {content[name]!r}; {wrong} is needed"] * bool(wrong)
        elif one.default is MISSING and one.default_factory is MISSING:
            problems.append(f"{place}{name} is missing")
    return kind(**content) if len(problems) == before else None


def _wrong_kind(value: Any, hint: str) -> str:
    """What is needed instead, "" where the value will do."""
    if "dict" in hint[:7]:
        return "" if isinstance(value, dict) else "a mapping"
    if "list" in hint[:7]:
        return "" if isinstance(value, list) else "a list"
    if "bool" in hint:
        return "" if isinstance(value, bool) else "true or false"
    if "int" in hint:
        return "" if isinstance(value, int) and not isinstance(value, bool) and value > 0 else "a positive whole number"
    if "float" in hint:
        return "" if _is_number(value) and value >= 0 else "a number of at least 0"
    return "" if isinstance(value, str) else "text"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _wrong(description: Description) -> list[str]:
    """What only several keys together show."""
    wrong = []
    if not description.skills:
        wrong.append("skills is empty; name at least one")
    for name in (description.name, *description.skills):
        if not NAME.fullmatch(name) or name == "switch":
            wrong.append(f'"{name}" is no name; up to 40 lower-case letters, digits and hyphens are, but for "switch"')
    for joint, strength in description.actuated.items():
        if not isinstance(joint, str) or not _is_number(strength) or not 0 < strength < math.inf:
            wrong.append(f"actuated.{joint} is {strength!r}; a joint's name and a strength above 0 are needed")
    for key, (number, most) in {
        "frame_skip": (description.frame_skip, 1000),
        "episode_steps": (description.episode_steps, 1_000_000),
        "start_noise": (description.start_noise, 10.0),
    }.items():
        if not number <= most:
            wrong.append(f"{key} is {number}; at most {most:g}")
    said = [skill.prompt for skill in description.skills.values()]
    wrong += [f'two skills are told "{prompt}"; words must choose' for prompt in {*said} if said.count(prompt) > 1]
    pairs = {f"healthy.{key}": pair for key, pair in description.healthy.items()}
    for name, skill in description.skills.items():
        said = [skill.prompt, *skill.phrases]
        if not all(isinstance(one, str) and one.strip() and not {*"{}"} & {*one} for one in said):
            wrong.append(f"skills.{name}: prompt and phrases are {said!r}; words are needed")
        pairs |= {f"skills.{name}.command.{key}": pair for key, pair in skill.command.items()}
        wrong += [
            f"skills.{name}.command.{key}: {near_match(str(key), COMMANDS)}"
            for key in skill.command
            if key not in COMMANDS
        ]
        for reading, conditions in skill.rule.items():
            if not isinstance(conditions, dict):
                wrong.append(f"skills.{name}.rule.{reading} is {conditions!r}; such as {{mean: [0.5, .inf]}} is needed")
                continue
            pairs |= {f"skills.{name}.rule.{reading}.{key}": pair for key, pair in conditions.items()}
    for place, pair in pairs.items():
        is_pair = isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair))
        is_told = ".command." in place
        if not is_pair or not pair[0] <= pair[1] or (is_told and math.inf in map(abs, pair)):
            wrong.append(f"{place} is {pair!r}; [lowest, highest] is needed")
    return wrong
