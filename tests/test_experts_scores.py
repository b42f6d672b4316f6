"""Experts are held to the score that is recorded beside them, before anything of them is recorded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from agents import on_policy, write_agent, write_normaliser

from gato import api
from gato.data.minari_io import list_datasets, open_dataset
from gato.experts.scores import score_of_agent, score_of_policy
from gato.experts.shipped import SHIPPED, shipped_policy
from gato.record import Recording, record_recipe, record_skill
from gato.runs import read_provenance

SKILL = "inverted-pendulum/balance"


@pytest.fixture
def helpless(tmp_path: Path) -> Path:
    """An agent that always pushes the same way: the pole falls within half a second."""
    return write_agent(tmp_path / "agent.zip", on_policy(0.0, 0.1))


def claim(folder: Path, mean: float) -> None:
    (folder / "results.json").write_text(json.dumps({"mean_reward": mean, "n_eval_episodes": 10}))


def test_an_agent_far_under_its_score_is_refused_with_both_numbers(helpless: Path, minari_root: Path) -> None:
    claim(helpless.parent, 950.0)
    told = (
        r"the expert of inverted-pendulum/balance brings \d+ here .* says 950; at least 4\d\d is needed.*--normalizer"
    )
    with pytest.raises(ValueError, match=told):
        api.record(SKILL, expert=f"sb3:{helpless}", episodes=2)
    assert list_datasets() == () and not any(minari_root.rglob("*"))


def test_a_recipe_refuses_it_as_well(helpless: Path, minari_root: Path, tmp_path: Path) -> None:
    claim(helpless.parent, 950.0)
    recipe = f"datasets: [{{skill: {SKILL}, episodes: 2, expert: 'sb3:{tmp_path}/agent.zip'}}]"
    (tmp_path / "recipe.yaml").write_text(recipe)
    with pytest.raises(ValueError, match="says 950"):
        record_recipe(tmp_path / "recipe.yaml")


def test_the_wrong_normaliser_is_noticed(tmp_path: Path, minari_root: Path) -> None:
    """Our own expert as an agent: with its normaliser it has its score, with another one it falls."""
    own = shipped_policy(SKILL)
    weights: dict[str, object] = {"log_std": own.log_std_A}
    for index, (weight, bias) in enumerate(own.layers):
        is_last = index == len(own.layers) - 1
        name = "action_net" if is_last else f"mlp_extractor.policy_net.{2 * index}"
        scale = own.high_A[0] if is_last else 1.0
        weights |= {f"{name}.weight": scale * weight.T, f"{name}.bias": scale * bias}
    agent = write_agent(tmp_path / "agent.zip", weights, _last_original_obs={":type:": "numpy"})  # type: ignore[arg-type]
    claim(tmp_path, 1000.0)
    variance = list(own.std_O**2)
    right = write_normaliser(tmp_path / "right.pkl", list(own.mean_O), variance, epsilon=0.0, clip_obs=10.0)
    wrong = write_normaliser(tmp_path / "wrong.pkl", list(own.mean_O + 5 * own.std_O), variance, epsilon=0.0)
    recording = Recording(SKILL, episodes=2, expert=f"sb3:{agent}", normalizer=str(wrong))
    with pytest.raises(ValueError, match="says 1000"):
        record_skill(recording)
    made = api.record(SKILL, expert=f"sb3:{agent}", normalizer=str(right), episodes=2)
    assert open_dataset(made[0]["dataset"]).reference["expert"] == 1000.0
    record = read_provenance(minari_root / made[0]["dataset"])
    assert set(record["inputs"]) == {f"expert {SKILL}", f"normalizer {SKILL}"}
    assert record["command"].endswith(f"--expert sb3:{agent} --normalizer {right}")
    with pytest.raises(FileExistsError, match="expert was"):
        record_skill(recording, resume=True)


def test_a_policy_of_ours_is_held_to_its_provenance(tmp_path: Path, minari_root: Path) -> None:
    folder = shipped_policy(SKILL).save(tmp_path / "run" / "best")
    (tmp_path / "run" / "provenance.json").write_text(json.dumps({"result": {"score": {"mean": 4000.0}}}))
    with pytest.raises(ValueError, match=r"brings 1000 here .* says 4000"):
        record_skill(Recording(SKILL, episodes=1, expert=str(tmp_path / "run")))
    folder.rename(tmp_path / "run" / "last")
    record_skill(Recording(SKILL, episodes=1, expert=str(tmp_path / "run" / "last")))


def test_the_score_of_another_skill_does_not_count(tmp_path: Path, minari_root: Path) -> None:
    record_skill(Recording("hopper/hop-backward", episodes=1, expert="hopper/hop-forward"))


def test_where_scores_are_found(tmp_path: Path, helpless: Path) -> None:
    shipped = score_of_policy(SHIPPED / SKILL)
    assert shipped is not None and shipped.mean == 1000.0
    assert score_of_agent(helpless) is None
    results = np.array([[1.0, 3.0], [8.0, 10.0], [4.0, 6.0]])
    np.savez(tmp_path / "evaluations.npz", timesteps=np.arange(3), results=results)
    for name, mean in (("agent.zip", 5.0), ("best_model.zip", 9.0)):
        found = score_of_agent(tmp_path / name)
        assert found is not None and found.mean == mean
    claim(tmp_path, 7.0)
    found = score_of_agent(helpless)
    assert found is not None and (found.mean, found.source.name) == (7.0, "results.json")
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(ValueError, match="is not valid JSON"):
        score_of_agent(helpless)
