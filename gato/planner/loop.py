"""The loop: a body sees, a planner chooses, the body does that until something else is chosen.

In: who acts when told, a planner, a task. Out: a `Course` and a `Rollout` an episode. In simulated time all episodes go
on together; in real time they come one after the other, since each has the clock to itself.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, Protocol

import numpy as np

from gato.planner.deliberation import Asker, Decision, Timing, WallClock
from gato.planner.mind import Mind
from gato.planner.scene import describe, poses
from gato.planner.situation import Planner, Situation
from gato.planner.tasks import Course, Errand, Instruction, Task
from gato.progress import Progress
from gato.rollout.course import Stage
from gato.rollout.prompted import MOST_ROWS, Request, Rollout
from gato.skills.bodies import get_body
from gato.skills.evaluate import Outcome, evaluation_seeds, run_episodes
from gato.skills.plan import AVERAGE
from gato.skills.stepper import Stepper, find_env_spec, make_stepper
from gato.skills.table import get_skill

CHOICES = {
    "ant": tuple(
        f"ant/{name}"
        for name in ("stand", "walk-forward", "walk-backward", "walk-left", "walk-right", "turn-left", "turn-right")
    )
}
"""Body -> what a planner may choose: the first is what the body does until it has chosen."""

LATE = 1.0
"""s behind the clock on the wall, from which on it is told."""

log = logging.getLogger("gato")


class Told(Protocol):
    """Who acts: an `Agent`, or `Experts`."""

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """(B, A)."""
        ...

    def set_prompt(self, ids: np.ndarray, prompts: Sequence[str]) -> None:
        """These rows are told something else."""
        ...

    def reset(self, ids: np.ndarray) -> None:
        """These rows begin."""
        ...

    def retire(self, ids: np.ndarray) -> None:
        """These rows ended."""
        ...


@dataclass(frozen=True)
class Setting:
    """What is to be run, whoever acts and whoever decides."""

    task: Task
    instructions: tuple[Instruction, ...]
    """In time."""
    body: str = "ant"
    episodes: int = 10
    seed: int = 0
    """Episode i starts from seed * 100003 + i."""
    timing: Timing = Timing()
    is_shown: bool = True
    """Whether progress is told."""

    def __post_init__(self) -> None:
        if self.body not in CHOICES:
            raise ValueError(f"the tasks are for {', '.join(CHOICES)}, which can turn and walk; got {self.body}")
        if self.episodes < 1:
            raise ValueError(f"episodes is {self.episodes}; at least 1 is needed")

    @property
    def options(self) -> tuple[str, ...]:
        """Canonical prompts."""
        return tuple(get_skill(skill).prompt for skill in CHOICES[self.body])


def run(
    make_told: Callable[[Sequence[str]], Told], planner: Planner, setting: Setting
) -> tuple[tuple[Course, Rollout], ...]:
    """Every episode. `make_told` makes who acts, from one prompt a row."""
    seeds = evaluation_seeds(setting.seed, setting.episodes)
    size = 1 if setting.timing.is_real_time else MOST_ROWS
    steps = round(setting.task.seconds / get_body(setting.body).dt)
    chunks = [seeds[start : start + size] for start in range(0, len(seeds), size)]
    shown = Progress(len(chunks) * steps, "steps", f"{setting.body}: {setting.task.name}, {len(seeds)} episodes")
    done: list[tuple[Course, Rollout]] = []
    asker = Asker(planner, setting.timing)
    with shown if setting.is_shown else nullcontext() as progress:
        for chunk in chunks:
            told = make_told([setting.options[0]] * len(chunk))
            led = _Led(told, [_Walker(asker, setting, seed) for seed in chunk], setting, progress)
            done += _run(led, setting, chunk, steps)
    return tuple(done)


def _run(led: _Led, setting: Setting, seeds: Sequence[int], steps: int) -> list[tuple[Course, Rollout]]:
    spec = dataclasses.replace(find_env_spec(CHOICES[setting.body][0]), max_episode_steps=steps)
    outcomes = run_episodes(led, make_stepper(spec, len(seeds)), seeds)
    led.tell_of_lateness()
    actions_TBA = np.stack(led.actions)
    return [
        walker.finish(outcome, actions_TBA[: outcome.length, row].copy())
        for row, (walker, outcome) in enumerate(zip(led.walkers, outcomes, strict=True))
    ]


class _Walker:
    """What one body is after, and what it was told."""

    def __init__(self, asker: Asker, setting: Setting, seed: int) -> None:
        self.setting, self.dt = setting, get_body(setting.body).dt
        self.errand = Errand(setting.task, setting.instructions, seed)
        self.told: list[str] = []
        """Of every control step."""
        self.decisions: list[tuple[int, Decision]] = []
        self._mind = Mind(asker, setting.options[0])

    def decide(self, now: float, motion: Callable[[], str]) -> str:
        """What the body is told for the next control step; `now` in s since it began."""
        instruction = self.errand.instruction(now)
        decision = self._mind.decide(now, instruction, lambda: self._look(now, motion(), instruction))
        if decision is not None:
            self.decisions.append((len(self.told), decision))
        self.told.append(self._mind.option)
        return self._mind.option

    def _look(self, now: float, motion: str, instruction: str) -> Situation:
        task, sights = self.setting.task, self.errand.sights()
        count = len(self.errand.world.waypoints)
        corner = [f"{self.errand.reached} of {count} waypoints are reached"] if count > 1 else []
        observation = "; ".join([motion, *corner, *(sight.words for sight in sights)])
        memory, options = tuple(self._mind.memory), self.setting.options
        return Situation(self.setting.body, task.goal, now, observation, sights, options, memory, instruction)

    def finish(self, outcome: Outcome, actions_TA: np.ndarray) -> tuple[Course, Rollout]:
        """The errand as it went, and the episode as a video shows it."""
        told = self.told[: outcome.length]
        course = self.errand.course(dt=self.dt, fell=outcome.terminated, told=told, decisions=self.decisions)
        skill_of = dict(zip(self.setting.options, CHOICES[self.setting.body], strict=True))
        stages = tuple(Stage(option, skill_of[option], len(list(run))) for option, run in groupby(told))
        ends = np.cumsum([stage.steps for stage in stages]).tolist()
        request = Request(self.setting.task.name, skill_of[told[0]], outcome.seed, decided=stages)
        return course, Rollout(request, outcome, actions_TA, (0, *ends[:-1]))


class _Led:
    """Who acts, told anew whenever its planner has decided."""

    def __init__(self, told: Told, walkers: Sequence[_Walker], setting: Setting, progress: Progress | None) -> None:
        self.told, self.walkers, self.progress = told, walkers, progress
        self.actions: list[np.ndarray] = []
        self.is_done_B = np.zeros(len(walkers), np.bool_)
        self._body, self._dt = setting.body, get_body(setting.body).dt
        self._running = set(range(len(walkers)))
        self._readings: deque[Mapping[str, np.ndarray]] = deque(maxlen=round(AVERAGE / self._dt))
        self._clock = WallClock() if setting.timing.is_real_time else None
        self._said = [walker.setting.options[0] for walker in walkers]

    def watch(self, stepper: Stepper) -> None:
        """Where bodies stand is known to the simulator alone; ValueError where it does not say."""
        if not hasattr(stepper, "get_state"):
            raise ValueError("the tasks need the batch stepper of MuJoCo 4 (mujoco.batch); upgrade mujoco")
        self._stepper: Any = stepper

    def reset(self, ids: np.ndarray) -> None:
        """Every row begins once, at the first step."""
        self.told.reset(ids)
        self._track(0.0)
        if self._clock is not None:
            self._clock = WallClock()

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """(B, A)."""
        now = len(self.actions) * self._dt
        if self._clock is not None:
            self._clock.wait_until(now)
            now = self._clock.now()
        due = {}
        for row in sorted(self._running):
            option = self.walkers[row].decide(now, partial(self._motion, row))
            if option != self._said[row]:
                due[row] = self._said[row] = option
        if due:
            self.told.set_prompt(np.array(list(due)), list(due.values()))
        self.actions.append(self.told(observations_BO))
        if self.progress is not None:
            self.progress.update()
        return self.actions[-1]

    def measure(self, readings: Mapping[str, np.ndarray]) -> None:
        """What came of the step."""
        self._readings.append(readings)
        self._track(len(self.actions) * self._dt)

    def retire(self, ids: np.ndarray) -> None:
        """These rows ended."""
        self._running -= set(ids.tolist())
        self.told.retire(ids)

    def tell_of_lateness(self) -> None:
        """A warning where the machine could not keep up with the clock on the wall."""
        late = self._clock.now() - len(self.actions) * self._dt if self._clock is not None else 0.0
        if late > LATE:
            log.warning(
                "the body fell %.1f s behind the clock on the wall: this machine is too slow for real time", late
            )

    def _track(self, seconds: float) -> None:
        rows = sorted(self._running)
        qpos_BQ, _ = self._stepper.get_state(np.array(rows))
        for row, pose in zip(rows, poses(qpos_BQ), strict=True):
            self.walkers[row].errand.track(pose, seconds)
            self.is_done_B[row] = self.walkers[row].errand.is_over

    def _motion(self, row: int) -> str:
        """How the body moved in the newest half second, in words."""
        names = self._readings[-1] if self._readings else ()
        newest = {name: float(np.mean([one[name][row] for one in self._readings])) for name in names}
        return describe(self._body, newest, self.walkers[row].errand.path[-1].up)
