"""The head: a proper categorical over the action ids, its mode, its samples, its precision."""

from __future__ import annotations

import math

import pytest
import torch
from making import ARM, PAPER, make_codec, make_model
from torch import Tensor

from gato.model.config import ModelConfig
from gato.model.heads import ActionHead, Choices, Distribution, Logistics
from gato.model.slots import SlotEmbedding, Tables
from gato.specs import Element
from gato.tokens.numbers import NUM_BINS

START = 4096
"""First number id behind the bundled tokenizer."""
WHOLE = torch.arange(NUM_BINS) + START


def logistics(
    means: list[float], log_scales: list[float], *, dtype: torch.dtype = torch.float64, weights: Tensor | None = None
) -> Logistics:
    """One element (G=1) a row, one component, unless weights say more."""
    mean, log_scale = (torch.tensor(x, dtype=dtype) for x in (means, log_scales))
    if weights is None:
        return Logistics(mean[:, None, None], log_scale[:, None, None], torch.zeros(len(mean), 1, dtype=dtype), START)
    return Logistics(mean[None, None], log_scale[None, None], weights.to(dtype).log()[None], START)


def table(distribution: Distribution, ids: Tensor, rows: int) -> Tensor:
    """(rows, V) log-probability of each id, one element a group."""
    return torch.stack([distribution.log_prob(torch.full((rows, 1), int(one))) for one in ids], -1)


@pytest.mark.parametrize(("dtype", "off"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_probabilities_over_all_bins_sum_to_one(dtype, off):
    means, scales = [], []
    for mean in (0.0, 0.3333, -1.0, 1.0, 0.9990, 5.0, -40.0, 1e3):
        for log_scale in (-12.0, -6.0, -3.0, 0.0, 3.0):
            means.append(mean)
            scales.append(log_scale)
    one = logistics(means, scales, dtype=dtype)
    log_prob = table(one, WHOLE, len(means))
    assert log_prob.dtype == dtype
    assert torch.isfinite(log_prob).all()
    assert (log_prob.exp().sum(-1) - 1).abs().max() < off


def test_probabilities_of_a_mixture_sum_to_one():
    one = logistics([-0.9, 0.1, 3.0], [-5.0, -1.0, -12.0], weights=torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64))
    assert abs(table(one, WHOLE, 1).exp().sum().item() - 1) < 1e-12


def test_gradients_stay_finite_at_the_extremes():
    mean = torch.tensor([0.0, 1e3, -1e3, 1.0]).reshape(4, 1, 1).requires_grad_()
    log_scale = torch.full((4, 1, 1), -12.0, requires_grad=True)
    head = Logistics(mean, log_scale, torch.zeros(4, 1), START)
    head.log_prob(torch.tensor([[START], [START], [START + 1023], [START + 1023]])).sum().backward()
    assert torch.isfinite(mean.grad).all()
    assert torch.isfinite(log_scale.grad).all()


def test_log_probability_typed_by_hand():
    """Mean 0, scale 1: bin 512 is [0, 1/512), the first bin takes the whole left tail."""
    one = logistics([0.0], [math.log(1 - 1 / 1024)])
    sigmoid = [1 / (1 + math.exp(-edge)) for edge in (0, 1 / 512, -1 + 1 / 512, 1 - 1 / 512)]
    expected = [sigmoid[1] - sigmoid[0], sigmoid[2], 1 - sigmoid[3]]
    found = table(one, torch.tensor([512, 0, 1023]) + START, 1)[0].exp()
    assert found.tolist() == pytest.approx(expected, rel=1e-9)


def test_central_is_the_median_of_the_whole_categorical():
    torch.manual_seed(0)
    means = torch.cat([torch.empty(400).uniform_(-1.2, 1.2), torch.linspace(-3, 3, 100)]).tolist()
    scales = torch.empty(500).uniform_(-12, 3).tolist()
    one = logistics(means, scales)
    below = table(one, WHOLE, 500).exp().cumsum(-1)
    assert torch.equal(one.central()[:, 0], (below < 0.5).sum(-1) + START)


def test_a_doubtful_action_is_not_thrown_to_the_end_of_its_box():
    """The end bins take whole tails: the most likely bin of this one is the last, and half-cheetahs fell over by it."""
    one = logistics([0.3], [math.log(0.15)])
    assert table(one, WHOLE, 1).argmax(-1).tolist() == [NUM_BINS - 1]
    assert one.central().tolist() == [[START + math.floor(1.3 * NUM_BINS / 2)]]


def test_every_bin_can_be_emitted_the_ends_included():
    """NEKO, LAS1520, OrigamiDream: action +1.0 could never be emitted. JAT's mu-law used 466 of 1024 bins."""
    centres = ((torch.arange(NUM_BINS) + 0.5) / 512 - 1).tolist()
    assert torch.equal(logistics(centres, [-9.0] * NUM_BINS).central()[:, 0], WHOLE)


def test_saturated_actions_are_cheap_and_decode_to_the_bounds():
    one = logistics([1.5, -1.5], [-4.0, -4.0])
    assert one.central().tolist() == [[START + 1023], [START]]
    assert one.log_prob(one.central()).exp().min() > 0.99
    ids = torch.tensor([6144 - 1024, START + 1023, START, START + 1023])
    ids[:2] = torch.tensor([5120, 5122])
    assert make_codec().decode_action("arm", ids.numpy()).tolist() == [0, 2, -1, 2]


def test_the_centre_of_a_mixture_is_one_of_its_modes_for_all_elements_together():
    """Two ways round an obstacle: never through the middle, never one element this way and one that."""
    mean = torch.tensor([[[-0.5, 0.5], [0.5, -0.5]]], dtype=torch.float64)
    one = Logistics(mean, torch.full((1, 2, 2), -5.0).double(), torch.tensor([[0.4, 0.6]]).double().log(), START)
    assert one.central().tolist() == [[START + 768, START + 256]]


def test_samples_of_a_mixture_keep_its_elements_together():
    mean = torch.tensor([[-0.5, 0.5], [0.5, -0.5]]).expand(4000, 2, 2)
    one = Logistics(mean, torch.full((4000, 2, 2), -5.0), torch.tensor([0.3, 0.7]).log().expand(4000, 2), START)
    first, second = (one.sample(torch.Generator().manual_seed(0)) - START > 512).unbind(-1)
    assert (first != second).all()
    assert first.double().mean().item() == pytest.approx(0.7, abs=0.03)


def chi_square(drawn: Tensor, probability: Tensor) -> tuple[float, int]:
    """Statistic and number of cells; neighbouring bins are pooled until each cell expects at least 20."""
    counts = torch.bincount(drawn, minlength=len(probability)).double()
    cell = ((probability.cumsum(0) - probability / 2) * len(drawn) / 20).long()
    observed, expected = (torch.zeros(int(cell.max()) + 1).double().index_add_(0, cell, x) for x in (
        counts, probability * len(drawn)))  # fmt: skip
    used = expected > 10
    return float(((observed - expected)[used] ** 2 / expected[used]).sum()), int(used.sum())


@pytest.mark.parametrize(
    "one",
    [
        logistics([0.2], [-2.0]),
        logistics([0.98], [-3.0]),
        logistics([0.0012], [-12.0]),
        logistics([-0.6, 0.1, 0.7], [-3.0, -4.0, -2.0], weights=torch.tensor([0.2, 0.5, 0.3]).double()),
    ],
)
def test_samples_follow_the_categorical(one):
    probability = table(one, WHOLE, 1)[0].exp()
    many = Logistics(
        *(x.expand(20_000, *x.shape[1:]) for x in (one.mean_GM, one.log_scale_GM, one.log_weight_M)), START
    )
    drawn = many.sample(torch.Generator().manual_seed(1))[:, 0] - START
    statistic, cells = chi_square(drawn, probability)
    assert cells > 2
    assert statistic < cells + 4 * math.sqrt(2 * cells)


def test_choices_are_proper_and_samples_follow_them():
    logits = torch.tensor([[[0.5, -1.0, -torch.inf], [2.0, 0.0, 1.0]]]).double()
    one = Choices(logits, 5120)
    joint = sum(one.log_prob(torch.tensor([[5120 + i, 5120 + j]])).exp() for i in range(2) for j in range(3))
    assert joint.item() == pytest.approx(1, abs=1e-12)
    assert one.central().tolist() == [[5120, 5120]]
    drawn = Choices(logits.expand(6000, 2, 3), 5120).sample(torch.Generator().manual_seed(0)) - 5120
    assert drawn[:, 0].max() == 1
    share = torch.bincount(drawn[:, 1]) / 6000
    assert (share - logits[0, 1].softmax(-1)).abs().max() < 0.02


def test_discrete_and_continuous_actions_side_by_side():
    """MultiDiscrete and Box in one action: two groups, each with ids of its own range only."""
    model = make_model(None, ARM).double()
    head, hidden = model.body("arm").head, torch.randn(300, 128, dtype=torch.float64) * 20
    assert head.groups == [slice(0, 2), slice(2, 4)]
    generator = torch.Generator().manual_seed(0)
    whole, number = head(hidden, 0, None), head(hidden, 1, None)
    for ids in (whole.central(), whole.sample(generator)):
        assert set(ids[:, 0].tolist()) == {5120, 5121}
        assert set(ids[:, 1].tolist()) == {5120, 5121, 5122}
    for ids in (number.central(), number.sample(generator)):
        assert ids.min() >= START
        assert ids.max() < START + NUM_BINS
    assert whole.log_prob(whole.central()).shape == number.log_prob(number.central()).shape == (300,)


def test_the_papers_head_is_a_softmax_over_number_ids_only():
    """Sampling over all ids and clamping afterwards (JAT's `gato` branch) puts mass on the ends."""
    model = make_model(ModelConfig(size="nano", **PAPER), ARM).double()
    hidden = torch.randn(3, 128, dtype=torch.float64) * 20
    one = model.body("arm").head(hidden, 2, model.free)
    log_prob = table(one, WHOLE, 3)
    assert (log_prob.exp().sum(-1) - 1).abs().max() < 1e-12
    assert torch.equal(one.central()[:, 0], log_prob.argmax(-1) + START)
    assert model.body("arm").head.read is None


def test_heads_stay_in_fp32_under_bf16_autocast():
    """bf16 has 8 bits, a bin has 10: a mean rounded to bf16 misses its bin."""
    for config in (ModelConfig(size="nano", mixtures=3), ModelConfig(size="nano", **PAPER)):
        model = make_model(config, ARM)
        head, hidden = model.body("arm").head, torch.randn(50, 128)
        for index in range(len(head.groups)):
            with torch.autocast("cpu", torch.bfloat16):
                inside = head(hidden, index, model.free)
            outside = head(hidden, index, model.free)
            for name, value in vars(outside).items():
                if isinstance(value, Tensor):
                    assert getattr(inside, name).dtype == torch.float32
                    assert torch.equal(getattr(inside, name), value)


def test_neighbouring_bins_embed_apart_under_bf16_autocast():
    """Bins near the edge of the range lie closer together than bf16 can tell; their product is taken in fp32."""
    torch.manual_seed(0)
    config = ModelConfig(size="nano", second_layer="own")
    slots, tables = SlotEmbedding(config, (Element("a"),), make_codec().ranges), Tables(config)
    slots.second = None
    with torch.autocast("cpu", torch.bfloat16):
        embedded = slots(torch.tensor([[START + 1023], [START + 1022], [START]]), tables)[:, 0]
    values = torch.tensor([1023.5, 1022.5, 0.5]) / 128 - 4
    assert torch.allclose(embedded, values[:, None] * slots.scale_ED + slots.shift_ED, atol=1e-6)


def test_a_new_head_starts_wide_with_its_components_spread():
    torch.manual_seed(0)
    config = ModelConfig(size="nano", mixtures=3)
    one = ActionHead(config, ARM.action, make_codec().ranges)(torch.zeros(1, 128), 1, None)
    assert isinstance(one, Logistics)
    assert one.mean_GM[0].tolist() == [[-0.5, 0, 0.5]] * 2
    assert one.log_scale_GM.exp().tolist()[0] == [pytest.approx([0.3] * 3)] * 2
