"""Plain Gymnasium stepping, one environment after another: for what the batch stepper does not know.

In: an `EnvSpec`. Out: `GymStepper`, a `Stepper` over flattened observations and actions.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from gato.skills.bodies import get_body
from gato.skills.environment import SkillEnv, make_env
from gato.skills.spaces import body_spec, flatten_observations, unflatten_action
from gato.skills.transition import Transition
from gato.specs import COMMANDS


class GymStepper:
    """`num_envs` environments of any kind. `max_episode_steps` is huge where the environment states no limit."""

    def __init__(self, env_spec: EnvSpec, num_envs: int) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}; at least 1 is needed")
        self.envs: list[gymnasium.Env[Any, Any]] = [
            make_env(env_spec, disable_env_checker=True) for _ in range(num_envs)
        ]
        first = self.envs[0]
        self.num_envs = num_envs
        self.env_spec = env_spec
        self.observation_space = first.observation_space
        self.action_space = first.action_space
        self.max_episode_steps = env_spec.max_episode_steps or sys.maxsize
        if isinstance(first.unwrapped, SkillEnv):
            body = get_body(first.unwrapped.body.name)
            told = first.unwrapped.commands.told(slice(None), np.zeros(1, np.int64))
            self.spec, self._readings = body.spec, (*body.readings, *told)
        else:
            self.spec, self._readings = body_spec(env_spec.id, self.observation_space, self.action_space), ()

    def reset(self, ids: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Begins an episode in each of `ids`; observations (b, O)."""
        if len(ids) != len(seeds):
            raise ValueError(f"{len(ids)} ids but {len(seeds)} seeds; one seed a row")
        pairs = zip(ids, seeds, strict=True)
        return self._stack([self.envs[row].reset(seed=int(seed))[0] for row, seed in pairs])

    def step(self, actions_BA: np.ndarray, ids: np.ndarray | None = None) -> Transition:
        """Steps the rows `ids` (None: all)."""
        rows = range(self.num_envs) if ids is None else ids
        actions_BA = np.asarray(actions_BA)
        shape = (len(rows), len(self.spec.action))
        if actions_BA.shape != shape:
            raise ValueError(
                f"actions have shape {actions_BA.shape}; {shape} is needed, a row for each stepped environment"
            )
        if not np.isfinite(actions_BA).all():
            bad = np.flatnonzero(~np.isfinite(actions_BA).all(1)).tolist()
            raise FloatingPointError(f"{self.spec.name}: action is not finite in environment(s) {bad}")
        steps = [
            self.envs[row].step(unflatten_action(self.action_space, action_A))
            for row, action_A in zip(rows, actions_BA, strict=True)
        ]
        return Transition(
            self._stack([step[0] for step in steps]),
            np.array([step[1] for step in steps], np.float64),
            np.array([step[2] for step in steps], np.bool_),
            np.array([step[3] for step in steps], np.bool_),
            {name: np.array([step[4][name] for step in steps], np.float64) for name in self._readings},
        )

    def select_skill(self, ids: np.ndarray, skill_id: str) -> None:
        """Rewards rows `ids` for another skill; ValueError where the environment is not one of Gato's."""
        for row in ids:
            env = self.envs[row].unwrapped
            if not isinstance(env, SkillEnv):
                raise ValueError(f"{self.env_spec.id} has no skills to choose from, so not {skill_id} either")
            env.select_skill(skill_id)

    def command(self) -> np.ndarray:
        """What every row is asked for now, (B, C) in the order of COMMANDS; NaN where nothing is."""
        nothing_C = np.full(len(COMMANDS), np.nan)
        inner = [env.unwrapped for env in self.envs]
        return np.stack([env.command() if isinstance(env, SkillEnv) else nothing_C for env in inner])

    def _stack(self, observations: list[Any]) -> np.ndarray:
        return np.stack([flatten_observations(self.observation_space, observation) for observation in observations])
