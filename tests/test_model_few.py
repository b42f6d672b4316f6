"""The trunk in numpy gives what the trunk in torch gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gato.model.config import TrunkConfig
from gato.model.few import FewPositions, lay_for_few
from gato.model.trunk import NEWEST, Cache, Piece, Place, Trunk

NUM_POSITIONS = 12


def some_place(rng: np.random.Generator, rows: list[int], count: int, begin: int) -> Place:
    """`count` new positions of those rows from entry `begin` on; some older ones are not to be seen."""
    entries_BS = np.tile(np.arange(begin, begin + count), (len(rows), 1))
    visible_BSL = np.arange(begin + count) <= entries_BS[..., None]
    visible_BSL[:, :, 1:begin] &= rng.random((len(rows), 1, max(begin - 1, 0))) < 0.5
    arrays = entries_BS, visible_BSL, np.array(rows), entries_BS
    return Place(*map(torch.from_numpy, arrays))


@pytest.mark.parametrize("key_value_heads", [0, 2, 4])
@pytest.mark.parametrize("rows", [[0], [0, 1], [0, 2], [0, 1, 2]])
@torch.inference_mode()
def test_outputs_and_caches_are_those_of_the_trunk(key_value_heads: int, rows: list[int]) -> None:
    torch.manual_seed(0)
    config = TrunkConfig(width=32, layers=3, heads=4, hidden=48, key_value_heads=key_value_heads)
    trunk, rng = Trunk(config), np.random.default_rng(0)
    few = FewPositions(trunk)
    caches = [Cache.empty(config, 3, NUM_POSITIONS, trunk.norm.weight) for _ in range(2)]
    begin = 0
    for count in (5, 1, 2, 1):
        place = some_place(rng, rows, count, begin)
        hidden_BSD = torch.randn(len(rows), count, config.width)
        expected = trunk(hidden_BSD, place, caches[0], asks=NEWEST)
        (found,) = few([Piece(hidden_BSD, place, caches[1])])
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=2e-5)
        begin += count
    for ours, theirs in zip(
        caches[1].keys_BHLK + caches[1].values_BHLK, caches[0].keys_BHLK + caches[0].values_BHLK, strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=2e-5)


@pytest.mark.parametrize("rows", [[0], [0, 1, 2]])
@torch.inference_mode()
def test_pieces_of_several_caches_go_through_together_as_they_do_alone(rows: list[int]) -> None:
    torch.manual_seed(0)
    config, rng = TrunkConfig(width=32, layers=3, heads=4, hidden=48), np.random.default_rng(0)
    trunk = Trunk(config)
    lay_for_few(trunk)
    few, lengths = FewPositions(trunk), (NUM_POSITIONS, 2 * NUM_POSITIONS)
    ours, theirs = (
        [Cache.empty(config, 3, length, trunk.norm.weight) for length in lengths for _ in range(2)] for _ in range(2)
    )
    begins = np.zeros(len(ours), int)
    for counts in ((5, 1, 2, 9), (1, 1, 1, 1), (2, 4, 1, 13)):
        places = [some_place(rng, rows, count, begin) for count, begin in zip(counts, begins, strict=True)]
        hidden = [torch.randn(len(rows), count, config.width) for count in counts]
        found = few([Piece(*given) for given in zip(hidden, places, ours, strict=True)])
        for out, *given in zip(found, hidden, places, theirs, strict=True):
            torch.testing.assert_close(out, trunk(*given, asks=NEWEST), atol=2e-6, rtol=2e-5)
        begins += counts


def test_weights_are_shared_and_only_fp32_on_a_cpu_is_taken() -> None:
    trunk = Trunk(TrunkConfig(width=32, layers=1, heads=4, hidden=48))
    few, place = FewPositions(trunk), some_place(np.random.default_rng(0), [0], 1, 0)
    hidden_BSD = torch.randn(1, 1, 32)
    piece = Piece(hidden_BSD, place, Cache.empty(trunk.config, 1, 2, hidden_BSD))
    (before,) = few([piece])
    with torch.no_grad():
        trunk.norm.weight *= 2
    assert torch.equal(few([piece])[0], 2 * before)
    assert FewPositions.can_run(trunk)
    assert not FewPositions.can_run(trunk.to(torch.bfloat16))
