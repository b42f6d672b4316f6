"""A prompted actor for a batch of environments of one body, with a key-value cache over steps.

In: observations (B, O). Out: actions (B, A). Each environment has its own prompt, length, mask and refill. When a
context is full, the prompt and the newest half of the steps stay and the steps are encoded once more; the cached agent
gives the logits of encoding `[prompt, those steps]` from scratch. Environments that ended leave the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gato.model.gato import Gato
from gato.model.heads import Distribution
from gato.model.trunk import Cache, Place
from gato.sequences import build_rows, existing_positions, rotary_positions, steps_start
from gato.specs import COMMANDS, Rows, Windows


class Agent:
    """Acts for `len(prompts)` environments of `body`; what it does is chosen by the prompts."""

    def __init__(
        self,
        model: Gato,
        body: str,
        prompts: Sequence[str],
        *,
        command_BC: np.ndarray | None = None,
        demonstrations: tuple[np.ndarray, np.ndarray] | None = None,
        sample: bool = False,
        seed: int = 0,
    ) -> None:
        """`demonstrations`: observations (B, N, O) and actions (B, N, A) of episodes of the wanted skill.

        `sample` draws actions instead of taking the most likely ones. ValueError for an unknown body.
        """
        self.model, self.body, self.sample = model, model.body(body), sample
        self.name = body
        self.prompts = list(prompts)
        num_envs, layout = len(self.prompts), model.layout
        num_observations, num_actions = len(self.body.spec.observation), len(self.body.spec.action)
        self._command_BC = np.full((num_envs, len(COMMANDS)), np.nan) if command_BC is None else command_BC
        nothing = np.zeros((num_envs, 0, num_observations)), np.zeros((num_envs, 0, num_actions))
        self._demonstrations = nothing if demonstrations is None else demonstrations
        self._generator = torch.Generator(model.device).manual_seed(seed)
        # Filled with legal ids: places not yet written are embedded beside others, and never looked at.
        shape = (num_envs, layout.window_steps, 1)
        observation, action = (model.codec.body(body).observation, model.codec.body(body).action)
        self._observation_BTO = np.tile(observation.any_ids, shape)
        self._action_BTA = np.tile(action.any_ids, shape)
        self._length_B = np.zeros(num_envs, np.int64)
        self._cached_B = np.zeros(num_envs, np.int64)
        self._has_new_prompt_B = np.ones(num_envs, bool)
        self._alive = np.arange(num_envs)
        self._cache: Cache | None = None
        self._rows: Rows | None = None
        self._existing_BS = np.zeros((num_envs, 0), bool)

    @property
    def num_envs(self) -> int:
        """Environments it was made for, ended ones included."""
        return len(self.prompts)

    def reset(self, ids: np.ndarray) -> None:
        """These environments begin an episode: an empty context."""
        self._length_B[ids] = self._cached_B[ids] = 0
        self._set_alive(np.union1d(self._alive, ids))

    def retire(self, ids: np.ndarray) -> None:
        """These environments ended: they leave the batch and get zeros from now on."""
        self._set_alive(np.setdiff1d(self._alive, ids))

    def set_prompt(self, ids: np.ndarray, prompts: Sequence[str]) -> None:
        """From the next control step `[new prompt, newest half]` is what these environments see."""
        for env, prompt in zip(ids, prompts, strict=True):
            self.prompts[env] = prompt
        self._rows = None
        self._has_new_prompt_B[ids] = True
        self._keep_newest_half(np.asarray(ids))

    @torch.inference_mode()
    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """Actions (B, A) float32 inside the box; rows of ended environments are ignored and get zeros."""
        actions_BA = np.zeros((self.num_envs, len(self.body.spec.action)), np.float32)
        ids = self._alive
        if len(ids) == 0:
            return actions_BA
        self._keep_newest_half(ids[self._length_B[ids] == self.model.layout.window_steps])
        observation_BO = np.asarray(observations_BO, np.float32)[ids]
        self._observation_BTO[ids, self._length_B[ids]] = self.model.codec.encode_observation(self.name, observation_BO)
        for index, group in enumerate(self.body.head.groups):
            distribution = self._distribution(index)
            chosen = distribution.sample(self._generator) if self.sample else distribution.mode()
            self._action_BTA[ids, self._length_B[ids], group] = chosen.cpu().numpy()
        actions_BA[ids] = self.model.codec.decode_action(self.name, self._action_BTA[ids, self._length_B[ids]])
        self._length_B[ids] += 1
        return actions_BA

    def _distribution(self, index: int) -> Distribution:
        """Over action group `index` of the step being decided, for the environments in the batch."""
        self._encode_prompts()
        hidden_BD = self._encode_steps(self.body.steps.readout + 1 + index)
        return self.body.head(hidden_BD, index, self.model.free)

    def _set_alive(self, ids: np.ndarray) -> None:
        if self._cache is not None and not np.array_equal(ids, self._alive):
            places = np.searchsorted(self._alive, ids).clip(max=max(len(self._alive) - 1, 0))
            is_new = ~np.isin(ids, self._alive)
            self._has_new_prompt_B[ids[is_new]] = True
            self._cached_B[ids[is_new]] = 0
            index = torch.from_numpy(places).to(self.model.device)
            if len(self._alive) == 0:
                self._cache = None
            else:
                halves = (
                    [tensor[index] for tensor in half] for half in (self._cache.keys_BHLK, self._cache.values_BHLK)
                )
                self._cache = Cache(*halves)
        self._alive = ids

    def _keep_newest_half(self, ids: np.ndarray) -> None:
        """Drop all but the newest half of a window of steps; the kept ones will be encoded again."""
        kept = self.model.layout.window_steps // 2
        for env in ids:
            drop = max(int(self._length_B[env]) - kept, 0)
            for history in (self._observation_BTO, self._action_BTA):
                history[env, : history.shape[1] - drop] = history[env, drop:].copy()
            self._length_B[env] -= drop
            self._cached_B[env] = 0

    def _prompt_rows(self) -> Rows:
        if self._rows is None:
            observation_BNO, action_BNA = self._demonstrations
            num_envs, shown = observation_BNO.shape[:2]
            empty = np.zeros((num_envs, 0), bool)
            windows = Windows(
                body=self.name,
                observations_BTO=np.zeros((num_envs, 0, len(self.body.spec.observation)), np.float32),
                actions_BTA=np.zeros((num_envs, 0, len(self.body.spec.action)), np.float32),
                targets_BTA=np.zeros((num_envs, 0, len(self.body.spec.action)), np.float32),
                step_mask_BT=empty,
                loss_mask_BT=empty,
                prompts=tuple(self.prompts),
                command_BC=self._command_BC,
                demonstration_BNO=np.asarray(observation_BNO, np.float32),
                demonstration_BNA=np.asarray(action_BNA, np.float32),
                demonstration_mask_BN=np.ones((num_envs, shown), bool),
            )
            self._rows = build_rows(self.model.codec, windows, self.model.layout)
        return self._rows

    def _encode_prompts(self) -> None:
        """Encode the prompts that are new into the first entries of the cache."""
        rows = self._prompt_rows()
        existing_BS = existing_positions(rows, self.model.layout, self.body.spec)
        self._existing_BS = existing_BS
        if self._cache is None:
            length = existing_BS.shape[1] + self.model.layout.window_steps * self.body.steps.positions
            config = self.model.config.trunk
            self._cache = Cache.empty(config, len(self._alive), length, self.model.text.weight)
            self._has_new_prompt_B[self._alive] = True
            self._cached_B[self._alive] = 0
        fresh = self._alive[self._has_new_prompt_B[self._alive]]
        if len(fresh) == 0:
            return
        rotary_S = rotary_positions(rows, self.model.layout, self.body.spec)
        hidden = self.model.embed_prompt(_pick(rows, fresh))
        entries = np.tile(np.arange(len(rotary_S)), (len(fresh), 1))
        self._forward(fresh, hidden, entries, np.tile(rotary_S, (len(fresh), 1)))
        self._has_new_prompt_B[fresh] = False

    def _encode_steps(self, positions_now: int) -> Tensor:
        """Encode what is not yet in the cache, the first `positions_now` of the current step included; its end."""
        step = self.body.steps.positions
        ids = self._alive
        total_B = self._length_B * step + positions_now
        new_B = total_B - self._cached_B
        hidden_BD = torch.zeros(len(ids), self.model.config.trunk.width, dtype=self.model.text.weight.dtype)
        hidden_BD = hidden_BD.to(self.model.device)
        for count in np.unique(new_B[ids]):
            group = ids[new_B[ids] == count]
            index_BS = total_B[group, None] - count + np.arange(count)
            hidden_BSD = self._embed(group, index_BS)
            prefix, start = self._existing_BS.shape[1], steps_start(self.model.layout, self.body.spec)
            out_BSD = self._forward(group, hidden_BSD, prefix + index_BS, start + index_BS)
            hidden_BD[torch.from_numpy(np.searchsorted(ids, group))] = out_BSD[:, -1]
            self._cached_B[group] = total_B[group]
        return hidden_BD

    def _embed(self, ids: np.ndarray, index_BS: np.ndarray) -> Tensor:
        """Embeddings of positions `index_BS` of the windows of `ids`, consecutive in each row."""
        step = self.body.steps.positions
        first_B = index_BS[:, 0] // step
        count = int((index_BS[:, -1] // step - first_B).max()) + 1
        steps_BT = (first_B[:, None] + np.arange(count)).clip(max=self._observation_BTO.shape[1] - 1)
        rows = ids[:, None]
        hidden_BSD = self.model.embed_steps(
            self.name, self._observation_BTO[rows, steps_BT], self._action_BTA[rows, steps_BT]
        )
        offset_BS = torch.from_numpy(index_BS - first_B[:, None] * step).to(hidden_BSD.device)
        return hidden_BSD.gather(1, offset_BS[..., None].expand(-1, -1, hidden_BSD.shape[2]))

    def _forward(self, ids: np.ndarray, hidden_BSD: Tensor, entries_BS: np.ndarray, rotary_BS: np.ndarray) -> Tensor:
        """One pass of the trunk over new positions of these environments, written to `entries_BS` of the cache."""
        prefix = self._existing_BS.shape[1]
        keys_L = np.arange(entries_BS.max() + 1)
        exists_BL = np.ones((len(ids), len(keys_L)), bool)
        exists_BL[:, :prefix] = self._existing_BS[ids][:, : len(keys_L)]
        visible_BSL = (keys_L <= entries_BS[..., None]) & exists_BL[:, None] | (keys_L == entries_BS[..., None])
        place = Place(
            rotary_BS=self.model.tensor(rotary_BS),
            visible_BSL=self.model.tensor(visible_BSL),
            rows_B=self.model.tensor(np.searchsorted(self._alive, ids)),
            entries_BS=self.model.tensor(entries_BS),
        )
        return self.model.trunk(hidden_BSD, place, self._cache)


def _pick(rows: Rows, ids: np.ndarray) -> Rows:
    """The same record with some of its rows."""
    fields = {name: value[ids] for name, value in vars(rows).items() if isinstance(value, np.ndarray)}
    return Rows(body=rows.body, **fields)
