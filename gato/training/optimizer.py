"""Muon for the transformer's matrices, AdamW for everything else, behind one optimiser.

Measured on the demo's half-cheetah data (300 updates of 64 rows, equal seeds): validation loss 3.55 against 3.75 nats
with AdamW alone, for 19 % more time an update; see docs/log.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

ADAM_BETAS = (0.9, 0.95)
MUON_MOMENTUM = 0.95
"""Both as usual for language models."""


class MuonAdamW(Optimizer):
    """Two torch optimisers as one, so that schedules, clipping and checkpoints see a single one."""

    def __init__(
        self, matrices: list[nn.Parameter], others: list[nn.Parameter], *, learning_rate: float, weight_decay: float
    ) -> None:
        """Muon's updates are scaled to the size of AdamW's, so that one learning rate serves both."""
        super().__init__([*matrices, *others], {"lr": learning_rate})
        muon = Muon(
            matrices,
            lr=learning_rate,
            momentum=MUON_MOMENTUM,
            weight_decay=weight_decay,
            adjust_lr_fn="match_rms_adamw",
        )
        adamw = AdamW(others, lr=learning_rate, betas=ADAM_BETAS, weight_decay=0.0, fused=True)
        self.parts: tuple[Optimizer, ...] = (muon, adamw)
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One update of both."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Of both, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]
