"""What every arm of the comparison promises, and what it is given.

In: a `Setup`. Out: an `Arm`, trained for so many seconds, then asked for actors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

from gato.data.mixture import Source
from gato.model.config import ModelConfig
from gato.sequences import Layout
from gato.skills.evaluate import Actor


@dataclass(frozen=True)
class Setup:
    """What all arms share."""

    sources: tuple[Source, ...]
    """The episodes: Minari ids, how often each is met, and how it is prompted where prompts are read."""
    skills: tuple[str, ...]
    """The tasks, for arms that learn one by one."""
    network: ModelConfig
    """Our own; peers on our trunk take its size and as many control steps of context, unless they say otherwise."""
    seed: int
    batch_size: int = 128
    """Rows of a batch, for arms on our trunk."""
    learning_rate: float = 3e-3
    """Peak, for arms on our trunk; so is the next."""
    weight_decay: float = 0.01

    @classmethod
    def read(cls, config: Path, skills: Sequence[str], seed: int) -> Setup:
        """That of a `gato fit` configuration."""
        found = yaml.safe_load(config.read_text())
        network, data = found["model"]["network"], found["data"]
        return cls(
            sources=tuple(Source(**one) for one in data["datasets"]),
            skills=tuple(skills),
            network=ModelConfig(**{**network, "layout": Layout(**network["layout"])}),
            seed=seed,
            batch_size=data["batch_size"],
            learning_rate=found["model"]["learning_rate"],
        )


@dataclass(frozen=True)
class Trained:
    """What a training took."""

    updates: int
    steps: int
    """Environment steps that its batches held, again and again."""
    seconds: float

    @classmethod
    def total(cls, done: Sequence[Trained]) -> Trained:
        """Of trainings one after the other."""
        return cls(sum(one.updates for one in done), sum(one.steps for one in done), sum(one.seconds for one in done))


class Arm(Protocol):
    """One way to learn the episodes."""

    parameters: int
    """Numbers that were learned."""

    def train(self, seconds: float) -> Trained:
        """Learn for so long."""
        ...

    def actor(self, skill_id: str, prompts: Sequence[str]) -> Actor:
        """Acts for `len(prompts)` environments of the skill's body; arms that read no words are told the skill."""
        ...
