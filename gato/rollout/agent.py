"""A prompted actor for a batch of environments of one body, with a key-value cache over steps.

In: observations (B, O). Out: actions (B, A). Each environment has its own prompt, length, mask and refill. When a
context is full, the prompt and the newest half of the steps stay and the steps are encoded once more; the cached agent
gives the logits of encoding `[prompt, those steps]` from scratch. Environments that ended leave the batch; `act` lets
some go on while others wait.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gato.model.few import FEW, FewPositions
from gato.model.gato import Gato
from gato.model.heads import Distribution
from gato.model.trunk import NEWEST, Cache, Place
from gato.sequences import build_rows, encode_prompts, existing_positions, rotary_positions
from gato.skills.told import told_numbers
from gato.specs import COMMANDS, BodySpec, Rows, Windows


class Agent:
    """Acts for `len(prompts)` environments of `body`; what it does is chosen by the prompts.

    `rows` holds the token ids of every context, as training would see them.
    """

    def __init__(
        self,
        model: Gato,
        body: str,
        prompts: Sequence[str],
        *,
        demonstrations: tuple[np.ndarray, np.ndarray] | None = None,
        returns_B: np.ndarray | None = None,
        sample: bool = False,
        seed: int = 0,
    ) -> None:
        """`prompts`: words, or numbers (`gato.skills.told`). `demonstrations`: observations (B, N, O) and actions
        (B, N, A) of episodes of the wanted skill. `returns_B`: the return that is asked for, as a share of the best;
        what is `earn`ed is taken off.

        `sample` draws actions instead of taking the middle of their distributions. ValueError for an unknown body, or
        a model that was not told returns.
        """
        self.model, self.body, self.sample = model, model.body(body), sample
        self.prompts = list(prompts)
        self._generator = torch.Generator(model.device).manual_seed(seed)
        layout, spec = model.layout, self.body.spec
        empty = _empty_windows(spec, len(self.prompts), layout.window_steps, demonstrations)
        untold_BC = np.full((self.num_envs, len(COMMANDS)), -1, np.int64)
        self.rows = dataclasses.replace(build_rows(model.codec, empty, layout), command_BC=untold_BC)
        self._tell(np.arange(self.num_envs), self.prompts)
        self._asked_B = None if returns_B is None else np.array(returns_B, np.float32)
        self._to_go_B = None if returns_B is None else np.array(returns_B, np.float32)
        if returns_B is not None:
            if model.returns is None:
                raise ValueError("the model was not told returns to go; train with model.network.return_to_go: true")
            untold_BT = np.full((self.num_envs, layout.window_steps), -1, np.int64)
            self.rows = dataclasses.replace(self.rows, return_BT=untold_BT)
        self._rotary_S = rotary_positions(self.rows, layout, spec)
        self._num_prompt = len(self._rotary_S) - layout.window_steps * self.body.steps.positions
        self._prompt_exists_BP = existing_positions(self.rows, layout, spec)[:, : self._num_prompt]
        self._few = FewPositions(model.trunk, self._rotary_S.max() + 1) if FewPositions.can_run(model.trunk) else None
        self._cached_B = np.zeros(self.num_envs, np.int64)
        """Positions of each row whose keys and values stand in the cache."""
        self._alive = np.arange(self.num_envs)
        self._acting = self._alive
        """Environments whose step is being decided, ascending."""
        self._in_cache = np.arange(0)
        self._cache = Cache([], [])

    @property
    def num_envs(self) -> int:
        """Environments it was made for, ended ones included."""
        return len(self.prompts)

    def reset(self, ids: np.ndarray) -> None:
        """These environments begin an episode: an empty context."""
        self.rows.step_mask_BT[ids] = False
        if self._asked_B is not None and self._to_go_B is not None:
            self._to_go_B[ids] = self._asked_B[ids]
        self._cached_B[ids] = self._cached_B[ids].clip(max=self._num_prompt)
        self._alive = np.union1d(self._alive, ids)

    def retire(self, ids: np.ndarray) -> None:
        """These environments ended: they leave the batch and get zeros from now on."""
        self._alive = np.setdiff1d(self._alive, ids)

    def earn(self, shares_B: np.ndarray) -> None:
        """The last step earned these shares of the best return; NaN for environments that did not step."""
        if self._to_go_B is not None:
            self._to_go_B -= np.nan_to_num(shares_B)

    def set_prompt(self, ids: np.ndarray, prompts: Sequence[str]) -> None:
        """From the next control step `[new prompt, newest half]` is what these environments see."""
        for env, prompt in zip(ids, prompts, strict=True):
            self.prompts[env] = prompt
        self._tell(ids, prompts)
        exists_BS = existing_positions(self.rows, self.model.layout, self.body.spec)
        self._prompt_exists_BP = exists_BS[:, : self._num_prompt]
        self._keep_newest_half(np.asarray(ids))
        self._cached_B[ids] = 0

    def _tell(self, ids: np.ndarray, prompts: Sequence[str]) -> None:
        """Their tokens: words, or numbers instead."""
        codec, numbers = self.model.codec, [told_numbers(prompt) for prompt in prompts]
        words = [prompt if told_C is None else "" for prompt, told_C in zip(prompts, numbers, strict=True)]
        untold_C = np.full(len(COMMANDS), np.nan, np.float32)
        command_BC = np.stack([untold_C if told_C is None else told_C for told_C in numbers])
        self.rows.text_BP[ids] = encode_prompts(codec, words, self.model.layout)
        self.rows.command_BC[ids] = codec.encode_command(command_BC)

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """Actions (B, A) float32 inside the box; rows of ended environments are ignored and get zeros."""
        actions_BA = np.zeros((self.num_envs, len(self.body.spec.action)), np.float32)
        if len(self._alive):
            actions_BA[self._alive] = self.act(self._alive, np.asarray(observations_BO, np.float32)[self._alive])
        return actions_BA

    @torch.inference_mode()
    def act(self, ids: np.ndarray, observations_BO: np.ndarray) -> np.ndarray:
        """Actions of these environments alone, a row for each of `ids`; the others stay where they are.

        So each may go at a pace of its own. `ids` are ascending and have not ended.
        """
        assert len(ids) and (np.diff(ids) > 0).all() and np.isin(ids, self._alive).all()
        codec, name, self._acting = self.model.codec, self.rows.body, ids
        self._fit_cache()
        self._keep_newest_half(ids[self.rows.step_mask_BT[ids].all(1)])
        now = ids, self.rows.step_mask_BT[ids].sum(1)
        self.rows.observation_BTO[now] = codec.encode_observation(name, np.asarray(observations_BO, np.float32))
        if self._to_go_B is not None:
            self.rows.return_BT[now] = codec.encode_returns(self._to_go_B[ids])
        for index, group in enumerate(self.body.head.groups):
            distribution = self._distribution(index)
            chosen = distribution.sample(self._generator) if self.sample else distribution.central()
            self.rows.action_BTA[(*now, group)] = chosen.cpu().numpy()
        self.rows.step_mask_BT[now] = True
        return codec.decode_action(name, self.rows.action_BTA[now])

    def _distribution(self, index: int) -> Distribution:
        """Over action group `index` of the step being decided, for the environments that act."""
        hidden_BD = self._encode(self.body.steps.readout + 1 + index)
        return self.body.head(hidden_BD, index, self.model.free)

    def _fit_cache(self) -> None:
        """Give the cache the rows that are alive; environments that came back make it start anew."""
        if np.array_equal(self._in_cache, self._alive):
            return
        if np.isin(self._alive, self._in_cache).all():
            self._cache = self._cache.pick(self.model.tensor(np.searchsorted(self._in_cache, self._alive)))
        else:
            like = self.model.text.weight
            self._cache = Cache.empty(self.model.config.trunk, len(self._alive), len(self._rotary_S), like)
            self._cached_B[:] = 0
        self._in_cache = self._alive

    def _keep_newest_half(self, ids: np.ndarray) -> None:
        """Drop all but the newest half of a window of steps; the kept ones will be encoded again."""
        if len(ids) == 0:
            return
        window = self.model.layout.window_steps
        length_B = self.rows.step_mask_BT[ids].sum(1)
        kept_B = length_B.clip(max=window // 2)
        source_BT = (np.arange(window) + (length_B - kept_B)[:, None]) % window
        told = [self.rows.return_BT] * bool(self.rows.return_BT.size)
        for history in (self.rows.observation_BTO, self.rows.action_BTA, *told):
            history[ids] = history[ids[:, None], source_BT]
        self.rows.step_mask_BT[ids] = np.arange(window) < kept_B[:, None]
        self._cached_B[ids] = self._cached_B[ids].clip(max=self._num_prompt)

    def _encode(self, num_now: int) -> Tensor:
        """Encode what is not cached yet, up to the first `num_now` positions of the current step; (B, D) at its end."""
        ids = self._acting
        end_B = self._num_prompt + self.rows.step_mask_BT[ids].sum(1) * self.body.steps.positions + num_now
        begin_B = self._cached_B[ids]
        # Rows that need the same positions go through the trunk together: nearly always all of them.
        kinds, kind_B = np.unique(np.stack([end_B - begin_B, begin_B == 0]), axis=1, return_inverse=True)
        hidden_BD: Tensor | None = None
        for kind, (count, is_prompt_new) in enumerate(kinds.T):
            chosen = np.flatnonzero(kind_B == kind)
            hidden_BSD = self._embed(ids[chosen], count, num_now, is_prompt_new)
            out_BD = self._forward(ids[chosen], hidden_BSD, end_B[chosen, None] + np.arange(-count, 0))
            if len(chosen) == len(ids):
                hidden_BD = out_BD
                break
            if hidden_BD is None:
                hidden_BD = out_BD.new_empty(len(ids), out_BD.shape[1])
            hidden_BD[self.model.tensor(chosen)] = out_BD
        self._cached_B[ids] = end_B
        assert hidden_BD is not None
        return hidden_BD

    def _embed(self, ids: np.ndarray, count: int, num_now: int, is_prompt_new: bool) -> Tensor:
        """Embeddings of the newest `count` positions of `ids`, the first `num_now` of the current step the last."""
        rows, positions = self.rows, self.body.steps.positions
        in_steps = count - self._num_prompt if is_prompt_new else count
        num_steps = 1 + -(-(in_steps - num_now) // positions)
        steps_BT = rows.step_mask_BT[ids].sum(1)[:, None] + np.arange(1 - num_steps, 1)
        chosen = ids[:, None], steps_BT
        return_BT = rows.return_BT[chosen] if rows.return_BT.size else None
        hidden_BSD = self.model.embed_steps(rows.body, rows.observation_BTO[chosen], rows.action_BTA[chosen], return_BT)
        end = (num_steps - 1) * positions + num_now
        hidden_BSD = hidden_BSD[:, end - in_steps : end]
        return torch.cat([self.model.embed_prompt(_pick(rows, ids)), hidden_BSD], 1) if is_prompt_new else hidden_BSD

    def _forward(self, ids: np.ndarray, hidden_BSD: Tensor, entries_BS: np.ndarray) -> Tensor:
        """The trunk over new positions of these environments, written to the cache; (B, D) of the last one."""
        keys_L = np.arange(self._num_keys(entries_BS))
        exists_BL = np.ones((len(ids), len(keys_L)), bool)
        exists_BL[:, : self._num_prompt] = self._prompt_exists_BP[ids]
        visible_BSL = (keys_L <= entries_BS[..., None]) & exists_BL[:, None] | (keys_L == entries_BS[..., None])
        place = Place(
            rotary_BS=self.model.tensor(self._rotary_S[entries_BS]),
            visible_BSL=self.model.tensor(visible_BSL),
            rows_B=self.model.tensor(np.searchsorted(self._in_cache, ids)),
            entries_BS=self.model.tensor(entries_BS),
        )
        return self._run_trunk(hidden_BSD, place)[:, 0]

    def _num_keys(self, entries_BS: np.ndarray) -> int:
        """Entries of the cache that are looked at: on a GPU all of them, so that shapes repeat."""
        return len(self._rotary_S) if self.model.device.type == "cuda" else int(entries_BS.max()) + 1

    def _run_trunk(self, hidden_BSD: Tensor, place: Place) -> Tensor:
        """The newest position's output, (B, 1, D)."""
        # With several threads torch's wait in a loop for a while after each operation, and slow numpy down.
        is_few = hidden_BSD.shape[:2].numel() <= FEW and torch.get_num_threads() == 1
        if self._few is not None and is_few:
            return self._few(hidden_BSD, place, self._cache)
        return self.model.trunk(hidden_BSD, place, self._cache, asks=NEWEST)


def _empty_windows(
    spec: BodySpec,
    num_envs: int,
    window_steps: int,
    demonstrations: tuple[np.ndarray, np.ndarray] | None,
) -> Windows:
    """Windows without words or steps yet."""
    no_steps = np.zeros((num_envs, window_steps), bool)
    no_actions = np.zeros((num_envs, window_steps, len(spec.action)), np.float32)
    if demonstrations is None:
        demonstrations = np.zeros((num_envs, 0, len(spec.observation))), np.zeros((num_envs, 0, len(spec.action)))
    shown_BNO, shown_BNA = (np.asarray(shown, np.float32) for shown in demonstrations)
    return Windows(
        body=spec.name,
        observations_BTO=np.zeros((num_envs, window_steps, len(spec.observation)), np.float32),
        actions_BTA=no_actions,
        targets_BTA=no_actions,
        step_mask_BT=no_steps,
        loss_mask_BT=no_steps.copy(),
        prompts=("",) * num_envs,
        command_BC=np.full((num_envs, len(COMMANDS)), np.nan, np.float32),
        demonstration_BNO=shown_BNO,
        demonstration_BNA=shown_BNA,
        demonstration_mask_BN=np.ones(shown_BNO.shape[:2], bool),
        returns_BT=np.full(no_steps.shape, np.nan, np.float32),
    )


def _pick(rows: Rows, ids: np.ndarray) -> Rows:
    """The same record with some of its rows."""
    fields = {name: value[ids] for name, value in vars(rows).items() if isinstance(value, np.ndarray)}
    return Rows(body=rows.body, **fields)
