"""Returns to go: shares of the best return in every step's first position, counted down while a body acts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from making import CART, make_codec, make_model, make_windows
from toys import run_fit

from gato import cli
from gato.data.cache import open_cache
from gato.data.minari_io import open_dataset
from gato.data.mixture import Mixture, Source, WindowShape
from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.rollout.agent import Agent
from gato.sequences import Layout, build_rows
from gato.skills.evaluate import run_episodes
from gato.skills.stepper import find_env_spec, make_stepper
from gato.tokens.codec import Codec

CONFIG = ModelConfig(size="nano", layout=Layout(window_steps=6), return_to_go=True)
HOP = "gato/hopper/hop-forward-v0"


def test_returns_are_bins_of_shares_and_absent_where_nan() -> None:
    ids = make_codec().encode_returns(np.array([[-0.5, 0.5, 1.4999], [np.nan, 9.0, -9.0]]))
    assert (ids - make_codec().ranges.number_start).tolist() == [[0, 512, 1023], [-1 - 4096, 1023, 0]]


def test_best_returns_stay_with_the_codec(tmp_path: Path) -> None:
    codec = make_codec()
    codec.best_returns["cart/roll"] = 12.5
    codec.save(tmp_path)
    assert Codec.load(tmp_path).best_returns == {"cart/roll": 12.5}


def test_a_batch_without_returns_has_no_columns_and_one_with_some_has_all() -> None:
    windows = make_windows(CART, 2, 4)
    assert build_rows(make_codec(), windows, CONFIG.layout).return_BT.shape == (2, 0)
    told = dataclasses.replace(windows, returns_BT=np.array([[0.5] * 4, [np.nan] * 4]))
    rows = build_rows(make_codec(), told, CONFIG.layout)
    assert (rows.return_BT[0] == make_codec().ranges.number_start + 512).all() and (rows.return_BT[1] == -1).all()


def test_what_is_told_changes_that_row_and_later_steps_only() -> None:
    model, windows = make_model(CONFIG), make_windows(CART, 2, 4)
    told = np.full((2, 4), np.nan)
    hidden = {}
    for name, returns in (("none", told), ("late", _with(told, 0, 2, 0.9)), ("other", _with(told, 0, 2, 0.1))):
        rows = build_rows(model.codec, dataclasses.replace(windows, returns_BT=returns), CONFIG.layout)
        hidden[name] = model.hidden([rows])[0]
    first = CONFIG.layout.prompt_positions + 2 * 2
    for name in ("late", "other"):
        assert torch.allclose(hidden[name][1], hidden["none"][1], atol=1e-5)
        assert torch.allclose(hidden[name][0, :first], hidden["none"][0, :first], atol=1e-5)
        assert not torch.allclose(hidden[name][0, first:], hidden["none"][0, first:], atol=1e-2)
    assert not torch.allclose(hidden["late"][0, first:], hidden["other"][0, first:], atol=1e-2)


def _with(told: np.ndarray, row: int, step: int, value: float) -> np.ndarray:
    changed = told.copy()
    changed[row, step] = value
    return changed


class Checked(Agent):
    """Encodes every context from scratch, too."""

    def _choose(self, index: int, hidden_BD: torch.Tensor) -> None:
        length_B = self.rows.step_mask_BT.sum(1)
        longest = int(length_B.max()) + 1
        parts = ("observation_BTO", "action_BTA", "return_BT")
        rows = dataclasses.replace(
            self.rows,
            **{name: getattr(self.rows, name)[:, :longest] for name in parts},
            step_mask_BT=np.arange(longest) <= length_B[:, None],
        )
        place_B = self._num_prompt + length_B * self.body.steps.positions + self.body.steps.readout + index
        anew_BD = self.model.hidden([rows])[0][torch.arange(len(place_B)), torch.from_numpy(place_B)]
        assert torch.allclose(hidden_BD, anew_BD, atol=1e-9)
        super()._choose(index, hidden_BD)


def test_an_agent_counts_down_and_its_cache_says_what_encoding_anew_does() -> None:
    """Over several refills; rows are asked for different returns and earn different rewards."""
    model, rng = make_model(CONFIG).double(), np.random.default_rng(0)
    agent, left_B = Checked(model, "cart", ["run forward"] * 2, returns_B=np.array([1.0, 0.3])), np.array([1.0, 0.3])
    for _ in range(17):
        agent(rng.standard_normal((2, 2)))
        newest = int(agent.rows.step_mask_BT[0].sum()) - 1
        assert agent.rows.return_BT[:, newest].tolist() == model.codec.encode_returns(left_B).tolist()
        earned_B = rng.random(2) / 20
        agent.earn(earned_B)
        left_B = left_B - earned_B
    agent.earn(np.array([np.nan, 0.0]))
    agent.reset(np.array([1]))
    agent(rng.standard_normal((2, 2)))
    assert agent.rows.return_BT[1, 0] == model.codec.encode_returns(np.array(0.3))


def test_a_model_that_was_not_told_returns_says_so() -> None:
    with pytest.raises(ValueError, match=r"not told returns to go; train with model\.network\.return_to_go"):
        Agent(make_model(), "cart", ["go"], returns_B=np.ones(1))


def test_episodes_tell_an_actor_what_it_earned() -> None:
    class Counting:
        def __init__(self) -> None:
            self.earned_B = np.zeros(3)

        def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
            return np.zeros((3, 3), np.float32)

        def earn(self, rewards_B: np.ndarray) -> None:
            self.earned_B += np.nan_to_num(rewards_B)

    actor = Counting()
    outcomes = run_episodes(actor, make_stepper(find_env_spec("hopper/hop-forward"), 3), [0, 1, 2])
    assert actor.earned_B == pytest.approx([one.return_ for one in outcomes])


def test_windows_hold_what_was_still_to_come(toy_config: Path) -> None:
    cache = open_cache(open_dataset(HOP))
    best = cache.best_return
    source = Source(HOP, prompts={"return": 1.0})
    told = {"best_returns": {"hopper/hop-forward": best}, "batch_size": 32, "seed": 0, "held_out": 0.0}
    (windows,) = Mixture([cache], [source], WindowShape(6, 2), **told).draw(0)  # type: ignore[arg-type]
    assert not any(windows.prompts)
    place = {obs.tobytes(): index for index, obs in enumerate(cache.observations_TO)}
    for row in range(32):
        index = place[windows.observations_BTO[row, 0].tobytes()]
        assert windows.returns_BT[row, 0] == pytest.approx(cache.returns_T[index] / best)
    total = cache.returns_T[cache.offsets[:-1]]
    assert best == pytest.approx(total.max()) and (np.diff(total) != 0).any()


def test_a_model_is_trained_and_asked_for_returns(toy_config: Path, tmp_path: Path, capsys: object) -> None:
    datasets = json.dumps([{"id": HOP, "prompts": {"return": 0.8, "language": 0.2}}])
    words = ["--trainer.max_steps", "2", f"--data.datasets={datasets}"]
    assert run_fit(tmp_path / "off", *words, config=toy_config) == 1
    assert "set model.network.return_to_go: true" in capsys.readouterr().err  # type: ignore[attr-defined]
    assert run_fit(tmp_path / "run", *words, "--model.network.return_to_go=true", config=toy_config) == 0
    known = Gato.load(tmp_path / "run" / "model").codec.best_returns
    assert known == {"hopper/hop-forward": pytest.approx(open_cache(open_dataset(HOP)).best_return)}
    asked = ["eval", str(tmp_path / "run"), "--dataset", HOP, "--episodes", "2", "--steps", "9", "--json"]
    capsys.readouterr()  # type: ignore[attr-defined]
    scores = []
    for share in ("1.0", "0.1"):
        assert cli.run([*asked, "--return-to-go", share]) == 0
        scores.append(json.loads(capsys.readouterr().out)["tasks"]["hopper/hop-forward"]["return"]["mean"])  # type: ignore[attr-defined]
    assert scores[0] != scores[1]
    words = ["eval", str(tmp_path / "run"), "--body", "hopper", "--prompt", "hop backward", "--return-to-go", "1"]
    assert cli.run([*words, "--episodes", "1", "--steps", "3"]) == 1
    assert "the model was told no returns of hopper/hop-backward" in capsys.readouterr().err  # type: ignore[attr-defined]
