"""A dataset of what was done as told, or is called now what it was.

In: a dataset, which of its episodes, what some of them are called in hindsight, and episodes that mend others. Out:
another Minari dataset (HDF5), with provenance. A relabelled episode gets the rewards of what it did, by stepping it
again, to the bit.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
from minari.data_collector.callbacks import EpisodeMetadataCallback
from minari.dataset.minari_storage import MinariStorage

from gato.data.minari_io import FORMAT, Dataset, check_dataset_id, episodes, to_buffer
from gato.feedback.carrying_out import Mended
from gato.record import refuse_existing, staging_folder
from gato.recording.dataset import publish
from gato.runs import minari_root, write_provenance
from gato.skills.spaces import flatten_observations, unflatten_action
from gato.skills.table import get_skill
from gato.specs import Episode

Hindsight = Mapping[int, str]
"""Steps at which something else begins to be what was done -> skill id."""


@dataclass(frozen=True)
class Kept:
    """Episodes of a dataset that go into another."""

    chosen: tuple[int, ...]
    relabelled: Mapping[int, Hindsight]
    """Episode -> the skills that it counts as now, each from a step on; step 0 is among them."""
    mended: tuple[Mended, ...] = ()
    """New ones, which come after those of the dataset."""
    experts: Mapping[str, dict[str, str]] = field(default_factory=dict)
    """Who acted in these, as provenance names it."""

    @property
    def episodes(self) -> tuple[int, ...]:
        """All of them, in order."""
        return tuple(sorted({*self.chosen, *self.relabelled}))


def refuse(dataset_id: str, source: str, *, overwrite: bool) -> None:
    """ValueError or FileExistsError where no dataset of that id can be made of that one."""
    check_dataset_id(dataset_id)
    if dataset_id == source:
        raise ValueError(f"--keep {dataset_id} is the dataset that is judged; choose another id")
    if not overwrite:
        refuse_existing(dataset_id)


def write_kept(dataset: Dataset, kept: Kept, dataset_id: str, *, command: str) -> None:
    """ValueError where nothing is left, or an episode that is relabelled does not happen again."""
    if not (kept.episodes or kept.mended):
        raise ValueError(f"no episode of {dataset.id} is left, so {dataset_id} was not written; see the verdicts")
    staging = staging_folder(dataset_id)
    shutil.rmtree(staging, ignore_errors=True)
    (staging / "dataset" / "data").mkdir(parents=True)
    try:
        _write(dataset, kept, dataset_id, staging / "dataset", command)
        publish(staging / "dataset", minari_root() / dataset_id)
    finally:
        shutil.rmtree(staging)


def _write(dataset: Dataset, kept: Kept, dataset_id: str, folder: Path, command: str) -> None:
    skills = (*dataset.skills, *_new(dataset, kept))
    phrases = [get_skill(skill_id).phrases("train") for skill_id in skills[len(dataset.skills) :]]
    source = minari.MinariDataset(dataset.folder / "data")
    storage = MinariStorage.new(
        folder / "data",
        dataset.observation_space,
        dataset.action_space,
        dataset.env_spec,
        data_format="hdf5",
        jpeg_encoding=False,
    )
    again = _Again(dataset, source, skills) if kept.relabelled else None
    facts = EpisodeMetadataCallback()
    read = zip(kept.episodes, episodes(dataset, kept.episodes), strict=True)
    told = source.storage.get_episode_metadata(kept.episodes)
    for place, ((index, episode), about) in enumerate(zip(read, told, strict=True)):
        if again is not None and index in kept.relabelled:
            episode = again.relabelled(index, episode, kept.relabelled[index])
        storage.update_episodes([to_buffer(episode, dataset.observation_space, dataset.action_space)])
        actor = {"expert": about["expert"]} if "expert" in about else {}
        storage.update_episode_metadata([facts({"rewards": episode.rewards}) | actor], [place])
    for place, one in enumerate(kept.mended, start=len(kept.episodes)):
        named = np.array([skills.index(skill) for skill in one.skills])
        episode = replace(one.episode, prompt_ids=named[one.episode.prompt_ids])
        storage.update_episodes([to_buffer(episode, dataset.observation_space, dataset.action_space)])
        storage.update_episode_metadata([facts({"rewards": episode.rewards})], [place])
    if again is not None:
        again.environment.close()
    storage.update_metadata(_metadata(dataset, source, kept, dataset_id, skills, (*dataset.prompts, *phrases)))
    inputs = {"dataset": {"id": dataset.id, "hash": dataset.content_hash}, **kept.experts}
    write_provenance(folder, command=command, config={"kept": list(kept.episodes)}, seeds={}, inputs=inputs)


def _new(dataset: Dataset, kept: Kept) -> tuple[str, ...]:
    """Skills that the dataset did not know."""
    named = [skill for hindsight in kept.relabelled.values() for skill in hindsight.values()]
    named += [skill for one in kept.mended for skill in one.skills]
    return tuple(dict.fromkeys(skill for skill in named if skill not in dataset.skills))


def _metadata(
    dataset: Dataset,
    source: minari.MinariDataset,
    kept: Kept,
    dataset_id: str,
    skills: Sequence[str],
    prompts: Sequence[Sequence[str]],
) -> dict[str, Any]:
    before = source.storage.metadata
    # A mean return is of one task; of episodes that were given another one there is none.
    has_others = bool(kept.relabelled or kept.mended)
    scores = {} if has_others else {key: before[key] for key in _SCORES if key in before}
    changed = f", {len(kept.relabelled)} of them relabelled with what they did" if kept.relabelled else ""
    changed += f", and {len(kept.mended)} in which the experts carried out plans to mend others" if kept.mended else ""
    return {
        "dataset_id": dataset_id,
        "minari_version": minari.__version__,
        "algorithm_name": before.get("algorithm_name", ""),
        "author": {"Gato"},
        "description": f"{dataset.description}; {len(kept.episodes)} of {dataset.num_episodes} episodes{changed}",
        "requirements": list(before.get("requirements", ())),
        "gato_format": FORMAT,
        "skills": list(skills),
        "prompts": [list(one) for one in prompts],
        "noise": [*(dataset.noise[index] for index in kept.episodes), *[0.0] * len(kept.mended)]
        if dataset.noise
        else [],
        "provenance": before.get("provenance", {}),
        "reference": {} if has_others else dataset.reference,
        **scores,
    }


_SCORES = ("ref_min_score", "ref_max_score", "num_episodes_average_score")


class _Again:
    """Steps recorded episodes again, paid for something else."""

    def __init__(self, dataset: Dataset, source: minari.MinariDataset, skills: Sequence[str]) -> None:
        self.dataset, self.skills = dataset, skills
        self.environment: gymnasium.Env = source.recover_environment()

    def relabelled(self, index: int, episode: Episode, hindsight: Hindsight) -> Episode:
        """The episode as one of those skills. ValueError where it has no seed or does not happen again."""
        prompt_ids_T = np.zeros_like(episode.prompt_ids)
        for begin, skill_id in hindsight.items():
            prompt_ids_T[begin:] = self.skills.index(skill_id)
        rewards_T = np.zeros_like(episode.rewards)
        observation, _ = self.environment.reset(seed=episode.seed)
        for step, action_A in enumerate(episode.actions):
            if step in hindsight:
                self.environment.unwrapped.select_skill(hindsight[step])  # type: ignore[attr-defined]
            seen_O = flatten_observations(self.dataset.observation_space, observation)
            if episode.seed is None or not np.array_equal(seen_O, episode.observations[step]):
                raise ValueError(
                    f"{self.dataset.id} episode {index} step {step} does not happen again, so it cannot be relabelled;"
                    " gato data check shows why, or leave out --relabel"
                )
            observation, reward, *_ = self.environment.step(unflatten_action(self.dataset.action_space, action_A))
            rewards_T[step] = float(reward)
        return replace(episode, prompt_ids=prompt_ids_T, rewards=rewards_T)
