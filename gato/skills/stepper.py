"""The stepper for an environment, whoever made it.

In: a skill id, a Gymnasium id, or an `EnvSpec`.
Out: a `Stepper`: batched where the body is known, else plain Gymnasium.
"""

from __future__ import annotations

from collections.abc import Iterable

import gymnasium
from gymnasium.envs.registration import EnvSpec

from gato.skills.bodies import body_of
from gato.skills.environment import ENTRY_POINT, skill_env_spec
from gato.skills.gym_stepper import GymStepper
from gato.skills.randomise import read_ranges
from gato.skills.robots.known import know_environment
from gato.skills.table import SKILLS, get_skill, skills_of
from gato.skills.transition import Stepper, Transition
from gato.specs import near_match

try:
    from gato.skills.batch_stepper import BatchStepper
except ModuleNotFoundError as error:
    if error.name != "mujoco.batch":
        raise
    HAS_BATCH = False
else:
    HAS_BATCH = True

__all__ = ["HAS_BATCH", "Stepper", "Transition", "find_env_spec", "make_stepper"]


def make_stepper(env: str | EnvSpec, num_envs: int, *, num_threads: int = 2) -> Stepper:
    """Environments of `env`; known bodies are stepped together in `num_threads` threads, at the same bits."""
    env_spec = find_env_spec(env) if isinstance(env, str) else env
    skill_id = _known_skill(env_spec)
    if HAS_BATCH and skill_id is not None:
        return BatchStepper(skill_id, num_envs, env_spec=env_spec, num_threads=num_threads)
    return GymStepper(env_spec, num_envs)


def find_env_spec(env: str, randomise: Iterable[str] = ()) -> EnvSpec:
    """The spec of a skill id or a Gymnasium id; ValueError with a near match when it is neither.

    `randomise`: NAME=LOWEST:HIGHEST, how its body differs from episode to episode; of skills only.
    """
    ranges = read_ranges(randomise)
    if env in SKILLS:
        return skill_env_spec(env, ranges)
    if ranges:
        raise ValueError(f"randomise {[*ranges]} is for skills, which {env} is not; see gato skills")
    try:
        return gymnasium.spec(env)
    except gymnasium.error.Error as error:
        known = [*SKILLS, *gymnasium.registry]
        raise ValueError(f'"{env}" is no skill and no Gymnasium environment; {near_match(env, known)}') from error


def _known_skill(env_spec: EnvSpec) -> str | None:
    """The skill whose reward and limits the spec describes, or None where only Gymnasium can tell."""
    if env_spec.additional_wrappers:
        return None
    if env_spec.entry_point == ENTRY_POINT and set(env_spec.kwargs) <= {"skill", "robot", "randomise"}:
        know_environment(env_spec)
        return get_skill(env_spec.kwargs["skill"]).id
    body = body_of(env_spec)
    if body is None:
        return None
    return next(skill.id for skill in skills_of(body.name) if skill.is_standard)
