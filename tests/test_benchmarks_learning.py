"""benchmarks/returns.py, transfer.py and scaling.py: exact small oracles, and a tiny run of each."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import returns
import scaling
import transfer
from making import CART
from peer_arms.arm import Setup
from peer_arms.cloning import best_steps
from peer_arms.results import Store
from peer_arms.returning import ReturnArm
from peer_arms.scaling import Scale
from peer_arms.tasks import TaskSteps
from toys import SKILLS

from gato.data.mixture import Source
from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.rollout.prompted import Conditions
from gato.sequences import Layout

NETWORK = ModelConfig(size="nano", layout=Layout(window_steps=4, prompt_positions=6, demonstration_steps=2))
BRIEF = Conditions(episodes=1, steps=4, is_shown=False)


@pytest.fixture
def setup(toy_config: Path) -> Setup:
    """Two skills of the hopper."""
    return Setup(tuple(Source(f"gato/{skill}-v0") for skill in SKILLS), SKILLS, NETWORK, seed=0, batch_size=8)


def test_the_best_tenth_is_of_episodes_not_of_steps() -> None:
    returns_T = np.array([5.0, 4.0, 9.0, 8.0, 7.0, 6.0, 1.0], np.float32)
    empty = np.zeros((7, 1), np.float32)
    task = TaskSteps(Scale.of(CART, np.zeros(2), np.ones(2)), empty, empty, empty, returns_T, np.array([0, 2, 6, 7]))
    assert best_steps(task, 0.1).tolist() == [2, 3, 4, 5]
    assert best_steps(task, 0.7).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", returns.ARMS)
def test_every_arm_that_is_asked_for_a_return_learns_and_acts(name: str, setup: Setup) -> None:
    run = returns.run_one(name, setup, 0.1, BRIEF)
    assert list(run["tasks"]) == list(SKILLS) and run["updates"] > 0 and run["parameters"] > 0
    assert json.loads(json.dumps(run)) == run


def test_ours_is_told_the_best_return_and_what_it_earned(setup: Setup) -> None:
    arm = ReturnArm(setup)
    acting = arm.actor(SKILLS[0], ["hop forward"] * 2)
    best = arm.model.codec.best_returns[SKILLS[0]]
    assert best > 0
    acting.earn(np.array([best / 4, np.nan]))
    assert acting.agent._to_go_B.tolist() == pytest.approx([0.75, 1.0])


def test_pieces_of_episodes_are_shown_in_turn(setup: Setup, recorded_toys: Path) -> None:
    arm = ReturnArm(setup)
    observations_BNO, actions_BNA = transfer.pieces(setup.sources[0], 6, arm.model)
    assert observations_BNO.shape == (6, 2, 11) and actions_BNA.shape == (6, 2, 3)


def test_a_held_out_skill_is_shown_told_and_learned(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The toys' second skill is held out; it has four episodes whatever number is asked for."""
    monkeypatch.setattr(transfer, "LEARNED", {"hopper": (SKILLS[0].split("/")[1],)})
    monkeypatch.setattr(transfer, "HELD_OUT", (SKILLS[1],))
    monkeypatch.setattr(transfer, "EPISODES", (4,))
    monkeypatch.setattr(transfer, "recording", lambda skill: setup.sources[0])
    monkeypatch.setattr(transfer, "few", lambda skill, episodes: setup.sources[1])
    monkeypatch.setattr(transfer, "read_setup", lambda seed, sources: replace(setup, sources=tuple(sources), seed=seed))
    given = argparse.Namespace(base=0.1, seconds=0.1, seeds=[0], episodes=1, work=tmp_path)
    store = Store(tmp_path / "transfer.json", {}, transfer.SECTIONS)
    transfer.run_all(given, store)
    content = store.read()
    assert list(content["context"]) == [f"{SKILLS[1]}, {how}" for how in transfer.SHOWN]
    assert [run["0"]["others_normalised"] is None for run in content["tuning"].values()] == [True, False, False]
    before = store.path.read_bytes()
    transfer.run_all(given, store)
    assert store.path.read_bytes() == before
    assert "rehearsed" in transfer.tables(content) and isinstance(Gato.load(tmp_path / "base-0.1"), Gato)


def test_sizes_and_shares_are_learned_and_drawn(setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Setup, "read", lambda config, skills, seed: replace(setup, seed=seed))
    given = argparse.Namespace(updates=8, episodes=1)
    runs = {
        scaling.name_of(size, share): {"0": scaling.run_one(size, share, 0, given)}
        for size in ("nano", "mini")
        for share in (0.5, 0.75)
    }
    curve = runs["nano, 0.5"]["0"]["curve"]
    assert [one["updates"] for one in curve] == list(range(1, 9)) and curve[-1]["tokens"] > curve[0]["tokens"] > 0
    assert runs["mini, 0.5"]["0"]["parameters"] > runs["nano, 0.5"]["0"]["parameters"]
    scaling.draw(runs).savefig(tmp_path / "scaling.png")
    assert "mini" in scaling.tables(runs)


def test_the_slope_is_that_of_a_power_law() -> None:
    runs = {
        f"{size}, 0.95": {"0": {"parameters": 10**size, "curve": [{"loss": 3 * (10**size / 1e6) ** -0.2}]}}
        for size in (5, 6, 7)
    } | {"5, 0.1": {"0": {"parameters": 10**5, "curve": [{"loss": 99.0}]}}}
    assert scaling.slope(runs) == pytest.approx((-0.2, 3.0))
