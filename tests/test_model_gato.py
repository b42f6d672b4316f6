"""Who may see what, what the loss counts, and that every input matters: by perturbation."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from making import ARM, CART, PAPER, make_model, make_windows

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.model.slots import Tables
from gato.sequences import Layout, build_rows
from gato.specs import Rows, Windows
from gato.tokens.discrete import NUM_DISCRETE

SHORT = Layout(prompt_positions=4, window_steps=5, demonstration_steps=2)
CONFIGS = {
    "whole": ModelConfig(size="nano", layout=SHORT),
    "grouped": ModelConfig(size="nano", layout=replace(SHORT, group_size=2), mixtures=3, second_layer="own"),
    "paper": ModelConfig(size="nano", **{**PAPER, "layout": replace(SHORT, group_size=1, separator=True)}),
}


@pytest.fixture(params=CONFIGS)
def model(request) -> Gato:
    return make_model(CONFIGS[request.param])


def rows_of(model: Gato, windows: Windows) -> Rows:
    return build_rows(model.codec, windows, model.layout)


def joint(log_prob: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(log_prob.values())).sum(0)


@torch.no_grad()
def log_prob(model: Gato, rows: Rows) -> torch.Tensor:
    """(B, T) of all elements of the action together."""
    return joint(model.log_prob(rows, model.hidden([rows])[0]))


def changed(rows: Rows, name: str, place: tuple, by: int) -> Rows:
    value = getattr(rows, name).copy()
    value[place] += by
    return replace(rows, **{name: value})


def number(column: int, ids: np.ndarray) -> int:
    """A change that keeps the id legal: a discrete one moves by one, a number by up to half its range."""
    value = int(ids[..., column].flat[0])
    if value >= 5120:
        return -1 if value > 5120 else 1
    return 400 if value < 4096 + 512 else -400


@pytest.mark.parametrize("spec", [CART, ARM])
def test_an_observation_moves_its_own_step_and_later_ones_only(model, spec):
    """OrigamiDream has no causal mask. Earlier log-probabilities stay equal to the bit."""
    rows = rows_of(model, make_windows(spec, 1, 5, shown=2, command=True))
    before = log_prob(model, rows)
    for column in range(len(spec.observation)):
        ids = rows.observation_BTO[:, 2]
        after = log_prob(model, changed(rows, "observation_BTO", (0, 2, column), number(column, ids)))
        assert torch.equal(after[:, :2], before[:, :2])
        assert (after[:, 2:] != before[:, 2:]).all()


@pytest.mark.parametrize("spec", [CART, ARM])
def test_an_action_is_not_predicted_from_itself(model, spec):
    """LAS1520 predicts an action token from that same token. In order: what stands earlier is equal to the bit."""
    rows = rows_of(model, make_windows(spec, 1, 5))
    with torch.no_grad():
        before = model.hidden([rows])[0]
    body = model.body(spec.name)
    start = 4 + 2 * body.steps.positions
    for index, group in enumerate(body.head.groups):
        for column in range(group.start, group.stop):
            ids = rows.action_BTA[:, 2]
            with torch.no_grad():
                after = model.hidden([changed(rows, "action_BTA", (0, 2, column), number(column, ids))])[0]
            read_at = start + body.steps.readout + index
            assert torch.equal(after[:, : read_at + 1], before[:, : read_at + 1])
            assert (after[:, read_at + 1 :] != before[:, read_at + 1 :]).any(-1).all()


def test_targets_are_never_seen(model):
    rows = rows_of(model, make_windows(ARM, 2, 5))
    other = replace(rows, target_BTA=np.roll(rows.target_BTA, 1, 0), loss_mask_BT=~rows.loss_mask_BT)
    with torch.no_grad():
        assert torch.equal(model.hidden([rows])[0], model.hidden([other])[0])


@pytest.mark.parametrize(
    ("name", "place", "by"),
    [
        ("text_BP", (0, 0), 7),
        ("command_BC", (0, 0), 300),
        ("command_BC", (0, 2), 300),
        ("demonstration_BNO", (0, 0, 1), 300),
        ("demonstration_BNA", (0, 0, 2), 300),
        ("demonstration_BNA", (0, 1, 3), -300),
    ],
)
def test_the_prompt_reaches_every_step(model, name, place, by):
    """Is the prompt used at all? (openpi#768, Isaac-GR00T#585.)"""
    windows = make_windows(ARM, 1, 5, shown=2, command=True, seed=3)
    windows.demonstration_BNO[0, 0, 1] = 0.0
    windows.demonstration_BNA[0, :, 2:] = 0.0
    rows = rows_of(model, windows)
    assert (log_prob(model, changed(rows, name, place, by)) != log_prob(model, rows)).all()


def test_word_order_matters(model):
    windows = make_windows(CART, 1, 3)
    there, back = (rows_of(model, replace(windows, prompts=(words,))) for words in ("stop run", "run stop"))
    assert sorted(there.text_BP[0]) == sorted(back.text_BP[0])
    assert (log_prob(model, there) != log_prob(model, back)).all()


def test_every_element_has_its_own_place(model):
    """JAT's `gato` branch had its local positions silently off: values could trade places unseen."""
    rows = rows_of(model, make_windows(CART, 1, 3))
    swapped = replace(rows, observation_BTO=rows.observation_BTO[..., ::-1].copy())
    assert (log_prob(model, rows) != log_prob(model, swapped)).all()


def test_pads_reach_nothing(model):
    """Whatever stands in a missing step, demonstration or text position, the rest is equal to the bit."""
    windows = make_windows(CART, 2, 5, shown=2, command=True)
    windows.step_mask_BT[0, 3:] = windows.demonstration_mask_BN[0] = False
    windows.command_BC[0] = np.nan
    rows = rows_of(model, windows)
    before = log_prob(model, rows)
    rows.observation_BTO[0, 3:] = rows.action_BTA[0, 3:] = 4096 + 7
    rows.demonstration_BNO[0] = rows.demonstration_BNA[0] = 4096 + 1000
    after = log_prob(model, rows)
    assert torch.equal(before[0, :3], after[0, :3])
    assert torch.equal(before[1], after[1])


def test_a_row_is_worth_the_same_alone_and_beside_longer_rows_of_another_body(model):
    """Absent prompts, right padding and other bodies in the batch change nothing (float64, 1e-12)."""
    model = model.double()
    windows = make_windows(CART, 2, 4, shown=2, command=True)
    windows.demonstration_mask_BN[0] = False
    windows.command_BC[0] = np.nan
    beside = rows_of(model, windows)
    arm = rows_of(model, make_windows(ARM, 3, 5, shown=2))
    first = make_windows(CART, 2, 4)
    alone = rows_of(
        model,
        replace(
            first,
            **{
                name: getattr(windows, name)[:1]
                for name in (
                    "observations_BTO",
                    "actions_BTA",
                    "targets_BTA",
                    "step_mask_BT",
                    "loss_mask_BT",
                    "prompts",
                )
            },
            command_BC=first.command_BC[:1],
            demonstration_BNO=first.demonstration_BNO[:1],
            demonstration_BNA=first.demonstration_BNA[:1],
            demonstration_mask_BN=first.demonstration_mask_BN[:1],
        ),
    )
    assert alone.command_BC.shape == (1, 0)
    with torch.no_grad():
        cart_BSD, arm_BSD = model.hidden([beside, arm])
        together = joint(model.log_prob(beside, cart_BSD))
        assert (together[:1] - log_prob(model, alone)).abs().max() < 1e-12
        assert (joint(model.log_prob(arm, arm_BSD)) - log_prob(model, arm)).abs().max() < 1e-12


def test_places_of_two_bodies_in_one_pass_typed_by_hand(monkeypatch):
    """Cart takes 2 positions a step and ends 4 before arm: those are padded on the right and seen by none."""
    model = make_model(
        ModelConfig(size="nano", layout=Layout(prompt_positions=2, window_steps=2, demonstration_steps=1))
    )
    caught = []
    monkeypatch.setattr(model.trunk, "forward", lambda hidden, place: caught.append(place) or hidden)
    cart = replace(make_windows(CART, 1, 2), prompts=("run",))
    model.hidden([rows_of(model, cart), rows_of(model, replace(make_windows(ARM, 1, 2), prompts=("",)))])
    assert caught[0].rotary_BS.tolist() == [
        [0, 1, 5, 6, 7, 8, 0, 0, 0, 0],
        [0, 1, 7, 8, 9, 10, 11, 12, 13, 14],
    ]
    drawn = ["".join("x" if entry else "." for entry in line) for line in caught[0].visible_BSL[0]]
    assert drawn == [
        "x.........",
        "xx........",
        "x.x.......",
        "x.xx......",
        "x.xxx.....",
        "x.xxxx....",
        "x.xxxxx...",
        "x.xxxx.x..",
        "x.xxxx..x.",
        "x.xxxx...x",
    ]
    drawn = ["".join("x" if entry else "." for entry in line) for line in caught[0].visible_BSL[1]]
    assert drawn[0] == "x........."
    assert drawn[1] == ".x........"
    assert drawn[2:4] == ["..x.......", "..xx......"]
    assert drawn[9] == "..xxxxxxxx"


def constant_head(model: Gato, log_scale: float) -> None:
    """Every action is expected at 0 with this scale, whatever is seen."""
    for body in model.bodies.values():
        body.head.read.weight.data.zero_()
        body.head.read.bias.data.copy_(
            torch.tensor([0.0, log_scale], dtype=torch.float64).repeat(len(body.head.read.bias) // 2)
        )


def test_loss_is_a_mean_over_elements_then_steps_then_rows():
    """Else 17 joints outweigh one, and long episodes short ones. Figures by hand, from the bins of the targets."""
    pair = replace(CART, name="pair", action=(*CART.action, *CART.action))
    model = make_model(ModelConfig(size="nano", layout=SHORT), CART, pair).double()
    constant_head(model, math.log(0.25))
    cart, two = make_windows(CART, 2, 3), make_windows(pair, 1, 2)
    cart.targets_BTA[:] = np.float32([[[0.3], [0.9], [0.3]], [[0.3], [0.3], [0.3]]])
    cart.loss_mask_BT[:] = [[True, False, True], [True, False, False]]
    cart.step_mask_BT[1, 1:] = False
    two.targets_BTA[:] = np.float32([[[0.3, -1], [-1, -1]]])
    scale = 0.25 + 1 / 1024

    def nats(low: float, high: float) -> float:
        return -math.log(1 / (1 + math.exp(-high / scale)) - 1 / (1 + math.exp(-low / scale)))

    inside, end = nats(153 / 512, 154 / 512), nats(-10, -1 + 1 / 512)
    losses = model.loss([rows_of(model, cart), rows_of(model, two)])
    assert losses.bodies["cart"].item() == pytest.approx(inside, rel=1e-9)
    assert losses.bodies["pair"].item() == pytest.approx((inside + 3 * end) / 4, rel=1e-9)
    assert losses.total.item() == pytest.approx((2 * inside + (inside + 3 * end) / 4) / 3, rel=1e-9)


def test_loss_by_modality_is_a_mean_over_its_own_elements():
    model = make_model(ModelConfig(size="nano", layout=SHORT)).double()
    constant_head(model, math.log(0.25))
    model.body("arm").head.discrete.weight.data.zero_()
    model.body("arm").head.discrete.bias.data.zero_()
    windows = make_windows(ARM, 1, 2)
    windows.targets_BTA[..., 2:] = np.float32([0.3, 0.6])
    losses = model.loss([rows_of(model, windows)])
    scale = 0.25 + 1 / 1024
    inside = -math.log(1 / (1 + math.exp(-154 / 512 / scale)) - 1 / (1 + math.exp(-153 / 512 / scale)))
    assert losses.modalities["discrete"].item() == pytest.approx((math.log(2) + math.log(3)) / 2, rel=1e-9)
    assert losses.modalities["continuous"].item() == pytest.approx(inside, rel=1e-9)
    assert losses.total.item() == pytest.approx((math.log(2) + math.log(3) + 2 * inside) / 4, rel=1e-9)


def test_loss_ignores_observation_targets_padding_and_masked_steps(model):
    """What comes after the last counted action is never learned; neither are pads, nor steps before a switch."""
    windows = make_windows(ARM, 2, 5)
    windows.loss_mask_BT[0, :2] = False
    windows.step_mask_BT[1, 3:] = windows.loss_mask_BT[1, 3:] = False
    rows = rows_of(model, windows)
    loss = model.loss([rows]).total
    other = replace(rows, target_BTA=rows.target_BTA.copy(), action_BTA=rows.action_BTA.copy())
    other.target_BTA[0, :2, 2:] = other.target_BTA[1, 3:, 2:] = other.action_BTA[0, 4, 2:] = 4096
    if model.layout.group_size == 0:
        assert torch.equal(model.loss([other]).total, loss)
    other.action_BTA[:] = rows.action_BTA
    assert torch.equal(model.loss([other]).total, loss)
    other.target_BTA[0, 2, 2] = 4096
    assert not torch.equal(model.loss([other]).total, loss)


def test_a_step_counted_but_missing_is_not_counted(model):
    windows = make_windows(CART, 1, 5)
    windows.step_mask_BT[0, 3:] = False
    marked = replace(windows, loss_mask_BT=windows.step_mask_BT)
    assert torch.equal(model.loss([rows_of(model, windows)]).total, model.loss([rows_of(model, marked)]).total)


def test_a_batch_in_which_nothing_counts_has_loss_zero(model):
    windows = make_windows(CART, 1, 3)
    windows.loss_mask_BT[:] = False
    assert model.loss([rows_of(model, windows)]).total.item() == 0


def test_every_parameter_learns(model):
    """A parameter without a gradient is a piece that is not plugged in."""
    model.zero_grad()
    batch = [rows_of(model, make_windows(spec, 4, 5, shown=2, command=True)) for spec in (CART, ARM)]
    model.loss(batch).total.backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())


def test_bf16_autocast_is_finite_and_near_fp32(model):
    batch = [rows_of(model, make_windows(spec, 4, 5, shown=2, command=True)) for spec in (CART, ARM)]
    with torch.autocast("cpu", torch.bfloat16):
        low = model.loss(batch).total
    low.backward()
    assert low.dtype == torch.float32
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())
    assert low.item() == pytest.approx(model.loss(batch).total.item(), rel=0.05)


def test_an_unknown_body_is_named_with_its_neighbour():
    with pytest.raises(ValueError, match='the model knows no body "crat"; did you mean "cart"?'):
        make_model().body("crat")


def test_impossible_configs_are_refused():
    with pytest.raises(ValueError, match='no model size "nanoo"; did you mean "nano"?'):
        ModelConfig(size="nanoo")
    with pytest.raises(ValueError, match="head: free needs group_size: 1, got 0"):
        ModelConfig(head="free")
    with pytest.raises(ValueError, match="mixtures must be at least 1, got 0"):
        ModelConfig(mixtures=0)


def test_the_table_of_discrete_values_has_a_row_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """It had one for each bin of a number, of which there happen to be as many."""
    monkeypatch.setattr("gato.model.slots.NUM_BINS", 8)
    assert Tables(ModelConfig(size="nano")).discrete.num_embeddings == NUM_DISCRETE


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_layers_learn_alike_from_batches_of_any_width() -> None:
    plain, compiled = (make_model(CONFIGS["whole"]) for _ in range(2))
    compiled.trunk.compile_training()
    for spec in (CART, ARM, CART):
        batch = [rows_of(plain, make_windows(spec, 4, 5, shown=2))]
        for model in (plain, compiled):
            model.zero_grad()
            model.loss(batch).total.backward()
        for (name, one), other in zip(plain.named_parameters(), compiled.parameters(), strict=True):
            if one.grad is not None:
                assert other.grad is not None, name
                torch.testing.assert_close(other.grad, one.grad, atol=1e-5, rtol=1e-3, msg=name)
