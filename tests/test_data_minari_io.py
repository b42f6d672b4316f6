"""Opening and checking Minari datasets, ours and other people's, sound and broken."""

from __future__ import annotations

import warnings
from pathlib import Path

import gymnasium
import h5py
import minari
import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer

from gato.data.check import check_dataset
from gato.data.minari_io import episodes, list_datasets, open_dataset
from gato.record import Recording, record_skill
from gato.skills.bodies import get_body

HOPPER = Recording("hopper/hop-forward", episodes=4, expert="random")
BOX = gymnasium.spaces.Box(-np.inf, np.inf, (11,), np.float64)
ACTIONS = gymnasium.spaces.Box(-1, 1, (3,), np.float32)


def make_foreign(
    dataset_id: str,
    observations: object = None,
    actions: object = None,
    *,
    observation_space: gymnasium.Space = BOX,
    action_space: gymnasium.Space = ACTIONS,
    env: str | None = None,
    steps: int = 12,
) -> str:
    """A dataset as somebody else records it: two episodes, no seeds, no infos; the second has an action of 5."""
    buffers = []
    for index in range(2):
        rng = np.random.default_rng(index)
        acts = rng.uniform(-1, 1, (steps, 3)).astype(np.float32)
        acts[7, 1] = 5.0 if index else 0.0
        buffers.append(
            EpisodeBuffer(
                observations=rng.normal(size=(steps + 1, 11)) if observations is None else observations,
                actions=acts if actions is None else actions,
                rewards=np.ones(steps),  # type: ignore[arg-type]
                terminations=np.zeros(steps, bool),  # type: ignore[arg-type]
                truncations=np.arange(steps) == steps - 1,  # type: ignore[arg-type]
                infos={},
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        minari.create_dataset_from_buffers(
            dataset_id, buffers, env=env, observation_space=observation_space, action_space=action_space
        )
    return dataset_id


def test_ours_opens_with_the_bodys_own_element_names(minari_root: Path) -> None:
    dataset = open_dataset(record_skill(HOPPER))
    assert dataset.spec == get_body("hopper").spec
    assert (dataset.skills, dataset.num_episodes) == (("hopper/hop-forward",), 4)
    assert dataset.prompts[0][0] == "hop forward"
    episode = next(episodes(dataset))
    assert episode.observations.dtype == np.float64
    assert set(episode.readings) == set(get_body("hopper").readings)


def test_a_foreign_dataset_has_its_actions_as_targets_and_no_words(minari_root: Path) -> None:
    dataset = open_dataset(make_foreign("cs285/hopper/expert-v0"))
    assert (dataset.skills, dataset.prompts, dataset.is_ours) == ((), (("",),), False)
    assert dataset.spec.name.startswith("hopper-"), "another machine's hopper is another body"
    episode = next(episodes(dataset))
    assert episode.expert_actions is episode.actions
    assert episode.seed is None and not episode.prompt_ids.any()


def test_a_foreign_dataset_of_a_known_environment_is_of_our_body(minari_root: Path) -> None:
    dataset = open_dataset(make_foreign("cs285/hopper/expert-v0", env="Hopper-v5"))
    assert dataset.spec == get_body("hopper").spec


def test_a_dict_of_boxes_and_discrete_actions_is_read_in_the_specs_order(minari_root: Path) -> None:
    space = gymnasium.spaces.Dict(
        {"where": gymnasium.spaces.Box(-9, 9, (2,)), "lamp": gymnasium.spaces.Discrete(3), "at": BOX}
    )
    given = {"where": np.ones((13, 2), np.float32), "lamp": np.full(13, 2), "at": np.zeros((13, 11))}
    make_foreign(
        "lab/maze/human-v1",
        given,
        np.full(12, 4),
        observation_space=space,
        action_space=gymnasium.spaces.Discrete(5),
    )
    dataset = open_dataset("lab/maze/human-v1")
    assert [element.name for element in dataset.spec.observation][:2] == ["lamp", "at[0]"]
    assert dataset.spec.observation[-1].name == "where[1]"
    episode = next(episodes(dataset))
    assert episode.observations[0].tolist() == [2.0] + [0.0] * 11 + [1.0, 1.0]
    assert episode.actions.tolist() == [[4.0]] * 12
    assert check_dataset("lab/maze/human-v1").problems == ()


class Lamp(gymnasium.Env):
    """A Dict of a number and a switch, for whoever acts on a Dict of the same."""

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Dict(
            {"level": gymnasium.spaces.Box(-9, 9, (2,)), "lamp": gymnasium.spaces.Discrete(3)}
        )
        self.action_space = gymnasium.spaces.Dict({"push": gymnasium.spaces.Box(-1, 1, (1,))})

    def reset(self, *, seed: int | None = None, options: object = None) -> tuple[dict[str, object], dict[str, object]]:
        super().reset(seed=seed)
        return self._observe(0.0), {}

    def step(self, action: dict[str, np.ndarray]) -> tuple[dict[str, object], float, bool, bool, dict[str, object]]:
        return self._observe(float(action["push"][0])), 1.0, False, False, {}

    def _observe(self, level: float) -> dict[str, object]:
        drawn = self.np_random.integers(3)
        return {"level": np.array([level, drawn], np.float32), "lamp": int(drawn)}


def test_a_dict_environment_is_recorded_and_replays(minari_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    gymnasium.register("Lamp-v0", "test_data_minari_io:Lamp", max_episode_steps=20)
    dataset_id = record_skill(Recording("Lamp-v0", episodes=2, expert="random"))
    report = check_dataset(dataset_id, replay=-1)
    assert (report.problems, report.replayed) == ((), 2)
    stored = minari.load_dataset(dataset_id)[0]
    assert stored.observations["lamp"].shape == (21,) and stored.actions["push"].shape == (20, 1)


def test_an_unknown_dataset_has_a_near_match(minari_root: Path) -> None:
    with pytest.raises(ValueError, match="there is none yet; gato record makes one"):
        open_dataset("gato/hopper/hop-forward-v0")
    record_skill(HOPPER)
    with pytest.raises(ValueError, match='did you mean "gato/hopper/hop-forward-v0"'):
        open_dataset("gato/hoper/hop-forward-v0")


@pytest.mark.parametrize("damage", ["truncated", "foreign", "text", "metadata"])
def test_a_damaged_file_is_one_clear_line(minari_root: Path, damage: str) -> None:
    dataset_id = record_skill(HOPPER)
    data = minari_root / dataset_id / "data"
    file = data / "main_data.hdf5"
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif damage == "foreign":
        with h5py.File(file, "w") as other:
            other["pictures"] = np.zeros(3)
    elif damage == "text":
        file.write_text("not a dataset")
    else:
        (data / "metadata.json").write_text('{"total_episodes": 4')
    with pytest.raises(ValueError, match=f"dataset {dataset_id} cannot be read .* again$") as caught:
        list(episodes(open_dataset(dataset_id)))
    assert "\n" not in str(caught.value)


def test_hidden_and_half_finished_folders_are_not_listed(minari_root: Path) -> None:
    record_skill(HOPPER)
    (minari_root / ".gato-staging/x/dataset/data").mkdir(parents=True)
    (minari_root / ".gato-staging/x/dataset/data/metadata.json").write_text("{}")
    assert list_datasets() == ("gato/hopper/hop-forward-v0",)


def test_check_names_episode_step_and_key_of_an_action_outside_the_box(minari_root: Path) -> None:
    make_foreign("cs285/hopper/expert-v0")
    report = check_dataset("cs285/hopper/expert-v0")
    assert report.problems == (
        "cs285/hopper/expert-v0 episode 1 step 7: actions[1] = 5 outside [-1, 1] (1 such numbers in this episode); "
        "clip them (--clip-actions, or data.clip_actions: true in a config) or record it again",
    )
    clipped = check_dataset("cs285/hopper/expert-v0", clip_actions=True)
    assert (clipped.problems, clipped.clipped) == ((), 1)
    assert clipped.notes == ("not replayed: the dataset stores no environment",)


def _change(root: Path, key: str, change: object) -> None:
    with h5py.File(root / HOPPER.id / "data/main_data.hdf5", "a") as file:
        values = file[key][()]
        values = change(values)  # type: ignore[operator]
        del file[key]
        file[key] = values


def _set(index: object, value: object) -> object:
    def change(values: np.ndarray) -> np.ndarray:
        values[index] = value
        return values

    return change


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("episode_2/observations", _set((3, 1), np.nan), r"episode 2 step 3: observations\[1\] is nan"),
        ("episode_1/actions", _set((2, 0), np.inf), r"episode 1 step 2: actions\[0\] is inf"),
        ("episode_1/rewards", _set(4, np.nan), r"episode 1 step 4: rewards\[0\] is nan"),
        ("episode_0/observations", lambda values: values[:-1], r"episode 0: observations has shape .* rewards need"),
        ("episode_0/infos/prompt_id", _set(2, 1), r"episode 0 step 2: infos/prompt_id is 1; allowed: 0 to 0"),
        ("episode_0/terminations", _set(1, True), r"episode 0 step 1: terminations or truncations before the last"),
        ("episode_3/infos/height", lambda values: values[:-2], r"episode 3: infos/height has shape"),
        ("episode_0/rewards", _set(5, 0.5), r"episode 0 step 5: replayed \(reward, terminated, truncated\)"),
        ("episode_0/observations", _set((6, 0), 9.0), r"episode 0 step 6: the replayed observations differ by up to"),
    ],
)
def test_check_finds_what_is_wrong(minari_root: Path, key: str, change: object, message: str) -> None:
    record_skill(HOPPER)
    _change(minari_root, key, change)
    problems = check_dataset(HOPPER.id, replay=-1).problems
    assert len(problems) == 1
    with pytest.raises(ValueError, match=message):
        raise ValueError(problems[0])
