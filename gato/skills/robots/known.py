"""Which robots this process knows besides the bodies that come with Gato, and the files that may stand for them.

In: what a user typed, an environment's spec, or installed packages. Out: ids of `gato.skills.table`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from gato.skills.bodies import BODIES
from gato.skills.robots.description import read_mapping
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
        before, now = BODIES[name].description or {}, robot.body.description or {}
        differing = ", ".join(key for key in now if before.get(key) != now[key])
        raise ValueError(
            f'two different robots are called "{name}" ({differing} differ): one of a file, one of a dataset or another'
            " file; give one of them another name, or record the dataset anew"
        )
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
    robot = add_file(Path(file))
    skills = {skill.id.split("/")[1]: skill.id for skill in robot.skills}
    if name not in skills and (name or len(skills) > 1):
        told = f'no skill "{name}" in {file}' if name else f"{file} has several skills; name one, such as"
        told = f"{told}; {near_match(name, skills)}" if name else f"{told} {file}:{next(iter(skills))}"
        raise ValueError(told)
    return skills[name] if name else robot.skills[0].id


def named_target(text: str) -> str:
    """As `named_skill`; what is no file may be the name of a recipe that comes with Gato."""
    return text if text.endswith((".yaml", ".yml")) and not Path(text).is_file() else named_skill(text)


def named_body(text: str) -> str:
    """The name of the body that a user named: a robot's FILE.yaml; any other text is itself."""
    file, _, skill = text.partition(":")
    if not is_robot(file):
        return text
    if skill:
        raise ValueError(f"{text} names a skill, and a body is needed: {file}")
    return add_file(Path(file)).body.name


def robot_hash(body: str) -> str:
    """What tells this robot from another of its name; "" for the bodies that come with Gato."""
    description = BODIES[body].description if body in BODIES else None
    return "" if description is None else hashlib.sha256(json.dumps(description).encode()).hexdigest()[:16]


def typed(name: str) -> str:
    """What a user types for a skill or a body: FILE.yaml:SKILL or FILE.yaml of a robot, else its name."""
    body, _, skill = name.partition("/")
    return ":".join(filter(None, [_typed[body], skill])) if body in _typed else name


def is_robot(file: str) -> bool:
    """Whether this is meant as the YAML file of a robot, and not as one of recordings or experts."""
    return file.endswith((".yaml", ".yml")) and not {"datasets", "experts"} & read_mapping(Path(file)).keys()


def add_listed(path: Path, content: Mapping[str, Any]) -> None:
    """The robots that the file at `path` lists; ValueError where its `robots` is no list."""
    robots = content.get("robots") or []
    if not isinstance(robots, list):
        raise ValueError(f"{path}: robots is {robots!r}; a list of robots' YAML files is needed")
    for robot in robots:
        add_file(path.parent / str(robot))


def add_file(path: Path) -> Robot:
    """The robot of a file, known from now on."""
    robot = load_robot(path)
    add(robot)
    _typed[robot.body.name] = str(path)
    return robot
