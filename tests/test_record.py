"""Recording: what is stored happens again, nothing half-done is seen, resuming changes nothing."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import minari
import numpy as np
import pytest

import gato.record
from gato.data.check import check_dataset
from gato.data.minari_io import episodes, list_datasets, open_dataset
from gato.record import Recording, find_recipe, load_recipe, record_recipe, record_skill
from gato.recording.blocks import plan_block
from gato.recording.dataset import _command
from gato.rollout.suite import SUITES
from gato.runs import read_provenance
from gato.skills.table import SKILLS

HOPPER = Recording("hopper/hop-forward", episodes=5, noise=(0.0, 0.2), expert="random", seed=3)
SWITCH = Recording(
    "half-cheetah", episodes=2, switch=("half-cheetah/run-forward", "half-cheetah/run-backward"), expert="random"
)
EXPERT = """
import numpy as np

def make(env):
    size = env.action_space.shape[0]
    return lambda observations_BO: 3.0 * np.tanh(observations_BO[:, :size])
"""


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gato.record, "BLOCK_EPISODES", 2)


def test_every_episode_replays_to_the_bit(minari_root: Path) -> None:
    report = check_dataset(record_skill(HOPPER), replay=-1)
    assert (report.problems, report.replayed) == ((), 5)


@pytest.mark.parametrize(("episodes", "size"), [(1, 1), (10, 10), (102, 51), (128, 64), (130, 33), (2000, 63)])
def test_both_threads_have_as_much_to_do(episodes: int, size: int) -> None:
    crews = 1 if episodes <= 64 else 2
    assert gato.record._block_size(episodes, crews) == size


def test_episodes_are_cut_and_their_reference_is_of_whole_ones(minari_root: Path) -> None:
    dataset = open_dataset(record_skill(Recording("inverted-pendulum/balance", episodes=3, max_episode_steps=7)))
    assert check_dataset(dataset.id, replay=-1).problems == ()
    for episode in episodes(dataset):
        assert episode.truncations.tolist() == [False] * 6 + [True]
        assert not episode.terminations.any()
    assert dataset.reference["expert"] == 1000.0
    assert "--max-episode-steps 7" in read_provenance(dataset.folder)["command"]


def test_switch_episodes_replay_with_their_skills(minari_root: Path) -> None:
    dataset = open_dataset(record_skill(SWITCH))
    assert dataset.id == "gato/half-cheetah/switch-v0"
    assert check_dataset(dataset.id, replay=-1).replayed == 2
    for episode in episodes(dataset):
        assert 1 <= np.count_nonzero(np.diff(episode.prompt_ids)) <= 3


def test_a_switch_pays_the_reward_of_the_skill_that_holds(minari_root: Path) -> None:
    """run-backward is limited to 5 and pays for pitch; run-forward is the speed less the control cost."""
    episode = next(episodes(open_dataset(record_skill(SWITCH))))
    speed, cost = episode.readings["forward_speed"], 0.1 * np.square(episode.actions.astype(np.float64)).sum(1)
    forward = episode.prompt_ids == SWITCH.switch.index("half-cheetah/run-forward")
    assert np.allclose(episode.rewards[forward], (speed - cost)[forward], atol=1e-5)
    assert not np.allclose(episode.rewards[~forward], (speed - cost)[~forward], atol=1e-5)


def test_the_stored_environment_is_recovered_in_a_fresh_process(minari_root: Path) -> None:
    dataset_id = record_skill(HOPPER)
    code = f"import minari; e = minari.load_dataset('{dataset_id}').recover_environment(); print(e.spec.id)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert out.stdout.strip() == "gato/HopperHopForward-v0"


def test_actions_are_executed_and_expert_actions_intended(minari_root: Path) -> None:
    dataset = open_dataset(record_skill(HOPPER))
    stored = list(episodes(dataset))
    assert dataset.noise == (0.0, 0.2, 0.0, 0.2, 0.0)
    for episode, level in zip(stored, dataset.noise, strict=True):
        gap = episode.actions - episode.expert_actions
        assert bool(np.any(gap)) == (level > 0)
        assert np.abs(episode.actions).max() <= 1 and np.abs(episode.expert_actions).max() <= 1
    first = minari.load_dataset(dataset.id)[0]
    assert first.infos["expert_action"].shape == (len(first.rewards) + 1, 3)
    assert np.array_equal(first.infos["expert_action"][-1], first.infos["expert_action"][-2])


def test_seeds_are_those_of_every_command(minari_root: Path) -> None:
    assert [one.seed for one in episodes(open_dataset(record_skill(HOPPER)))] == [300009 + i for i in range(5)]


def test_metadata_says_what_minari_users_look_for(minari_root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(EXPERT)
    recording = dataclasses.replace(HOPPER, expert=f"{tmp_path / 'mine.py'}:make")
    metadata = minari.load_dataset(record_skill(recording)).storage.metadata
    assert metadata["gato_format"] == 1
    assert metadata["skills"] == ["hopper/hop-forward"]
    assert metadata["prompts"][0][0] == SKILLS["hopper/hop-forward"].prompt
    assert metadata["ref_max_score"] == metadata["reference"]["expert"]
    assert metadata["ref_min_score"] < 100
    assert metadata["author"] == {"Gato"} and metadata["algorithm_name"] and metadata["requirements"]
    assert str(tmp_path) not in json.dumps(metadata, default=str)


def test_an_experts_action_outside_the_box_is_clipped_and_counted(
    minari_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mine.py").write_text(EXPERT.replace("3.0 * np.tanh", "2.0 + np.abs"))
    record_skill(dataclasses.replace(HOPPER, expert=f"{tmp_path / 'mine.py'}:make", noise=(0.0,)))
    assert "outside the box; clipped" in caplog.text


@pytest.mark.parametrize(
    ("env", "name"), [("CartPole-v1", "cart-pole"), ("Pendulum-v1", "pendulum"), ("Hopper-v5", "hopper")]
)
def test_any_gymnasium_environment_is_recorded_and_replays(minari_root: Path, env: str, name: str) -> None:
    dataset_id = record_skill(Recording(env, episodes=3, expert="random"))
    assert dataset_id == f"gato/{name}/random-v0"
    report = check_dataset(dataset_id, replay=-1)
    assert (report.problems, report.replayed) == ((), 3)


def test_a_recording_made_twice_has_equal_content(minari_root: Path) -> None:
    first = open_dataset(record_skill(HOPPER)).content_hash
    time.sleep(1.1)  # HDF5 could hold times in seconds
    assert open_dataset(record_skill(HOPPER, overwrite=True)).content_hash == first


def test_an_existing_dataset_is_refused(minari_root: Path) -> None:
    record_skill(HOPPER)
    with pytest.raises(FileExistsError, match="--overwrite"):
        record_skill(HOPPER)
    assert record_skill(HOPPER, resume=True) == "gato/hopper/hop-forward-v0"
    with pytest.raises(FileExistsError, match="episodes was 5, is 6"):
        record_skill(dataclasses.replace(HOPPER, episodes=6), resume=True)


def test_newer_settings_that_are_unset_say_nothing(minari_root: Path) -> None:
    """Datasets from before `--max-episode-steps` were refused: "max_episode_steps was None, is 0"."""
    path = minari_root / HOPPER.id / "data" / "metadata.json"
    record_skill(HOPPER)
    content = json.loads(path.read_text())
    provenance = content["provenance"]
    assert not {"sample", "reference", "randomise", "max_episode_steps"} & provenance.keys()
    for stated in ({}, {"max_episode_steps": 0}):
        path.write_text(json.dumps({**content, "provenance": {**provenance, **stated}}))
        assert record_skill(HOPPER, resume=True) == HOPPER.id
    path.write_text(json.dumps({**content, "provenance": {**provenance, "randomise": ["mass=0.8:1.2"]}}))
    with pytest.raises(FileExistsError, match=r"randomise was \['mass=0.8:1.2'\], is None"):
        record_skill(HOPPER, resume=True)


def test_what_makes_a_dataset_again_is_quoted() -> None:
    recording = Recording(HOPPER.env, expert="my experts/{skill}", student="a model", noise=(0.0,), dataset_id="a/b-v0")
    assert _command(recording) == (
        "gato record hopper/hop-forward --episodes 10 --seed 0 --noise 0 --expert 'my experts/{skill}'"
        " --student 'a model' --dataset-id a/b-v0"
    )


def test_an_interrupted_recording_keeps_its_blocks_and_resumes_to_the_same_content(
    minari_root: Path, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = open_dataset(record_skill(HOPPER)).content_hash
    record_block, calls = gato.record.record_block, []

    def interrupted(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return record_block(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(gato.record, "record_block", interrupted)
    other = dataclasses.replace(HOPPER, dataset_id="gato/hopper/again-v0")
    with pytest.raises(KeyboardInterrupt):
        record_skill(other)
    assert list_datasets() == ("gato/hopper/hop-forward-v0",)
    assert list(minari.list_local_datasets()) == ["gato/hopper/hop-forward-v0"]
    with pytest.raises(FileExistsError, match="half recorded; gato record --resume"):
        record_skill(other)
    with pytest.raises(FileExistsError, match="seed was 3, is 4"):
        record_skill(dataclasses.replace(other, seed=4), resume=True)
    record_skill(other, resume=True)
    assert len(calls) == 4  # the first block was kept
    data = [minari_root / name / "data/main_data.hdf5" for name in (HOPPER.id, other.id)]
    assert data[0].read_bytes() == data[1].read_bytes()
    assert undisturbed == open_dataset(HOPPER.id).content_hash
    assert not any((minari_root / ".gato-staging").iterdir())


def test_a_killed_recording_leaves_nothing_broken_and_resumes(minari_root: Path) -> None:
    """kill -9 in another process, at whatever moment; then --resume."""
    code = (
        "import gato.record as r; r.BLOCK_EPISODES = 2\n"
        "r.record_skill(r.Recording('half-cheetah/run-forward', episodes=16, expert='random'))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ)
    staging = minari_root / ".gato-staging"
    while process.poll() is None and not list(staging.glob("*/block-*[0-9].npz")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list_datasets() == ()
    recording = Recording("half-cheetah/run-forward", episodes=16, expert="random")
    whole = dataclasses.replace(recording, dataset_id="gato/half-cheetah/whole-v0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gato.record, "BLOCK_EPISODES", 2)
        record_skill(recording, resume=True)
        record_skill(whole)
    data = [minari_root / name / "data/main_data.hdf5" for name in (recording.id, whole.id)]
    assert data[0].read_bytes() == data[1].read_bytes()


def test_ctrl_c_exits_130_and_keeps_finished_blocks(minari_root: Path) -> None:
    words = ["record", "half-cheetah/run-forward", "--episodes", "640", "--expert", "random"]
    code = f"import sys, gato.cli; sys.argv = ['gato', *{words}]; sys.exit(gato.cli.main())"
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ, stderr=subprocess.PIPE, text=True)
    staging = minari_root / ".gato-staging"
    while process.poll() is None and not list(staging.glob("*/block-*[0-9].npz")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert list(staging.glob("*/block-*[0-9].npz")) and list_datasets() == ()


def test_a_damaged_block_is_recorded_again(
    minari_root: Path, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = open_dataset(record_skill(dataclasses.replace(HOPPER, dataset_id="gato/hopper/whole-v0")))
    with monkeypatch.context() as patch:
        patch.setattr(gato.record, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            record_skill(HOPPER)
    block = next((minari_root / ".gato-staging").glob("*/block-*.npz"))
    block.write_bytes(block.read_bytes()[:1000])
    record_skill(HOPPER, resume=True)
    data = [folder / "data/main_data.hdf5" for folder in (whole.folder, minari_root / HOPPER.id)]
    assert data[0].read_bytes() == data[1].read_bytes()


def test_a_disk_too_full_for_a_dataset_is_told_before_it_is_written(
    minari_root: Path, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HDF5 cannot fail cleanly, and there is no os.posix_fallocate on macOS."""
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
        patch.delattr(os, "posix_fallocate", raising=False)
        with pytest.raises(OSError, match="No space left on device; finished episodes are kept: --resume") as caught:
            record_skill(HOPPER)
    assert caught.value.errno == errno.ENOSPC
    assert list_datasets() == () and list(minari_root.glob(".gato-staging/*/block-*.npz"))
    assert record_skill(HOPPER, resume=True) == HOPPER.id


def test_a_full_disk_is_one_line_and_keeps_finished_blocks(minari_root: Path) -> None:
    code = (
        "import resource, gato.record as r; r.BLOCK_EPISODES = 1\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
        "r.record_skill(r.Recording('half-cheetah/run-forward', episodes=4, expert='random'))"
    )
    out = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True)
    last = out.stderr.strip().splitlines()[-1]
    assert last.startswith("OSError") and "--resume" in last and "block-" in last
    assert not list(minari_root.rglob("*.part.npz"))
    assert list_datasets() == ()


def test_changes_of_skill_are_planned_from_the_episodes_own_seed() -> None:
    settings = {"seed": 1, "noise": (0.0,), "num_skills": 2, "changes": (1, 3)}
    whole = plan_block(range(6), 500, **settings).prompt_ids_TB  # type: ignore[arg-type]
    part = plan_block(range(4, 6), 500, **settings).prompt_ids_TB  # type: ignore[arg-type]
    assert np.array_equal(whole[:, 4:], part)
    changes = np.count_nonzero(np.diff(whole, axis=0), axis=0)
    assert changes.min() >= 1 and changes.max() <= 3


# Recipes


def test_the_demo_recipe_covers_its_suite_and_switches_every_body_that_has_two() -> None:
    recordings = load_recipe("demo")
    assert {one.env for one in recordings if not one.switch} == set(SUITES["demo"].skills)
    assert {one.env for one in recordings if one.switch} == {"half-cheetah", "hopper", "walker2d"}
    assert all(one.seed >= 1000 for one in recordings), "evaluations start from small seeds"
    assert find_recipe("datasets/demo.yaml").samefile(find_recipe("demo"))


def test_a_recipe_is_recorded_and_resumed(minari_root: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "two.yaml"
    recipe.write_text(
        "defaults: {expert: random, episodes: 2, noise: 0.1}\n"
        "datasets:\n- skill: hopper/hop-forward\n- skill: hopper/hop-backward\n"
    )
    assert record_recipe(recipe) == ("gato/hopper/hop-forward-v0", "gato/hopper/hop-backward-v0")
    assert record_recipe(recipe, resume=True) == list_datasets()[::-1]
    with pytest.raises(FileExistsError, match="hop-forward-v0 exists"):
        record_recipe(recipe)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("datasets: [{skill: hopper/hop-forwards}]", 'did you mean "hopper/hop-forward"'),
        ("datasets: [{skill: hopper/hop-forward, episode: 3}]", 'unknown key "episode"; did you mean "episodes"'),
        ("datasets: [{skill: hopper/hop-forward, episodes: many}]", "episodes is 'many'; int is needed"),
        ("datasets: [{skill: hopper/hop-forward, noise: [-1]}]", "at least 0"),
        ("datasets: [{skill: hopper/hop-forward, max_episode_steps: -7}]", "max_episode_steps is -7; at least 1"),
        ("datasets: [{body: hoper, switch: [hopper/hop-forward]}]", 'did you mean "hopper"'),
        (
            "datasets: [{body: hopper, switch: [hopper/hop-forward, half-cheetah/run-forward]}]",
            '"half-cheetah/run-forward" is no skill of hopper; allowed: hopper/command',
        ),
        ("datasets: [{body: hopper}]", "belong together"),
        ("datasets: [{skill: hopper/hop-forward}, {skill: hopper/hop-forward}]", "recorded twice"),
        ("dataset: []", 'no list "datasets"'),
        ("datasets: []", "with anything in it"),
        ("datasets: [", "not valid YAML"),
    ],
)
def test_a_wrong_recipe_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    recipe = tmp_path / "wrong.yaml"
    recipe.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_recipe(recipe)


@pytest.mark.parametrize(
    ("recording", "message"),
    [
        ({"env": "CartPole-v1", "noise": (0.1,), "expert": "random"}, "discrete actions"),
        ({"env": "CartPole-v1"}, "no expert of CartPole-v1 comes with Gato"),
        ({"env": "hopper/hop-forward", "dataset_id": "my data"}, "not one of Minari's"),
        ({"env": "hopper/hop-forward", "dataset_id": "gato/hopper"}, "with a version"),
        ({"env": "HalfCheeta-v5", "expert": "random"}, "HalfCheetah-v5"),
    ],
)
def test_what_cannot_be_recorded_is_refused(minari_root: Path, recording: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record_skill(Recording(**recording))  # type: ignore[arg-type]
    assert list_datasets() == ()


def test_a_recording_that_failed_before_its_first_block_leaves_nothing(minari_root: Path, tmp_path: Path) -> None:
    """A mended expert records under the same id; the fault in it is told with its place."""
    code = tmp_path / "expert.py"
    recording = Recording("CartPole-v1", episodes=2, expert=f"{code}:make", dataset_id="gato/cart/mine-v0")
    code.write_text("def make(env):\n    def act(o):\n        raise KeyError('boom')\n    return act\n")
    with pytest.raises(ValueError, match=r"expert\.py:make raised KeyError: 'boom' .*line 3"):
        record_skill(recording)
    with pytest.raises(ValueError, match="take no noise"):
        record_skill(dataclasses.replace(recording, expert="random", noise=(0.1,)))
    code.write_text("def make(env):\n    return lambda o: (o[:, 2] > 0).astype(int)\n")
    stored = next(episodes(open_dataset(record_skill(recording))))
    assert np.array_equal(stored.actions[:, 0], stored.observations[:-1, 2] > 0)


def test_a_recipe_whose_expert_is_missing_is_refused_before_anything_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    monkeypatch.setattr("gato.record.has_shipped_expert", lambda name: name != "swimmer/swim-forward")
    recipe = tmp_path / "r.yaml"
    recipe.write_text("datasets: [{skill: inverted-pendulum/balance}, {skill: swimmer/swim-forward}]")
    with pytest.raises(ValueError, match="no expert comes with Gato for swimmer/swim-forward; leave those entries out"):
        record_recipe(recipe)
    assert not (tmp_path / "root").exists()
