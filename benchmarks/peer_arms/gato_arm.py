"""Arms that are our model: `gato fit`'s data, rows, loss and optimiser, and the cached agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gato.data.module import GatoDataModule
from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.rollout.agent import Agent
from gato.sequences import Layout, build_rows
from gato.skills.table import get_skill
from gato.specs import Rows
from gato.tokens.codec import Codec
from gato.training.lightning_module import has_fast_bf16
from peer_arms.arm import Setup, Trained
from peer_arms.fitting import Learner, fit, num_parameters, trunk_optimizer


def open_data(setup: Setup, layout: Layout, codec: Codec | None = None) -> GatoDataModule:
    """The mixture, nothing held out: every arm learns from all episodes."""
    data = GatoDataModule(setup.sources, layout, batch_size=setup.batch_size, seed=setup.seed, validation_share=0.0)
    data.codec = codec
    data.setup()
    return data


class GatoArm:
    """One prompted transformer for all tasks."""

    def __init__(
        self,
        setup: Setup,
        network: ModelConfig,
        *,
        codec: Codec | None = None,
        make: Callable[[ModelConfig, Codec], Gato] = Gato,
    ) -> None:
        data = open_data(setup, network.layout, codec)
        assert data.codec is not None
        torch.manual_seed(setup.seed)
        self.setup, self.mixture, self.model = setup, data.mixture(), make(network, data.codec)
        self.parameters = num_parameters(self.model)

    def train(self, seconds: float) -> Trained:
        """Next-action likelihood, as `gato fit` has it."""
        optimizer = trunk_optimizer(self.model, self.model.trunk, self.setup)
        return fit(Learner(self._draw, self._loss, _num_steps, optimizer), seconds)

    def actor(self, skill_id: str, prompts: Sequence[str], *, is_drawn: bool = False) -> Agent:
        """Told what to do by the prompts alone; `is_drawn`: draws actions instead of taking the middle."""
        body = get_skill(skill_id).body
        return Agent(self.model.eval(), body, prompts, sample=is_drawn, seed=self.setup.seed)

    def _draw(self, number: int) -> list[Rows]:
        return [build_rows(self.model.codec, one, self.model.layout) for one in self.mixture.draw(number)]

    def _loss(self, batch: list[Rows]) -> Tensor:
        device = self.model.device
        with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bf16(device)):
            return self.model.loss(batch).total


def _num_steps(batch: list[Rows]) -> int:
    return sum(int(rows.step_mask_BT.sum()) for rows in batch)
