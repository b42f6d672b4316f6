"""The experts that come with Gato in a model's place: told in words, each row acts by the expert of what it was told.

In: a body, prompts; observations (B, O). Out: actions (B, A). What they reach is what a model could reach at best.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gato.experts.commanded import as_actor, obeying
from gato.experts.shipped import shipped_policy
from gato.skills.bodies import get_body
from gato.skills.evaluate import Actor
from gato.skills.table import get_skill, skills_of
from gato.specs import near_match


class Experts:
    """As an `Agent`: `set_prompt`, `reset`, `retire`, and one action a row."""

    def __init__(self, body: str, prompts: Sequence[str]) -> None:
        """Prompts are canonical ones; ValueError for other words, and for skills without an expert."""
        self.body, self.prompts = body, list(prompts)
        self._actors: dict[str, Actor] = {}

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """(B, A)."""
        actions_BA = np.zeros((len(observations_BO), len(get_body(self.body).spec.action)), np.float32)
        for prompt in set(self.prompts):
            rows = [row for row, told in enumerate(self.prompts) if told == prompt]
            actions_BA[rows] = self._actor(prompt)(observations_BO[rows])
        return actions_BA

    def skill_of(self, prompt: str) -> str:
        """Id of the skill whose expert acts under that prompt."""
        own = {skill.prompt: skill.id for skill in skills_of(self.body) if not skill.is_commanded}
        if prompt not in own:
            raise ValueError(f'{self.body} has no expert that knows "{prompt}"; {near_match(prompt, own)}')
        return own[prompt]

    def _actor(self, prompt: str) -> Actor:
        if prompt not in self._actors:
            skill = get_skill(self.skill_of(prompt))
            policy = shipped_policy(skill.id)
            theirs = get_skill(policy.skill)
            self._actors[prompt] = as_actor(obeying(policy, skill, theirs) if theirs.is_commanded else policy)
        return self._actors[prompt]

    def set_prompt(self, ids: np.ndarray, prompts: Sequence[str]) -> None:
        """From the next control step on these rows are told something else."""
        for row, prompt in zip(ids, prompts, strict=True):
            self.prompts[row] = prompt

    def reset(self, ids: np.ndarray) -> None:
        """Policies hold no state."""

    def retire(self, ids: np.ndarray) -> None:
        """Nor do they mind rows that ended."""
