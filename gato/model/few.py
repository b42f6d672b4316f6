"""The trunk for a few new positions on a CPU: the same numbers with numpy, without a graph.

In: pieces, new positions with their caches, of one body or several. Out: as `Trunk.forward` gives for each alone. A
robot's step is two positions: torch spends most of its time there on going from one small operation to the next, and
multiplies two rows by a matrix slower than it does one row twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gato.model.trunk import Block, Piece, Trunk, rotary_tables

FEW = 64
"""Most new positions for which this is the faster way."""
ONE_BY_ONE = 3
"""Most rows that meet a matrix one by one: a product of thin matrices copies the large one first."""


def lay_for_few(trunk: Trunk) -> None:
    """Lay its matrices out in memory as products with few rows read them: no number changes.

    All products of `small` with 4 rows take 0.7 of the time, with 24 rows 0.6 (one core of an AMD EPYC).
    """
    for weight in trunk.parameters():
        if weight.ndim == 2:
            weight.data = weight.data.mT.contiguous().mT


class FewPositions:
    """`trunk` in numpy. Weights are shared with it, not copied."""

    def __init__(self, trunk: Trunk) -> None:
        self._config = trunk.config
        self._rotary_SK: tuple[np.ndarray, np.ndarray] = (np.empty((0, 0)),) * 2
        self._norm_D, self._eps = _array(trunk.norm.weight), trunk.config.norm_eps
        self._layers = [_Layer(block, self._eps) for block in trunk.blocks if isinstance(block, Block)]

    @staticmethod
    def can_run(trunk: Trunk) -> bool:
        """Weights in fp32 on a CPU."""
        weight = trunk.norm.weight
        return weight.device.type == "cpu" and weight.dtype == torch.float32

    def __call__(self, pieces: Sequence[Piece]) -> list[Tensor]:
        """The newest position's output of each piece, (B, 1, D); keys and values of all go into the caches.

        Positions of all pieces meet each matrix together: to read the weights is most of the work.
        """
        parts = [_Part(piece) for piece in pieces]
        ends = np.cumsum([len(part.hidden_ND) for part in parts])
        newest_R = np.concatenate(
            [part.newest_B + end - len(part.hidden_ND) for part, end in zip(parts, ends, strict=True)]
        )
        x_ND = np.concatenate([part.hidden_ND for part in parts])
        rotary = self._rotary(np.concatenate([part.rotary_N for part in parts]))
        for index, layer in enumerate(self._layers):
            is_last = index + 1 == len(self._layers)
            heads = zip(*(np.split(one, ends[:-1]) for one in layer.heads(x_ND, rotary)), strict=True)
            mixed = [part.mix(index, *own, only_newest=is_last) for part, own in zip(parts, heads, strict=True)]
            x_ND = layer.rest(x_ND[newest_R] if is_last else x_ND, np.concatenate(mixed))
        out_RD = torch.from_numpy(_normed(x_ND, self._norm_D, self._eps))
        return list(out_RD[:, None].split([len(part.newest_B) for part in parts]))

    def _rotary(self, positions_N: np.ndarray) -> tuple[np.ndarray, ...]:
        """Cosines and sines, (N, 1, K) each."""
        if (most := int(positions_N.max())) >= len(self._rotary_SK[0]):
            every = torch.arange(2 * most + 1)[None]
            tables = rotary_tables(every, self._config.width // self._config.heads, self._config.rope_theta)
            self._rotary_SK = tables[0][0, 0].numpy(), tables[1][0, 0].numpy()
        return tuple(table[positions_N][:, None] for table in self._rotary_SK)


class _Part:
    """A piece: what differs from one to the next."""

    def __init__(self, piece: Piece) -> None:
        place = piece.place
        assert place.visible_BSL is not None and place.rows_B is not None and place.entries_BS is not None
        self._shape = batch, count = piece.hidden_BSD.shape[:2]
        self.hidden_ND = piece.hidden_BSD.numpy().reshape(batch * count, -1)
        self.rotary_N = place.rotary_BS.numpy().reshape(-1)
        self.newest_B = np.arange(count - 1, batch * count, count)
        """Of its positions."""
        self._unseen_BSL = ~place.visible_BSL.numpy()
        self._at, self._cache = (place.rows_B.numpy(), place.entries_BS.numpy()), piece.cache

    def mix(
        self, layer: int, query_NHK: np.ndarray, key_NHK: np.ndarray, value_NHK: np.ndarray, *, only_newest: bool
    ) -> np.ndarray:
        """What attention gives, (N, H * K) or (B, H * K); keys and values go into the cache."""
        keys, values = (
            _stored(half.numpy(), new.reshape(*self._shape, *new.shape[1:]), self._at, self._unseen_BSL)
            for half, new in zip(self._cache.layer(layer), (key_NHK, value_NHK), strict=True)
        )
        query, asking = query_NHK.reshape(*self._shape, *query_NHK.shape[1:]), slice(-1 if only_newest else 0, None)
        mixed_BSD = _attend(query[:, asking], keys, values, self._unseen_BSL[:, asking])
        return mixed_BSD.reshape(-1, mixed_BSD.shape[-1])


class _Layer:
    """A `Block`."""

    def __init__(self, block: Block, eps: float) -> None:
        attention = block.attention
        self._num_heads, self._num_keys, self._eps = attention.heads, attention.key_value_heads, eps
        self._norm_D, self._mlp_norm_D = _array(block.attention_norm.weight), _array(block.mlp_norm.weight)
        self._qkv, self._out = _array(attention.qkv.weight), _array(attention.out.weight)
        self._gate_up, self._down = _array(block.gate_up.weight), _array(block.down.weight)
        self._hidden = self._down.shape[1]

    def heads(self, x_ND: np.ndarray, rotary: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """Queries, keys and values, (N, H, K) each, the first two turned."""
        qkv_NE = _times(_normed(x_ND, self._norm_D, self._eps), self._qkv)
        heads = qkv_NE.reshape(len(x_ND), self._num_heads + 2 * self._num_keys, -1)
        last = self._num_heads + self._num_keys
        turned = _turned(heads[:, :last], *rotary)
        return turned[:, : self._num_heads], turned[:, self._num_heads :], heads[:, last:]

    def rest(self, x_ND: np.ndarray, mixed_ND: np.ndarray) -> np.ndarray:
        """All that comes after attention."""
        x_ND = x_ND + _times(mixed_ND, self._out)
        gate_up = _times(_normed(x_ND, self._mlp_norm_D, self._eps), self._gate_up)
        gate, up = gate_up[:, : self._hidden], gate_up[:, self._hidden :]
        return x_ND + _times(gate / (1 + np.exp(-gate)) * up, self._down)


def _array(weight: Tensor) -> np.ndarray:
    return weight.detach().numpy()


def _times(x_ND: np.ndarray, weight_ED: np.ndarray) -> np.ndarray:
    """(N, D) by (E, D) -> (N, E)."""
    if len(x_ND) > ONE_BY_ONE:
        return x_ND @ weight_ED.T
    out_NE = np.empty((len(x_ND), len(weight_ED)), np.float32)
    for x_D, out_E in zip(x_ND, out_NE, strict=True):
        np.dot(weight_ED, x_D, out_E)
    return out_NE


def _normed(x_ND: np.ndarray, weight_D: np.ndarray, eps: float) -> np.ndarray:
    square_N = np.einsum("nd,nd->n", x_ND, x_ND) / np.float32(x_ND.shape[-1])
    return x_ND / np.sqrt(square_N + np.float32(eps))[:, None] * weight_D


def _turned(x_NHK: np.ndarray, cosine: np.ndarray, sine: np.ndarray) -> np.ndarray:
    half = x_NHK.shape[-1] // 2
    out = x_NHK * cosine
    out[..., :half] -= x_NHK[..., half:] * sine[..., :half]
    out[..., half:] += x_NHK[..., :half] * sine[..., half:]
    return out


def _stored(
    cached: np.ndarray, new: np.ndarray, at: tuple[np.ndarray, np.ndarray], unseen_BSL: np.ndarray
) -> np.ndarray:
    """Write (B, S, H, K) where they belong; all that there is of those rows, (B, H, L, K)."""
    rows_B, entries_BS = at
    cached[rows_B[:, None], :, entries_BS] = new
    whole = cached if len(rows_B) == len(cached) else cached[rows_B]
    return whole[:, :, : unseen_BSL.shape[-1]]


def _attend(query_BSHK: np.ndarray, keys: np.ndarray, values: np.ndarray, unseen_BSL: np.ndarray) -> np.ndarray:
    """Softmax attention, (B, S, H * K); keys and values (B, h, L, K) may be shared by heads of queries."""
    batch, count, heads, width = query_BSHK.shape
    query = (query_BSHK * np.float32(width**-0.5)).swapaxes(1, 2).reshape(batch, keys.shape[1], -1, width)
    score = (query @ keys.swapaxes(-1, -2)).reshape(batch, heads, count, -1)
    score = np.where(unseen_BSL[:, None], np.float32(-np.inf), score)
    share = np.exp(score - score.max(-1, keepdims=True))
    share /= share.sum(-1, keepdims=True)
    mixed = share.reshape(*query.shape[:3], -1) @ values
    return mixed.reshape(batch, heads, count, width).swapaxes(1, 2).reshape(batch, count, -1)
