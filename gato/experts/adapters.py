"""Experts by name: our own skill ids and policy folders, `sb3:PATH.zip`, and other people's `module.py:factory`.

In: what the user typed, the environment's spec. Out: an `Expert`. A factory takes one Gymnasium environment made from
that spec and returns `act(observations_BO) -> actions_BA`, which may hold state and then has `reset(ids)`.
Naming a Python file runs it: only files that you trust. A zip is read without running anything.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from gato.experts.commanded import as_actor, teacher_spec
from gato.experts.policy import Policy
from gato.experts.sb3_agent import PREFIX, find_agent, load_agent
from gato.experts.scores import RecordedScore, score_of_agent, score_of_policy
from gato.experts.shipped import find_expert, refuse_other_body
from gato.skills.evaluate import Actor
from gato.skills.spaces import body_spec
from gato.skills.table import SKILLS
from gato.specs import BodySpec, near_match

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Expert:
    """Who acts, what it was made of, and how well it is said to act."""

    actor: Actor
    place: Path
    """The policy folder, the zip or the Python file."""
    normaliser: Path | None = None
    recorded: RecordedScore | None = None
    """The return in this environment; None where nobody wrote one down."""


def load_expert(text: str, env_spec: EnvSpec, normalizer: str = "") -> Actor:
    """Who acts; see `open_expert`."""
    return open_expert(text, env_spec, normalizer).actor


def open_expert(text: str, env_spec: EnvSpec, normalizer: str = "") -> Expert:
    """The expert named by a skill id, a policy folder, a training run, `sb3:PATH.zip`, or `module.py:factory`.

    `normalizer`: the vecnormalize.pkl of an `sb3:` agent. ValueError when there is no such expert, when the file has no
    such function, or when it does not fit the environment.
    """
    is_agent = text.startswith(PREFIX)
    if normalizer and not is_agent:
        raise ValueError(f"--normalizer {normalizer} belongs to an sb3: agent, but the expert is {text}; leave it out")
    file, separator, name = text.rpartition(":")
    env = gymnasium.make(env_spec, disable_env_checker=True)
    spec = body_spec(env_spec.id, env.observation_space, env.action_space)
    if separator and file.endswith(".py") and not is_agent:
        return Expert(ForeignExpert(_call_factory(Path(file), name, env), text, spec), Path(file))
    env.close()
    if is_agent:
        files = find_agent(text, normalizer)
        agent = load_agent(files, _skill_id(env_spec), spec)
        skill = SKILLS.get(agent.skill)
        # What others recorded is Gymnasium's own reward.
        recorded = score_of_agent(files.archive) if skill is None or skill.is_standard else None
        if recorded is None:
            log.warning(
                "no score lies beside %s: whether body and normaliser are its own is not checked", files.archive
            )
        return Expert(agent, files.archive, files.normaliser, recorded)
    folder = find_expert(text)
    policy = Policy.load(folder)
    skill = SKILLS.get(policy.skill)
    seen = spec if skill is None else teacher_spec(spec, skill)
    wanted, got = (len(seen.observation), len(spec.action)), (len(policy.mean_O), len(policy.low_A))
    if wanted != got:
        raise ValueError(
            f"the expert {text} ({policy.skill}) reads {got[0]} numbers and gives {got[1]}, but {env_spec.id} observes"
            f" {wanted[0]} and takes {wanted[1]}; choose an expert of the same body"
        )
    asked = _skill_id(env_spec)
    if {asked, policy.skill} <= SKILLS.keys():
        refuse_other_body(policy, text, asked)
        if SKILLS[policy.skill].is_commanded and not SKILLS[asked].command:
            raise ValueError(
                f"the expert {text} ({policy.skill}) does what it is told in numbers, and {asked} names none; choose"
                " an expert of that skill"
            )
    is_own = policy.skill == asked
    return Expert(as_actor(policy), folder, recorded=score_of_policy(folder) if is_own else None)


def _skill_id(env_spec: EnvSpec) -> str:
    """The skill that an environment pays for; of somebody else's its own id."""
    return str(env_spec.kwargs.get("skill", env_spec.id))


class ForeignExpert:
    """An actor from a user's file, held to the contract: (B, A) finite numbers."""

    def __init__(self, act: Any, text: str, spec: BodySpec) -> None:
        self.act, self.text, self.spec = act, text, spec

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """Actions (B, A) as the user's function gives them (the caller clips to the box and counts)."""
        with _told_where(self.text):
            actions_BA = np.asarray(self.act(observations_BO))
        wanted = (len(observations_BO), len(self.spec.action))
        if actions_BA.ndim == 1 and wanted[1] == 1:
            # Gymnasium's discrete action is one number, not a row of one.
            actions_BA = actions_BA[:, None]
        if actions_BA.shape != wanted:
            raise ValueError(
                f"{self.text} gave actions of shape {actions_BA.shape} for {len(observations_BO)} observations;"
                f" {wanted} is needed: one row an observation"
            )
        if not np.isfinite(actions_BA).all():
            rows = np.flatnonzero(~np.isfinite(actions_BA).all(1)).tolist()
            raise ValueError(f"{self.text} gave NaN or infinite actions in rows {rows}; mend the expert")
        return actions_BA

    def reset(self, ids: np.ndarray) -> None:
        """Those rows begin an episode; passed on if the user's function wants to know."""
        if hasattr(self.act, "reset"):
            self.act.reset(ids)

    def __repr__(self) -> str:
        return f"ForeignExpert({self.text!r})"


def _call_factory(path: Path, name: str, env: gymnasium.Env[Any, Any]) -> Any:
    module = _load_module(path)
    factory = getattr(module, name, None)
    if not callable(factory):
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        raise ValueError(f'{path} has no function "{name}"; {near_match(name, own) if own else "it defines none"}')
    with _told_where(f"{path}:{name}"):
        act = factory(env)
    if not callable(act):
        raise ValueError(f"{path}:{name} returned {type(act).__name__}; a function act(observations_BO) is needed")
    return act


def _load_module(path: Path) -> ModuleType:
    if not path.is_file():
        beside = [file.name for file in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise ValueError(f"{path}: no such file; {near_match(path.name, beside) if beside else 'check the path'}")
    spec = importlib.util.spec_from_file_location(f"gato_expert_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.append(folder)
    with _told_where(str(path)):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _told_where(text: str) -> Iterator[None]:
    """Whatever the user's own code raises becomes a ValueError that says what it was, and where."""
    try:
        yield
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        told = f"{text} raised {type(error).__name__}: {error} ({frame.filename}, line {frame.lineno})"
        raise ValueError(told) from error
