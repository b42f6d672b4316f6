"""Many simulations of one body in MuJoCo's own threads, equal to Gymnasium bit for bit.

In: a skill (or a body's own Gymnasium spec). Out: `BatchStepper`, a `Stepper` that can also be put into any state.
"""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.seeding import np_random
from mujoco.batch import Batch

from gato.skills import randomise
from gato.skills.bodies import get_body
from gato.skills.bodies.body import CONTACT_FORCES, State
from gato.skills.commands import Commands
from gato.skills.environment import TRUNK, check_finite, make_simulation, reach
from gato.skills.rewards import CONTACT_TERMS, StepResult, flat, judge, reward
from gato.skills.table import Skill, get_skill, skills_of
from gato.skills.transition import Transition
from gato.specs import COMMANDS, near_match

_ALL = slice(None)
_KEPT = {"qpos", "qvel", "qacc_warmstart", "time", "ctrl"}
"""Of MuJoCo's data, in a snapshot."""


class BatchStepper:
    """`num_envs` environments of one body; each row has its own skill."""

    def __init__(self, skill_id: str, num_envs: int, *, env_spec: EnvSpec, num_threads: int = 2) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}; at least 1 is needed")
        self.body = get_body(get_skill(skill_id).body)
        self.num_envs = num_envs
        self.spec = self.body.spec
        self.env_spec = env_spec
        self.max_episode_steps = env_spec.max_episode_steps or self.body.max_episode_steps
        simulation = make_simulation(self.body)
        self.model = simulation.model
        self.observation_space = simulation.observation_space
        self.action_space = simulation.action_space
        self._start_qpos_Q, self._start_qvel_V = simulation.init_qpos, simulation.init_qvel
        has_contacts = CONTACT_FORCES in self.body.derived
        self._batch = Batch(self.model, num_envs, nthread=min(num_threads, num_envs), persistent=has_contacts)
        self._ranges: randomise.Ranges = env_spec.kwargs.get("randomise") or {}
        self._factors_BK = np.ones((num_envs, len(self._ranges)))
        """What the body of each row is multiplied by, in the order of `randomise.FIELDS`."""
        self._qpos_BQ, self._qvel_BV = self._batch.bind("qpos"), self._batch.bind("qvel")
        self._ctrl_BA, self._forces_BN6 = self._batch.bind("ctrl"), self._batch.bind("xfrc_applied")
        self._carried_B, self._height_BN = np.zeros(num_envs), self._batch.bind("xpos")[:, :, 2]
        """N that carry each body while it lies, upwards at its trunk; heights of its parts."""
        self._reach = reach(self.model, simulation.data)
        """m from the trunk to the farthest part: how high it can be carried by its own limbs."""
        simulation.close()
        self._num_contacts_B = self._batch.bind("ncon") if has_contacts else np.zeros(num_envs, np.int32)
        self._contact_forces_BN6 = np.zeros((num_envs, self.model.nbody, 6))
        self._one = mujoco.MjData(self.model) if has_contacts else None
        """Where one simulation at a time is copied to, for what MuJoCo does not compute by itself."""
        self._derived = {
            name: self._contact_forces_BN6 if name == CONTACT_FORCES else self._batch.bind(name)
            for name in self.body.derived
        }
        self._place_BP = self.body.place(self._state(_ALL))
        self._substeps = [self.body.frame_skip]
        self.motion_TbQ: np.ndarray | None = None
        """Positions of the stepped rows during the last control step, its end the last; None unless it is kept."""
        self._elapsed_B = np.zeros(num_envs, np.int64)
        self.commands = Commands(num_envs, dt=self.body.dt, max_steps=self.max_episode_steps)
        self._skills = skills_of(self.body.name)
        self._skill_index_B = np.full(num_envs, -1)
        self._only_skill: Skill | None = None
        """The skill of all rows, while they agree."""
        self.select_skill(np.arange(num_envs), skill_id)

    def select_skill(self, ids: np.ndarray, skill_id: str) -> None:
        """Rewards rows `ids` for another skill of this body from the next step on; who does it already goes on."""
        own = [skill.id for skill in self._skills]
        if skill_id not in own:
            raise ValueError(f'skill "{skill_id}" is not one of {self.body.name}; {near_match(skill_id, own)}')
        changed = ids[self._skill_index_B[ids] != own.index(skill_id)]
        self._skill_index_B[changed] = own.index(skill_id)
        self.commands.select(changed, get_skill(skill_id))
        first = self._skill_index_B[0]
        self._only_skill = self._skills[first] if (self._skill_index_B == first).all() else None
        asked = [self._skills[index] for index in set(self._skill_index_B.tolist())]
        self._charges_contacts = any(term.name in CONTACT_TERMS for skill in asked for term in flat(skill.reward))

    def reset(self, ids: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Begins an episode in each of `ids` with Gymnasium's start for its seed; observations (b, O)."""
        if len(ids) != len(seeds):
            raise ValueError(f"{len(ids)} ids but {len(seeds)} seeds; one seed a row")
        qpos_BQ = np.empty((len(ids), self.model.nq))
        qvel_BV = np.empty((len(ids), self.model.nv))
        if self._ranges:
            drawn = [list(randomise.draw(self._ranges, int(seed)).values()) for seed in seeds]
            self._vary(np.asarray(ids), np.array(drawn))
        for row, seed in enumerate(seeds):
            generator, _ = np_random(int(seed))
            qpos_BQ[row], qvel_BV[row] = self.body.start(generator, self._start_qpos_Q, self._start_qvel_V)
        self.commands.begin(ids, [self._skills[index] for index in self._skill_index_B[ids]], seeds)
        return self._put(ids, qpos_BQ, qvel_BV, is_at_rest=True)

    def _vary(self, ids: np.ndarray, factors_BK: np.ndarray) -> None:
        """Makes rows `ids` bodies by these factors, constants that hang on their masses and all."""
        self._factors_BK[ids] = factors_BK
        names = [name for name in randomise.FIELDS if name in self._ranges]
        for name, factor_B in zip(names, factors_BK.T, strict=True):
            for field in randomise.FIELDS[name]:
                original = getattr(self.model, field)
                self._batch.expand(field)[ids] = original * factor_B.reshape(-1, *[1] * original.ndim)
        self._batch.set_const(np.sort(ids))

    def get_state(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Copies of (qpos (b, Q), qvel (b, V))."""
        return self._qpos_BQ[ids], self._qvel_BV[ids]

    def set_state(self, ids: np.ndarray, qpos_BQ: np.ndarray, qvel_BV: np.ndarray) -> np.ndarray:
        """Begins an episode in each of `ids` from that state; observations (b, O). Commands begin with how it moves."""
        return self._put(ids, qpos_BQ, qvel_BV, is_at_rest=False)

    def _put(self, ids: np.ndarray, qpos_BQ: np.ndarray, qvel_BV: np.ndarray, *, is_at_rest: bool) -> np.ndarray:
        in_order = np.sort(ids)
        self._batch.reset(ids=in_order, stage=mujoco.mjtStage.mjSTAGE_NONE)
        self._qpos_BQ[ids], self._qvel_BV[ids] = qpos_BQ, qvel_BV
        self._batch.forward(ids=in_order)
        self._elapsed_B[ids] = 0
        state = self._state(ids)
        place_BP = self._place_BP[ids] = self.body.place(state)
        if not is_at_rest:
            known = {name: self.body.readings[name] for name in COMMANDS if name in self.body.readings}
            velocity_BP = state.qvel_BV[:, : place_BP.shape[1]]
            self.commands.start(ids, {name: one.measure(state, velocity_BP) for name, one in known.items()})
        return self._observe(state, ids)

    def command(self) -> np.ndarray:
        """What every row is asked for now, (B, C) in the order of COMMANDS; NaN where nothing is."""
        return self.commands.now(_ALL, self._elapsed_B)

    def lift(self, share_B: np.ndarray | float) -> None:
        """From the next step on, carries that share of each body's weight, upwards at its trunk: all of it up to half
        of how high its limbs can carry that, nothing at their full length."""
        self._carried_B[:] = -np.asarray(share_B) * self.model.body_mass.sum() * self.model.opt.gravity[2]
        self._forces_BN6[:, TRUNK, 2] = 0

    def push(self, ids: np.ndarray, forces_b3: np.ndarray) -> None:
        """From the next step on these forces, in N along the axes of the world, pull at the trunks of rows `ids`, until
        others do."""
        self._forces_BN6[ids, TRUNK, :3] = forces_b3

    def keep_motion(self, moments: int) -> None:
        """From the next step on keeps `motion_TbQ` at so many moments of every control step, evenly apart as far as its
        simulation steps let it. What is simulated stays the same, to the bit."""
        ends = np.linspace(0, self.body.frame_skip, min(moments, self.body.frame_skip) + 1).round().astype(int)
        self._substeps = np.diff(ends).tolist()
        self.motion_TbQ = np.empty((len(self._substeps), 0, self.model.nq))

    def snapshot(self) -> dict[str, np.ndarray]:
        """Copies of all that decides what comes next in every row: what `restore` takes, also in another process."""
        kept = {name: np.array(self._batch.bind(name)) for name in _KEPT} | self.commands.snapshot()
        if self.body.derived:
            kept["place"] = self._place_BP.copy()
        if self._ranges:
            kept["factors"] = self._factors_BK.copy()
        return {**kept, "elapsed": self._elapsed_B.copy(), "skill_index": self._skill_index_B.copy()}

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Goes on from a `snapshot`, to the bit (`set_state` begins an episode instead)."""
        # One taken before there were commands has neither them nor the actions before.
        if self._ranges:
            self._vary(np.arange(self.num_envs), kept["factors"])
        for name in _KEPT & kept.keys():
            self._batch.bind(name)[:] = kept[name]
        self.commands.restore(kept)
        self._place_BP[:] = kept["place"] if self.body.derived else self.body.place(self._state(_ALL))
        self._elapsed_B[:] = kept["elapsed"]
        self._skill_index_B[:] = kept["skill_index"]
        self.select_skill(np.arange(0), self._skills[self._skill_index_B[0]].id)

    def step(self, actions_BA: np.ndarray, ids: np.ndarray | None = None) -> Transition:
        """Steps the rows `ids` (None: all); FloatingPointError names the rows whose state or action is not finite."""
        rows = _ALL if ids is None else ids
        actions_BA = np.asarray(actions_BA, np.float32)
        shape = (self.num_envs if ids is None else len(ids), self.model.nu)
        if actions_BA.shape != shape:
            raise ValueError(
                f"actions have shape {actions_BA.shape}; {shape} is needed, a row for each stepped environment"
            )
        before_BA, elapsed_B = self._ctrl_BA[rows].copy(), self._elapsed_B[rows].copy()
        self._ctrl_BA[rows] = actions_BA
        if self._carried_B.any():
            lies_B = np.clip(2 - 2 * self._height_BN[:, TRUNK] / self._reach, 0, 1)
            self._forces_BN6[:, TRUNK, 2] = self._carried_B * lies_B
        self._simulate(rows, None if ids is None else np.sort(ids))
        self._elapsed_B[rows] += 1
        if self._one is not None and self._charges_contacts:
            self._measure_contacts(self._one, rows)
        state = self._state(rows)
        check_finite(self.body, actions_BA, state)
        result = judge(
            self.body,
            actions_BA,
            state,
            place_before_BP=self._place_BP[rows],
            before_BA=before_BA,
            command_BC=self.commands.now(rows, elapsed_B),
        )
        self._place_BP[rows] = result.place_BP
        return Transition(
            self._observe(state, rows),
            self._reward(result, rows),
            ~result.is_healthy_B,
            self._elapsed_B[rows] >= self.max_episode_steps,
            result.readings | self.commands.told(rows, elapsed_B),
        )

    def _simulate(self, rows: np.ndarray | slice, in_order: np.ndarray | None) -> None:
        """One control step of these rows."""
        moments = []
        for count in self._substeps:
            self._batch.step(ids=in_order, nstep=count)
            if self.motion_TbQ is not None:
                moments.append(self._qpos_BQ[rows].copy())
        if moments:
            self.motion_TbQ = np.stack(moments)

    def _state(self, rows: np.ndarray | slice) -> State:
        derived = {name: values_BX[rows] for name, values_BX in self._derived.items()}
        return State(self._qpos_BQ[rows], self._qvel_BV[rows], derived, self.model.body_mass)

    def _observe(self, state: State, rows: np.ndarray | slice) -> np.ndarray:
        """What the bodies of these rows sense, (b, O)."""
        return self.body.observe(state)

    def _measure_contacts(self, one: mujoco.MjData, rows: np.ndarray | slice) -> None:
        """What Gymnasium computes after every step of an environment. Copying costs a twentieth of an ant, which
        touches nothing in two steps of three."""
        is_acted_on_B = (self._num_contacts_B > 0) | (self._carried_B > 0)
        self._contact_forces_BN6[rows] = 0
        for row in np.arange(self.num_envs)[rows][is_acted_on_B[rows]].tolist():
            self._batch.get_data(row, one)
            mujoco.mj_rnePostConstraint(self.model, one)
            self._contact_forces_BN6[row] = one.cfrc_ext

    def _reward(self, result: StepResult, rows: np.ndarray | slice) -> np.ndarray:
        if self._only_skill is not None:
            return reward(self._only_skill.reward, result)
        index_B = self._skill_index_B[rows]
        rewards_B = np.empty(len(index_B))
        for index in np.unique(index_B):
            chosen_B = index_B == index
            rewards_B[chosen_B] = reward(self._skills[index].reward, result)[chosen_B]
        return rewards_B
