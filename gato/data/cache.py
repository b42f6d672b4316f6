"""A flat copy of a dataset that random windows can be cut from: memory-mapped float32 arrays, one row a control step.

In: a `Dataset`. Out: a `Cache`; built once for a content, every episode checked on the way.
On disk: <root>/<dataset id>/<content hash>/ with one .npy an array and `cache.json`, written last. The root is
GATO_CACHE, else gato/ under the user's cache folder. A folder is renamed into place when it is whole; one whose files
do not have the sizes it states, or whose dataset has changed, is built again.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gato.data.check import clip_episode, count_outside, episode_problems
from gato.data.minari_io import Dataset, episodes
from gato.runs import read_json, write_json
from gato.specs import COMMANDS, Episode
from gato.tokens.codec import Codec

FORMAT = 2
"""Of the cache; another one is built again."""
INDEX = "cache.json"

log = logging.getLogger("gato")


@dataclass(frozen=True, repr=False)
class Cache:
    """All steps of all episodes of a dataset, one after the other; T counts them all."""

    dataset: Dataset
    observations_TO: np.ndarray
    actions_TA: np.ndarray
    """Executed."""
    targets_TA: np.ndarray
    """Intended by the expert."""
    prompt_ids_T: np.ndarray
    commands_TC: np.ndarray
    """The readings named in COMMANDS; NaN where the dataset has none."""
    returns_T: np.ndarray
    """Sum of rewards from each step to its episode's end."""
    offsets: np.ndarray
    """(episodes + 1,) first step of each episode, and the end of the last."""
    clipped: int
    """Numbers of actions moved into the box; 0 unless asked for."""

    def __repr__(self) -> str:
        return f"Cache({self.dataset.id}, {len(self.offsets) - 1} episodes, {len(self.prompt_ids_T)} steps)"

    @property
    def best_return(self) -> float:
        """Of its episodes."""
        return float(self.returns_T[self.offsets[:-1]].max())

    def skill(self, prompt_id: int) -> str:
        """What was done under that prompt: a skill id, or the dataset's own id where nobody said."""
        return self.dataset.skills[prompt_id] if self.dataset.skills else self.dataset.id


def cache_root() -> Path:
    """Where caches lie: GATO_CACHE, else XDG_CACHE_HOME/gato, else ~/.cache/gato."""
    if "GATO_CACHE" in os.environ:
        return Path(os.environ["GATO_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gato"


def open_cache(dataset: Dataset, *, clip_actions: bool = False) -> Cache:
    """The cache of a dataset, built first if need be. ValueError names the first episode and step that is wrong."""
    home = cache_root() / dataset.id.replace("/", "--")
    folder = home / (dataset.content_hash + ("-clipped" if clip_actions else ""))
    if folder.exists() and not _is_whole(folder):
        log.warning("the cache %s is damaged or of another version; built again", folder)
        shutil.rmtree(folder)
    if not folder.exists():
        _build(dataset, folder, clip_actions)
        _remove_stale(home, dataset.content_hash)
    # As plain arrays, still mapped: indexing a `memmap` costs three times as much.
    arrays = {
        name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))
        for name in _columns(dataset)
    }
    offsets = np.load(folder / "offsets.npy", allow_pickle=False)
    return Cache(dataset=dataset, offsets=offsets, clipped=read_json(folder / INDEX)["clipped"], **arrays)


def pooled_statistics(caches: Sequence[Cache], what: str = "observations_TO") -> tuple[np.ndarray, np.ndarray]:
    """(mean, std) of each element over the datasets of one body, every skill counting alike; float64."""
    parts: dict[str, list[np.ndarray]] = {}
    for cache in caches:
        values = getattr(cache, what)
        for prompt_id in np.unique(cache.prompt_ids_T):
            parts.setdefault(cache.skill(int(prompt_id)), []).append(values[cache.prompt_ids_T == prompt_id])
    means, squares = [], []
    centre = np.mean([part.mean(0, dtype=np.float64) for pieces in parts.values() for part in pieces], 0)
    for pieces in parts.values():
        # Around a common centre: elements far from zero would lose their deviation in the difference of squares.
        shifted = [part.astype(np.float64) - centre for part in pieces]
        count = sum(map(len, shifted))
        means.append(sum(part.sum(0) for part in shifted) / count)
        squares.append(sum(np.square(part).sum(0) for part in shifted) / count)
    mean = np.mean(means, 0)
    variance = np.mean(squares, 0) - np.square(mean)
    return centre + mean, np.sqrt(np.maximum(variance, 0.0))


def know_body(codec: Codec, caches: Sequence[Cache]) -> None:
    """Make the codec know the one body of these caches by their statistics; one that it knows keeps its first."""
    spec = caches[0].dataset.spec
    mean_O, std_O = pooled_statistics(caches)
    action_mean_A, action_std_A = None, None
    if not np.isfinite([spec.action_low, spec.action_high]).all():
        action_mean_A, action_std_A = pooled_statistics(caches, "targets_TA")
    codec.add_body(spec, mean_O, std_O, action_mean_A=action_mean_A, action_std_A=action_std_A)


def _columns(dataset: Dataset) -> dict[str, tuple[int, ...]]:
    """Array name -> shape of one step."""
    return {
        "observations_TO": (len(dataset.spec.observation),),
        "actions_TA": (len(dataset.spec.action),),
        "targets_TA": (len(dataset.spec.action),),
        "prompt_ids_T": (),
        "commands_TC": (len(COMMANDS),),
        "returns_T": (),
    }


def _build(dataset: Dataset, folder: Path, clip_actions: bool) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix="."))
    try:
        clipped = _write_arrays(dataset, temporary, clip_actions)
        sizes = {path.name: path.stat().st_size for path in sorted(temporary.iterdir())}
        write_json(temporary / INDEX, {"format": FORMAT, "clipped": clipped, "sizes": sizes})
        if not folder.exists():
            temporary.rename(folder)
    except OSError as error:
        raise OSError(
            error.errno, f"{error.strerror}; the cache was not built, GATO_CACHE moves it", str(folder)
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if clipped:
        log.warning("%s: %d numbers of actions lay outside the box; clipped", dataset.id, clipped)


def _write_arrays(dataset: Dataset, folder: Path, clip_actions: bool) -> int:
    """Write every column; how many numbers of actions were clipped."""
    clipped, lengths = 0, []
    with ExitStack() as stack:
        files: dict[str, BinaryIO] = {}
        for name, shape in _columns(dataset).items():
            files[name] = stack.enter_context((folder / f"{name}.npy").open("wb"))
            dtype = np.dtype(np.int32 if name == "prompt_ids_T" else np.float32)
            header = {"descr": dtype.str, "fortran_order": False, "shape": (dataset.num_steps, *shape)}
            np.lib.format.write_array_header_1_0(files[name], header)
        for index, episode in enumerate(episodes(dataset)):
            if clip_actions:
                clipped += count_outside(dataset.spec, episode)
                episode = clip_episode(dataset.spec, episode)
            problems = episode_problems(episode, dataset, index)
            if problems:
                raise ValueError(problems[0])
            for name, values in _step_columns(episode):
                # Plain writes: a full disk is an error here, in a memory map it would kill the process.
                files[name].write(np.ascontiguousarray(values).tobytes())
            lengths.append(len(episode.rewards))
    if sum(lengths) != dataset.num_steps:
        raise ValueError(
            f"dataset {dataset.id} states {dataset.num_steps} steps and holds {sum(lengths)}; "
            "record or download it again"
        )
    np.save(folder / "offsets.npy", np.cumsum([0, *lengths]), allow_pickle=False)
    return clipped


def _step_columns(episode: Episode) -> Iterator[tuple[str, np.ndarray]]:
    steps = len(episode.rewards)
    missing_T = np.full(steps, np.nan)
    yield "observations_TO", episode.observations[:-1].astype(np.float32)
    yield "actions_TA", episode.actions.astype(np.float32)
    yield "targets_TA", episode.expert_actions.astype(np.float32)
    yield "prompt_ids_T", episode.prompt_ids.astype(np.int32)
    yield "commands_TC", np.stack([episode.readings.get(name, missing_T) for name in COMMANDS], 1).astype(np.float32)
    yield "returns_T", np.cumsum(episode.rewards[::-1])[::-1].astype(np.float32)


def _is_whole(folder: Path) -> bool:
    if not (folder / INDEX).is_file():
        return False
    try:
        index = read_json(folder / INDEX)
    except ValueError:
        return False
    if index.get("format") != FORMAT:
        return False
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.name != INDEX}
    return index["sizes"] == sizes


def _remove_stale(home: Path, content_hash: str) -> None:
    """Caches of what the dataset held before."""
    for folder in home.iterdir():
        if folder.is_dir() and not folder.name.startswith((content_hash, ".")):
            shutil.rmtree(folder, ignore_errors=True)
