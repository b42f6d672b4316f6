"""The balance of bodies: who is steep and who is not moves the trunk alike, and their sum stays as long as it was."""

from __future__ import annotations

import pytest
import torch

from gato.model.balance import balanced


def gradients(steepness: tuple[float, float], shares: tuple[float, float]) -> list[torch.Tensor]:
    """What arrives at a shared vector from two parts whose losses are as steep as said."""
    generator = torch.Generator().manual_seed(0)
    hidden = [torch.randn(4, 3, generator=generator, requires_grad=True) for _ in steepness]
    parts = balanced(hidden, shares)
    sum(k * part.sum() for k, part in zip(steepness, parts, strict=True)).backward()  # type: ignore[union-attr]
    return [part.grad for part in hidden if part.grad is not None]


def test_a_steep_loss_moves_no_more_than_a_flat_one() -> None:
    steep, flat = gradients((1000.0, 1.0), (1.0, 1.0))
    assert steep.norm() == pytest.approx(float(flat.norm()))
    assert torch.stack([steep, flat]).norm() == pytest.approx(12**0.5 * (1000.0**2 + 1) ** 0.5)


def test_shares_are_lengths_and_directions_stay() -> None:
    one, other = gradients((2.0, -5.0), (3.0, 1.0))
    assert one.norm() == pytest.approx(3 * float(other.norm()))
    assert (one > 0).all() and (other < 0).all()


def test_a_body_without_a_gradient_gets_none_and_spoils_nothing() -> None:
    none, some = gradients((0.0, 1.0), (1.0, 1.0))
    assert not none.any() and torch.isfinite(some).all() and some.any()


def test_the_parts_themselves_stay_what_they_are() -> None:
    part = torch.randn(2, 2)
    assert torch.equal(balanced([part], [1.0])[0], part)
