"""Prompted episodes of one body, many at once: what is said, rewarded and started differs from row to row.

In: a model, a body, and a `Request` an episode. Out: a `Rollout` for each, in their order.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from gymnasium.envs.registration import EnvSpec

from gato.model.gato import Gato
from gato.progress import Progress
from gato.rollout.agent import Agent
from gato.rollout.course import Course, Stage, stages
from gato.skills.evaluate import SEED_STRIDE, Outcome, run_episodes
from gato.skills.plan import Plan
from gato.skills.stepper import find_env_spec, make_stepper
from gato.specs import near_match

MOST_ROWS = 128
"""Episodes in one batch of the transformer: more of them are no faster on a CPU."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """One episode that is wanted."""

    prompt: str
    skill: str
    """Whose reward counts; "" in an environment that has a reward of its own."""
    seed: int
    """Where it starts."""
    switch: tuple[int, str] | None = None
    """At this control step the prompt becomes that one."""
    plan: Plan | None = None
    """What is said instead: its parts one after the other, until the last is over and the episode ends."""
    decided: tuple[Stage, ...] = ()
    """What was said instead, where somebody decided it while the body moved; `prompt` is then the task."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What is said, in order."""
        if self.decided:
            return self.decided
        if self.plan is not None:
            return stages(self.plan)
        if self.switch is None:
            return (Stage(self.prompt, self.skill),)
        step, prompt = self.switch
        return Stage(self.prompt, self.skill, step), Stage(prompt, self.skill)

    @property
    def said(self) -> str:
        """Everything that is said, for people."""
        if self.plan is None:
            return self.prompt
        return ", then ".join(prompt for prompt, _ in groupby(stage.prompt for stage in self.stages))


@dataclass(frozen=True)
class Rollout:
    """One episode that was run."""

    request: Request
    outcome: Outcome
    actions_TA: np.ndarray
    """Executed actions: with the seed, enough to see the episode again."""
    begins: tuple[int, ...] = (0,)
    """Control step at which each stage of the request began, as far as it came."""

    def stage_at(self, step: int) -> Stage:
        """What was said at that control step."""
        return self.request.stages[bisect_right(self.begins, step) - 1]

    @property
    def survived(self) -> bool:
        """Whether time ran out before the body fell."""
        return not self.outcome.terminated


@dataclass(frozen=True)
class Conditions:
    """How prompted episodes are run, whatever is asked."""

    episodes: int = 50
    """Episodes a prompt."""
    seed: int = 0
    """Episode i starts from seed * 100003 + i."""
    steps: int = 0
    """Control steps after which an episode ends (or earlier where the environment says so); 0: as long as the
    environment lets it."""
    sample: bool = False
    """Draw actions from the model's distributions instead of taking their middle."""
    is_shown: bool = True
    """Whether progress is told."""
    return_to_go: float | None = None
    """The return asked for, as a share of the best in training; None to ask for none."""

    def __post_init__(self) -> None:
        least = {"episodes": 1, "seed": 0, "steps": 0}
        wrong = {name: getattr(self, name) for name, low in least.items() if getattr(self, name) < low}
        if wrong:
            raise ValueError(f"got {wrong}; at least 1 episode, a seed >= 0, and steps >= 0 (0: whole episodes)")


@dataclass(frozen=True)
class Batch:
    """The rollouts of one body and how fast they went."""

    rollouts: tuple[Rollout, ...]
    steps_per_second: float
    """Control steps of all episodes, over the time of acting and stepping together."""


def roll_out(
    model: Gato,
    body: str,
    requests: Sequence[Request],
    conditions: Conditions,
    *,
    env_spec: EnvSpec | None = None,
) -> Batch:
    """Runs every request; `env_spec` is for an environment other than the first request's skill."""
    _warn_of_cut_prompts(model, requests)
    env_spec = shortened(env_spec or find_env_spec(requests[0].skill), conditions.steps)
    done: list[Rollout] = []
    began = time.perf_counter()
    chunks = [requests[start : start + MOST_ROWS] for start in range(0, len(requests), MOST_ROWS)]
    most_steps = env_spec.max_episode_steps or conditions.steps
    shown = Progress(len(chunks) * most_steps, "steps", f"{body}: {len(requests)} episodes")
    with shown if conditions.is_shown else nullcontext() as progress:
        for index, chunk in enumerate(chunks):
            prompts = [request.prompt for request in chunk]
            seed = conditions.seed * SEED_STRIDE + index
            best_B = None if conditions.return_to_go is None else _best_returns(model, chunk)
            asked_B = None if best_B is None else np.full(len(chunk), conditions.return_to_go)
            agent = Agent(model, body, prompts, returns_B=asked_B, sample=conditions.sample, seed=seed)
            done += _run(_Recorded(agent, chunk, progress, best_B), chunk, env_spec)
    seconds = time.perf_counter() - began
    return Batch(tuple(done), sum(rollout.outcome.length for rollout in done) / seconds)


def shortened(env_spec: EnvSpec, steps: int) -> EnvSpec:
    """The same environment, whose episodes end after `steps` at the latest; 0: by its own limit, which it must have."""
    if steps == 0:
        if env_spec.max_episode_steps is None:
            raise ValueError(f"{env_spec.id} has no step limit, its episodes may never end; pass --steps")
        return env_spec
    return dataclasses.replace(env_spec, max_episode_steps=min(env_spec.max_episode_steps or steps, steps))


def _run(actor: _Recorded, requests: Sequence[Request], env_spec: EnvSpec) -> list[Rollout]:
    stepper = make_stepper(env_spec, len(requests))
    for skill in {request.skill for request in requests} - {""}:
        rows = [row for row, request in enumerate(requests) if request.skill == skill]
        stepper.select_skill(np.array(rows), skill)
    outcomes = run_episodes(actor, stepper, [request.seed for request in requests])
    actions_TBA = np.stack(actor.actions)
    return [
        Rollout(request, outcome, actions_TBA[: outcome.length, row].copy(), tuple(actor.course.begins[row]))
        for row, (request, outcome) in enumerate(zip(requests, outcomes, strict=True))
    ]


class _Recorded:
    """The agent, with its actions kept and its prompts replaced when their time has come."""

    def __init__(
        self, agent: Agent, requests: Sequence[Request], progress: Progress | None, best_B: np.ndarray | None
    ) -> None:
        self.agent, self.progress, self.best_B = agent, progress, best_B
        self.actions: list[np.ndarray] = []
        self.course = Course([request.stages for request in requests])
        self.is_done_B = self.course.is_done_B
        self._due: dict[int, str] = {}

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        if self._due:
            self.agent.set_prompt(np.array(list(self._due)), list(self._due.values()))
        self.actions.append(self.agent(observations_BO))
        if self.progress is not None:
            self.progress.update()
        return self.actions[-1]

    def measure(self, readings: Mapping[str, np.ndarray]) -> None:
        """What came of the step says who is told something else before the next."""
        self._due = self.course.measure(readings)

    def earn(self, rewards_B: np.ndarray) -> None:
        """What is still to come becomes less, where a return was asked for."""
        if self.best_B is not None:
            self.agent.earn(rewards_B / self.best_B)

    def reset(self, ids: np.ndarray) -> None:
        """Every row begins once, at the first step."""
        self.agent.reset(ids)

    def retire(self, ids: np.ndarray) -> None:
        """These rows ended and leave the transformer's batch."""
        self.agent.retire(ids)
        self.course.retire(ids)


def _best_returns(model: Gato, requests: Sequence[Request]) -> np.ndarray:
    """(B,) what the return asked for is a share of."""
    known = model.codec.best_returns
    only = next(iter(known.values())) if len(known) == 1 else None
    best = [known.get(one.skill) if one.skill else only for one in requests]
    if None in best:
        missing = requests[best.index(None)].skill or "this environment"
        raise ValueError(f"the model was told no returns of {missing}; {near_match(missing, known)}")
    return np.array(best, np.float64)


def _warn_of_cut_prompts(model: Gato, requests: Sequence[Request]) -> None:
    most = model.layout.prompt_positions
    said = {stage.prompt for request in requests for stage in request.stages}
    for prompt in sorted(said):
        if (length := len(model.codec.encode_text(prompt))) > most:
            log.warning('the prompt "%s" has %d tokens; the model reads the first %d', prompt, length, most)
