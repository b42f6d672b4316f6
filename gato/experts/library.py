"""Many experts from one file: trained one after the other, each from those before it, and gone on with when killed.

In: a YAML file, name -> settings of `gato expert train` (configs/experts.yaml). Out: a folder with one run a name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from gato.experts.ppo import PPOConfig
from gato.experts.shipped import has_shipped_expert
from gato.experts.train import train_expert
from gato.skills.table import get_skill
from gato.specs import near_match

SETTINGS = ("steps", "seed", *(field.name for field in fields(PPOConfig)))
"""Of one expert."""

log = logging.getLogger("gato.experts")


@dataclass(frozen=True)
class Entry:
    """One expert to train."""

    name: str
    """A skill id, or <skill>/<variant>."""
    skill: str
    steps: int
    seed: int
    config: PPOConfig
    """Its `init_from` and `start_states` are names of earlier entries, or of experts that come with Gato."""


def is_library(file: str) -> bool:
    """Whether this is a YAML file of experts."""
    if not file.endswith((".yaml", ".yml")) or not Path(file).is_file():
        return False
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return False
    return isinstance(content, dict) and "experts" in content


def load_library(path: Path) -> tuple[Entry, ...]:
    """The experts of a file; ValueError names every entry that is wrong."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    experts = content["experts"]
    if not isinstance(experts, dict) or not experts:
        raise ValueError(f"{path}: experts is {experts!r}; names with their settings are needed")
    entries: list[Entry] = []
    problems: list[str] = []
    for name, settings in experts.items():
        try:
            entries.append(_entry(str(name), settings, [one.name for one in entries]))
        except (ValueError, TypeError) as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise ValueError(f"{path}: " + "; ".join(problems))
    return tuple(entries)


def train_library(path: Path, out: Path) -> Path:
    """Train every expert of the file into `out`/<name>; what is finished stays, what was begun goes on."""
    for entry in load_library(path):
        train_expert(
            entry.skill,
            steps=entry.steps,
            seed=entry.seed,
            out=out / entry.name,
            config=_placed(entry.config, out),
            resume=(out / entry.name).is_dir(),
        )
    return out


def _entry(name: str, settings: Any, earlier: list[str]) -> Entry:
    if not isinstance(settings, Mapping) or "steps" not in settings:
        raise ValueError(f"{settings!r}; a mapping with steps is needed")
    for key in settings:
        if key not in SETTINGS:
            raise ValueError(f'unknown key "{key}"; {near_match(str(key), SETTINGS)}')
    skill = "/".join(name.split("/")[:2])
    told: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    steps, seed = int(told.pop("steps")), int(told.pop("seed", 0))
    config = PPOConfig(**told)
    for other in (*config.start_states, *filter(None, [config.init_from])):
        if other not in earlier and not has_shipped_expert(other):
            raise ValueError(
                f'begins from "{other}", which is none of the experts before it; {near_match(other, earlier)}'
            )
    return Entry(name, get_skill(skill).id, steps, seed, config)


def _placed(config: PPOConfig, out: Path) -> PPOConfig:
    """With folders in place of the names of earlier entries."""

    def place(name: str) -> str:
        return str(out / name) if (out / name).is_dir() else name

    start_states = tuple(map(place, config.start_states))
    return replace(config, init_from=place(config.init_from) if config.init_from else "", start_states=start_states)
