"""One linear layer a body on a sentence's vector: its skills, and "none of them", told apart.

In: a body's skills, a sentence. Out: (C + 1,) probabilities, none of them last. A layer is learned in a minute from the
grammar and from `sayings`, once for an encoder and a list of sentences, and kept; those of Gato's own bodies and
encoder come with it (`python benchmarks/speech.py --layers` writes them).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from gato.data.cache import cache_root
from gato.language.encoder import SentenceEncoder
from gato.language.sayings import examples
from gato.skills.table import Skill

SHIPPED = Path(__file__).with_name("layers")
"""What comes with Gato; what is learned here is kept in the cache."""
SHARPNESS, DECAY = 8.0, 3e-4
"""Scale of the vectors, and the weights' penalty; both chosen on benchmarks/sentences/calibration.tsv."""


class SentenceClassifier:
    """Hears sentences by what they mean and which words they have."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        self.encoder = encoder
        self._layers: dict[tuple[str, ...], np.ndarray] = {}

    def chances(self, skills: Sequence[Skill], text: str) -> np.ndarray:
        """(C + 1,) of each skill, and of none; milliseconds once a body's layer is there."""
        key = tuple(skill.id for skill in skills)
        if key not in self._layers:
            self._layers[key] = _kept_layer(self.encoder, skills)
        layer = self._layers[key]
        logits_C = SHARPNESS * layer[:, :-1] @ self.encoder.encode([text])[0] + layer[:, -1]
        return softmax(logits_C)


def softmax(logits_C: np.ndarray) -> np.ndarray:
    """(C,) probabilities."""
    raised_C = np.exp(logits_C - logits_C.max())
    return np.asarray(raised_C / raised_C.sum())


def _kept_layer(encoder: SentenceEncoder, skills: Sequence[Skill]) -> np.ndarray:
    """(C + 1, D + 1) float32 weights with the bias last: learned once for an encoder and a list of sentences."""
    pairs = examples(skills)
    name = layer_name(encoder, pairs)
    path = layer_path(name)
    for kept in (SHIPPED / name, path):
        if kept.is_file():
            return np.asarray(load_file(kept)["layer"])
    classes = {skill.id: index for index, skill in enumerate(skills)}
    wanted_N = np.array([len(classes) if skill is None else classes[skill.id] for _, skill in pairs])
    layer = _learn(encoder.encode([text for text, _ in pairs]), wanted_N)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{hashlib.sha256(layer.tobytes()).hexdigest()[:8]}")
    save_file({"layer": layer}, draft)
    draft.replace(path)
    return layer


def layer_name(encoder: SentenceEncoder, pairs: Sequence[tuple[str, Skill | None]]) -> str:
    """Of the file: another one for whatever the layer hangs on."""
    told = json.dumps([encoder.digest, SHARPNESS, DECAY, [(text, skill and skill.id) for text, skill in pairs]])
    return f"{hashlib.sha256(told.encode()).hexdigest()[:24]}.safetensors"


def layer_path(name: str) -> Path:
    """Where one that was learned here is kept."""
    return cache_root() / "language" / name


def _learn(vectors_ND: np.ndarray, wanted_N: np.ndarray) -> np.ndarray:
    """Multinomial logistic regression with every class of one weight; the same examples give the same layer."""
    vectors, wanted = torch.from_numpy(SHARPNESS * vectors_ND), torch.from_numpy(wanted_N)
    counts = torch.bincount(wanted).clamp(min=1)
    layer = torch.zeros(len(counts), vectors.shape[1] + 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([layer], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        logits = vectors @ layer[:, :-1].T + layer[:, -1]
        loss = torch.nn.functional.cross_entropy(logits, wanted, weight=len(wanted) / len(counts) / counts)
        loss = loss + DECAY * layer[:, :-1].square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return layer.detach().numpy()
