"""Recorded blocks become one Minari dataset: checked, described, and put in its place by one rename.

In: the recording, its crew, and the files of its blocks. Out: a dataset folder with `provenance.json`.
"""

from __future__ import annotations

import errno
import logging
import os
import shlex
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import minari
import numpy as np
from minari.data_collector.callbacks import EpisodeMetadataCallback
from minari.dataset.minari_storage import MinariStorage
from minari.namespace import create_namespace, list_local_namespaces

from gato.data.check import episode_problems
from gato.data.minari_io import FORMAT, Dataset, to_buffer
from gato.experts.shipped import NAMED
from gato.recording.blocks import Block, Plan, plan_block, record_block
from gato.recording.crew import EXPERT, NOBODY, Crew
from gato.recording.recipe import Recording
from gato.runs import minari_root, write_provenance
from gato.skills.robots.known import robot_hash, typed
from gato.skills.skill import TOLD, Skill
from gato.skills.stepper import make_stepper
from gato.skills.table import SKILLS, get_skill
from gato.specs import COMMANDS, Episode

log = logging.getLogger("gato")

REFERENCE_EPISODES = 10
"""Episodes of a random actor, and of the expert where none was recorded without noise, for the reference scores."""

NEWER = ("sample", "reference", "randomise", "max_episode_steps")
"""Settings of a recording that there were not from the first."""
HDF5_OVERHEAD = 1.5
"""A dataset's bytes against its blocks', with room to spare: 1.29 for half-cheetah, whole episodes of 1000 steps."""


def made_by(recording: Recording, crew: Crew) -> dict[str, Any]:
    """What identifies a recording, as it comes back from JSON; an expert counts by its content, not by its path."""
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(recording).items()}
    settings = without_unset(settings)
    # Its hash is among the experts'.
    del settings["normalizer"]
    if crew.inputs:
        settings["expert"] = {EXPERT: recording.expert} if recording.expert in NOBODY else {}
        settings["expert"] |= crew.hashes
    if robot := robot_hash(crew.stepper.spec.name):
        settings["robot"] = robot
    return settings


def without_unset(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Newer settings that are unset say nothing: datasets from before there were such settings stay what they are."""
    return {key: value for key, value in settings.items() if value or key not in NEWER}


def assemble(recording: Recording, crew: Crew, blocks: Iterable[tuple[Plan, Path]], folder: Path) -> None:
    """Write the whole Minari dataset into `folder`, every episode checked before it is written.

    A block is written while the next one is recorded, and so is the random actor: the simulator steps without the
    interpreter's lock. OSError when the disk is full; the blocks are kept.
    """
    shutil.rmtree(folder, ignore_errors=True)
    data = folder / "data"
    data.mkdir(parents=True)
    view = _view(recording, crew, folder)
    storage = MinariStorage.new(
        data, view.observation_space, view.action_space, view.env_spec, data_format="hdf5", jpeg_encoding=False
    )
    writer = _Writer(recording, crew, view, storage, folder)
    # Switch episodes have no one task; nor does anything without an expert have a reference.
    has_reference = bool(crew.inputs.keys() - {"student"}) and not recording.switch
    with ThreadPoolExecutor(2) as pool:
        trying = pool.submit(_random_returns, recording, crew) if has_reference else None
        writing: Future[None] | None = None
        for plan, path in blocks:
            if writing is not None:
                writing.result()
            writing = pool.submit(writer.write, plan, path)
        if writing is not None:
            writing.result()
        random = [] if trying is None else trying.result()
    reference = _reference(random, writer.noiseless or _returns(recording, crew.referee())) if has_reference else {}
    if writer.clipped:
        log.warning("%s: %d numbers of the expert's actions lay outside the box; clipped", recording.id, writer.clipped)
    storage.update_metadata(_metadata(recording, crew, view, reference))
    write_provenance(
        folder,
        command=_command(recording),
        config=asdict(recording),
        seeds={"seed": recording.seed},
        inputs=crew.inputs,
    )


@dataclass
class _Writer:
    """Puts blocks into the dataset, one after the other."""

    recording: Recording
    crew: Crew
    view: Dataset
    storage: MinariStorage
    folder: Path
    noiseless: list[float] = field(default_factory=list)
    """Returns of the episodes in which the expert of the reference acted without noise."""
    clipped: int = 0

    def write(self, plan: Plan, path: Path) -> None:
        """Check and write the episodes of one block."""
        _refuse_full_disk(self.folder, path.stat().st_size)
        block = Block.load(path, plan)
        if block is None:
            raise ValueError(f"{path} was damaged while recording; pass --resume to record it again")
        self.clipped += block.clipped
        episodes, view = [_worded(one, self.recording) for one in block.episodes()], self.view
        _validate(episodes, view, plan)
        self.storage.update_episodes([to_buffer(one, view.observation_space, view.action_space) for one in episodes])
        ids, facts = range(plan.first, plan.first + len(episodes)), EpisodeMetadataCallback()
        told = [facts({"rewards": one.rewards}) for one in episodes]
        if turns := self.crew.turns:
            told = [one | {"expert": turns[turn]} for one, turn in zip(told, plan.actor_ids_TB[0], strict=True)]
        self.storage.update_episode_metadata(told, ids)
        recording = self.recording
        if not (recording.student or recording.sample or recording.reference or recording.max_episode_steps):
            levels = zip(episodes, plan.noise, strict=True)
            self.noiseless += [float(one.rewards.sum()) for one, level in levels if not level]


def publish(folder: Path, target: Path) -> None:
    """Put the finished dataset where Minari lists it, in one rename; what was there before is moved away first."""
    namespace = str(target.parent.relative_to(minari_root()))
    if namespace not in list_local_namespaces():
        create_namespace(namespace)
    if target.exists():
        target.rename(folder.with_name("replaced"))
    folder.rename(target)


def _refuse_full_disk(folder: Path, size: int) -> None:
    """OSError unless the disk can hold `size` more bytes of blocks as HDF5, which cannot fail cleanly itself."""
    if shutil.disk_usage(folder).free < size * HDF5_OVERHEAD:
        said = os.strerror(errno.ENOSPC)
        raise OSError(errno.ENOSPC, f"{said}; finished episodes are kept: --resume", str(folder))


def _metadata(recording: Recording, crew: Crew, view: Dataset, reference: dict[str, float]) -> dict[str, Any]:
    by = {
        **dict.fromkeys(NAMED, "the experts that come with Gato"),
        "random": "random actions",
        "zero": "no action at all",
    }
    turns, kind = len(recording.experts), "sampled from " if recording.sample else ""
    actor = by.get(recording.experts[0], "an expert of its own") if turns == 1 else f"{turns} policies in turn"
    what = f"switching between {', '.join(recording.switch)}" if recording.switch else recording.env
    facts: dict[str, Any] = {
        "dataset_id": recording.id,
        "minari_version": minari.__version__,
        "algorithm_name": "PPO" if _is_shipped(crew) else by.get(recording.experts[0], "custom expert"),
        # One author: Minari writes the set in an order that varies between processes.
        "author": {"Gato"},
        "description": f"{what}, acted by {kind}{actor}",
        "requirements": [f"{name}=={metadata.version(name)}" for name in ("gymnasium", "mujoco")],
        "gato_format": FORMAT,
        "skills": list(view.skills),
        "prompts": [list(phrases) for phrases in view.prompts],
        "noise": list(view.noise),
        "provenance": made_by(recording, crew),
        "reference": reference,
    }
    if reference:
        facts["ref_min_score"], facts["ref_max_score"] = reference["random"], reference["expert"]
        facts["num_episodes_average_score"] = reference["expert_episodes"]
    return facts


def _is_shipped(crew: Crew) -> bool:
    """Whether everyone who acts comes with Gato."""
    experts = [entry for name, entry in crew.inputs.items() if name.startswith(EXPERT)]
    return bool(experts) and all("id" in entry for entry in experts)


def _reference(random: list[float], expert: list[float]) -> dict[str, float]:
    """Mean returns of random actions and of the expert."""
    return {"random": float(np.mean(random)), "expert": float(np.mean(expert)), "expert_episodes": len(expert)}


def _random_returns(recording: Recording, crew: Crew) -> list[float]:
    """Of random actions, in simulations of their own."""
    stepper = make_stepper(crew.stepper.env_spec, REFERENCE_EPISODES, num_threads=1)
    return _returns(recording, replace(crew, stepper=stepper, experts=()))


def _returns(recording: Recording, crew: Crew) -> list[float]:
    """Returns of a few episodes without noise."""
    plan = plan_block(
        range(min(REFERENCE_EPISODES, crew.stepper.num_envs)),
        crew.stepper.max_episode_steps,
        seed=recording.seed,
        noise=(0.0,),
        num_skills=1,
        changes=(1, 1),
        num_turns=crew.num_turns,
    )
    block = record_block(crew.stepper, crew.actors(plan.seeds[0]), recording.skills, plan)
    return [float(one.rewards.sum()) for one in block.episodes()]


def _view(recording: Recording, crew: Crew, folder: Path) -> Dataset:
    """The dataset as `open_dataset` will see it."""
    levels = recording.noise
    skills = recording.skills
    if commanded := _commanded(recording):
        prompts = tuple(cell.phrases for cell in commanded.cells)
        skills *= len(prompts)
    else:
        prompts = tuple(get_skill(skill).phrases("train") for skill in skills) or (("",),)
    return Dataset(
        id=recording.id,
        folder=folder,
        spec=crew.stepper.spec,
        env_spec=crew.stepper.env_spec,
        observation_space=crew.stepper.observation_space,
        action_space=crew.stepper.action_space,
        num_episodes=recording.episodes,
        num_steps=0,
        is_ours=True,
        skills=skills,
        prompts=prompts,
        reference={},
        noise=tuple(levels[index % len(levels)] for index in range(recording.episodes)),
    )


def _commanded(recording: Recording) -> Skill | None:
    """The goal-conditioned skill that is recorded, if it is one."""
    skill = SKILLS.get(recording.env)
    return skill if skill is not None and skill.is_commanded else None


def _worded(episode: Episode, recording: Recording) -> Episode:
    """Each step under the words for what was asked for then, where that changes within a skill."""
    skill = _commanded(recording)
    if skill is None:
        return episode
    missing_T = np.full(len(episode.rewards), np.nan)
    command_TC = np.stack([episode.readings.get(TOLD + name, missing_T) for name in COMMANDS], 1)
    return replace(episode, prompt_ids=skill.cell_of(command_TC))


def _validate(episodes: list[Episode], view: Dataset, plan: Plan) -> None:
    problems = [
        problem
        for offset, episode in enumerate(episodes)
        for problem in episode_problems(episode, view, plan.first + offset)
    ]
    if problems:
        raise ValueError(f"{problems[0]} ({len(problems)} problems in these episodes; nothing was written)")


def _command(recording: Recording) -> str:
    """What makes this dataset again when typed."""
    words = ["gato", "record", typed(recording.env)]
    if recording.switch:
        words += ["--switch", *map(typed, recording.switch), "--changes", *map(str, recording.changes)]
    words += ["--episodes", str(recording.episodes), "--seed", str(recording.seed)]
    words += ["--noise", *(f"{level:g}" for level in recording.noise), "--expert", *recording.experts]
    words += ["--student", recording.student] if recording.student else []
    words += ["--sample"] if recording.sample else []
    words += ["--reference", recording.reference] if recording.reference else []
    words += ["--randomise", *recording.randomise] if recording.randomise else []
    words += ["--max-episode-steps", str(recording.max_episode_steps)] if recording.max_episode_steps else []
    words += ["--dataset-id", recording.dataset_id] if recording.dataset_id else []
    words += ["--normalizer", recording.normalizer] if recording.normalizer else []
    return shlex.join(words)
