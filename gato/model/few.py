"""The trunk for a few new positions on a CPU: the same numbers with numpy, without a graph.

In and out as `Trunk.forward` with a cache. A robot's step is two positions: torch spends most of its time there on
going from one small operation to the next, and multiplies two rows by a matrix slower than it does one row twice.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gato.model.trunk import Block, Cache, Place, Trunk, rotary_tables

FEW = 32
"""Most new positions for which this is the faster way."""
ONE_BY_ONE = 3
"""Most rows that meet a matrix one by one: a product of thin matrices copies the large one first."""


class FewPositions:
    """`trunk` in numpy. Weights are shared with it, not copied."""

    def __init__(self, trunk: Trunk, num_positions: int) -> None:
        """`num_positions`: every rotary position is below it."""
        config = trunk.config
        rotary = rotary_tables(torch.arange(num_positions)[None], config.width // config.heads, config.rope_theta)
        self._rotary_SK = tuple(table[0, 0].numpy() for table in rotary)
        self._norm_D, self._eps = _array(trunk.norm.weight), config.norm_eps
        self._layers = [_Layer(block, config.norm_eps) for block in trunk.blocks if isinstance(block, Block)]

    @staticmethod
    def can_run(trunk: Trunk) -> bool:
        """Weights in fp32 on a CPU."""
        weight = trunk.norm.weight
        return weight.device.type == "cpu" and weight.dtype == torch.float32

    def __call__(self, hidden_BSD: Tensor, place: Place, cache: Cache) -> Tensor:
        """The newest position's output, (B, 1, D); keys and values of all go into the cache."""
        assert place.visible_BSL is not None and place.rows_B is not None and place.entries_BS is not None
        x_BSD, hidden_BSL = hidden_BSD.numpy(), ~place.visible_BSL.numpy()
        rotary = tuple(table[place.rotary_BS.numpy()][:, :, None] for table in self._rotary_SK)
        at = place.rows_B.numpy(), place.entries_BS.numpy()
        for index, layer in enumerate(self._layers):
            keys, values = (half.numpy() for half in cache.layer(index))
            query, key, value = layer.heads(x_BSD, rotary)
            keys_BHLK, values_BHLK = _stored(keys, key, at, hidden_BSL), _stored(values, value, at, hidden_BSL)
            if index + 1 == len(self._layers):
                x_BSD, query, hidden_BSL = x_BSD[:, -1:], query[:, -1:], hidden_BSL[:, -1:]
            x_BSD = layer.rest(x_BSD, _attend(query, keys_BHLK, values_BHLK, hidden_BSL))
        return torch.from_numpy(_normed(x_BSD, self._norm_D, self._eps))


class _Layer:
    """A `Block`."""

    def __init__(self, block: Block, eps: float) -> None:
        attention = block.attention
        self._num_heads, self._num_keys, self._eps = attention.heads, attention.key_value_heads, eps
        self._norm_D, self._mlp_norm_D = _array(block.attention_norm.weight), _array(block.mlp_norm.weight)
        self._qkv, self._out = _array(attention.qkv.weight), _array(attention.out.weight)
        self._gate_up, self._down = _array(block.gate_up.weight), _array(block.down.weight)
        self._hidden = self._down.shape[1]

    def heads(self, x_BSD: np.ndarray, rotary: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """Queries, keys and values, (B, S, H, K) each, the first two turned."""
        qkv_BSE = _times(_normed(x_BSD, self._norm_D, self._eps), self._qkv)
        heads = qkv_BSE.reshape(*x_BSD.shape[:2], self._num_heads + 2 * self._num_keys, -1)
        last = self._num_heads + self._num_keys
        turned = _turned(heads[:, :, :last], *rotary)
        return turned[:, :, : self._num_heads], turned[:, :, self._num_heads :], heads[:, :, last:]

    def rest(self, x_BSD: np.ndarray, mixed_BSD: np.ndarray) -> np.ndarray:
        """All that comes after attention."""
        x_BSD = x_BSD + _times(mixed_BSD, self._out)
        gate_up = _times(_normed(x_BSD, self._mlp_norm_D, self._eps), self._gate_up)
        gate, up = gate_up[..., : self._hidden], gate_up[..., self._hidden :]
        return x_BSD + _times(gate / (1 + np.exp(-gate)) * up, self._down)


def _array(weight: Tensor) -> np.ndarray:
    return weight.detach().numpy()


def _times(x_BSD: np.ndarray, weight_ED: np.ndarray) -> np.ndarray:
    """(B, S, D) by (E, D) -> (B, S, E)."""
    x_ND = x_BSD.reshape(-1, x_BSD.shape[-1])
    out_NE = np.empty((len(x_ND), len(weight_ED)), np.float32)
    if len(x_ND) > ONE_BY_ONE:
        np.matmul(x_ND, weight_ED.T, out_NE)
    else:
        for x_D, out_E in zip(x_ND, out_NE, strict=True):
            np.dot(weight_ED, x_D, out_E)
    return out_NE.reshape(*x_BSD.shape[:-1], -1)


def _normed(x_BSD: np.ndarray, weight_D: np.ndarray, eps: float) -> np.ndarray:
    square_BS = np.einsum("bsd,bsd->bs", x_BSD, x_BSD) / np.float32(x_BSD.shape[-1])
    return x_BSD / np.sqrt(square_BS + np.float32(eps))[..., None] * weight_D


def _turned(x_BSHK: np.ndarray, cosine: np.ndarray, sine: np.ndarray) -> np.ndarray:
    half = x_BSHK.shape[-1] // 2
    out = x_BSHK * cosine
    out[..., :half] -= x_BSHK[..., half:] * sine[..., :half]
    out[..., half:] += x_BSHK[..., :half] * sine[..., half:]
    return out


def _stored(
    cached: np.ndarray, new: np.ndarray, at: tuple[np.ndarray, np.ndarray], hidden_BSL: np.ndarray
) -> np.ndarray:
    """Write (B, S, H, K) where they belong; all that there is of those rows, (B, H, L, K)."""
    rows_B, entries_BS = at
    cached[rows_B[:, None], :, entries_BS] = new
    whole = cached if len(rows_B) == len(cached) else cached[rows_B]
    return whole[:, :, : hidden_BSL.shape[-1]]


def _attend(query_BSHK: np.ndarray, keys: np.ndarray, values: np.ndarray, hidden_BSL: np.ndarray) -> np.ndarray:
    """Softmax attention, (B, S, H * K); keys and values (B, h, L, K) may be shared by heads of queries."""
    batch, count, heads, width = query_BSHK.shape
    query = (query_BSHK * np.float32(width**-0.5)).swapaxes(1, 2).reshape(batch, keys.shape[1], -1, width)
    score = (query @ keys.swapaxes(-1, -2)).reshape(batch, heads, count, -1)
    score = np.where(hidden_BSL[:, None], np.float32(-np.inf), score)
    share = np.exp(score - score.max(-1, keepdims=True))
    share /= share.sum(-1, keepdims=True)
    mixed = share.reshape(*query.shape[:3], -1) @ values
    return mixed.reshape(batch, heads, count, width).swapaxes(1, 2).reshape(batch, count, -1)
