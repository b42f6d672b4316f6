"""A robot of one's own becomes a body with skills.

In: a YAML file, or a `Description` kept with a dataset. Out: `Robot`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

import mujoco
import numpy as np

from gato.skills.bodies.body import Body, Reading, State, along_track, noisy_start
from gato.skills.rewards import TERMS, Term, terms_of
from gato.skills.robots.description import Description, SkillDescription, described, read_description
from gato.skills.robots.senses import Senses
from gato.skills.robots.simulation import bounds, compiled_text, make_model
from gato.skills.skill import Condition, Skill, Statistic
from gato.skills.wordings import Wording
from gato.specs import BodySpec, Element, near_match


@dataclass(frozen=True)
class Robot:
    """A body and what it can be asked for."""

    body: Body
    skills: tuple[Skill, ...]
    wordings: Mapping[str, Wording]
    """Skill id -> how it is said."""


def load_robot(path: Path) -> Robot:
    """The robot that a YAML file describes; ValueError or FileNotFoundError says what is wrong with it."""
    description = read_description(path)
    text = compiled_text(description, path.parent)
    return make_robot(replace(description, model=text), place=str(path))


def kept_robot(kept: Mapping[str, Any]) -> Robot:
    """The robot of a description that a dataset or an environment keeps."""
    return make_robot(described(kept, place=f"robot {kept.get('name')}"), place="the environment")


def make_robot(description: Description, *, place: str) -> Robot:
    """The robot of a description that holds its MJCF; ValueError for joints, parts and words that are not there."""
    model = make_model(description.name, description.model)
    try:
        body = _body(description, model)
        skills = tuple(_skill(name, one, body) for name, one in description.skills.items())
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
    said = {one.id: (told.prompt, *told.phrases) for one, told in zip(skills, description.skills.values(), strict=True)}
    return Robot(body, skills, {skill_id: Wording(actions, ways=("",)) for skill_id, actions in said.items()})


def _body(description: Description, model: mujoco.MjModel) -> Body:
    senses = Senses(model)
    seen = [senses.sense(word) for word in description.observe]
    readings, fields = senses.own_readings(), {field for one in seen for field in one.derived}
    for name, word in description.readings.items():
        if name in readings or name in TERMS:
            raise ValueError(f'readings.{name}: "{name}" has a meaning already; give it another name')
        readings[name], needed = senses.reading(name, word)
        fields.update(needed)
    if senses.is_free:
        fields.add("xpos")
    if not seen or not model.nu:
        raise ValueError("observe is empty" if not seen else "the model has no actuators; name its joints in actuated")
    keyframes = [model.key(index).name for index in range(model.nkey)]
    if description.keyframe and description.keyframe not in keyframes:
        raise ValueError(f'unknown keyframe "{description.keyframe}"; {near_match(description.keyframe, keyframes)}')
    names = [name for one in seen for name in one.names]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"observe: {', '.join(twice)} come twice; leave out one of each")
    low_A, high_A = bounds(model)
    actions = zip([model.actuator(index).name for index in range(model.nu)], low_A, high_A, strict=True)
    observation = tuple(map(Element, names))
    action = tuple(Element(name, low=float(low), high=float(high)) for name, low, high in actions)
    root = int(model.jnt_bodyid[0]) if model.njnt else 0
    return Body(
        gym_id="",
        spec=BodySpec(description.name, observation, action),
        timestep=model.opt.timestep,
        frame_skip=description.frame_skip,
        observe=lambda state: np.concatenate([one.measure(state) for one in seen], axis=1),
        start=noisy_start(description.start_noise),
        readings=readings,
        max_episode_steps=description.episode_steps,
        place=(lambda state: state.derived["xpos"][:, root, :2].copy()) if senses.is_free else along_track,
        is_healthy=_healthy(description, readings),
        derived=tuple(sorted(fields)),
        description=asdict(description),
    )


def _healthy(description: Description, readings: Mapping[str, Reading]) -> Any:
    """(State) -> (B,) bool, or None where nothing ends an episode."""
    if not description.healthy:
        return None
    for name in description.healthy:
        if name not in readings or readings[name].unit.endswith("/s"):
            steady = [one for one in readings if not readings[one].unit.endswith("/s")]
            raise ValueError(f'healthy: "{name}" is no reading of a posture; {near_match(name, steady)}')

    def is_healthy(state: State) -> np.ndarray:
        still_B2, is_inside_B = np.zeros((len(state.qpos_BQ), 2)), np.ones(len(state.qpos_BQ), np.bool_)
        for name, (low, high) in description.healthy.items():
            value_B = readings[name].measure(state, still_B2)
            is_inside_B &= (value_B >= low) & (value_B <= high)
        return is_inside_B

    return is_healthy


def _skill(name: str, told: SkillDescription, body: Body) -> Skill:
    place, rule = f"skills.{name}", []
    for reading, conditions in told.rule.items():
        for statistic, (low, high) in conditions.items():
            if statistic not in get_args(Statistic):
                raise ValueError(f"{place}.rule.{reading}: {near_match(statistic, get_args(Statistic))}")
            rule.append(Condition(reading, cast(Statistic, statistic), float(low), float(high)))
    if not rule or not told.reward:
        raise ValueError(f"{place}: at least one {'term of reward' if rule else 'rule'} is needed")
    reward = tuple(_term(one, f"{place}.reward") for one in told.reward)
    for kind, word, allowed in (
        *(("reward", term.name, terms_of(body)) for term in reward),
        *(("rule", one.reading, list(body.readings)) for one in rule),
        *(("command", axis, list(body.readings)) for axis in told.command),
    ):
        if word not in allowed:
            raise ValueError(f'{place}.{kind}: unknown "{word}"; {near_match(word, allowed)}')
    return Skill(
        id=f"{body.name}/{name}",
        body=body.name,
        is_standard=False,
        reward=reward,
        prompt=told.prompt,
        rule=tuple(rule),
        reading=rule[0].reading,
        command={axis: (float(low), float(high)) for axis, (low, high) in told.command.items()},
    )


def _term(written: Any, place: str) -> Term:
    allowed = ("term", "weight", "least", "limit", "width", "target")
    if not isinstance(written, dict) or not {"term", "weight"} <= written.keys():
        raise ValueError(f"{place}: {written!r}; such as {{term: forward_speed, weight: 1.0}} is needed")
    for key, value in written.items():
        if key not in allowed:
            raise ValueError(f'{place}: unknown key "{key}"; {near_match(str(key), allowed)}')
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if key != "term" and not is_number:
            raise ValueError(f"{place}: {key} is {value!r}; a number is needed")
    if written.get("width", 1) <= 0 or written.get("least", -math.inf) > written.get("limit", math.inf):
        raise ValueError(f"{place}: {written!r}; a width above 0 is needed, and a least below the limit")
    return Term(str(written["term"]), **{key: float(value) for key, value in written.items() if key != "term"})
