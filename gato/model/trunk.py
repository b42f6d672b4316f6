"""The decoder-only transformer: pre-norm, RMSNorm, rotary positions, gated MLP, SDPA, optional key-value cache.

In: hidden_BSD and where each position sits. Out: hidden_BSD after the final norm. Knows nothing of tokens.
Its shape is that of the Llama family; `load_llama` reads such a checkpoint's weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from gato.model.config import TrunkConfig

EVERYWHERE, NEWEST = slice(None), slice(-1, None)
"""Positions whose output is asked for."""


@dataclass
class Cache:
    """Keys and values of what was encoded before: a pair (B, H, L, K) a layer."""

    keys_BHLK: list[Tensor]
    values_BHLK: list[Tensor]

    @classmethod
    def empty(cls, config: TrunkConfig, rows: int, length: int, like: Tensor) -> Cache:
        """Room for `length` positions of `rows` rows, in the dtype and on the device of `like`."""
        heads = config.key_value_heads or config.heads
        shape = (rows, heads, length, config.width // config.heads)
        return cls(*([like.new_zeros(shape) for _ in range(config.layers)] for _ in range(2)))

    def layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Keys and values of one layer, (B, H, L, K); written to in place."""
        return self.keys_BHLK[index], self.values_BHLK[index]

    def pick(self, rows_B: Tensor) -> Cache:
        """The cache of some of its rows."""
        return Cache(*([half[rows_B] for half in halves] for halves in (self.keys_BHLK, self.values_BHLK)))


@dataclass(frozen=True)
class Place:
    """Where S new positions go: which rows and entries of a cache, and what each may see."""

    rotary_BS: Tensor
    visible_BSL: Tensor | None
    """True where a query may see a key; None for plain causal attention without a cache."""
    rows_B: Tensor | None = None
    entries_BS: Tensor | None = None


@dataclass(frozen=True)
class Piece:
    """New positions of some rows of a cache, on their way through the trunk."""

    hidden_BSD: Tensor
    place: Place
    cache: Cache


@dataclass(frozen=True)
class Kept:
    """What training computes: positions that exist and, after the last attention, those that are read.

    Others may be among them; what is computed there is not used.
    """

    existing_N: Tensor
    """Indices into the B * S positions."""
    read_R: Tensor
    """Indices into the B * S positions, all of them in `existing_N`."""
    read_existing_R: Tensor
    """The same as indices into `existing_N`."""


def rotary_tables(position_BS: Tensor, head_width: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine (B, 1, S, K), fp32 at least, the halves layout of Llama."""
    dtype = torch.promote_types(position_BS.dtype, torch.float32)
    exponent = torch.arange(0, head_width, 2, device=position_BS.device, dtype=dtype) / head_width
    angle = position_BS[:, None, :, None].to(dtype) * theta**-exponent
    angle = torch.cat([angle, angle], -1)
    return angle.cos(), angle.sin()


def rotate(x_BHSK: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary position embedding (Su et al. 2021) in the halves layout."""
    cosine, sine = (table.to(x_BHSK.dtype) for table in tables)
    return _Rotation.apply(x_BHSK, cosine, sine)


class _Rotation(torch.autograd.Function):
    """Its gradient is the turn back; written out it needs no halves put together, neither way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        ctx.save_for_backward(cosine, sine)
        return _turned(x, cosine, sine, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        cosine, sine = ctx.saved_tensors
        return _turned(gradient, cosine, sine, -1), None, None


def _turned(x: Tensor, cosine: Tensor, sine: Tensor, way: int) -> Tensor:
    left, right = x.chunk(2, -1)
    out = x * cosine
    out_left, out_right = out.chunk(2, -1)
    sine = sine[..., : left.shape[-1]]
    out_left.addcmul_(right, sine, value=-way)
    out_right.addcmul_(left, sine, value=way)
    return out


def attend(query: Tensor, key: Tensor, value: Tensor, visible_BSL: Tensor | None) -> Tensor:
    """Attention of (B, H, S, K) queries over visible keys; heads of keys and values may be fewer.

    Training in bf16 on a CPU multiplies it out: the fused kernel's backward is 7 times slower there (128 rows of 42
    positions: 102 ms against 15 ms a layer, one core). So does what is compiled there: the fused kernel's output has
    the strides of the first batch baked in (torch 2.13), and the next one of another width fails.
    """
    is_grouped = query.shape[1] != key.shape[1]
    is_training = query.device.type == "cpu" and torch.is_grad_enabled()
    is_multiplied = is_training and (query.dtype == torch.bfloat16 or torch.compiler.is_compiling())
    if visible_BSL is None or is_grouped or not is_multiplied:
        mask = None if visible_BSL is None else visible_BSL[:, None]
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None, enable_gqa=is_grouped
        )
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    scores = scores.masked_fill(~visible_BSL[:, None], -torch.inf)
    return scores.softmax(-1) @ value


class Attention(nn.Module):
    """Multi-head attention with rotary positions; one matrix for queries, keys and values."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.key_value_heads = config.key_value_heads or config.heads
        head_width = config.width // config.heads
        self.qkv = nn.Linear(config.width, (self.heads + 2 * self.key_value_heads) * head_width, bias=False)
        self.out = nn.Linear(self.heads * head_width, config.width, bias=False)

    def mix(
        self,
        qkv_BSE: Tensor,
        tables: tuple[Tensor, Tensor],
        place: Place,
        cached: tuple[Tensor, Tensor] | None = None,
        *,
        asks: slice = EVERYWHERE,
    ) -> Tensor:
        """What lies between the two matrices: (B, S, queries, keys and values) -> (B, positions that ask, heads)."""
        heads = rearrange(qkv_BSE, "b s (h k) -> b h s k", h=self.heads + 2 * self.key_value_heads)
        placed, value = heads.split([self.heads + self.key_value_heads, self.key_value_heads], dim=1)
        query, key = rotate(placed, tables).split([self.heads, self.key_value_heads], dim=1)
        if cached is not None:
            key, value = self._store(cached, key, value, place)
        visible_BSL = None if place.visible_BSL is None else place.visible_BSL[:, asks]
        return rearrange(attend(query[:, :, asks], key, value, visible_BSL), "b h s k -> b s (h k)")

    @staticmethod
    def _store(cached: tuple[Tensor, Tensor], key: Tensor, value: Tensor, place: Place) -> tuple[Tensor, Tensor]:
        """Write the new keys and values into the cache and return all entries of those rows."""
        keys, values = cached
        rows, entries = place.rows_B[:, None], place.entries_BS  # type: ignore[index]
        keys[rows, :, entries] = rearrange(key, "b h s k -> b s h k").to(keys.dtype)
        values[rows, :, entries] = rearrange(value, "b h s k -> b s h k").to(values.dtype)
        length = place.visible_BSL.shape[-1]  # type: ignore[union-attr]
        is_all = len(place.rows_B) == len(keys)  # type: ignore[arg-type]
        if is_all:
            return keys[:, :, :length], values[:, :, :length]
        return keys[place.rows_B, :, :length], values[place.rows_B, :, :length]


class Block(nn.Module):
    """One pre-norm layer."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.width, eps=config.norm_eps)
        self.attention = Attention(config)
        self.mlp_norm = nn.RMSNorm(config.width, eps=config.norm_eps)
        self.gate_up = nn.Linear(config.width, 2 * config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(
        self,
        x_BSD: Tensor,
        tables: tuple[Tensor, Tensor],
        place: Place,
        cached: tuple[Tensor, Tensor] | None = None,
        *,
        asks: slice = EVERYWHERE,
    ) -> Tensor:
        """At the positions that ask; the others only leave their keys and values in the cache."""
        qkv_BSE = self.attention.qkv(self.attention_norm(x_BSD))
        mixed_BSD = self.attention.mix(qkv_BSE, tables, place, cached, asks=asks)
        x_BSD = x_BSD[:, asks] + self.attention.out(mixed_BSD)
        return x_BSD + self.mlp(x_BSD)

    def mlp(self, x_D: Tensor) -> Tensor:
        """The gated MLP after its norm, (..., D)."""
        gate, up = self.gate_up(self.mlp_norm(x_D)).chunk(2, -1)
        return self.down(functional.silu(gate) * up)

    def forward_kept(
        self, x_ND: Tensor, tables: tuple[Tensor, Tensor], place: Place, kept: Kept, *, is_last: bool
    ) -> Tensor:
        """The same for existing positions only, (N, D); the last layer goes on with those that are read, (R, D)."""
        qkv_NE = self.attention.qkv(self.attention_norm(x_ND))
        num_rows, num_positions = place.rotary_BS.shape
        qkv_BSE = qkv_NE.new_zeros(num_rows * num_positions, qkv_NE.shape[1]).index_copy_(0, kept.existing_N, qkv_NE)
        qkv_BSE = rearrange(qkv_BSE, "(b s) e -> b s e", b=num_rows)
        mixed_BSD = rearrange(self.attention.mix(qkv_BSE, tables, place), "b s d -> (b s) d")
        if is_last:
            x_ND = x_ND.index_select(0, kept.read_existing_R)
        mixed_ND = mixed_BSD.index_select(0, kept.read_R if is_last else kept.existing_N)
        x_ND = x_ND + self.attention.out(mixed_ND)
        return x_ND + self.mlp(x_ND)


class Trunk(nn.Module):
    """The stack of layers and the final norm."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, eps=config.norm_eps)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                is_residual = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 if not is_residual else 0.02 / (2 * config.layers) ** 0.5)

    def _tables(self, hidden_BSD: Tensor, place: Place) -> tuple[Tensor, Tensor]:
        position = place.rotary_BS.double() if hidden_BSD.dtype == torch.float64 else place.rotary_BS
        return rotary_tables(position, self.config.width // self.config.heads, self.config.rope_theta)

    def compile_training(self) -> None:
        """Compile what training computes, layer by layer: they share what is compiled. RuntimeError without a compiler.

        One layer, forward and backward, is then a handful of kernels between its matrix products.
        """
        torch.compile(functional.silu)(self.norm.weight.detach())
        for block in self.blocks:
            assert isinstance(block, Block)
            block.forward_kept = torch.compile(block.forward_kept, dynamic=True)  # type: ignore[method-assign]

    def forward_kept(self, hidden_BSD: Tensor, place: Place, kept: Kept) -> Tensor:
        """`forward` at the positions that are read, (R, D), without computing what does not reach them.

        Matrices meet existing positions only; a third of a training batch is padding, and a quarter of it is read.
        """
        tables = self._tables(hidden_BSD, place)
        x_ND = rearrange(hidden_BSD, "b s d -> (b s) d").index_select(0, kept.existing_N)
        for layer, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            x_ND = block.forward_kept(x_ND, tables, place, kept, is_last=layer + 1 == len(self.blocks))
        return self.norm(x_ND)

    def forward(
        self, hidden_BSD: Tensor, place: Place, cache: Cache | None = None, *, asks: slice = EVERYWHERE
    ) -> Tensor:
        """After the last layer nothing is computed but the positions that ask, all of them if nothing is said."""
        assert asks == EVERYWHERE or place.visible_BSL is not None, "causal attention counts queries from the first key"
        tables = self._tables(hidden_BSD, place)
        for layer, block in enumerate(self.blocks):
            cached, is_last = None if cache is None else cache.layer(layer), layer + 1 == len(self.blocks)
            hidden_BSD = block(hidden_BSD, tables, place, cached, asks=asks if is_last else EVERYWHERE)
        return self.norm(hidden_BSD)


def llama_settings(config: TrunkConfig) -> dict[str, Any]:
    """The same shape in the words of transformers' `LlamaConfig`."""
    return {
        "hidden_size": config.width,
        "intermediate_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.key_value_heads or config.heads,
        "rms_norm_eps": config.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
    }


def load_llama(trunk: Trunk, state: dict[str, Tensor]) -> None:
    """Copy a transformers Llama `state_dict` (names `model.layers.N...`) into the trunk.

    The embedding and the language head stay outside. ValueError for a checkpoint that lacks a tensor or holds one
    there is no place for (more layers, biases); RuntimeError for a wrong shape.
    """
    state = {
        name: value for name, value in state.items() if name not in ("model.embed_tokens.weight", "lm_head.weight")
    }
    try:
        ours = _llama_names(trunk.config.layers, state)
    except KeyError as error:
        raise ValueError(f"the checkpoint has no {error} for a trunk of {trunk.config.layers} layers") from error
    if state:
        raise ValueError(f"no place in a trunk of {trunk.config.layers} layers for {', '.join(sorted(state))}")
    trunk.load_state_dict(ours)


def _llama_names(layers: int, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our names for their tensors, which are taken out of `state`."""
    ours: dict[str, Tensor] = {"norm.weight": state.pop("model.norm.weight")}
    for layer in range(layers):
        theirs = f"model.layers.{layer}."
        attention, mlp = theirs + "self_attn.", theirs + "mlp."
        ours |= {
            f"blocks.{layer}.attention_norm.weight": state.pop(theirs + "input_layernorm.weight"),
            f"blocks.{layer}.mlp_norm.weight": state.pop(theirs + "post_attention_layernorm.weight"),
            f"blocks.{layer}.attention.qkv.weight": torch.cat(
                [state.pop(attention + f"{part}_proj.weight") for part in ("q", "k", "v")]
            ),
            f"blocks.{layer}.attention.out.weight": state.pop(attention + "o_proj.weight"),
            f"blocks.{layer}.gate_up.weight": torch.cat(
                [state.pop(mlp + f"{part}_proj.weight") for part in ("gate", "up")]
            ),
            f"blocks.{layer}.down.weight": state.pop(mlp + "down_proj.weight"),
        }
    return ours
