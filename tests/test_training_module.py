"""The training step: schedule, decay, clipping, precision, and a loss that falls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from making import make_model

from gato.data.mixture import Source
from gato.data.module import GatoDataModule
from gato.model.config import ModelConfig
from gato.sequences import Layout
from gato.training import lightning_module
from gato.training.lightning_module import GatoModule, warmup_cosine

NETWORK = ModelConfig(size="nano", layout=Layout(window_steps=4, prompt_positions=6, demonstration_steps=0))


class Watch(Callback):
    """What each update looked like."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.dtypes: set[torch.dtype] = set()

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        layer = pl_module.model.trunk.blocks[0].gate_up
        layer.register_forward_hook(lambda module, given, out: self.dtypes.add(out.dtype))

    def on_before_zero_grad(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
        found = [weight.grad.norm() for weight in pl_module.parameters() if weight.grad is not None]
        if found:
            self.norms.append(float(torch.stack(found).norm()))

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, *rest: Any) -> None:
        self.losses.append(float(outputs["loss"]))


def trained(steps: int, *, clip: float = 1.0, **settings: Any) -> tuple[GatoModule, Watch]:
    """A module after `steps` updates on the toys, by Lightning alone."""
    torch.manual_seed(0)
    module, watch = GatoModule(NETWORK, **settings), Watch()
    sources = [Source(f"gato/hopper/{skill}-v0", prompts={"language": 1}) for skill in ("hop-forward", "hop-backward")]
    data = GatoDataModule(sources, NETWORK.layout, batch_size=16)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=-1,
        max_steps=steps,
        gradient_clip_val=clip,
        callbacks=[watch],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(module, data)
    return module, watch


def test_the_learning_rate_warms_up_and_falls_along_half_a_cosine() -> None:
    factor = warmup_cosine(4, 12, 0.1)
    steps = {0: 0.25, 1: 0.5, 2: 0.75, 3: 1.0, 4: 1.0, 6: 0.868198, 8: 0.55, 10: 0.231802, 12: 0.1, 99: 0.1}
    assert {step: pytest.approx(value, abs=1e-6) for step, value in steps.items()} == {
        step: factor(step) for step in steps
    }


def test_without_warm_up_the_first_update_has_the_whole_rate() -> None:
    factor = warmup_cosine(0, 4, 0.0)
    assert [factor(step) for step in (0, 2, 4)] == [1.0, pytest.approx(0.5), pytest.approx(0.0, abs=1e-12)]


def test_the_loss_falls_and_gradients_are_clipped(toy_config: Path) -> None:
    _, watch = trained(40, clip=0.5, learning_rate=3e-3, warmup_steps=5, precision="fp32")
    assert sum(watch.losses[-5:]) / 5 < sum(watch.losses[:5]) / 5 - 0.3
    assert max(watch.norms) == pytest.approx(0.5, rel=1e-4)
    assert watch.dtypes == {torch.float32}


def test_bf16_is_for_matrix_products_and_learns_alike(toy_config: Path) -> None:
    module, narrow = trained(3, precision="bf16")
    _, wide = trained(3, precision="fp32")
    assert narrow.dtypes == {torch.bfloat16}
    assert {weight.dtype for weight in module.parameters()} == {torch.float32}
    assert narrow.losses == pytest.approx(wide.losses, abs=0.02)
    assert narrow.losses != wide.losses


@pytest.mark.parametrize("is_fast", [True, False])
def test_bf16_is_chosen_where_it_is_fast(is_fast: bool, toy_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lightning_module, "has_fast_bf16", lambda device: is_fast)
    _, watch = trained(1)
    assert watch.dtypes == {torch.bfloat16 if is_fast else torch.float32}


def test_decay_is_for_the_matrices_of_the_trunk_only(monkeypatch: pytest.MonkeyPatch) -> None:
    module = GatoModule(ModelConfig(size="nano"), weight_decay=0.3)
    module.model = make_model()
    monkeypatch.setattr(GatoModule, "trainer", Trainer(max_steps=10, logger=False, enable_checkpointing=False))
    chosen: Any = module.configure_optimizers()
    decayed, free = chosen["optimizer"].param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0.0)
    # Three layers of qkv, out, gate_up and down.
    assert len(decayed["params"]) == 12
    assert len(decayed["params"]) + len(free["params"]) == len(list(module.model.parameters()))


def test_without_a_compiler_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any, **settings: Any) -> None:
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nat length")

    monkeypatch.setattr(torch, "compile", fail)
    with pytest.raises(ValueError, match=r"compile_layers.*No working C\+\+ compiler found\).*g\+\+"):
        trained(1, compile_layers=True)
