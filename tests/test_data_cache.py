"""The flat cache: built once for a content, whole or not at all, rebuilt when the content changes."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gato.data.cache
from gato.data.cache import cache_root, open_cache, pooled_statistics
from gato.data.minari_io import Dataset, episodes, open_dataset
from gato.record import Recording, record_skill

HOPPER = Recording("hopper/hop-forward", episodes=4, noise=(0.3,), expert="random")


@pytest.fixture
def dataset(minari_root: Path) -> Dataset:
    return open_dataset(record_skill(HOPPER))


def test_a_cache_holds_every_step_in_order(dataset: Dataset) -> None:
    cache = open_cache(dataset)
    stored = list(episodes(dataset))
    assert cache.offsets.tolist() == np.cumsum([0, *(len(one.rewards) for one in stored)]).tolist()
    for index, episode in enumerate(stored):
        steps = slice(cache.offsets[index], cache.offsets[index + 1])
        assert np.array_equal(cache.observations_TO[steps], episode.observations[:-1].astype(np.float32))
        assert np.array_equal(cache.actions_TA[steps], episode.actions)
        assert np.array_equal(cache.targets_TA[steps], episode.expert_actions)
        assert np.allclose(cache.commands_TC[steps, 0], episode.readings["forward_speed"])
    assert np.isnan(cache.commands_TC[:, 1]).all(), "a hopper has no lateral speed"


def test_a_cache_is_built_once_and_again_when_the_content_changes(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    build = gato.data.cache._build
    monkeypatch.setattr(gato.data.cache, "_build", lambda *arguments: built.append(1) or build(*arguments))  # type: ignore[func-returns-value]
    open_cache(dataset)
    open_cache(open_dataset(dataset.id))
    assert len(built) == 1
    record_skill(dataclasses.replace(HOPPER, seed=1), overwrite=True)
    cache = open_cache(open_dataset(dataset.id))
    assert len(built) == 2
    assert next(episodes(cache.dataset)).seed == 100003
    assert len(list(cache_root().glob("*/*"))) == 1, "the stale one is gone"


@pytest.mark.parametrize("damage", ["half", "index", "missing", "format"])
def test_a_half_written_cache_is_built_again(dataset: Dataset, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    before = np.array(open_cache(dataset).observations_TO)
    folder = next(cache_root().glob("*/*"))
    if damage == "half":
        file = folder / "observations_TO.npy"
        file.write_bytes(file.read_bytes()[:500])
    elif damage == "missing":
        (folder / "offsets.npy").unlink()
    else:
        (folder / "cache.json").write_text("{" if damage == "index" else '{"format": 0}')
    assert np.array_equal(open_cache(dataset).observations_TO, before)
    assert "built again" in caplog.text


def test_a_full_disk_leaves_no_cache(dataset: Dataset) -> None:
    code = (
        "import resource; from gato.data.cache import open_cache; from gato.data.minari_io import open_dataset\n"
        f"dataset = open_dataset('{dataset.id}')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "open_cache(dataset)"
    )
    out = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True)
    last = out.stderr.strip().splitlines()[-1]
    assert last.startswith("OSError") and "the cache was not built, GATO_CACHE moves it" in last
    assert not list(cache_root().glob("*/*"))


def test_numbers_of_our_own_outside_the_box_stop_the_cache(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(of: Dataset) -> object:
        for index, episode in enumerate(episodes(of)):
            yield dataclasses.replace(episode, actions=episode.actions + 3.0 * (index == 2))

    monkeypatch.setattr(gato.data.cache, "episodes", broken)
    with pytest.raises(ValueError, match=r"hop-forward-v0 episode 2 step 0: actions\[0\] = .*--clip-actions"):
        open_cache(dataset)
    cache = open_cache(dataset, clip_actions=True)
    assert cache.clipped > 0 and cache.actions_TA.max() <= 1.0


def test_statistics_count_every_skill_alike(dataset: Dataset) -> None:
    """Skills of 1 and 3 steps: the mean of their means, not of their steps."""
    one = dataclasses.replace(
        open_cache(dataset),
        observations_TO=np.array([[1.0], [5.0], [6.0], [7.0]], np.float32),
        prompt_ids_T=np.array([0, 1, 1, 1]),
        dataset=dataclasses.replace(dataset, skills=("a", "b")),
    )
    mean, std = pooled_statistics([one])
    assert mean.tolist() == [3.5]
    assert np.allclose(std, np.sqrt((1.0 + (25 + 36 + 49) / 3) / 2 - 3.5**2))


def test_statistics_of_a_constant_far_from_zero_have_no_deviation(dataset: Dataset) -> None:
    far = dataclasses.replace(
        open_cache(dataset), observations_TO=np.full((len(open_cache(dataset).prompt_ids_T), 1), 1e6)
    )
    assert pooled_statistics([far])[1].tolist() == [0.0]
