"""Makes small bodies, codecs, windows and models for the tests of rows, model and agent."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
import torch

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.rollout import prompted
from gato.rollout.agent import Agent
from gato.sequences import Layout
from gato.specs import BodySpec, Element, Windows
from gato.tokens.codec import Codec
from gato.tokens.text import TextCodec

CART = BodySpec("cart", (Element("place"), Element("speed")), (Element("push", low=-1, high=1),))
"""Two numbers in, one out: with everything of a side in one position, two positions a step."""
ARM = BodySpec(
    "arm",
    (Element("mode", "discrete", 0, 2), Element("angle"), Element("speed"), Element("load")),
    (
        Element("grip", "discrete", 0, 1),
        Element("finger", "discrete", 0, 2),
        Element("lift", low=-1, high=1),
        Element("turn", low=-2, high=2),
    ),
)
"""Discrete (one of two, one of three) and continuous actions: four positions a step."""
PAPER = {"embedding": "free", "head": "free", "layout": Layout(group_size=1, separator=True)}
"""The paper's own layout, embedding and head."""


@cache
def _bundled_text() -> TextCodec:
    return TextCodec.load()


def make_codec(*specs: BodySpec) -> Codec:
    """Knows CART and ARM, or `specs`, with mean 0 and deviation 1."""
    codec = Codec(_bundled_text())
    for spec in specs or (CART, ARM):
        codec.add_body(spec, np.zeros(len(spec.observation)), np.ones(len(spec.observation)))
    return codec


def make_model(config: ModelConfig | None = None, *specs: BodySpec, seed: int = 0) -> Gato:
    """A nano model with random weights, livelier than at birth, so that every input matters."""
    torch.manual_seed(seed)
    model = Gato(config or ModelConfig(size="nano"), make_codec(*specs))
    with torch.no_grad():
        for block in model.trunk.blocks:
            block.attention.qkv.weight.mul_(4)
            block.attention.out.weight.mul_(8)
            block.down.weight.mul_(8)
    return model.eval()


def draw(elements: tuple[Element, ...], shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Values (..., E) float32: whole where discrete, in the box where there is one, else standard normal."""
    columns = []
    for element in elements:
        if element.kind == "discrete":
            columns.append(rng.integers(int(element.low), int(element.high) + 1, shape))
        elif np.isfinite(element.low):
            columns.append(rng.uniform(element.low, element.high, shape))
        else:
            columns.append(rng.normal(size=shape))
    return np.stack(columns, -1).astype(np.float32)


def make_windows(
    spec: BodySpec, rows: int, steps: int, *, shown: int = 0, command: bool = False, seed: int = 0
) -> Windows:
    """Whole windows of random values; odd rows run backward."""
    rng = np.random.default_rng(seed)
    return Windows(
        body=spec.name,
        observations_BTO=draw(spec.observation, (rows, steps), rng),
        actions_BTA=draw(spec.action, (rows, steps), rng),
        targets_BTA=draw(spec.action, (rows, steps), rng),
        step_mask_BT=np.ones((rows, steps), bool),
        loss_mask_BT=np.ones((rows, steps), bool),
        prompts=tuple(("run forward", "run backward")[row % 2] for row in range(rows)),
        command_BC=np.tile(np.float32([1.0, np.nan, 0.0] if command else [np.nan] * 3), (rows, 1)),
        demonstration_BNO=draw(spec.observation, (rows, shown), rng),
        demonstration_BNA=draw(spec.action, (rows, shown), rng),
        demonstration_mask_BN=np.ones((rows, shown), bool),
        returns_BT=np.full((rows, steps), np.nan, np.float32),
    )


def told_agents(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[int], list[str]]]:
    """From now on rollouts write here whom their agents were told anew, and what: (calls before, rows, prompts)."""
    told: list[tuple[int, list[int], list[str]]] = []

    class Listening(Agent):
        calls = 0

        def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
            self.calls += 1
            return super().__call__(observations_BO)

        def set_prompt(self, ids: np.ndarray, prompts: Sequence[str]) -> None:
            told.append((self.calls, ids.tolist(), list(prompts)))
            super().set_prompt(ids, prompts)

    monkeypatch.setattr(prompted, "Agent", Listening)
    return told
