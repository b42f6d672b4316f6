"""A listener by the names of its models, as the commands make one.

In: a folder or a Hub id. Out: a `Listener`.
"""

from __future__ import annotations

from collections.abc import Callable

from gato.language.classifier import SentenceClassifier
from gato.language.encoder import SentenceEncoder
from gato.language.likelihood import LikelihoodJudge
from gato.language.pretrained import language_folder
from gato.language.speech import Listener


def make_listener(*, encoder: str = "", judge: str = "") -> Listener:
    """With a sentence encoder, the bundled one by default, or a causal language model; ValueError for both."""
    if encoder and judge:
        raise ValueError(f"got --encoder {encoder} and --judge {judge}; one of them hears")
    if judge:
        return Listener(LikelihoodJudge(language_folder(judge)))
    return Listener(SentenceClassifier(SentenceEncoder.load(encoder)))


def heard_by(listener: Listener) -> Callable[[str, str], str | None]:
    """Body, words -> what to tell the body, None where nothing that it can do; as `evaluate_model` hears."""
    return lambda body, words: listener.hear(body, words).prompt
