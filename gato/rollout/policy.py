"""A model in five lines of Python: a policy for an environment of one's own, told in words.

In: a model and a Gymnasium environment, single or vectorised. Out: `PromptedPolicy`, whose `predict` is that of
Stable-Baselines3, so that its tools (`evaluate_policy`, `VecVideoRecorder`) take it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from gato.model.gato import Gato
from gato.rollout.agent import Agent
from gato.skills.bodies import BODIES
from gato.skills.spaces import body_spec, flatten_observations, unflatten_action
from gato.skills.table import get_skill
from gato.skills.told import in_full


class PromptedPolicy:
    """Acts in one environment, or in all of a vectorised one, as it is told; it remembers the newest steps."""

    def __init__(self, model: Gato, env: Any, prompt: str, *, body: str = "", seed: int = 0) -> None:
        """`env`: of Gymnasium, or a vectorised one of Gymnasium or Stable-Baselines3. ValueError where the model knows
        no body with its spaces, or several of which `body` does not name one."""
        self._observation_space, self._action_space = _single_spaces(env)
        self.body = body or _body_of(model, env, self._observation_space, self._action_space)
        self._check(model)
        self._num_envs = int(getattr(env, "num_envs", 1))
        self._agent = Agent(model, self.body, [in_full(prompt, self.body)] * self._num_envs, seed=seed)

    def predict(
        self,
        observation: Any,
        state: None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[Any, None]:
        """The action for the newest observation, as `env.step` takes it; and None, since it keeps its own memory.

        One observation gives one action, a row an environment a row of actions: Stable-Baselines3 gives rows of one
        also to a single environment. `episode_start` (B,) bool marks environments that begin anew: they forget. Where
        nothing is said, `reset` does that. ValueError for observations of another shape.
        """
        self._agent.sample = not deterministic
        if episode_start is not None and np.any(episode_start):
            self.reset(np.flatnonzero(episode_start))
        observations_BO = flatten_observations(self._observation_space, observation)
        is_single = observations_BO.ndim == 1
        if is_single:
            observations_BO = observations_BO[None]
        actions = [unflatten_action(self._action_space, action_A) for action_A in self._agent(observations_BO)]
        return (actions[0] if is_single else np.stack(actions)), None

    def reset(self, ids: np.ndarray | None = None) -> None:
        """These environments, or all, begin an episode."""
        self._agent.reset(np.arange(self._num_envs) if ids is None else ids)

    def tell(self, prompt: str) -> None:
        """From the next step on it does that."""
        self._agent.set_prompt(np.arange(self._num_envs), [in_full(prompt, self.body)] * self._num_envs)

    def _check(self, model: Gato) -> None:
        known = model.body(self.body).spec
        spec = body_spec(self.body, self._observation_space, self._action_space)
        if not _fits(known, spec):
            how = f"; {how_to_make(self.body)} fits" if self.body in BODIES else ""
            raise ValueError(
                f"the environment has {len(spec.observation)} observation and {len(spec.action)} action elements, "
                f"the model's {self.body} {len(known.observation)} and {len(known.action)} (or other bounds){how}"
            )


class Generalist:
    """What `gato.load` gives: a model ready to act."""

    def __init__(self, model: Gato) -> None:
        self.model = model

    @classmethod
    def from_pretrained(cls, name: str | Path, *, device: str = "cpu") -> Generalist:
        """A model folder, a training run, the name of a model that ships with the package, or `owner/name[@revision]`
        of one on the Hugging Face Hub."""
        return cls(Gato.from_pretrained(name, device=device))

    def agent(self, env: Any, prompt: str, *, body: str = "", seed: int = 0) -> PromptedPolicy:
        """A policy for that environment."""
        return PromptedPolicy(self.model, env, prompt, body=body, seed=seed)


def how_to_make(body: str) -> str:
    """The Python call that makes the environment of one of our bodies."""
    made = BODIES[body]
    return f'gymnasium.make("{made.gym_id}"{f", **{dict(made.gym_kwargs)}" if made.gym_kwargs else ""})'


def _single_spaces(env: Any) -> tuple[spaces.Space, spaces.Space]:
    """Of one environment; Gymnasium's vectorised ones name them so, Stable-Baselines3's have no others."""
    return (
        getattr(env, "single_observation_space", env.observation_space),
        getattr(env, "single_action_space", env.action_space),
    )


def _fits(known: Any, spec: Any) -> bool:
    return len(known.observation) == len(spec.observation) and (
        np.array_equal(known.action_low, spec.action_low) and np.array_equal(known.action_high, spec.action_high)
    )


def _body_of(model: Gato, env: Any, observation_space: spaces.Space, action_space: spaces.Space) -> str:
    """The body that the environment's spec names, else the only one of the model with such spaces."""
    env_spec = getattr(env, "spec", None)
    skill = (env_spec.kwargs or {}).get("skill", "") if env_spec is not None else ""
    if skill:
        return get_skill(skill).body
    named = [name for name, body in BODIES.items() if env_spec is not None and body.gym_id == env_spec.id]
    spec = body_spec("environment", observation_space, action_space)
    fitting = named or [name for name in model.bodies if _fits(model.body(name).spec, spec)]
    if len(fitting) != 1:
        raise ValueError(
            f"which body is this? Of the model's {', '.join(model.bodies)} it could be {' or '.join(fitting) or 'none'}"
            f" ({len(spec.observation)} observation and {len(spec.action)} action elements): say body="
        )
    return fitting[0]
