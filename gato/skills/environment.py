"""One skill as a Gymnasium environment: the body's own simulation, the skill's reward, every reading in `info`.

In: a skill id. Out: `SkillEnv`, `skill_env_spec(skill_id)`, `make_simulation(body)`.
Importing this module registers the ids (`gato/HalfCheetahRunForward-v0`, ...), which is Gymnasium's own convention;
an environment made from a stored spec needs no registration, since its entry point is a string.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.envs.registration import EnvSpec

from gato.skills import randomise as randomising
from gato.skills.bodies import Body, get_body
from gato.skills.bodies.body import State
from gato.skills.commands import Commands, checked_command
from gato.skills.rewards import judge, reward
from gato.skills.robots.known import add_installed, know
from gato.skills.robots.simulation import RobotSimulation, make_model
from gato.skills.table import SKILLS, Skill, get_skill
from gato.specs import near_match

ENTRY_POINT = "gato.skills.environment:SkillEnv"

logger = logging.getLogger(__name__)
_ONE = np.arange(1)
MAX_SEED = 2**31 - 1
"""Seeds that are drawn lie below."""
TRUNK = 1
"""MuJoCo's number of a body's first part, after the world."""


def reach(model: mujoco.MjModel, data: mujoco.MjData) -> float:
    """m from the trunk to the farthest part, in the posture of `data`."""
    mujoco.mj_kinematics(model, data)
    return float(np.linalg.norm(data.xpos[TRUNK:] - data.xpos[TRUNK], axis=1).max())


def skill_env_spec(skill_id: str, randomise: randomising.Ranges | None = None) -> EnvSpec:
    """What Minari stores: enough to make the environment again in a process that knows nothing else of Gato."""
    skill = get_skill(skill_id)
    body = get_body(skill.body)
    own = {"robot": dict(body.description)} if body.description else {}
    varied = {"randomise": {name: list(pair) for name, pair in randomise.items()}} if randomise else {}
    kwargs = {"skill": skill.id, **own, **varied}
    return EnvSpec(id=skill.env_id, entry_point=ENTRY_POINT, kwargs=kwargs, max_episode_steps=body.max_episode_steps)


def register_skills() -> None:
    """Makes every skill known to `gymnasium.make`; doing it twice changes nothing."""
    for skill in SKILLS.values():
        if skill.env_id not in gymnasium.registry:
            spec = skill_env_spec(skill.id)
            gymnasium.register(
                spec.id, entry_point=ENTRY_POINT, kwargs=spec.kwargs, max_episode_steps=spec.max_episode_steps
            )


def make_env(env_spec: EnvSpec, **settings: Any) -> gymnasium.Env[Any, Any]:
    """`gymnasium.make` without MuJoCo's notices about Gymnasium's model files; `settings` are its own."""
    with _without_deprecation_print():
        return gymnasium.make(env_spec, **settings)


def make_simulation(body: Body, **render: Any) -> Any:
    """The bare Gymnasium environment of a body, whose MuJoCo keeps a broken state instead of quietly resetting it.

    `render` holds Gymnasium's own `render_mode`, `width` and `height`.
    """
    kwargs = {**(body.gym_kwargs or {}), **render}
    simulation: Any
    with _without_deprecation_print():
        if body.description is None:
            simulation = gymnasium.make(body.gym_id, disable_env_checker=True, **kwargs).unwrapped
        else:
            simulation = RobotSimulation(body, make_model(body.name, body.description["model"]), **kwargs)
    model = simulation.model
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    # Shadows and mirrored floors are five sixths of the time of a picture drawn in software.
    model.mat_reflectance[:], model.light_castshadow[:] = 0.0, False
    return simulation


def check_finite(body: Body, actions_BA: np.ndarray, state: State) -> None:
    """FloatingPointError when an action or a state is not finite, naming the rows (positions in these arrays)."""
    qpos_BQ, qvel_BV = state.qpos_BQ, state.qvel_BV
    if np.isfinite(actions_BA.sum() + qpos_BQ.sum() + qvel_BV.sum()):
        return
    for what, values_BX in (("action", actions_BA), ("state", np.concatenate([qpos_BQ, qvel_BV], 1))):
        rows = np.flatnonzero(~np.isfinite(values_BX).all(1))
        if len(rows):
            allowed = f"[{body.spec.action_low.min():g}, {body.spec.action_high.max():g}]"
            remedy = {
                "action": f"actions must be finite numbers near {allowed}",
                "state": f"actions must be near {allowed}, a robot of your own needs less strength or smaller steps",
            }
            raise FloatingPointError(
                f"{body.name}: {what} is not finite in environment(s) {rows.tolist()}; {remedy[what]}"
            )


@contextlib.contextmanager
def _without_deprecation_print() -> Iterator[None]:
    """Drops MuJoCo's notice about `settotalmass` in Gymnasium's own model files, and keeps MUJOCO_LOG.TXT unwritten.

    Other warnings of loading go to logging. The log file stays off in this process: it would land in the user's folder.
    """
    config = mujoco.MjLogConfig.get()
    config.logto_file = False
    mujoco.MjLogConfig.set(config)
    before = mujoco.get_mju_user_warning()
    with _interrupts_wait():
        mujoco.set_mju_user_warning(lambda text: None if "settotalmass" in text else logger.warning("MuJoCo: %s", text))
        try:
            yield
        finally:
            mujoco.set_mju_user_warning(before)


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """A Ctrl-C comes after the body of this block: one that is raised within a callback from MuJoCo ends the process.

    In a thread other than the main one, to which no signal comes, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if came:
        signal.raise_signal(signal.SIGINT)


class SkillEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """A body that is asked for one skill; `select_skill` asks for another of the same body without touching its state.

    `info` of every step holds all readings of the body. Standard skills give Gymnasium's reward itself.
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array", "depth_array", "rgbd_tuple"]}

    def __init__(
        self,
        skill: str,
        robot: dict[str, Any] | None = None,
        randomise: dict[str, tuple[float, float]] | None = None,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 480,
    ) -> None:
        if robot is not None:
            know(robot)
        self.skill: Skill = get_skill(skill)
        self.body = get_body(self.skill.body)
        self.simulation = make_simulation(self.body, render_mode=render_mode, width=width, height=height)
        self._masses_N = self.simulation.model.body_mass.copy()
        self._ranges = randomise or {}
        self._original = randomising.originals(self.simulation.model, self._ranges)
        self.metadata = dict(self.simulation.metadata)
        self.observation_space = self.simulation.observation_space
        self.action_space = self.simulation.action_space
        self.render_mode = render_mode
        self.commands = Commands(1, dt=self.body.dt, max_steps=self.body.max_episode_steps)
        self._elapsed = 0
        self.commands.select(_ONE, self.skill)

    def select_skill(self, skill_id: str) -> None:
        """From the next step on, reward that skill; ValueError when it is another body's.

        What it is asked for already goes on, with the commands that were drawn.
        """
        skill = get_skill(skill_id)
        if skill.body != self.body.name:
            own = [other for other in SKILLS if SKILLS[other].body == self.body.name]
            raise ValueError(f'skill "{skill_id}" is not one of {self.body.name}; {near_match(skill_id, own)}')
        if skill != self.skill:
            self.skill = skill
            self.commands.select(_ONE, skill)

    def command(self) -> np.ndarray:
        """What is asked for now, (C,) in the order of COMMANDS; NaN where nothing is."""
        return self.commands.now(_ONE, np.array([self._elapsed]))[0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Gymnasium's own start of the body for that seed, which also draws the commands of a skill that takes some.

        `options={"command": {"forward_speed": 1.0, ...}}` asks for these numbers instead, for the whole episode.
        """
        if self._ranges:
            drawn_from = int(self.np_random.integers(MAX_SEED)) if seed is None else seed
            randomising.vary(self.simulation.model, self._original, randomising.draw(self._ranges, drawn_from))
        observation_O, _ = self.simulation.reset(seed=seed)
        self._np_random, self._np_random_seed = self.simulation._np_random, self.simulation._np_random_seed
        self._elapsed = 0
        drawn_from = int(self._np_random.integers(MAX_SEED)) if seed is None else seed
        self.commands.begin(_ONE, [self.skill], [drawn_from])
        if options and "command" in options:
            self.commands.tell(_ONE, checked_command(self.skill, options["command"])[None])
        return observation_O, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One control step; FloatingPointError when the action or the simulation is not finite."""
        place_before_1P, before_1A = self.body.place(self._state()), self.simulation.data.ctrl[None].copy()
        command_1C, elapsed_1 = self.command()[None], np.array([self._elapsed])
        observation_O, reward_, terminated, truncated, _ = self.simulation.step(action)
        state, actions_1A = self._state(), np.asarray(action)[None]
        check_finite(self.body, actions_1A, state)
        result = judge(
            self.body,
            actions_1A,
            state,
            place_before_BP=place_before_1P,
            before_BA=before_1A,
            command_BC=command_1C,
        )
        self._elapsed += 1
        if not self.skill.is_standard or self._ranges:
            reward_ = reward(self.skill.reward, result)[0]
        readings = result.readings | self.commands.told(_ONE, elapsed_1)
        info = {name: float(value_1[0]) for name, value_1 in readings.items()}
        return observation_O, float(reward_), bool(terminated), truncated, info

    def _state(self) -> State:
        return self.body.state_of(self.simulation.data, self._masses_N)

    def render(self) -> Any:
        """A picture of the simulation as it stands."""
        return self.simulation.render()

    def close(self) -> None:
        """Frees the renderer."""
        self.simulation.close()


add_installed()
register_skills()
