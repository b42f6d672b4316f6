"""Which robots this process knows besides the bodies that come with Gato, and the files that may stand for them.

In: what a user typed, an environment's spec, or installed packages. Out: ids of `gato.skills.table`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

import yaml

from gato.skills.bodies import BODIES
from gato.skills.robots.robot import Robot, kept_robot, load_robot
from gato.skills.table import SKILLS
from gato.skills.wordings import WORDINGS
from gato.specs import near_match

GROUP = "gato.skills"
"""Entry points of other packages: each is the path of a robot's YAML file."""
_typed: dict[str, str] = {}
"""Body -> the file that stood for it."""

log = logging.getLogger(__name__)


class MadeOf(Protocol):
    """What is read of a Gymnasium `EnvSpec`."""

    kwargs: dict[str, Any]


def add(robot: Robot) -> None:
    """From now on this process knows the robot; ValueError where another body has its name."""
    name = robot.body.name
    if name in BODIES and BODIES[name].description is None:
        raise ValueError(f'a body "{name}" comes with Gato; give the robot another name')
    if name in BODIES and BODIES[name].description != robot.body.description:
        raise ValueError(f'there are two different robots called "{name}"; give one of them another name')
    BODIES[name] = robot.body
    SKILLS.update({skill.id: skill for skill in robot.skills})
    WORDINGS.update(robot.wordings)


def know(kept: Mapping[str, Any]) -> None:
    """Knows the robot that an environment or a dataset keeps."""
    body = BODIES.get(str(kept.get("name")))
    if body is None or body.description != kept:
        add(kept_robot(kept))


def know_environment(env_spec: MadeOf) -> None:
    """Knows the robot of an environment's spec, if it has one of its own."""
    if "robot" in env_spec.kwargs:
        know(env_spec.kwargs["robot"])


def add_installed() -> None:
    """Knows the robots of installed packages; one that is broken is told of, and left out."""
    for entry in entry_points(group=GROUP):
        try:
            add(load_robot(Path(entry.load())))
        except Exception as error:  # the border to other people's packages
            log.warning("robot %s of %s is left out: %s", entry.name, entry.value, error)


def named_skill(text: str) -> str:
    """The id of the skill that a user named: FILE.yaml or FILE.yaml:SKILL of a robot; any other text is itself."""
    file, _, name = text.partition(":")
    if not is_robot(file):
        return text
    robot = _load(file)
    skills = {skill.id.split("/")[1]: skill.id for skill in robot.skills}
    if name not in skills and (name or len(skills) > 1):
        told = f'no skill "{name}" in {file}' if name else f"{file} has several skills; name one, such as"
        told = f"{told}; {near_match(name, skills)}" if name else f"{told} {file}:{next(iter(skills))}"
        raise ValueError(told)
    return skills[name] if name else robot.skills[0].id


def named_body(text: str) -> str:
    """The name of the body that a user named: a robot's FILE.yaml; any other text is itself."""
    return _load(text).body.name if is_robot(text) else text


def typed(name: str) -> str:
    """What a user types for a skill or a body: FILE.yaml:SKILL or FILE.yaml of a robot, else its name."""
    body, _, skill = name.partition("/")
    return ":".join(filter(None, [_typed[body], skill])) if body in _typed else name


def is_robot(file: str) -> bool:
    """Whether this is the YAML file of a robot, not of recordings or experts; what is no such file at all is none."""
    if not file.endswith((".yaml", ".yml")) or not Path(file).is_file():
        return False
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return False
    return isinstance(content, dict) and not {"datasets", "experts"} & content.keys()


def _load(file: str) -> Robot:
    robot = load_robot(Path(file))
    add(robot)
    _typed[robot.body.name] = file
    return robot
