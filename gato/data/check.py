"""Whether a dataset is what it says: shapes, lengths, numbers, bounds, and that its episodes happen again.

In: an `Episode`, or a dataset id. Out: problems in words that name dataset, episode, step and key; a `CheckReport`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import gymnasium
import minari
import numpy as np

from gato.data.minari_io import Dataset, episodes, open_dataset
from gato.skills.spaces import flatten_observations, unflatten_action
from gato.specs import BodySpec, Episode

MAX_PROBLEMS = 20
"""Shown at once; more say nothing new."""


@dataclass(frozen=True)
class CheckReport:
    """What `check_dataset` found; no problems means the dataset is sound."""

    dataset_id: str
    episodes: int
    steps: int
    replayed: int
    """Episodes stepped again in the recovered environment, to the bit."""
    clipped: int
    """Numbers of actions outside the box, where clipping was asked for."""
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    def json(self) -> dict[str, object]:
        """The report as plain values."""
        return asdict(self)


def check_dataset(dataset_id: str, *, replay: int = 3, clip_actions: bool = False) -> CheckReport:
    """Read every episode, and step `replay` of them again (spread over the dataset; -1 for all)."""
    dataset = open_dataset(dataset_id)
    problems, notes = _metadata_problems(dataset), list[str]()
    clipped = 0
    for index, episode in enumerate(episodes(dataset)):
        count = count_outside(dataset.spec, episode)
        clipped += count if clip_actions else 0
        problems += episode_problems(clip_episode(dataset.spec, episode) if clip_actions else episode, dataset, index)
        if len(problems) >= MAX_PROBLEMS:
            break
    replayed = 0
    if not problems and replay:
        replayed, differences, notes = _replay(dataset, replay)
        # A foreign dataset was made by another version of the simulator; that it differs is worth knowing, no fault.
        problems, notes = (differences, notes) if dataset.is_ours else ([], notes + differences)
    return CheckReport(
        dataset.id, dataset.num_episodes, dataset.num_steps, replayed, clipped, tuple(problems), tuple(notes)
    )


def episode_problems(episode: Episode, dataset: Dataset, index: int) -> list[str]:
    """Everything wrong with one episode, one line each."""
    where = f"{dataset.id} episode {index}"
    problems = _length_problems(episode, dataset.spec, where)
    if problems:
        return problems
    intended = [] if _is_shared(episode) else [("infos/expert_action", episode.expert_actions)]
    for key, values in (
        ("observations", episode.observations),
        ("actions", episode.actions),
        *intended,
        ("rewards", episode.rewards[:, None]),
    ):
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            step, element = bad[0]
            problems.append(
                f"{where} step {step}: {key}[{element}] is {values[step, element]}; "
                f"numbers must be finite: record the episode again or leave the dataset out"
            )
    if not problems:
        problems += _bound_problems(episode, dataset.spec, where)
    num_prompts = len(dataset.prompts)
    outside = np.flatnonzero((episode.prompt_ids < 0) | (episode.prompt_ids >= num_prompts))
    if len(outside):
        step = outside[0]
        problems.append(
            f"{where} step {step}: infos/prompt_id is {episode.prompt_ids[step]}; allowed: 0 to {num_prompts - 1}"
        )
    is_end = episode.terminations | episode.truncations
    if is_end[:-1].any():
        problems.append(
            f"{where} step {int(np.argmax(is_end))}: terminations or truncations before the last step; "
            f"an episode must stop where it ends"
        )
    return problems


def count_outside(spec: BodySpec, episode: Episode) -> int:
    """Numbers of executed and intended actions outside the box."""
    return sum(
        int(((actions_TA < spec.action_low) | (actions_TA > spec.action_high)).sum())
        for actions_TA in ((episode.actions,) if _is_shared(episode) else (episode.actions, episode.expert_actions))
    )


def _is_shared(episode: Episode) -> bool:
    """Whether it stores one list of actions: what was done is what was meant."""
    return episode.expert_actions is episode.actions


def clip_episode(spec: BodySpec, episode: Episode) -> Episode:
    """The episode with its actions inside the box."""
    return replace(
        episode,
        actions=np.clip(episode.actions, spec.action_low, spec.action_high),
        expert_actions=np.clip(episode.expert_actions, spec.action_low, spec.action_high),
    )


def _length_problems(episode: Episode, spec: BodySpec, where: str) -> list[str]:
    steps = len(episode.rewards)
    if steps == 0:
        return [f"{where}: no steps; an episode has at least one"]
    num_observations, num_actions = len(spec.observation), len(spec.action)
    wanted = {
        "observations": (episode.observations, (steps + 1, num_observations)),
        "actions": (episode.actions, (steps, num_actions)),
        "infos/expert_action": (episode.expert_actions, (steps, num_actions)),
        "terminations": (episode.terminations, (steps,)),
        "truncations": (episode.truncations, (steps,)),
        "infos/prompt_id": (episode.prompt_ids, (steps,)),
        **{f"infos/{name}": (values, (steps,)) for name, values in episode.readings.items()},
    }
    return [
        f"{where}: {key} has shape {tuple(values.shape)}, {steps} rewards need {shape}; record the episode again"
        for key, (values, shape) in wanted.items()
        if tuple(values.shape) != shape
    ]


def _bound_problems(episode: Episode, spec: BodySpec, where: str) -> list[str]:
    problems = []
    for key, actions_TA in (("actions", episode.actions), ("infos/expert_action", episode.expert_actions)):
        bad = np.argwhere((actions_TA < spec.action_low) | (actions_TA > spec.action_high))
        if len(bad):
            step, element = bad[0]
            low, high = spec.action_low[element], spec.action_high[element]
            problems.append(
                f"{where} step {step}: {key}[{element}] = {actions_TA[step, element]:g} outside [{low:g}, {high:g}] "
                f"({len(bad)} such numbers in this episode); "
                "clip them (--clip-actions, or data.clip_actions: true in a config) or record it again"
            )
            if _is_shared(episode):
                break
    return problems


def _metadata_problems(dataset: Dataset) -> list[str]:
    problems = []
    if dataset.is_ours and len(dataset.prompts) != max(len(dataset.skills), 1):
        problems.append(
            f"{dataset.id}: {len(dataset.skills)} skills but {len(dataset.prompts)} lists of prompts; record it again"
        )
    if dataset.noise and len(dataset.noise) != dataset.num_episodes:
        problems.append(f"{dataset.id}: {len(dataset.noise)} noise levels for {dataset.num_episodes} episodes")
    return problems


def _replay(dataset: Dataset, wanted: int) -> tuple[int, list[str], list[str]]:
    """Episodes stepped again, where they differ, and why some were not tried."""
    total = dataset.num_episodes
    indices = list(range(total))
    if 0 <= wanted < total:
        indices = sorted({int(index) for index in np.linspace(0, total - 1, wanted)})
    if dataset.env_spec is None:
        return 0, [], ["not replayed: the dataset stores no environment"]
    try:
        environment = minari.MinariDataset(dataset.folder / "data").recover_environment()
    except (gymnasium.error.Error, ImportError) as error:
        return 0, [], [f"not replayed: {dataset.env_spec.id} cannot be made here ({error})"]
    differences, replayed = list[str](), 0
    for index, episode in zip(indices, episodes(dataset, indices), strict=True):
        if episode.seed is None:
            environment.close()
            return replayed, differences, [f"not replayed: episode {index} stores no seed"]
        difference = next(differences_of(environment, dataset, episode), None)
        if difference is None:
            replayed += 1
        else:
            differences.append(f"{dataset.id} episode {index} {difference}; the simulator's version may differ")
    environment.close()
    return replayed, differences, []


def differences_of(environment: gymnasium.Env, dataset: Dataset, episode: Episode) -> Iterator[str]:
    """What differs between the stored episode and the same actions stepped again, in order."""
    observation, _ = environment.reset(seed=episode.seed)
    prompt_id = -1
    for step in range(len(episode.rewards) + 1):
        expected_O = episode.observations[step]
        got_O = flatten_observations(dataset.observation_space, observation)
        if not np.array_equal(got_O, expected_O):
            gap = np.abs(got_O - expected_O).max() if got_O.shape == expected_O.shape else np.inf
            yield f"step {step}: the replayed observations differ by up to {gap:.3g}"
        if step == len(episode.rewards):
            return
        if dataset.skills and episode.prompt_ids[step] != prompt_id:
            prompt_id = episode.prompt_ids[step]
            environment.unwrapped.select_skill(dataset.skills[prompt_id])  # type: ignore[attr-defined]
        action = unflatten_action(dataset.action_space, episode.actions[step])
        observation, reward, terminated, truncated, _ = environment.step(action)
        expected = (episode.rewards[step], episode.terminations[step], episode.truncations[step])
        # Whoever recorded may have cut the episode where the environment would have gone on.
        truncated |= bool(episode.truncations[step]) and step == len(episode.rewards) - 1
        if (reward, terminated, truncated) != expected:
            got = (reward, terminated, truncated)
            yield f"step {step}: replayed (reward, terminated, truncated) are {got}, stored {expected}"
