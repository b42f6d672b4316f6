"""What to record: one `Recording`, or a recipe of several in YAML.

In: a YAML file (`datasets/demo.yaml` shows every key), or the name of one that comes with the package.
Out: `Recording`s, checked; every unknown key, skill and body is named at once, with a near match.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gato.experts.sb3_agent import PREFIX
from gato.skills.bodies import get_body
from gato.skills.robots.description import read_yaml
from gato.skills.robots.known import add_listed
from gato.skills.stepper import find_env_spec
from gato.skills.table import SKILLS, skills_of
from gato.specs import near_match

PACKAGE = Path(__file__).parent.parent
RECIPE_FOLDERS = (PACKAGE / "recipes", PACKAGE.parent / "datasets")
"""Where an installed package and a checkout keep the recipes."""
TOP_KEYS = ("datasets", "defaults", "robots")
"""Of a recipe."""
ACTORS = ("shipped", "steady", "random", "zero")


@dataclass(frozen=True)
class Recording:
    """One dataset to record."""

    env: str
    """A skill id or any Gymnasium id; a body's name when `switch` is given."""
    episodes: int = 10
    seed: int = 0
    """Episode i starts from seed * 100003 + i."""
    noise: tuple[float, ...] = (0.0,)
    """Standard deviations of the noise on actions, in their own unit, one after the other over the episodes."""
    expert: str | tuple[str, ...] = "shipped"
    """shipped, steady (shipped, and others can take over from it), random, zero, a policy folder (`{skill}` in it is
    replaced), one that is shipped (`{skill}/history/<steps>`), sb3:PATH.zip, or module.py:factory. Several take turns,
    one episode each."""
    dataset_id: str = ""
    """Minari id (`{skill}` in it is replaced); by default gato/<body>/<skill>-v0, gato/<body>/switch-v0, or
    gato/<environment>/<expert>-v0."""
    switch: tuple[str, ...] = ()
    """Skills of one body between which an episode changes."""
    changes: tuple[int, int] = (1, 3)
    """Fewest and most changes of skill in an episode."""
    student: str = ""
    """Model folder: it acts, and the expert says what it should have done (DAgger)."""
    normalizer: str = ""
    """vecnormalize.pkl of an sb3: expert (`{skill}` in it is replaced)."""
    sample: bool = False
    """Actions are drawn from the policy's own distribution (the exploration of its training), as D4RL's are."""
    randomise: tuple[str, ...] = ()
    """NAME=LOWEST:HIGHEST of mass, friction, strength: factors by which the body differs from episode to episode."""
    reference: str = ""
    """Whose score the reference of the dataset is, where it is not the expert that acts: as `expert`."""
    max_episode_steps: int = 0
    """An episode is cut (truncated) after as many steps: many starts for what is won or lost in the first second. 0: as
    long as the environment lets it."""

    def __post_init__(self) -> None:
        if not isinstance(self.expert, str) and len(self.expert) == 1:
            object.__setattr__(self, "expert", self.expert[0])
        object.__setattr__(self, "dataset_id", self.dataset_id.replace("{skill}", self.env))
        problems = [*self._wrong_numbers(), *self._wrong_switch(), *self._wrong_student(), *self._wrong_experts()]
        if problems:
            raise ValueError(f"recording {self.env}: " + "; ".join(problems))

    @property
    def id(self) -> str:
        """The Minari id of the dataset."""
        if self.dataset_id:
            return self.dataset_id
        suffix = "-student" if self.student else ""
        if self.switch:
            return f"gato/{self.env}/switch{suffix}-v0"
        if self.env in SKILLS:
            return f"gato/{self.env}{suffix}-v0"
        words = re.sub(r"-v\d+$", "", self.env.split("/")[-1].split(":")[-1])
        kebab = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", words).lower()
        actor = self.experts[0] if self.experts[0] in ACTORS else "expert"
        return f"gato/{re.sub(r'[^-_a-z0-9]', '-', kebab)}/{actor}-v0"

    @property
    def skills(self) -> tuple[str, ...]:
        """Skill ids, index = prompt_id; empty for an environment that is none of ours."""
        return self.switch or ((self.env,) if self.env in SKILLS else ())

    @property
    def experts(self) -> tuple[str, ...]:
        """Who acts, in turn."""
        return (self.expert,) if isinstance(self.expert, str) else self.expert

    def _wrong_numbers(self) -> list[str]:
        wrong = []
        if self.episodes < 1:
            wrong.append(f"episodes is {self.episodes}; at least 1")
        if self.seed < 0:
            wrong.append(f"seed is {self.seed}; at least 0")
        if self.max_episode_steps < 0:
            wrong.append(f"max_episode_steps is {self.max_episode_steps}; at least 1, or 0 for whole episodes")
        if not self.noise or not all(0 <= level < math.inf for level in self.noise):
            wrong.append(f"noise is {list(self.noise)}; finite standard deviations of at least 0, at least one")
        return wrong

    def _wrong_switch(self) -> list[str]:
        if not self.switch:
            # A word without a version is meant as a skill: Gymnasium's ids end in -vN.
            is_skill = self.env in SKILLS or re.search(r"-v\d+$", self.env)
            return [] if is_skill else [f'unknown skill or environment "{self.env}"; {near_match(self.env, SKILLS)}']
        body = get_body(self.env).name
        known = [skill.id for skill in skills_of(body)]
        wrong = [
            f'"{skill}" is no skill of {body}; {near_match(skill, known)}'
            for skill in self.switch
            if skill not in known
        ]
        if len(set(self.switch)) < 2:
            wrong.append(f"switch is {list(self.switch)}; at least two different skills")
        if len(self.changes) != 2 or not 1 <= self.changes[0] <= self.changes[1]:
            wrong.append(f"changes is {list(self.changes)}; [fewest, most], at least 1")
        return wrong

    def _wrong_student(self) -> list[str]:
        if not self.student:
            return []
        return [] if self.skills else [f"{self.env} is no skill, and a student must be told one; see gato skills"]

    def _wrong_experts(self) -> list[str]:
        wrong = [] if self.experts and all(self.experts) else [f"expert is {self.expert!r}; at least one is needed"]
        if len(self.experts) > 1:
            lonely = [one for one in self.experts if one in ("random", "zero")]
            wrong += (
                [f"expert is {list(self.experts)}; {lonely} cannot take turns: record it by itself"] if lonely else []
            )
            others = [name for name in ("switch", "student") if getattr(self, name)]
            wrong += [f"{others[0]} needs one expert a skill, not {list(self.experts)} in turn"] if others else []
        if self.sample:
            others = [name for name in ("switch", "student") if getattr(self, name)]
            wrong += [f"sample does not go with {others[0]}; leave out one of them"] if others else []
            if any(self.noise):
                wrong.append(f"noise is {list(self.noise)}; with sample it is the policy's own: leave it out")
            if set(self.experts) & {"random", "zero"}:
                wrong.append(f"sample needs a policy, which {list(self.experts)} is not")
        try:
            find_env_spec((self.switch or (self.env,))[0], self.randomise)
        except ValueError as error:
            wrong += [str(error)] * bool(self.randomise)
        if self.normalizer and not all(one.startswith(PREFIX) for one in self.experts):
            wrong.append(f"normalizer is {self.normalizer}, and belongs to an sb3: agent; expert is {self.expert}")
        if self.reference in ("random", "zero") or (self.reference and not self.skills):
            wrong.append(f"reference is {self.reference!r}; it names an expert of a skill")
        return wrong


def find_recipe(path_or_name: str | Path) -> Path:
    """The YAML file meant by a path or by the name of a recipe that comes with the package."""
    path = Path(path_or_name)
    if path.is_file():
        return path
    shipped = {file.stem: file for folder in RECIPE_FOLDERS if folder.is_dir() for file in folder.glob("*.yaml")}
    if path.stem in shipped and path.parent in (Path(), Path("datasets")):
        return shipped[path.stem]
    raise ValueError(f"no recipe {path}: no such file; {near_match(path.stem, shipped)}")


def load_recipe(path_or_name: str | Path) -> tuple[Recording, ...]:
    """The recordings of a recipe; ValueError names every entry that is wrong."""
    path = find_recipe(path_or_name)
    content = read_yaml(path)
    listed = content.get("datasets") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed:
        raise ValueError(f'{path} has no list "datasets" with anything in it; see datasets/demo.yaml for the form')
    add_listed(path, content)
    allowed = {item.name for item in fields(Recording)} - {"env", "switch"} | {"skill", "env", "body", "switch"}
    defaults = content.get("defaults") or {}
    problems = [f'"{key}" at the top: {near_match(str(key), TOP_KEYS)}' for key in content if key not in TOP_KEYS]
    recordings: list[Recording] = []
    for number, entry in enumerate([defaults, *listed]):
        place = f"dataset {number}" if number else "defaults"
        if not isinstance(entry, dict):
            problems.append(f"{place} is {entry!r}; a mapping is needed")
            continue
        unknown = [
            f'{place}: unknown key "{key}"; {near_match(str(key), allowed)}' for key in entry if key not in allowed
        ]
        problems += unknown
        if number and not unknown and not problems:
            try:
                recordings.append(_recording({**defaults, **entry}))
            except (ValueError, TypeError) as error:
                problems.append(f"{place}: {error}")
    ids = [recording.id for recording in recordings]
    problems += [f"{dataset_id} is recorded twice" for dataset_id in sorted(set(ids)) if ids.count(dataset_id) > 1]
    if problems:
        raise ValueError(f"{path}: " + "; ".join(problems))
    return tuple(recordings)


def _recording(entry: dict[str, Any]) -> Recording:
    names = [key for key in ("skill", "env", "body") if key in entry]
    if len(names) != 1:
        raise ValueError(f'names {names or "nothing"} to record; exactly one of "skill", "env" and "body" is needed')
    if (names == ["body"]) != ("switch" in entry):
        raise ValueError('"body" and "switch" (its skills) belong together')
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in entry.items() if key != names[0]
    }
    if not isinstance(values.get("noise", ()), tuple):
        values["noise"] = (values["noise"],)
    if isinstance(values.get("expert"), str):
        values["expert"] = (values["expert"],)
    wanted = {
        "episodes": int,
        "seed": int,
        "expert": tuple,
        "dataset_id": str,
        "noise": tuple,
        "switch": tuple,
        "changes": tuple,
        "student": str,
        "normalizer": str,
        "sample": bool,
        "randomise": tuple,
        "reference": str,
        "max_episode_steps": int,
    }
    for key, value in values.items():
        if not isinstance(value, wanted[key]) or isinstance(value, bool) != (wanted[key] is bool):
            name = wanted[key].__name__.replace("tuple", "list").replace("bool", "true or false")
            raise ValueError(f"{key} is {value!r}; {name} is needed")
    if "expert" in values:
        values["expert"] = tuple(map(str, values["expert"]))
    if "noise" in values:
        values["noise"] = tuple(float(level) for level in values["noise"])
    return Recording(env=str(entry[names[0]]), **values)
