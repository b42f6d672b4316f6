"""What experts score, and with the exploration of their training.

In: skill ids, whose experts, how many episodes. Out: plain values, as `gato expert eval` prints them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gato.experts.adapters import load_expert
from gato.experts.policy import Policy
from gato.experts.shipped import NAMED, has_shipped_expert
from gato.skills.bodies import get_body
from gato.skills.evaluate import Actor, evaluate, random_actor, zero_actor
from gato.skills.stepper import find_env_spec
from gato.skills.table import SKILLS, get_skill

SAMPLE_STREAM = 3
"""Beside an evaluation's seed: what its own generator is for."""


class Exploring:
    """A policy that acts as it did in training: every row draws in every call, so equal seeds give equal actions."""

    def __init__(self, policy: Policy, seed: int) -> None:
        self.policy, self.rng = policy, np.random.default_rng([seed, SAMPLE_STREAM])

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """Actions (B, A) drawn from the policy's Gaussian."""
        return self.policy.sample(observations_BO, self.rng)


def has_exploration(actor: Actor) -> bool:
    """Whether it has a Gaussian of its own to draw from; SAC's depends on what is observed, and is not kept."""
    return isinstance(actor, Policy) and bool(np.isfinite(actor.log_std_A).all())


def measure_expert(
    text: str, skill_id: str, *, episodes: int, seed: int, normalizer: str = "", randomise: Sequence[str] = ()
) -> dict[str, Any]:
    """Return, success and length of the expert `text` names; sampled ones too where it has a distribution."""
    env_spec = find_env_spec(skill_id)
    spec = get_body(get_skill(skill_id).body).spec
    if text == "random":
        actor = random_actor(spec, seed)
    else:
        actor = zero_actor(spec) if text == "zero" else load_expert(text, env_spec, normalizer)
    result = evaluate(actor, skill_id, episodes=episodes, seed=seed, randomise=randomise)
    figures: dict[str, Any] = {
        "standard": get_skill(skill_id).is_standard,
        "return": result.return_.json(),
        "success": result.success,
        "length": result.length,
    }
    if isinstance(actor, Policy) and has_exploration(actor):
        sampled = evaluate(Exploring(actor, seed), skill_id, episodes=episodes, seed=seed, randomise=randomise)
        figures |= {"sampled_return": sampled.return_.json(), "sampled_success": sampled.success}
    return figures


def measure_experts(
    skill: str, *, expert: str, episodes: int, seed: int, normalizer: str = "", randomise: Sequence[str] = ()
) -> dict[str, Any]:
    """The figures of a skill's expert, or of all skills (`all`): those without a shipped expert are only named."""
    chosen = [get_skill(skill).id] if skill != "all" else list(SKILLS)
    without = [one for one in chosen if skill == "all" and expert in NAMED and not has_shipped_expert(one)]
    names = {one: NAMED[expert](one) if expert in NAMED else expert for one in chosen if one not in without}
    tasks = {
        one: measure_expert(name, one, episodes=episodes, seed=seed, normalizer=normalizer, randomise=randomise)
        for one, name in names.items()
    }
    return {"expert": expert, "episodes": episodes, "seed": seed, "tasks": tasks, "no_expert_yet": without}
