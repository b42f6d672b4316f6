"""The trunk is a Llama: parity with transformers on random weights, sizes, cache, checkpoints that do not fit."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from gato.model.config import PRESETS, TrunkConfig
from gato.model.trunk import NEWEST, Cache, Place, Trunk, attend, llama_settings, load_llama, rotary_tables, rotate

CONFIG = TrunkConfig(width=64, layers=3, heads=4, hidden=96)
GROUPED = TrunkConfig(width=64, layers=2, heads=8, hidden=80, key_value_heads=2, rope_theta=500.0, norm_eps=1e-3)


def make_llama(config: TrunkConfig) -> LlamaForCausalLM:
    torch.manual_seed(0)
    made = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=50,
            attn_implementation="eager",
            **llama_settings(config),
        )
    ).double()
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return made.eval()


def loaded(config: TrunkConfig) -> tuple[LlamaForCausalLM, Trunk]:
    llama = make_llama(config)
    trunk = Trunk(config).double().eval()
    load_llama(trunk, llama.state_dict())
    return llama, trunk


@pytest.mark.parametrize("config", [CONFIG, GROUPED])
@torch.no_grad()
def test_a_llama_checkpoint_gives_the_same_logits(config):
    """In float64, up to the fp32 in which transformers keeps rotary tables and norms."""
    llama, trunk = loaded(config)
    ids_BS = torch.randint(0, 50, (2, 11))
    theirs = llama(ids_BS, output_hidden_states=True)
    place = Place(torch.arange(11).expand(2, -1), None)
    hidden_BSD = trunk(llama.model.embed_tokens(ids_BS), place)
    assert (hidden_BSD - theirs.hidden_states[-1]).abs().max() < 1e-6
    assert (llama.lm_head(hidden_BSD) - theirs.logits).abs().max() < 1e-6


@torch.no_grad()
def test_rows_with_gaps_equal_transformers_under_its_own_mask_and_positions():
    llama, trunk = loaded(CONFIG)
    ids_BS, position_BS = torch.randint(0, 50, (2, 7)), torch.tensor([[0, 1, 2, 9, 10, 11, 12]] * 2)
    exists_BS = torch.tensor([[1, 1, 0, 1, 1, 1, 1], [1, 0, 0, 1, 1, 1, 1]], dtype=torch.bool)
    theirs = llama.model(ids_BS, attention_mask=exists_BS.long(), position_ids=position_BS).last_hidden_state
    visible = torch.ones(7, 7).tril().bool() & exists_BS[:, None] | torch.eye(7).bool()
    ours = trunk(llama.model.embed_tokens(ids_BS), Place(position_BS, visible))
    assert (ours - theirs)[exists_BS].abs().max() < 1e-6


@pytest.mark.parametrize("config", [CONFIG, GROUPED])
@torch.no_grad()
def test_positions_given_piece_by_piece_through_the_cache_equal_one_pass(config):
    """Rows may lie at different entries, come in any order, and some may wait."""
    trunk = Trunk(config).double()
    hidden_BSD, position_BS = torch.randn(3, 6, 64).double(), torch.arange(6).expand(3, -1)
    whole = trunk(hidden_BSD, Place(position_BS, None))
    cache = Cache.empty(config, 3, 8, hidden_BSD)
    for rows, begin, end in (([0, 1, 2], 0, 3), ([1], 3, 5), ([0, 2], 3, 4), ([0, 2], 4, 6), ([1], 5, 6)):
        entries = torch.arange(begin, end).expand(len(rows), -1)
        visible = (torch.arange(end) <= entries[..., None]).bool()
        place = Place(position_BS[rows, begin:end], visible, torch.tensor(rows), entries)
        part = trunk(hidden_BSD[rows, begin:end], place, cache)
        assert (part - whole[rows, begin:end]).abs().max() < 1e-12


@pytest.mark.parametrize("config", [CONFIG, GROUPED])
@torch.no_grad()
def test_the_newest_position_alone_is_that_of_all_and_leaves_the_same_cache(config):
    trunk = Trunk(config).double()
    hidden_BSD, entries = torch.randn(2, 5, 64).double(), torch.arange(5).expand(2, -1)
    place = Place(entries, torch.arange(5) <= entries[..., None], torch.arange(2), entries)
    caches = [Cache.empty(config, 2, 5, hidden_BSD) for _ in range(2)]
    whole = trunk(hidden_BSD, place, caches[0])
    newest = trunk(hidden_BSD, place, caches[1], asks=NEWEST)
    assert newest.shape == (2, 1, 64)
    torch.testing.assert_close(newest, whole[:, -1:], rtol=0, atol=1e-12)
    for one, other in zip(caches[0].keys_BHLK, caches[1].keys_BHLK, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_the_gradient_of_a_rotation_is_that_of_its_formula():
    x = torch.randn(2, 3, 5, 8, dtype=torch.float64, requires_grad=True)
    cosine, sine = rotary_tables(torch.arange(5.0).double().expand(2, -1), 8, 100.0)
    left, right = x.chunk(2, -1)
    formula = x * cosine + torch.cat([-right, left], -1) * sine
    weights = torch.randn_like(x)
    (expected,) = torch.autograd.grad((formula * weights).sum(), x)
    turned = rotate(x, (cosine, sine))
    (found,) = torch.autograd.grad((turned * weights).sum(), x)
    torch.testing.assert_close(turned, formula, rtol=0, atol=1e-12)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_checkpoints_that_do_not_fit_are_refused():
    """A deeper checkpoint, or one with biases, would load in part and be another model."""
    state = make_llama(CONFIG).state_dict()
    shallow = Trunk(TrunkConfig(width=64, layers=2, heads=4, hidden=96))
    with pytest.raises(ValueError, match=r"no place in a trunk of 2 layers for model\.layers\.2\."):
        load_llama(shallow, state)
    with pytest.raises(ValueError, match=r"no place .* for model\.layers\.0\.self_attn\.q_proj\.bias"):
        load_llama(Trunk(CONFIG), {**state, "model.layers.0.self_attn.q_proj.bias": torch.zeros(64)})
    with pytest.raises(ValueError, match=r"the checkpoint has no 'model\.layers\.2\.input_layernorm\.weight'"):
        load_llama(Trunk(CONFIG), {n: w for n, w in state.items() if n != "model.layers.2.input_layernorm.weight"})
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_llama(Trunk(TrunkConfig(width=64, layers=3, heads=4, hidden=80)), state)


@pytest.mark.parametrize(
    ("size", "layers", "width", "heads", "paper"),
    [("79m", 8, 768, 24, 79e6), ("364m", 12, 1536, 12, 364e6), ("1.2b", 24, 2048, 16, 1.18e9)],
)
def test_paper_sizes(size, layers, width, heads, paper):
    """Table 5 of the paper: its blocks hold 12 D^2 numbers each (attention 4, MLP 8).

    Blocks alone make 57, 340 and 1208 million of the stated 79, 364 and 1180; with the paper's table of 33,024 tokens
    the small one makes 82.
    """
    with torch.device("meta"):
        trunk = Trunk(PRESETS[size])
    config = PRESETS[size]
    assert (config.layers, config.width, config.heads) == (layers, width, heads)
    count = sum(weight.numel() for weight in trunk.parameters())
    assert count == pytest.approx(12 * width**2 * layers, rel=0.03)
    if size == "1.2b":
        assert count == pytest.approx(paper, rel=0.03)
    else:
        assert count < paper < 1.08 * (count + 33_024 * width)


def test_attention_multiplied_out_for_bf16_training_equals_the_fused_one():
    torch.manual_seed(0)
    parts = torch.randn(3, 2, 4, 9, 16)
    visible = torch.ones(9, 9).tril().bool().repeat(2, 1, 1)
    visible[0, :, 3] = False
    visible |= torch.eye(9).bool()
    exact = attend(*parts, visible)
    low = parts.bfloat16().requires_grad_()
    ours = attend(*low, visible)
    with torch.no_grad():
        fused = attend(*low, visible)
    assert ours.dtype == torch.bfloat16
    assert (ours - exact).abs().max() < 0.03
    assert (ours - fused).abs().max() < 0.03
    ours.sum().backward()
    assert torch.isfinite(low.grad).all()


def test_bf16_keeps_positions_apart():
    """Rotary angles are taken in fp32: in bf16 position 1023 and 1024 would be one."""
    trunk = Trunk(CONFIG).bfloat16()
    hidden = torch.randn(1, 2, 64, dtype=torch.bfloat16)
    near, far = (trunk(hidden, Place(torch.tensor([[0, last]]), None)) for last in (1023, 1022))
    assert not torch.equal(near, far)
