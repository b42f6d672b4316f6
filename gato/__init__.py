"""Gato: one transformer, one set of weights, many bodies; words choose what it does.

policy = gato.load("workspace/demo").agent(env, prompt="run forward")
action, _ = policy.predict(observation)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from gato.rollout.policy import Generalist

__version__ = "0.1.0"


def load(name: str | Path, *, device: str = "cpu") -> Generalist:
    """A trained model, ready to act: a model folder, a training run, the name of one that ships with the package, or
    `owner/name[@revision]` on the Hugging Face Hub."""
    from gato.rollout.policy import Generalist

    return Generalist.from_pretrained(name, device=device)
