"""A student acts, the experts say what it should have done."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from making import make_model

from gato.data.check import check_dataset
from gato.data.minari_io import episodes, open_dataset
from gato.experts.shipped import shipped_policy
from gato.lineage import lineage
from gato.model.gato import Gato
from gato.record import Recording, record_skill
from gato.rollout.agent import Agent
from gato.runs import content_hash
from gato.skills.bodies import get_body
from gato.skills.table import get_skill

SKILL = "hopper/hop-forward"
BOTH = ("hopper/hop-forward", "hopper/hop-backward")


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a model with random weights that knows the hopper."""
    folder = tmp_path_factory.mktemp("student") / "model"
    make_model(None, get_body("hopper").spec).save(folder, card={})
    return str(folder)


def test_the_student_acts_and_the_expert_is_the_target(minari_root: Path, student: str) -> None:
    dataset = open_dataset(record_skill(Recording(SKILL, episodes=3, student=student)))
    assert dataset.id == "gato/hopper/hop-forward-student-v0"
    expert, phrases = shipped_policy(SKILL), get_skill(SKILL).phrases("train")
    for episode in episodes(dataset):
        assert np.allclose(episode.expert_actions, expert(episode.observations[:-1]), atol=1e-5)
        told = [Agent(Gato.load(Path(student)), "hopper", [phrase]) for phrase in phrases]
        firsts = [agent(episode.observations[:1])[0] for agent in told]
        assert any(np.allclose(episode.actions[0], first, atol=1e-5) for first in firsts)
        assert not np.allclose(episode.actions, episode.expert_actions, atol=0.1)


def test_episodes_of_a_student_replay_and_come_out_the_same_twice(minari_root: Path, student: str) -> None:
    recording = Recording("hopper", episodes=3, switch=BOTH, student=student)
    first = open_dataset(record_skill(recording))
    assert check_dataset(first.id, replay=-1).problems == ()
    kept = [episode.actions for episode in episodes(first)]
    again = open_dataset(record_skill(recording, overwrite=True))
    assert all(np.array_equal(one.actions, other) for one, other in zip(episodes(again), kept, strict=True))


def test_a_change_of_skill_is_told_to_the_student(
    minari_root: Path, student: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(Agent, "set_prompt", lambda self, ids, prompts: heard.extend(prompts))
    monkeypatch.setattr("gato.recording.blocks._switching", lambda steps, *_: np.arange(steps) % 2)
    record_skill(Recording("hopper", episodes=1, switch=BOTH, student=student))
    assert heard[0] in get_skill(BOTH[1]).phrases("train")
    assert heard[1] in get_skill(BOTH[0]).phrases("train")


def test_a_student_remembers_what_the_noise_made_it_do(
    minari_root: Path, student: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two episodes one has noise: there, other things are done than were decided, and the student is told them."""
    decided, told = [], []

    class Watched(Agent):
        def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
            decided.append(super().__call__(observations_BO))
            return decided[-1]

        def did(self, ids: np.ndarray, actions_BA: np.ndarray) -> None:
            super().did(ids, actions_BA)
            told.append(dict(zip(ids.tolist(), actions_BA, strict=True)))

    monkeypatch.setattr("gato.recording.student.Agent", Watched)
    noisy = Recording(SKILL, episodes=2, student=student, noise=(0.0, 0.1), max_episode_steps=30)
    for row, episode in enumerate(episodes(open_dataset(record_skill(noisy)))):
        steps = range(len(episode.actions))
        assert all(np.allclose(told[step][row], episode.actions[step], atol=1e-6) for step in steps)
        shift = np.mean([np.abs(decided[step][row] - episode.actions[step]) for step in steps])
        assert shift < 1e-6 if row == 0 else 0.03 < shift < 0.12
    assert check_dataset("gato/hopper/hop-forward-student-v0", replay=-1).problems == ()


def test_the_student_is_an_ancestor_and_the_reference_is_the_experts(minari_root: Path, student: str) -> None:
    dataset = open_dataset(record_skill(Recording(SKILL, episodes=2, student=student)))
    assert dataset.reference["expert"] > 2000
    assert content_hash(Path(student)) in {one.content_hash for one in lineage(dataset.id).inputs}


def test_what_a_student_cannot_do_is_said(minari_root: Path, student: str) -> None:
    with pytest.raises(ValueError, match="must be told one"):
        Recording("Hopper-v5", expert="random", student=student)
    with pytest.raises(ValueError, match="unknown body \"?'?walker2d"):
        record_skill(Recording("walker2d/run-forward", student=student))
    with pytest.raises((ValueError, FileNotFoundError), match="nowhere"):
        record_skill(Recording(SKILL, student="nowhere"))


def test_a_student_and_a_reference_stand_beside_actors_that_are_no_experts(minari_root: Path, student: str) -> None:
    """`--expert zero --student MODEL` recorded zeros, and `--expert random --reference shipped` had no reference."""
    dataset = open_dataset(record_skill(Recording(SKILL, episodes=2, expert="zero", student=student)))
    for episode in episodes(dataset):
        assert not episode.expert_actions.any() and episode.actions.any(1).all()
    assert dataset.reference == {} and [one.name for one in lineage(dataset.id).inputs] == ["student"]
    with pytest.raises(FileExistsError, match="expert was .*zero.*, is .*random"):
        record_skill(Recording(SKILL, episodes=2, expert="random", student=student), resume=True)
    compared = Recording(SKILL, episodes=2, expert="random", reference="shipped", dataset_id="gato/hopper/compared-v0")
    assert open_dataset(record_skill(compared)).reference["expert"] > 2000
