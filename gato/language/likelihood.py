"""Any causal language model as judge: how much likelier a sentence makes each skill's canonical prompt.

In: a body's skills, a sentence. Out: (C + 1,) probabilities, none of them last. All skills are one batch; what the
model would say without having heard anything is taken off, so that a usual phrase is not always the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from gato.language.classifier import softmax
from gato.language.pretrained import read_pretrained
from gato.skills.table import Skill

HEARD = 'A person says to a robot: "{}" The robot understands that it should'
UNHEARD = "A person says something to a robot. The robot understands that it should"
NONE = "do nothing, because it cannot do that"


class LikelihoodJudge:
    """A causal language model of `transformers`."""

    def __init__(self, folder: Path) -> None:
        """ValueError where the folder holds none."""
        self._tokenizer, self._model = read_pretrained(AutoModelForCausalLM, folder, "causal language model")
        self._told = lru_cache(maxsize=1024)(self._likelihoods)

    def chances(self, skills: Sequence[Skill], text: str) -> np.ndarray:
        """(C + 1,) of each skill, and of none."""
        options = (*(skill.prompt for skill in skills), NONE)
        return softmax(self._told(HEARD.format(text), options) - self._told(UNHEARD, options))

    @torch.inference_mode()
    def _likelihoods(self, beginning: str, options: tuple[str, ...]) -> np.ndarray:
        """(C,) log-likelihood of each option after the beginning."""
        begun = self._tokenizer(beginning)["input_ids"]
        ends = [self._tokenizer(f" {option}", add_special_tokens=False)["input_ids"] for option in options]
        length = len(begun) + max(map(len, ends))
        ids_CP = torch.zeros(len(ends), length, dtype=torch.long)
        is_end_CP = torch.zeros_like(ids_CP, dtype=torch.bool)
        for row, end in enumerate(ends):
            ids_CP[row, : len(begun) + len(end)] = torch.tensor([*begun, *end])
            is_end_CP[row, len(begun) : len(begun) + len(end)] = True
        # Rows are filled up on the right, where a causal model does not look.
        logits_CPV = self._model(input_ids=ids_CP).logits[:, :-1].float().log_softmax(-1)
        likely_CP = logits_CPV.gather(-1, ids_CP[:, 1:, None])[..., 0]
        return np.asarray((likely_CP * is_end_CP[:, 1:]).sum(1).double().numpy())
