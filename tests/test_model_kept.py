"""Training computes positions that exist, and in the end those that are read: same loss, same gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from making import ARM, CART, PAPER, make_model, make_windows

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.sequences import Layout, build_rows
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


def test_what_is_read_is_what_the_whole_pass_gives_and_nothing_else_is(model: Gato) -> None:
    batch = ragged_batch(model)
    for read, whole, rows in zip(model.hidden_read(batch), model.hidden(batch), batch, strict=True):
        is_read = read.abs().sum(-1) > 0
        groups = model.body(rows.body).steps.action_groups
        assert int(is_read.sum()) == int((rows.loss_mask_BT & rows.step_mask_BT).sum()) * groups
        torch.testing.assert_close(read[is_read], whole[is_read], rtol=0, atol=1e-12)


def test_a_batch_without_anything_to_learn_from_has_no_gradient(model: Gato) -> None:
    batch = [replace(rows, loss_mask_BT=np.zeros_like(rows.loss_mask_BT)) for rows in ragged_batch(model)]
    loss, gradient = learned(model, batch)
    assert loss == 0 and not gradient.any()
