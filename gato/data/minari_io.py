"""Minari datasets, ours and anybody's, as flat episodes.

In: a dataset id under Minari's root. Out: a `Dataset` (what it holds and where it came from) and its `Episode`s,
flattened by `skills.spaces`; the other way, an `Episode` as the buffer that Minari stores.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import minari
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from minari.data_collector import EpisodeBuffer

from gato.runs import content_hash, minari_root
from gato.skills.bodies import BODIES, body_of
from gato.skills.robots.known import know_environment
from gato.skills.spaces import body_spec, flatten_actions, flatten_observations, unflatten_action
from gato.skills.table import SKILLS
from gato.specs import BodySpec, Episode, near_match

FORMAT = 1
"""Of what we add to a Minari dataset (metadata key `gato_format`)."""
DATASET_ID = re.compile(r"(?:[-_\w][-_\w/]*[-_\w]/)?[-_\w]+-v\d+")
"""What Minari accepts as an id with a version."""


@dataclass(frozen=True)
class Dataset:
    """One Minari dataset on disk; opening it reads metadata only."""

    id: str
    folder: Path
    spec: BodySpec
    env_spec: EnvSpec | None
    observation_space: spaces.Space
    action_space: spaces.Space
    num_episodes: int
    num_steps: int
    is_ours: bool
    skills: tuple[str, ...]
    """Skill ids, index = prompt_id; empty for a foreign dataset."""
    prompts: tuple[tuple[str, ...], ...]
    """A prompt_id's phrases, the canonical one first."""
    reference: dict[str, float]
    """{"random", "expert", "expert_episodes"} where known: mean returns."""
    noise: tuple[float, ...]
    """Standard deviation of the action noise of each episode; empty where unknown."""
    description: str = ""
    """Who acted, and how, in the words of whoever recorded it."""

    @property
    def content_hash(self) -> str:
        """`runs.content_hash` of the folder; kept until a file changes."""
        return _content_hash(self.folder, self.fingerprint)

    @property
    def fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        """Name, size and time of each file: cheap, and enough to know that nothing was touched on this machine."""
        files = sorted(path for path in (self.folder / "data").iterdir() if path.is_file())
        return tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)


@lru_cache(maxsize=256)
def _content_hash(folder: Path, fingerprint: tuple[tuple[str, int, int], ...]) -> str:
    return content_hash(folder)


def list_datasets() -> tuple[str, ...]:
    """Ids of the datasets under Minari's root, half-finished recordings left out."""
    root = minari_root()
    found = (path.parent.parent.relative_to(root) for path in root.glob("**/data/metadata.json"))
    return tuple(sorted(str(place) for place in found if not any(part.startswith(".") for part in place.parts)))


def check_dataset_id(dataset_id: str) -> None:
    """ValueError unless Minari would accept the id."""
    if not DATASET_ID.fullmatch(dataset_id):
        raise ValueError(
            f'dataset id "{dataset_id}" is not one of Minari\'s: letters, digits, - and _ in parts joined by /, '
            f'with a version at the end, like "gato/half-cheetah/run-forward-v0"'
        )


def open_dataset(dataset_id: str) -> Dataset:
    """Open a dataset by id. ValueError: no such dataset (with a near match), or one that cannot be read."""
    folder = minari_root() / dataset_id
    if not (folder / "data" / "metadata.json").is_file():
        known = list_datasets()
        hint = near_match(dataset_id, known) if known else "there is none yet"
        raise ValueError(f'no Minari dataset "{dataset_id}" in {minari_root()}; {hint}; gato record makes one')
    try:
        stored = minari.MinariDataset(folder / "data")
        metadata = stored.storage.metadata
        list(stored.storage.get_episode_metadata([stored.total_episodes - 1]))
    except (OSError, ValueError, KeyError, AssertionError) as error:
        raise _unreadable(dataset_id, error) from error
    is_ours = metadata.get("gato_format") is not None
    if is_ours and metadata["gato_format"] != FORMAT:
        raise ValueError(
            f"dataset {dataset_id} has gato_format {metadata['gato_format']}, this version reads {FORMAT}; "
            "record it again"
        )
    skills = tuple(metadata.get("skills", ())) if is_ours else ()
    return Dataset(
        id=dataset_id,
        folder=folder,
        spec=_spec(dataset_id, skills, stored),
        env_spec=stored.env_spec,
        observation_space=stored.observation_space,
        action_space=stored.action_space,
        num_episodes=stored.total_episodes,
        num_steps=stored.total_steps,
        is_ours=is_ours,
        skills=skills,
        prompts=tuple(map(tuple, metadata["prompts"])) if is_ours else (("",),),
        reference=_reference(metadata),
        noise=tuple(metadata.get("noise", ())) if is_ours else (),
        description=str(metadata.get("description", "")),
    )


def episodes(dataset: Dataset, indices: Iterable[int] | None = None) -> Iterator[Episode]:
    """The episodes, in order, or those of `indices`; one is in memory at a time."""
    storage = minari.MinariDataset(dataset.folder / "data").storage
    wanted = list(range(dataset.num_episodes) if indices is None else indices)
    try:
        for facts, stored in zip(storage.get_episode_metadata(wanted), storage.get_episodes(wanted), strict=True):
            yield _episode(dataset, facts.get("seed"), stored)
    except (OSError, KeyError) as error:
        raise _unreadable(dataset.id, error) from error


def to_buffer(episode: Episode, observation_space: spaces.Space, action_space: spaces.Space) -> EpisodeBuffer:
    """The episode as Minari stores it; per-step infos get one more row, the last repeated (T+1 rows)."""

    def lengthened(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, values[-1:]])

    return EpisodeBuffer(
        seed=episode.seed,
        observations=unflatten(observation_space, episode.observations),
        actions=unflatten(action_space, episode.actions),
        rewards=episode.rewards,  # type: ignore[arg-type]
        terminations=episode.terminations,  # type: ignore[arg-type]
        truncations=episode.truncations,  # type: ignore[arg-type]
        infos={
            "expert_action": lengthened(episode.expert_actions),
            "prompt_id": lengthened(episode.prompt_ids),
            **{name: lengthened(values) for name, values in episode.readings.items()},
        },
    )


def unflatten(space: spaces.Space, vectors_TE: np.ndarray) -> Any:
    """T flat vectors back to the layout of the space, as Minari stores it (a Dict space: a dict of arrays)."""
    if isinstance(space, spaces.Dict):
        return _stack([unflatten_action(space, vector_E) for vector_E in vectors_TE])
    if isinstance(space, spaces.Discrete):
        return vectors_TE[:, 0].astype(np.int64)
    return vectors_TE.reshape(len(vectors_TE), *(space.shape or ())).astype(space.dtype, copy=False)


def _stack(rows: list[Any]) -> Any:
    if isinstance(rows[0], dict):
        return {key: _stack([row[key] for row in rows]) for key in rows[0]}
    return np.stack(rows)


def _episode(dataset: Dataset, seed: int | None, stored: dict[str, Any]) -> Episode:
    actions_TA = flatten_actions(dataset.action_space, stored["actions"]).astype(np.float32)
    num_steps = len(stored["rewards"])
    infos = (stored["infos"] or {}) if dataset.is_ours else {}
    expert_TA, prompt_ids_T = actions_TA, np.zeros(num_steps, np.int64)
    if dataset.is_ours:
        expert_TA = infos["expert_action"][:-1]
        prompt_ids_T = infos["prompt_id"][:-1]
    return Episode(
        seed=seed,
        observations=flatten_observations(dataset.observation_space, stored["observations"]),
        actions=actions_TA,
        expert_actions=expert_TA,
        rewards=np.asarray(stored["rewards"], np.float64),
        terminations=np.asarray(stored["terminations"], bool),
        truncations=np.asarray(stored["truncations"], bool),
        prompt_ids=prompt_ids_T,
        readings={
            name: values[:-1]
            for name, values in infos.items()
            if name not in ("expert_action", "prompt_id") and isinstance(values, np.ndarray)
        },
    )


def _spec(dataset_id: str, skills: tuple[str, ...], stored: minari.MinariDataset) -> BodySpec:
    """The body of the skill or environment where Gato knows it, as the stepper has it; else made from the spaces."""
    if stored.env_spec is not None:
        know_environment(stored.env_spec)
    if skills and skills[0] in SKILLS:
        return BODIES[SKILLS[skills[0]].body].spec
    body = body_of(stored.env_spec) if stored.env_spec else None
    if body is not None:
        return body.spec
    parts = dataset_id.split("/")
    name = parts[-2] if len(parts) > 2 else re.sub(r"-v\d+$", "", parts[-1])
    try:
        spec = body_spec(name, stored.observation_space, stored.action_space)
    except (ValueError, TypeError) as error:
        raise ValueError(f"dataset {dataset_id}: {error}") from error
    if name in BODIES and BODIES[name].spec.digest != spec.digest:
        # Another machine's hopper is another body, and one model may hold both.
        return BodySpec(f"{name}-{spec.digest[:4]}", spec.observation, spec.action)
    return spec


def _reference(metadata: dict[str, Any]) -> dict[str, float]:
    if "reference" in metadata:
        return metadata["reference"]
    names = {
        "random": "ref_min_score",
        "expert": "ref_max_score",
        "expert_episodes": "num_episodes_average_score",
    }
    return {ours: metadata[key] for ours, key in names.items() if metadata.get(key) is not None}


def _unreadable(dataset_id: str, error: Exception) -> ValueError:
    return ValueError(
        f"dataset {dataset_id} cannot be read ({type(error).__name__}: {error}): its files are damaged or not a Minari "
        f"dataset; record or download it again"
    )
