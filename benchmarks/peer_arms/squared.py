"""Our trunk, slots and prompts on raw floats with squared error: what tokens and a likelihood are worth.

Numbers stand where token ids do: observations in deviations from the mean, neither clipped nor cut into bins, actions
as places in their box. They are embedded at the gain that bin values have, and read out as means. Words and commands
stay tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.model.heads import wide_linear
from gato.model.slots import SlotEmbedding, Tables
from gato.sequences import group_slices
from gato.specs import Element
from gato.tokens.codec import Codec
from gato.tokens.numbers import CLIP_DEVIATIONS
from peer_arms.arm import Setup
from peer_arms.gato_arm import GatoArm
from peer_arms.scaling import Scale


class FloatCodec(Codec):
    """Numbers of bodies stay numbers: [-1, 1] is where the bins would lie."""

    def encode_observation(
        self, body: str, observations: np.ndarray, *, where: str = "", mask: np.ndarray | None = None
    ) -> np.ndarray:
        """(..., O) float32, 4 deviations from the mean being 1."""
        return self._scale(body).standardised(observations) / np.float32(CLIP_DEVIATIONS)

    def encode_action(
        self, body: str, actions: np.ndarray, *, where: str = "", mask: np.ndarray | None = None
    ) -> np.ndarray:
        """(..., A) float32, the bounds being -1 and 1."""
        return self._scale(body).to_unit(actions)

    def decode_action(self, body: str, ids: np.ndarray) -> np.ndarray:
        """Back into the box; beyond it the bounds."""
        return self._scale(body).to_box(ids)

    def _scale(self, body: str) -> Scale:
        known = self.body(body)
        assert known.observation_statistics is not None
        return Scale.of(known.spec, known.observation_statistics.mean_N, known.observation_statistics.std_N)


class FloatSlots(SlotEmbedding):
    """A scale and a shift vector an element, as for tokens."""

    def _group(self, ids_G: Tensor, group: slice, tables: Tables) -> Tensor:
        assert self.scale_ED is not None
        return (ids_G.to(self.scale_ED.dtype) * CLIP_DEVIATIONS) @ self.scale_ED[group] + self.shift_ED[group].sum(0)


@dataclass(frozen=True)
class Mean:
    """What is said of a group's numbers, (..., G); squared error stands in the place of nats."""

    mean_G: Tensor

    def log_prob(self, ids_G: Tensor) -> Tensor:
        """(..., G) -> (...) minus the sum of squared errors."""
        return -(ids_G.to(self.mean_G.dtype) - self.mean_G).square().sum(-1)

    def central(self) -> Tensor:
        """The mean, in the box: what is executed stands in the context."""
        return self.mean_G.clamp(-1, 1)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """The same: there is nothing to draw from."""
        return self.central()


class MeanHead(nn.Module):
    """Reads the mean of each action of one body."""

    def __init__(self, config: ModelConfig, actions: tuple[Element, ...]) -> None:
        super().__init__()
        self.groups = group_slices([element.kind for element in actions], config.layout.group_size)
        self.is_discrete, self.num_discrete = [False] * len(self.groups), 0
        self.read = nn.Linear(config.trunk.width, len(actions))
        nn.init.normal_(self.read.weight, std=0.02)
        nn.init.zeros_(self.read.bias)

    def forward(self, hidden_D: Tensor, index: int, free: nn.Linear | None) -> Mean:
        """Group `index` from (..., D)."""
        return Mean(wide_linear(hidden_D, self.read, self.groups[index]))


class SquaredGato(Gato):
    """The model with other ends."""

    def __init__(self, config: ModelConfig, codec: Codec) -> None:
        super().__init__(config, codec)
        for name in self.bodies:
            body = self.body(name)
            body.observation = FloatSlots(config, body.spec.observation, codec.ranges)
            body.action = FloatSlots(config, body.spec.action, codec.ranges)
            body.head = MeanHead(config, body.spec.action)  # type: ignore[assignment]


def squared_arm(setup: Setup) -> GatoArm:
    """Trained and rolled out as ours."""
    return GatoArm(setup, setup.network, codec=FloatCodec(), make=SquaredGato)
