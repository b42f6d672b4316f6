"""benchmarks/ablation.py: its two tables, from figures written by hand."""

from __future__ import annotations

import ablation

from gato.rollout.ablation import ARMS


def test_success_and_return_of_every_arm_and_body_are_listed() -> None:
    one = {"success": 0.5, "success_ci95": [0.1, 0.9], "normalised": {"mean": -0.25, "ci95": [-0.5, 0.004]}}
    arms = {arm: {"hopper": one, "ant": {**one, "normalised": None}} for arm in ARMS} | {"words": {"hopper": one}}
    success, returns = ablation.tables(arms).split("\n\n")
    assert success.splitlines()[0] == returns.splitlines()[0] == "| words | hopper | ant |"
    assert len(success.splitlines()) == len(returns.splitlines()) == len(ARMS) + 2
    assert "| none | 0.50 [0.10, 0.90] | 0.50 [0.10, 0.90] |" in success
    assert "| held-out words | 0.50 [0.10, 0.90] | – |" in success
    assert "| none | -0.25 [-0.50, 0.00] | – |" in returns
