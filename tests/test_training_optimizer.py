"""The optimiser's own Muon: torch's bits where bf16 is fast, nearly the same in fp32 where it is not."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import Muon

from gato.training import optimizer
from gato.training.optimizer import PortableMuon, has_fast_bf16, orthogonalised

SETTINGS = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def moved(kind: type[Muon], dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """A wide and a tall matrix after three updates."""
    generator = torch.Generator().manual_seed(0)
    weights = [nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in ((6, 9), (12, 5))]
    muon = kind(weights, **SETTINGS)  # type: ignore[arg-type]
    for _ in range(3):
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator, dtype=dtype)
        muon.step()
    return [weight.detach() for weight in weights]


def test_it_moves_weights_as_torch_does_where_bf16_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer, "has_fast_bf16", lambda device: True)
    for ours, theirs in zip(moved(PortableMuon), moved(Muon), strict=True):
        assert torch.equal(ours, theirs)


def test_emulated_bf16_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU without bf16 instructions torch's Muon took four fifths of an update: 40 times as long as in fp32."""
    monkeypatch.setattr(optimizer, "has_fast_bf16", lambda device: False)
    for ours, theirs in zip(moved(PortableMuon), moved(Muon), strict=True):
        assert not torch.equal(ours, theirs)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=3e-3)


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (5, 5)])
def test_a_stack_is_orthogonalised_one_by_one(shape: tuple[int, int]) -> None:
    stack = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    settings = {"dtype": torch.float64, "coefficients": COEFFICIENTS, "steps": 5, "eps": 1e-7}
    whole = orthogonalised(stack, **settings)
    for one, alone in zip(whole, stack, strict=True):
        torch.testing.assert_close(one, orthogonalised(alone, **settings), rtol=0, atol=1e-12)
    singular = torch.linalg.svdvals(whole)
    assert (singular > 0.5).all() and (singular < 1.5).all()


@pytest.mark.parametrize("shape", [(6, 15), (40, 8)])
def test_long_matrices_take_the_same_steps_with_fewer_products(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = orthogonalised(matrix, dtype=torch.float64, coefficients=COEFFICIENTS, steps=5, eps=1e-7)
    wide = matrix.mT if shape[0] > shape[1] else matrix
    wide = wide / wide.norm()
    first, second, third = COEFFICIENTS
    for _ in range(5):
        gram = wide @ wide.mT
        wide = first * wide + (second * gram + third * gram @ gram) @ wide
    torch.testing.assert_close(found, wide.mT if shape[0] > shape[1] else wide, rtol=0, atol=1e-9)


def test_a_device_says_whether_bf16_is_fast_there() -> None:
    assert has_fast_bf16(torch.device("cpu")) == torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert not has_fast_bf16(torch.device("meta"))
