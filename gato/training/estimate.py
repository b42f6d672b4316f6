"""What a training will take, before it is begun: a few of its own updates are made in a folder that goes.

In: the configuration of a run, its model and its data. Out: parameters, tokens and positions, memory and time.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from gato.sequences import step_layout
from gato.stages import peak_bytes
from gato.training.lightning_module import Batch, GatoModule

UPDATES, WARM = 24, 8
"""Updates made, and those of them whose time does not count: libraries compile for shapes that they have not met."""


class Probe(Callback):
    """Times the updates of a short run, from one's end to the next's: waiting for data counts."""

    def __init__(self, planned: int) -> None:
        self.planned = planned
        """Updates of the run that is asked about."""
        self._ends: list[float] = []
        self._positions = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, GatoModule)
        self._ends.append(time.perf_counter())
        self._positions += sum(pl_module.model.num_positions(rows) for rows in batch)

    def figures(self, module: GatoModule) -> dict[str, Any]:
        """As `gato fit --estimate` prints them."""
        seconds = (self._ends[-1] - self._ends[WARM - 1]) / (len(self._ends) - WARM)
        is_cuda = module.model.device.type == "cuda"
        memory = torch.cuda.max_memory_allocated() if is_cuda else peak_bytes()
        return {
            "parameters": module.model.num_parameters(),
            "bodies": {name: _body_figures(module, name) for name in sorted(module.data.bodies)},
            "positions_per_update": round(self._positions / len(self._ends)),
            "seconds_per_update": round(seconds, 4),
            "updates": self.planned,
            "hours": round(seconds * self.planned / 3600, 3),
            "peak_gib": round(memory / 2**30, 2),
            "counted": "updates alone, as fast as this machine is now; not the rollouts of evaluation.every",
        }


def _body_figures(module: GatoModule, name: str) -> dict[str, int]:
    spec = module.data.bodies[name]
    return {
        "tokens_per_step": len(spec.observation) + len(spec.action),
        "positions_per_step": step_layout(module.network.layout, spec).positions,
    }
