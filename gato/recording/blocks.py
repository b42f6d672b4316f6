"""A block of episodes, one to an environment, stepped together and kept in preallocated arrays.

In: a stepper, one actor a skill, a `Plan` (seeds, noise, which skill when). Out: `Episode`s.
A block is a pure function of its plan, so that blocks can be recorded again, or in another process, bit by bit.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from gato.skills.evaluate import SEED_STRIDE, Actor
from gato.skills.stepper import Stepper
from gato.specs import BodySpec, Episode

NOISE_STREAM, SWITCH_STREAM = 1, 2
"""Beside an episode's seed: what its own generators are for."""
EDGE = 0.05
"""Share of an episode at its start and at its end in which the skill does not change."""


@dataclass(frozen=True)
class Plan:
    """What B episodes of at most T steps shall be."""

    first: int
    """Index of the first episode in the dataset."""
    seeds: tuple[int, ...]
    noise: tuple[float, ...]
    """Standard deviation for each episode."""
    prompt_ids_TB: np.ndarray
    """Which skill holds at each step."""
    actor_ids_TB: np.ndarray
    """Which of the actors is asked: the one of the skill, or the one whose turn it is."""


def plan_block(
    indices: range,
    max_steps: int,
    *,
    seed: int,
    noise: Sequence[float],
    num_skills: int,
    changes: tuple[int, int],
    num_turns: int = 1,
) -> Plan:
    """The plan of the episodes `indices` of a dataset: noise levels in turn, skills changing at random steps.

    `num_turns`: actors of the one skill that take turns, an episode each.
    """
    seeds = tuple(seed * SEED_STRIDE + index for index in indices)
    prompt_ids_TB = np.zeros((max_steps, len(indices)), np.int64)
    if num_skills > 1:
        for column, episode_seed in enumerate(seeds):
            prompt_ids_TB[:, column] = _switching(max_steps, num_skills, changes, episode_seed)
    turns_TB = np.tile([index % num_turns for index in indices], (max_steps, 1))
    levels = tuple(noise[index % len(noise)] for index in indices)
    return Plan(indices.start, seeds, levels, prompt_ids_TB, prompt_ids_TB if num_skills > 1 else turns_TB)


def _switching(max_steps: int, num_skills: int, changes: tuple[int, int], seed: int) -> np.ndarray:
    """(T,) skill of each step: a random first one, then always another one."""
    rng = np.random.default_rng([seed, SWITCH_STREAM])
    margin = max(1, round(EDGE * max_steps))
    num_changes = min(int(rng.integers(changes[0], changes[1] + 1)), max(max_steps - 2 * margin, 0))
    steps = np.sort(rng.choice(np.arange(margin, max_steps - margin), num_changes, replace=False))
    hops = np.concatenate([[rng.integers(num_skills)], rng.integers(1, num_skills, num_changes)])
    return (np.cumsum(hops) % num_skills)[np.searchsorted(steps, np.arange(max_steps), side="right")]


class ToldActor(Protocol):
    """Acts in place of the experts, which say what it should have done."""

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """Actions (B, A) for all rows."""
        ...

    def tell(self, ids: np.ndarray, prompt_id: int) -> None:
        """From now on rows `ids` are asked for that skill."""
        ...

    def did(self, ids: np.ndarray, actions_bA: np.ndarray) -> None:
        """Rows `ids` did this instead of what it gave."""
        ...


@dataclass
class Block:
    """The arrays of B episodes while they are recorded; time first, since a step writes one row."""

    plan: Plan
    observations_TBO: np.ndarray
    """(T+1, B, O)"""
    actions_TBA: np.ndarray
    expert_actions_TBA: np.ndarray
    rewards_TB: np.ndarray
    readings_TB: dict[str, np.ndarray]
    lengths_B: np.ndarray
    terminated_B: np.ndarray
    truncated_B: np.ndarray
    clipped: int = 0
    """Numbers of intended actions that lay outside the box."""

    def episodes(self) -> list[Episode]:
        """One record an episode, cut to its length."""
        return [self._episode(column, int(length)) for column, length in enumerate(self.lengths_B)]

    def _episode(self, column: int, length: int) -> Episode:
        is_last_T = np.arange(length) == length - 1
        return Episode(
            seed=self.plan.seeds[column],
            observations=self.observations_TBO[: length + 1, column],
            actions=self.actions_TBA[:length, column],
            expert_actions=self.expert_actions_TBA[:length, column],
            rewards=self.rewards_TB[:length, column],
            terminations=is_last_T & self.terminated_B[column],
            truncations=is_last_T & self.truncated_B[column],
            prompt_ids=self.plan.prompt_ids_TB[:length, column],
            readings={name: values_TB[:length, column] for name, values_TB in self.readings_TB.items()},
        )

    def save(self, path: Path) -> None:
        """Write the block; the file appears whole or not at all."""
        arrays = {key: value for key, value in vars(self).items() if isinstance(value, np.ndarray)}
        arrays["clipped"] = np.array(self.clipped)
        arrays |= {f"reading/{name}": values_TB for name, values_TB in self.readings_TB.items()}
        temporary = path.with_suffix(".part.npz")
        try:
            np.savez(temporary, allow_pickle=False, **arrays)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OSError(error.errno, f"{error.strerror}; finished episodes are kept: --resume", str(path)) from error
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path, plan: Plan) -> Block | None:
        """The block in that file, or None when there is none, or a damaged one."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {key: stored[key] for key in stored.files}
        except (FileNotFoundError, zipfile.BadZipFile, ValueError, EOFError):
            return None
        clipped = int(arrays.pop("clipped"))
        readings = {key.removeprefix("reading/"): value for key, value in arrays.items() if key.startswith("reading/")}
        plain = {key: value for key, value in arrays.items() if not key.startswith("reading/")}
        return cls(plan=plan, readings_TB=readings, clipped=clipped, **plain)


def record_block(
    stepper: Stepper, actors: Sequence[Actor], skills: Sequence[str], plan: Plan, student: ToldActor | None = None
) -> Block:
    """Record the planned episodes; `skills` by prompt_id (none: an environment of somebody else), `actors` by actor_id.

    With a `student` its actions are executed, and those of the actors are what it should have done.
    """
    num_rows, max_steps = len(plan.seeds), len(plan.prompt_ids_TB)
    low_A, high_A = stepper.spec.action_low, stepper.spec.action_high
    noise_TBA = _noise(plan, stepper.spec)
    active = np.arange(num_rows)
    first_BO = stepper.reset(active, plan.seeds)
    block = _empty_block(plan, first_BO, stepper)
    observation_BO = np.zeros((stepper.num_envs, first_BO.shape[1]), first_BO.dtype)
    observation_BO[:num_rows] = first_BO
    everyone = [*actors, *([] if student is None else [student])]
    _begin(everyone, active, stepper)
    for step in range(max_steps):
        if skills:
            _select_skills(stepper, skills, plan, step, active, actors, student)
        given_BA = _act(actors, observation_BO, plan.actor_ids_TB[step])[active]
        intended_BA = np.clip(given_BA, low_A, high_A)
        block.clipped += int((given_BA != intended_BA).sum())
        executed_BA = intended_BA if student is None else student(observation_BO)[active]
        if noise_TBA is not None:
            executed_BA = np.clip(executed_BA + noise_TBA[step, active], low_A, high_A)
            if student is not None:
                student.did(active, executed_BA)
        transition = stepper.step(executed_BA, None if len(active) == stepper.num_envs else active)
        block.expert_actions_TBA[step, active] = intended_BA
        block.actions_TBA[step, active] = executed_BA
        block.rewards_TB[step, active] = transition.rewards_B
        block.observations_TBO[step + 1, active] = observation_BO[active] = transition.observations_BO
        _measure(actors, transition.readings, active, stepper.num_envs)
        for name, values_B in transition.readings.items():
            if name not in block.readings_TB:
                block.readings_TB[name] = np.zeros((max_steps, num_rows))
            block.readings_TB[name][step, active] = values_B
        is_over_B = transition.terminated_B | transition.truncated_B
        if is_over_B.any():
            over = active[is_over_B]
            block.lengths_B[over] = step + 1
            block.terminated_B[over] = transition.terminated_B[is_over_B]
            block.truncated_B[over] = transition.truncated_B[is_over_B]
            active = active[~is_over_B]
            _retire(everyone, over)
            if not len(active):
                break
    # Cut by the plan, where the environment would have gone on.
    block.truncated_B[active] = True
    return block


def _noise(plan: Plan, spec: BodySpec) -> np.ndarray | None:
    """(T, B, A) float32, each episode's from its own generator; None where there is none."""
    if not any(plan.noise):
        return None
    max_steps, num_actions = len(plan.prompt_ids_TB), len(spec.action)
    noise_TBA = np.zeros((max_steps, len(plan.seeds), num_actions), np.float32)
    for column, (seed, level) in enumerate(zip(plan.seeds, plan.noise, strict=True)):
        if level:
            rng = np.random.default_rng([seed, NOISE_STREAM])
            noise_TBA[:, column] = level * rng.standard_normal((max_steps, num_actions), np.float32)
    return noise_TBA


def _empty_block(plan: Plan, first_BO: np.ndarray, stepper: Stepper) -> Block:
    max_steps, num_rows = plan.prompt_ids_TB.shape
    action_shape = (max_steps, num_rows, len(stepper.spec.action))
    observations_TBO = np.zeros((max_steps + 1, *first_BO.shape), first_BO.dtype)
    observations_TBO[0] = first_BO
    return Block(
        plan=plan,
        observations_TBO=observations_TBO,
        actions_TBA=np.zeros(action_shape, np.float32),
        expert_actions_TBA=np.zeros(action_shape, np.float32),
        rewards_TB=np.zeros((max_steps, num_rows)),
        readings_TB={},
        lengths_B=np.full(num_rows, max_steps),
        terminated_B=np.zeros(num_rows, bool),
        truncated_B=np.zeros(num_rows, bool),
    )


def _act(actors: Sequence[Actor], observation_BO: np.ndarray, actor_id_B: np.ndarray) -> np.ndarray:
    """Each row's action by its actor. Every actor sees every row, since it may hold state; one that acts in several
    skills acts once."""
    different = {id(actor): actor for actor in actors}
    given = {name: np.asarray(actor(observation_BO), np.float32) for name, actor in different.items()}
    if len(given) == 1:
        return next(iter(given.values()))
    return np.stack([given[id(actor)] for actor in actors])[actor_id_B, np.arange(len(actor_id_B))]


def _measure(actors: Sequence[Actor], readings: Mapping[str, np.ndarray], active: np.ndarray, num_envs: int) -> None:
    """Shows what was measured to those who care."""
    watching = [actor for actor in actors if hasattr(actor, "measure")]
    if watching:
        everywhere = {name: np.full(num_envs, np.nan) for name in readings}
        for name, values_b in readings.items():
            everywhere[name][active] = values_b
        for actor in watching:
            actor.measure(everywhere)


def _select_skills(
    stepper: Stepper,
    skills: Sequence[str],
    plan: Plan,
    step: int,
    active: np.ndarray,
    actors: Sequence[Actor],
    student: ToldActor | None,
) -> None:
    prompt_id_B = plan.prompt_ids_TB[step]
    is_new_B = np.ones(len(active), bool) if step == 0 else (prompt_id_B != plan.prompt_ids_TB[step - 1])[active]
    if is_new_B.any():
        changed = active[is_new_B]
        for prompt_id in np.unique(prompt_id_B[changed]):
            chosen = changed[prompt_id_B[changed] == prompt_id]
            stepper.select_skill(chosen, skills[prompt_id])
            if step > 0 and len(skills) > 1 and hasattr(actors[prompt_id], "take_over"):
                actors[prompt_id].take_over(chosen)
            if student is not None and step > 0:
                student.tell(chosen, int(prompt_id))


def _begin(actors: Sequence[Actor | ToldActor], active: np.ndarray, stepper: Stepper) -> None:
    for actor in actors:
        if hasattr(actor, "watch"):
            actor.watch(stepper)
        if hasattr(actor, "reset"):
            actor.reset(active)
    _retire(actors, np.arange(len(active), stepper.num_envs))


def _retire(actors: Sequence[Actor | ToldActor], ids: np.ndarray) -> None:
    for actor in actors:
        if len(ids) and hasattr(actor, "retire"):
            actor.retire(ids)
