"""A causal language model of `transformers` as planner: its likeliest answer among those that are allowed.

In: a folder or a Hub id. Out: a `Planner`. It cannot answer anything else, so it never talks nonsense, but it also
never says that it does not know.
"""

from __future__ import annotations

import threading

import numpy as np

from gato.language.causal import CausalModel
from gato.language.classifier import softmax
from gato.language.pretrained import language_folder
from gato.planner.situation import Choice, Situation

PATIENCE = 5.0
"""s for which a question waits until those of other bodies are answered."""


class LocalPlanner:
    """Weighs every option as the model's whole answer; in its chat template, where it has one."""

    def __init__(self, name: str) -> None:
        """ValueError where that is no causal language model."""
        self.name, self.folder = name, language_folder(name)
        self._model = CausalModel(self.folder)
        self._thinking = threading.Lock()
        """Tokenizers are not for several threads at once."""

    def decide(self, situation: Situation) -> Choice:
        """The likeliest option, and in `answer` the probability of each."""
        if not self._thinking.acquire(timeout=PATIENCE):
            raise ValueError(f"busy with the questions of others for {PATIENCE:g} s")
        try:
            chance_C = softmax(self._model.answers(situation.text, situation.options))
        finally:
            self._thinking.release()
        order = np.argsort(-chance_C, kind="stable").tolist()
        told = "; ".join(f"{situation.options[place]} {chance_C[place]:.2f}" for place in order)
        return Choice(situation.options[order[0]], told)
