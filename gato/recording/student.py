"""A model that acts while the experts say what it should have done (DAgger, Ross et al. 2011).

In: a model folder. Out: `Student`s, one a block of episodes, told the skills of the plan in training phrases.
Small mistakes carry a model to states that no expert visits; these are recorded here, with the expert's answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gato.model.gato import Gato
from gato.recording.blocks import Plan
from gato.rollout.agent import Agent
from gato.skills.stepper import Stepper
from gato.skills.table import get_skill

PHRASE_STREAM = 5
"""Beside an episode's seed: what its own generator is for."""


class Student:
    """An actor for the rows of one block; each row hears a training phrase of its skill, drawn by its seed."""

    def __init__(self, model: Gato, body: str, skills: Sequence[str], plan: Plan) -> None:
        self.phrases = [get_skill(skill).phrases("train") for skill in skills]
        self.rngs = [np.random.default_rng([seed, PHRASE_STREAM]) for seed in plan.seeds]
        self.agent = Agent(model, body, [self._phrase(row, one) for row, one in enumerate(plan.prompt_ids_TB[0])])

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """Actions (B, A) for observations of all environments, the first B of them in use."""
        num_rows = self.agent.num_envs
        actions_BA = self.agent(observations_BO[:num_rows])
        return np.pad(actions_BA, ((0, len(observations_BO) - num_rows), (0, 0)))

    def tell(self, ids: np.ndarray, prompt_id: int) -> None:
        """From now on these rows are asked for that skill."""
        self.agent.set_prompt(ids, [self._phrase(row, prompt_id) for row in ids])

    def did(self, ids: np.ndarray, actions_bA: np.ndarray) -> None:
        """These rows did this, by the noise on what was decided; it remembers what was done."""
        self.agent.did(ids, actions_bA)

    def retire(self, ids: np.ndarray) -> None:
        """These rows have ended."""
        self.agent.retire(ids)

    def _phrase(self, row: int, prompt_id: int) -> str:
        phrases = self.phrases[prompt_id]
        return phrases[int(self.rngs[row].integers(len(phrases)))]


def load_student(folder: str, stepper: Stepper) -> Gato:
    """The model that shall act; ValueError where it does not fit the body."""
    model = Gato.from_pretrained(folder)
    model.codec.check_body(stepper.spec)
    return model
