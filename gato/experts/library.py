"""Many experts from one file: trained one after the other, each from those before it, and gone on with when killed.

In: a YAML file, name -> settings of `gato expert train` (configs/experts/library.yaml). Out: a folder with their runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from gato.experts.ppo import PPOConfig
from gato.experts.settings import settings_of
from gato.experts.shipped import has_shipped_expert
from gato.experts.train import train_expert
from gato.skills.robots.description import read_mapping
from gato.skills.robots.known import add_listed
from gato.skills.table import get_skill
from gato.specs import near_match

TOP_KEYS = ("experts", "robots")
"""Of a file."""
NAME = re.compile(r"[a-z0-9-]+/[a-z0-9-]+(/[a-z0-9-]+)?")
SETTINGS = ("steps", "seed", *(field.name for field in fields(PPOConfig)))
"""Of one expert."""


@dataclass(frozen=True)
class Entry:
    """One expert to train."""

    name: str
    """A skill id, or <skill>/<variant>."""
    skill: str
    steps: int
    seed: int
    config: PPOConfig
    """Its `init_from`, `imitate` and `start_states` name earlier entries, or experts that come with Gato."""


def is_library(file: str) -> bool:
    """Whether this is a YAML file of experts."""
    return file.endswith((".yaml", ".yml")) and "experts" in read_mapping(Path(file))


def load_library(path: Path) -> tuple[Entry, ...]:
    """The experts of a file; ValueError names every entry that is wrong."""
    content = read_mapping(path)
    experts = content["experts"]
    problems = [f'"{key}" at the top: {near_match(key, TOP_KEYS)}' for key in content if key not in TOP_KEYS]
    if not isinstance(experts, dict) or not experts:
        raise ValueError(f"{path}: experts is {experts!r}; names with their settings are needed")
    add_listed(path, content)
    entries: list[Entry] = []
    for name, settings in experts.items():
        try:
            entries.append(_entry(str(name), settings, [one.name for one in entries]))
        except (ValueError, TypeError, ArgumentError) as error:
            problems.append(f"{name}: {' '.join(str(error).split())}")
    if problems:
        raise ValueError(f"{path}: " + "; ".join(problems))
    return tuple(entries)


def train_library(path: Path, out: Path) -> Path:
    """Train every expert of the file into `out`/<body>/<skill>; what is finished stays, what was begun goes on."""
    for entry in load_library(path):
        place = _place(entry.name, out)
        train_expert(
            entry.skill,
            steps=entry.steps,
            seed=entry.seed,
            out=place,
            config=_placed(entry.config, out),
            resume=place.is_dir(),
        )
    return out


def _place(name: str, out: Path) -> Path:
    """`out`/<body>/<skill>, or <skill>-<variant> beside it: a run holds no other."""
    body, *skill = name.split("/")
    return out / body / "-".join(skill)


def _entry(name: str, settings: Any, earlier: list[str]) -> Entry:
    if not isinstance(settings, dict) or "steps" not in settings:
        raise ValueError(f"{settings!r}; a mapping with steps is needed")
    for key in settings:
        if key not in SETTINGS:
            raise ValueError(f'unknown key "{key}"; {near_match(str(key), SETTINGS)}')
    if not NAME.fullmatch(name):
        raise ValueError("names are body/skill or body/skill/variant")
    skill = get_skill("/".join(name.split("/")[:2])).id
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_class_arguments(PPOConfig)
    told: dict[str, Any] = parser.parse_object(settings).as_dict()
    steps, seed = told.pop("steps"), told.pop("seed")
    config = PPOConfig(**told)
    settings_of(skill, steps=steps, seed=seed, config=config)
    for other in config.others():
        if other not in earlier and not has_shipped_expert(other):
            before = near_match(other, earlier) if earlier else "there is none before it"
            raise ValueError(f'begins from "{other}", which is none of the experts before it; {before}')
    return Entry(name, skill, steps, seed, config)


def _placed(config: PPOConfig, out: Path) -> PPOConfig:
    """With folders in place of the names of earlier entries."""

    def place(name: str) -> str:
        return str(_place(name, out)) if _place(name, out).is_dir() else name

    return replace(
        config,
        init_from=place(config.init_from) if config.init_from else "",
        start_states=tuple(map(place, config.start_states)),
        imitate=tuple(str(replace(part, expert=place(part.expert))) for part in config.parts),
    )
