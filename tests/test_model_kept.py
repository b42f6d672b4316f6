"""Training computes positions that exist, and in the end those that are read: same loss, same gradients."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from making import ARM, CART, PAPER, make_model, make_windows

from gato.model import gato
from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.sequences import Layout, build_rows, existing_positions
from gato.specs import Rows

LAYOUT = Layout(prompt_positions=4, window_steps=5, demonstration_steps=2)
CONFIGS = {
    "whole": ModelConfig(size="nano", layout=LAYOUT),
    "grouped": ModelConfig(size="nano", layout=replace(LAYOUT, group_size=2), mixtures=2),
    "paper": ModelConfig(size="nano", **{**PAPER, "layout": replace(LAYOUT, group_size=1, separator=True)}),
}


def ragged_batch(model: Gato) -> list[Rows]:
    """Two bodies; rows of 1 to 5 steps, some shown something, some told numbers, and losses on some steps."""
    batch = []
    for spec, has_more in ((CART, True), (ARM, False)):
        windows = make_windows(spec, 4, 5, shown=2 * has_more, command=has_more, seed=3)
        length_B = np.array([5, 1, 3, 5])[:, None]
        steps_BT = np.arange(5) < length_B
        counts_BT = steps_BT & (np.arange(5) >= np.array([0, 0, 2, 4])[:, None])
        prompts = ("run", "", "run forward", "")
        rows = replace(windows, step_mask_BT=steps_BT, loss_mask_BT=counts_BT, prompts=prompts)
        batch.append(build_rows(model.codec, rows, model.layout))
    return batch


@pytest.fixture(params=CONFIGS)
def model(request: pytest.FixtureRequest) -> Gato:
    return make_model(CONFIGS[request.param]).double()


def learned(model: Gato, batch: list[Rows]) -> tuple[float, torch.Tensor]:
    model.zero_grad()
    loss = model.loss(batch).total
    loss.backward()
    return float(loss.detach()), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_loss_and_gradients_are_those_of_computing_everything(model: Gato, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = ragged_batch(model)
    kept, kept_gradient = learned(model, batch)
    monkeypatch.setattr(Gato, "hidden_read", Gato.hidden)
    whole, whole_gradient = learned(model, batch)
    assert kept == pytest.approx(whole, abs=1e-12)
    torch.testing.assert_close(kept_gradient, whole_gradient, rtol=0, atol=1e-12)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_layers_learn_the_same() -> None:
    model = make_model(CONFIGS["whole"]).double()
    batch = ragged_batch(model)
    plain, plain_gradient = learned(model, batch)
    model.trunk.compile_training()
    compiled, compiled_gradient = learned(model, batch)
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0, "nothing was compiled"
    assert compiled == pytest.approx(plain, abs=1e-12)
    torch.testing.assert_close(compiled_gradient, plain_gradient, rtol=0, atol=1e-10)


@pytest.mark.parametrize("size_step", [1, 7, 256])
def test_what_is_read_is_what_the_whole_pass_gives(
    size_step: int, model: Gato, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gato, "SIZE_STEP", size_step)
    batch = ragged_batch(model)
    for read, whole, rows in zip(model.hidden_read(batch), model.hidden(batch), batch, strict=True):
        is_read = read.abs().sum(-1) > 0
        groups = model.body(rows.body).steps.action_groups
        wanted = int((rows.loss_mask_BT & rows.step_mask_BT).sum()) * groups
        assert int(is_read.sum()) == wanted if size_step == 1 else int(is_read.sum()) >= wanted
        is_existing = existing_positions(rows, model.layout, model.body(rows.body).spec)
        is_compared = is_read & torch.from_numpy(
            np.pad(is_existing, ((0, 0), (0, read.shape[1] - is_existing.shape[1])))
        )
        torch.testing.assert_close(read[is_compared], whole[is_compared], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("size_step", "expected"), [(1, [1, 4]), (2, [1, 4]), (3, [0, 1, 4]), (4, [0, 1, 2, 4]), (99, [0, 1, 2, 4])]
)
def test_sizes_are_rounded_up_with_what_is_spare(
    size_step: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every size of a bf16 product costs memory for good: runs grew to gigabytes."""
    monkeypatch.setattr(gato, "SIZE_STEP", size_step)
    chosen, spare = np.array([0, 1, 0, 0, 1], bool), np.array([1, 1, 1, 0, 1], bool)
    assert gato.rounded_up(chosen, spare).tolist() == expected


def test_a_batch_without_anything_to_learn_from_has_no_gradient(model: Gato) -> None:
    batch = [replace(rows, loss_mask_BT=np.zeros_like(rows.loss_mask_BT)) for rows in ragged_batch(model)]
    loss, gradient = learned(model, batch)
    assert loss == 0 and not gradient.any()
