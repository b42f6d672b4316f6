"""Other people's Stable-Baselines3 agents, `sb3:PATH.zip` or `sb3:owner/repository` on the Hugging Face Hub.

In: what the user typed, the body it shall move. Out: a `Policy` with the agent's normaliser inside.
Of the zip only two files are read, and no pickle: the weights (`weights_only`) and the plain parts of its JSON. So zips
of 2020, of gym and of another numpy, are read like new ones, with Stable-Baselines3 or without. The normaliser is a
pickle, and is opened only where the user names it.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gato.experts.policy import Policy
from gato.experts.sb3_network import Settings, make_policy
from gato.experts.vecnormalize import DamagedPickle, read_normaliser
from gato.hub import HUB_ID, fetch
from gato.specs import BodySpec, near_match

PREFIX = "sb3:"
BOUND_TOLERANCE = 1e-4
"""Between the agent's action box and the body's: the zip's JSON has them in eight digits."""


@dataclass(frozen=True)
class AgentFiles:
    """Where an agent lies."""

    archive: Path
    normaliser: Path | None


def find_agent(text: str, normaliser: str = "") -> AgentFiles:
    """The files of `sb3:...`; from the Hub they are fetched first. ValueError where there are none.

    A normaliser that is no file here is one in the Hub's repository.
    """
    place = Path(text.removeprefix(PREFIX))
    named = Path(normaliser) if normaliser else None
    if place.suffix != ".zip" and not place.exists() and HUB_ID.fullmatch(str(place)):
        folder = _fetch(str(place), [normaliser] if named and not named.is_file() else [])
        archives = sorted(folder.glob("*.zip"))
        own = folder / f"{place.name}.zip"
        if own not in archives and len(archives) != 1:
            found = ", ".join(one.name for one in archives) or "none"
            raise ValueError(f"{text} has no single agent: {found}; download the one that is meant, and pass its path")
        if named and not named.is_file():
            named = folder / normaliser
        return AgentFiles(own if own in archives else archives[0], named)
    if not place.is_file():
        beside = [file.name for file in place.parent.glob("*.zip")] if place.parent.is_dir() else []
        near = near_match(place.name, beside) if beside else "pass sb3:PATH.zip, or sb3:owner/repository"
        raise ValueError(f"{place}: no such agent; {near}")
    return AgentFiles(place, named)


def load_agent(files: AgentFiles, skill: str, body: BodySpec) -> Policy:
    """The agent as a policy; ValueError where the files are damaged, or it is made for other spaces."""
    weights, facts = _read(files.archive)
    source = str(files.archive)
    low_A, high_A = _check_spaces(source, facts, body)
    if files.normaliser is None and _was_normalised(weights, facts):
        raise ValueError(
            f"{source} was trained under VecNormalize, and without its statistics would see other numbers; pass"
            " --normalizer with the vecnormalize.pkl (vec_normalize.pkl on the Hub) that was saved with it"
        )
    kwargs = facts.get("policy_kwargs") or {}
    activation = re.sub(r"^.*\.|\W+$", "", str(kwargs.get("activation_fn", "")))
    settings = Settings(source, skill, low_A, high_A, activation, bool(kwargs.get("squash_output")))
    policy = make_policy(weights, settings, read_normaliser(files.normaliser) if files.normaliser else None)
    if len(policy.mean_O) != len(body.observation):
        raise ValueError(f"{source} has weights for {len(policy.mean_O)} numbers, but says {len(body.observation)}")
    return policy


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights by name, and the JSON of the settings."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            if not {"policy.pth", "data"} <= set(members):
                old = "an agent of Stable Baselines 2 (TensorFlow)" if "parameters" in members else "no whole agent"
                raise ValueError(f"{path} is {old}: policy.pth or data is missing; pass a zip of Stable-Baselines3")
            facts = json.loads(archive.read("data"))
            weights = torch.load(io.BytesIO(archive.read("policy.pth")), map_location="cpu", weights_only=True)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is not a whole zip ({error}); copy it again") from error
    except DamagedPickle as error:
        foreign = re.search(r"GLOBAL (\S+)", str(error))
        told = f"wants {foreign[1]}" if foreign else "holds more than weights"
        raise ValueError(f"policy.pth in {path} {told}, which no network needs; do not trust this file") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is damaged ({str(error).splitlines()[0]}); copy it again") from error
    if not isinstance(facts, dict) or not isinstance(weights, dict):
        raise ValueError(f"{path} is damaged: data or policy.pth holds no table; copy it again")
    return {name: value for name, value in weights.items() if isinstance(value, Tensor)}, facts


def _check_spaces(source: str, facts: dict[str, Any], body: BodySpec) -> tuple[np.ndarray, np.ndarray]:
    """The bounds (A,) of the agent's actions; ValueError where it is of another body."""
    observation, action = facts.get("observation_space"), facts.get("action_space")
    if not isinstance(observation, dict) or not isinstance(action, dict):
        raise ValueError(f"{source} does not say its spaces; it was not saved by Stable-Baselines3")
    for what, space in (("observes", observation), ("acts in", action)):
        kind = re.sub(r"^.*\.|\W+$", "", str(space.get(":type:")))
        if kind != "Box":
            raise ValueError(f"{source} {what} a {kind} space; only Box is read")
    shapes = tuple(tuple(space.get("_shape") or space.get("shape") or ()) for space in (observation, action))
    wanted = (len(body.observation),), (len(body.action),)
    if shapes != wanted:
        raise ValueError(
            f"{source} observes {shapes[0]} and acts {shapes[1]}, but {body.name} observes {wanted[0]} and acts"
            f" {wanted[1]}; choose an agent of the same environment, with the same observations"
        )
    own = body.action_low, body.action_high
    if not np.isfinite(own).all():
        raise ValueError(f"{body.name} has actions without bounds; an agent needs a bounded box")
    bounds = [_numbers(action.get(key)) for key in ("low", "high")]
    if any(len(a) != len(b) or not np.allclose(a, b, atol=BOUND_TOLERANCE) for a, b in zip(bounds, own, strict=True)):
        got, allowed = (f"{low.tolist()} to {high.tolist()}" for low, high in (bounds, own))
        raise ValueError(f"{source} acts in {got}, but {body.name} in {allowed}; choose an agent of the same body")
    return own


def _numbers(printed: object) -> np.ndarray:
    """An array as numpy prints it, "[-1. -1.]"."""
    return np.array(re.findall(r"[-+]?[\d.]+(?:e[-+]?\d+)?", str(printed)), np.float32)


def _was_normalised(weights: dict[str, Tensor], facts: dict[str, Any]) -> bool:
    """Whether VecNormalize stood between the environment and the agent, as far as its zip tells.

    PPO and A2C keep the observation before it only then; SAC and TD3 always keep one, so of them nothing is known.
    """
    return "action_net.weight" in weights and facts.get("_last_original_obs") is not None


def _fetch(repository: str, more: list[str]) -> Path:
    """The Hub's repository as a folder, as far as it is needed."""
    try:
        return fetch(repository, ["*.zip", "results.json", *more])
    except ValueError as error:
        raise ValueError(f"{PREFIX}{repository} is no file here; {error}, or pass sb3:PATH.zip") from error
