"""Where the episodes of a training begin, and what makes them easier at first.

In: the names of other experts. Out: `Curriculum` (its settings), `StartStates`, steppers that begin there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gato.experts.commanded import axes, teacher_spec
from gato.experts.policy import Policy
from gato.experts.views import Views
from gato.skills.batch_stepper import BatchStepper
from gato.skills.bodies.body import State
from gato.skills.commands import ranges
from gato.skills.environment import MAX_SEED
from gato.skills.evaluate import evaluate
from gato.skills.randomise import read_ranges
from gato.skills.skill import Skill
from gato.skills.stepper import find_env_spec, make_stepper
from gato.skills.table import get_skill
from gato.skills.transition import Transition
from gato.specs import COMMANDS, _Arrays

VISIT_STEPS, STEPS_A_POLICY = 1000, 200
"""Control steps a policy in which start states are gathered, and their mean number until another policy takes over."""
START_NOISE = 0.1
"""Standard deviation of the action noise (units of half the box) under which start states are gathered."""

HABIT_EPISODES = 8


@dataclass(frozen=True)
class Part:
    """Who is right where the one number that is told lies in [low, high]; without such bounds, near its own command."""

    expert: str
    low: float = -math.inf
    high: float = math.inf

    @classmethod
    def read(cls, text: str) -> Part:
        """From EXPERT@LOWEST:HIGHEST or EXPERT; ValueError where that is not what is written."""
        expert, _, bounds = text.partition("@")
        low, _, high = bounds.partition(":")
        try:
            part = cls(expert, float(low), float(high)) if bounds else cls(expert)
        except ValueError:
            part = cls("")
        if not part.expert or text.endswith("@") or not part.low < part.high:
            raise ValueError(
                f'imitate is "{text}"; EXPERT or EXPERT@LOWEST:HIGHEST is needed, like walker2d/run-forward@2.6:4'
            )
        return part

    def __str__(self) -> str:
        return self.expert if math.isinf(self.low) else f"{self.expert}@{self.low}:{self.high}"


@dataclass(frozen=True)
class Curriculum:
    """Where a training begins, and what makes it easier."""

    start_states: tuple[str, ...] = ()
    """Experts (skill ids or folders) of the same body in whose states a share of the rows begins."""
    start_share: float = 0.3
    """That share of the environments begins every episode there."""
    reward_limit: float | None = None
    """Enough reward a step: what is beyond counts against it. Who runs ever faster cannot be told to turn round."""
    init_from: str = ""
    """An expert (skill id or folder) whose weights are the first ones; "" for fresh weights. A goal-conditioned one is
    told the skill's command once and for all."""
    imitate: tuple[str, ...] = ()
    """A teacher's first weights act as these experts (skill ids or folders) where each is right, the first of them that
    is, instead of `init_from`. EXPERT@LOWEST:HIGHEST: where the one number that is told lies in that range. EXPERT
    alone: one of a command near that command, another teacher everywhere."""
    blind: bool = False
    """A goal-conditioned teacher is not told what it is paid for: it learns to move in every way there is."""
    randomise: tuple[str, ...] = ()
    """NAME=LOWEST:HIGHEST of mass, friction, strength: factors by which the body differs from episode to episode."""
    widen: float = 0.0
    """Over that share of the run what a teacher is told grows from what the expert of `init_from` does by itself to all
    that it shall follow: a body that falls when it slows down learns to slow down little by little (Margolis et al.
    2022)."""
    lift: float = 0.0
    """Share of its weight that the body is carried by at most while it lies, at its trunk: all of it in one
    environment, none in another, and less and less of it over the run. Who gets up with help learns what it is worth
    before it can (Huang et al. 2025)."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Of `imitate`; ValueError where one cannot be read."""
        return tuple(Part.read(text) for text in self.imitate)

    @property
    def is_fresh(self) -> bool:
        """Whether the first weights are drawn at random."""
        return not (self.init_from or self.imitate)

    def others(self) -> tuple[str, ...]:
        """Every expert it begins from, as it was named."""
        return (*self.start_states, *filter(None, [self.init_from]), *(part.expert for part in self.parts))

    def limits(self) -> dict[str, tuple[bool, str]]:
        """Name -> whether its value is in range, and what that is; ValueError for a wrong `randomise` or `imitate`."""
        read_ranges(self.randomise)
        if self.parts and self.init_from:
            raise ValueError(
                f"imitate {[*self.imitate]} and init_from {self.init_from}: both are first weights; pass one"
            )
        return {
            "start_share": (0 <= self.start_share <= 1, "0 to 1"),
            "reward_limit": (self.reward_limit is None or math.isfinite(self.reward_limit), "finite numbers"),
            "widen": (0 <= self.widen <= bool(self.init_from), "0 to 1, and 0 without init_from"),
            "lift": (0 <= self.lift <= 1, "0 to 1"),
        }


@dataclass(frozen=True, repr=False)
class StartStates(_Arrays):
    """Where episodes of training may begin, beside the environment's own starts."""

    qpos_NQ: np.ndarray
    qvel_NV: np.ndarray


class StartedStepper(BatchStepper):
    """Environments whose episodes all begin in start states, drawn by their seeds."""

    def __init__(self, skill_id: str, num_envs: int, starts: StartStates) -> None:
        super().__init__(skill_id, num_envs, env_spec=find_env_spec(skill_id))
        self.starts, self.skill_id = starts, skill_id

    def reset(self, ids: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Begins an episode in each of `ids`; observations (b, O)."""
        self.commands.begin(ids, [get_skill(self.skill_id)] * len(ids), seeds)
        rows = [int(np.random.default_rng(seed).integers(len(self.starts.qpos_NQ))) for seed in seeds]
        return self.set_state(ids, self.starts.qpos_NQ[rows], self.starts.qvel_NV[rows])


class CommandedStepper(BatchStepper):
    """Environments seen from the heading, whose observations end with what is asked for where there is a choice, or
    with zeros while the teacher is kept `blind`."""

    def __init__(self, skill: Skill, num_envs: int, *, is_blind: bool = False, randomise: Sequence[str] = ()) -> None:
        super().__init__(skill.id, num_envs, env_spec=find_env_spec(skill.id, randomise))
        self.axes, self.is_blind, self.views = axes(skill), is_blind, Views(skill)
        self.spec = teacher_spec(self.body.spec, skill)

    def step(self, actions_BA: np.ndarray, ids: np.ndarray | None = None) -> Transition:
        """As who was shown the observations calls the actions."""
        rows = slice(None) if ids is None else ids
        return super().step(self.views.undo(actions_BA, self.command()[rows]), ids)

    def _observe(self, state: State, rows: np.ndarray | slice) -> np.ndarray:
        seen_BO, told_BC = self.views.show(super()._observe(state, rows), self.command()[rows])
        told_BC = told_BC[:, self.axes]
        return np.concatenate([seen_BO, 0 * told_BC if self.is_blind else told_BC], 1)


def training_stepper(
    skill_id: str, num_envs: int, *, is_blind: bool = False, randomise: Sequence[str] = ()
) -> BatchStepper:
    """Environments that can be put into any state, as the expert of that skill sees them; ValueError where this MuJoCo
    is too old for them."""
    if get_skill(skill_id).command:
        return CommandedStepper(get_skill(skill_id), num_envs, is_blind=is_blind, randomise=randomise)
    stepper = make_stepper(find_env_spec(skill_id, randomise), num_envs)
    if not isinstance(stepper, BatchStepper):
        raise ValueError(f"{skill_id}: training needs mujoco.batch; install mujoco >= 4.0")
    return stepper


def habit(policy: Policy, skill: Skill, *, seed: int) -> np.ndarray:
    """What a plain policy does by itself of what a teacher of `skill` is told, (C,): where the commands begin to grow.

    ValueError where there is nothing to grow.
    """
    if not skill.is_commanded or get_skill(policy.skill).is_commanded:
        raise ValueError(
            f"widen, for {skill.id} from {policy.skill}: it makes a teacher that is told numbers from an expert "
            "that is not; leave it out, or begin from such an expert with init_from"
        )
    measured = evaluate(policy, policy.skill, episodes=HABIT_EPISODES, seed=seed).measured
    return np.clip([measured.get(name, 0.0) for name in COMMANDS], *ranges(skill))


def gather_starts(
    policies: Sequence[Policy],
    *,
    seed: int,
    with_reversed: bool = False,
    lift: float = 0.0,
    num_envs: int = 64,
    every: int = 10,
) -> StartStates:
    """States of a body that `policies` visit, each also where another left it, for `Collector` to begin in.

    `lift`: that share of their weight is carried meanwhile.

    `with_reversed`: each comes again with its velocities reversed. A film played backwards shows a body that hops or
    walks the other way, which exploration finds much later by itself.
    """
    rng, gathered = np.random.default_rng([seed, 2]), []
    ids = np.arange(num_envs)
    told = [policy.skill for policy in policies if get_skill(policy.skill).is_commanded]
    stepper = training_stepper([*told, policies[0].skill][0], num_envs)
    stepper.lift(lift)
    observations_BO = stepper.reset(ids, rng.integers(MAX_SEED, size=num_envs).tolist())
    acting_B = rng.integers(len(policies), size=num_envs)
    for t in range(VISIT_STEPS * len(policies)):
        means = [policy.act(policy.normalise(observations_BO[:, : len(policy.mean_O)])) for policy in policies]
        unit_BA = np.clip(np.stack(means)[acting_B, ids], -1, 1)
        unit_BA += START_NOISE * rng.standard_normal(unit_BA.shape, np.float32)
        step = stepper.step(policies[0].to_box(unit_BA))
        observations_BO = step.observations_BO
        ended_B = step.terminated_B | step.truncated_B
        if t % every == every - 1:
            gathered.append(stepper.get_state(ids[~ended_B]))
        if ended_B.any():
            seeds = rng.integers(MAX_SEED, size=int(ended_B.sum())).tolist()
            observations_BO[ended_B] = stepper.reset(ids[ended_B], seeds)
        changes_B = ended_B | (rng.random(num_envs) < 1 / STEPS_A_POLICY)
        acting_B = np.where(changes_B, rng.integers(len(policies), size=num_envs), acting_B)
    qpos, qvel = zip(*gathered, strict=True)
    qpos_NQ, qvel_NV = stepper.body.unturned(np.concatenate(qpos)), np.concatenate(qvel)
    if not with_reversed:
        return StartStates(qpos_NQ, qvel_NV)
    return StartStates(np.concatenate([qpos_NQ, qpos_NQ]), np.concatenate([qvel_NV, -qvel_NV]))
