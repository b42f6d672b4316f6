"""Any causal language model as judge: how much likelier a sentence makes each skill's canonical prompt.

In: a body's skills, a sentence. Out: (C + 1,) probabilities, none of them last. All skills are one batch; what the
model would say without having heard anything is taken off, so that a usual phrase is not always the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from gato.language.causal import CausalModel
from gato.language.classifier import softmax
from gato.skills.table import Skill

HEARD = 'A person says to a robot: "{}" The robot understands that it should'
UNHEARD = "A person says something to a robot. The robot understands that it should"
NONE = "do nothing, because it cannot do that"


class LikelihoodJudge:
    """A causal language model of `transformers`."""

    def __init__(self, folder: Path) -> None:
        """ValueError where the folder holds none."""
        self.model = CausalModel(folder)
        self._told = lru_cache(maxsize=1024)(self.model.likelihoods)

    def chances(self, skills: Sequence[Skill], text: str) -> np.ndarray:
        """(C + 1,) of each skill, and of none."""
        options = (*(skill.prompt for skill in skills), NONE)
        return softmax(self._told(HEARD.format(text), options) - self._told(UNHEARD, options))
