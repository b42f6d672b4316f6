"""How well anything that acts does what it was asked.

In: an `Actor` and a `Stepper`, one seed an episode. Out: an `Outcome` an episode, an `Evaluation` over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gato.skills.stepper import Stepper, find_env_spec, make_stepper
from gato.skills.table import get_skill, skills_of
from gato.specs import BodySpec, Score

SEED_STRIDE = 100_003
"""Episode i of an evaluation with seed s starts from s * SEED_STRIDE + i, so that all arms share their starts."""

MOST_ENVS = 64
"""Environments stepped together when nothing else is said."""


class Actor(Protocol):
    """Anything that acts on all rows at once.

    Rows that are not running show a stale observation, and what it gives there is ignored.
    Optional: `watch(stepper)` before anything else, for who must know more than observations; `reset(ids)` when those
    rows begin an episode, `retire(ids)` when they have ended for good; after every step `measure(readings)`, name ->
    (B,), NaN where a row does not run; and `is_done_B`, rows whose episode is to end there.
    """

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """Actions (B, A) for observations (B, O)."""
        ...


@dataclass(frozen=True)
class Outcome:
    """One finished episode."""

    seed: int
    return_: float
    length: int
    """Control steps."""
    terminated: bool
    """Whether the body's own rule ended it (a fall), rather than time running out."""
    readings: dict[str, np.ndarray]
    """Physical units, name -> (T,)."""


@dataclass(frozen=True)
class Evaluation:
    """A skill's episodes, summed up."""

    skill_id: str
    return_: Score
    success: float
    """Share of episodes that met the skill's rule."""
    length: float
    """Mean control steps."""
    behaviours: dict[str, float]
    """Share of episodes that met the rule of each skill of the body, a goal-conditioned one only where it was asked."""
    measured: dict[str, float]
    """Mean of each reading over episodes, in its unit."""
    outcomes: tuple[Outcome, ...]

    def json(self) -> dict[str, object]:
        """{"return", "success", "length", "behaviours", "measured"}."""
        return {
            "return": self.return_.json(),
            "success": self.success,
            "length": self.length,
            "behaviours": self.behaviours,
            "measured": self.measured,
        }


def evaluation_seeds(seed: int, episodes: int) -> tuple[int, ...]:
    """The start of every episode of an evaluation, the same in every command."""
    if seed < 0:
        raise ValueError(f"seed={seed}; allowed: 0 or more")
    return tuple(seed * SEED_STRIDE + index for index in range(episodes))


def evaluate(
    actor: Actor,
    skill_id: str,
    *,
    episodes: int,
    seed: int,
    num_envs: int | None = None,
    num_threads: int = 2,
    randomise: Sequence[str] = (),
) -> Evaluation:
    """Runs a skill's evaluation episodes; `num_envs` is what the actor was made for, if it cares. `randomise`: see
    `find_env_spec`."""
    if episodes < 1:
        raise ValueError(f"episodes is {episodes}; at least 1 is needed")
    env_spec = find_env_spec(get_skill(skill_id).id, randomise)
    stepper = make_stepper(env_spec, num_envs or min(episodes, MOST_ENVS), num_threads=num_threads)
    return summarise(skill_id, run_episodes(actor, stepper, evaluation_seeds(seed, episodes)))


def summarise(skill_id: str, outcomes: Sequence[Outcome]) -> Evaluation:
    """The figures of these episodes, judged by the rules of the skill's body."""
    own = get_skill(skill_id)
    behaviours = {
        skill.id: float(np.mean([skill.success(one.readings, survived=not one.terminated) for one in outcomes]))
        for skill in skills_of(own.body)
        if skill == own or not skill.is_commanded
    }
    return Evaluation(
        own.id,
        Score.of(one.return_ for one in outcomes),
        behaviours[own.id],
        float(np.mean([one.length for one in outcomes])),
        behaviours,
        {name: float(np.mean([one.readings[name].mean() for one in outcomes])) for name in outcomes[0].readings},
        tuple(outcomes),
    )


def mean_return(actor: Actor, stepper: Stepper, seeds: Sequence[int]) -> float:
    """Over an episode a seed."""
    return float(np.mean([one.return_ for one in run_episodes(actor, stepper, seeds)]))


def run_episodes(actor: Actor, stepper: Stepper, seeds: Sequence[int]) -> tuple[Outcome, ...]:
    """One episode a seed, in the order of `seeds`; a row that ends takes the next seed, or leaves the stepping."""
    _tell(actor, "watch", stepper)
    waiting = list(enumerate(seeds))[::-1]
    outcomes: list[Outcome | None] = [None] * len(waiting)
    running = np.arange(min(stepper.num_envs, len(waiting)))
    episode_of = {row: waiting.pop() for row in running.tolist()}
    observations_BO = np.zeros((stepper.num_envs, len(stepper.spec.observation)))
    _begin(actor, stepper, running, episode_of, observations_BO)
    returns_B = np.zeros(stepper.num_envs)
    begun_B = np.zeros(stepper.num_envs, np.int64)
    history: list[dict[str, np.ndarray]] = []
    while len(running):
        actions_BA = np.asarray(actor(observations_BO))
        everyone = len(running) == stepper.num_envs
        step = stepper.step(actions_BA if everyone else actions_BA[running], None if everyone else running)
        observations_BO[running] = step.observations_BO
        _tell(actor, "earn", _spread(step.rewards_B, running, stepper.num_envs))
        returns_B[running] += step.rewards_B
        history.append({name: _spread(values_b, running, stepper.num_envs) for name, values_b in step.readings.items()})
        _tell(actor, "measure", history[-1])
        ended = np.flatnonzero(step.terminated_B | step.truncated_B | _is_done(actor, stepper.num_envs)[running])
        for index in ended:
            row = int(running[index])
            place, seed = episode_of[row]
            series = history[begun_B[row] :]
            readings = {name: np.array([moment[name][row] for moment in series]) for name in step.readings}
            fell = bool(step.terminated_B[index])
            outcomes[place] = Outcome(seed, float(returns_B[row]), len(series), fell, readings)
        if len(ended):
            rows = running[ended]
            renewed, retired = rows[: len(waiting)], rows[len(waiting) :]
            episode_of.update({row: waiting.pop() for row in renewed.tolist()})
            returns_B[renewed], begun_B[renewed] = 0.0, len(history)
            _begin(actor, stepper, renewed, episode_of, observations_BO)
            if len(retired):
                _tell(actor, "retire", retired)
            running = np.setdiff1d(running, retired)
    return tuple(outcome for outcome in outcomes if outcome is not None)


def random_actor(spec: BodySpec, seed: int) -> Actor:
    """Uniform actions in the box, whole numbers where they are discrete, standard normal where unbounded."""
    generator = np.random.default_rng(seed)
    low_A, high_A = spec.action_low, spec.action_high
    is_bounded_A = np.isfinite(low_A) & np.isfinite(high_A)
    is_discrete_A = np.array([element.kind == "discrete" for element in spec.action])
    floor_A = np.where(is_bounded_A, low_A, 0.0)
    span_A = np.where(is_bounded_A, high_A, 1.0) - floor_A + is_discrete_A

    def act(observations_BO: np.ndarray) -> np.ndarray:
        shape = (len(observations_BO), len(low_A))
        drawn_BA = floor_A + span_A * generator.random(shape)
        whole_BA = np.where(is_discrete_A, np.floor(drawn_BA), drawn_BA)
        return np.where(is_bounded_A, whole_BA, generator.standard_normal(shape)).astype(np.float32)

    return act


def zero_actor(spec: BodySpec) -> Actor:
    """Always zero, moved into the box where zero lies outside it."""
    action_A = np.clip(np.zeros(len(spec.action), np.float32), spec.action_low, spec.action_high)
    return lambda observations_BO: np.tile(action_A, (len(observations_BO), 1))


def _begin(
    actor: Actor,
    stepper: Stepper,
    rows: np.ndarray,
    episode_of: dict[int, tuple[int, int]],
    observations_BO: np.ndarray,
) -> None:
    if len(rows):
        observations_BO[rows] = stepper.reset(rows, [episode_of[row][1] for row in rows.tolist()])
        _tell(actor, "reset", rows)


def _is_done(actor: Actor, num_envs: int) -> np.ndarray:
    done_B: np.ndarray = getattr(actor, "is_done_B", np.zeros(num_envs, np.bool_))
    return done_B


def _tell(actor: Actor, what: str, told: np.ndarray | Stepper | dict[str, np.ndarray]) -> None:
    listener: Any = getattr(actor, what, None)
    if listener is not None:
        listener(told)


def _spread(values_b: np.ndarray, rows: np.ndarray, num_envs: int) -> np.ndarray:
    spread_B = np.full(num_envs, np.nan)
    spread_B[rows] = values_b
    return spread_B
