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
from gato.model.trunk import NEWEST, Cache, Piece, Place
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
        like, positions = model.text.weight, self.body.steps.positions
        self._hidden_BSD = like.new_zeros(self.num_envs, len(self._rotary_S), like.shape[1])
        """Embeddings of every context."""
        self._steps_BTPD = self._hidden_BSD[:, self._num_prompt :].unflatten(1, (-1, positions))
        """Those of its steps."""
        self._embed_prompts(np.arange(self.num_envs))
        self._few = FewPositions(model.trunk) if FewPositions.can_run(model.trunk) else None
        self._cached_B = np.zeros(self.num_envs, np.int64)
        """Positions of each row whose keys and values stand in the cache."""
        self._alive = np.arange(self.num_envs)
        self._acting = self._alive
        """Environments whose step is being decided, ascending."""
        self._now = self._alive, self._cached_B
        """These, and the entry of that step in their windows."""
        self._end_B = self._cached_B
        """Positions that will be cached of them, once what goes through the trunk has come out."""
        self._chosen: list[np.ndarray] = []
        """Which of them each piece is about."""
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

    def did(self, ids: np.ndarray, actions_BA: np.ndarray) -> None:
        """In their last step these environments did this, a row for each, instead of what was decided."""
        last = ids, self.rows.step_mask_BT[ids].sum(1) - 1
        self.rows.action_BTA[last] = self.model.codec.encode_action(self.rows.body, np.asarray(actions_BA, np.float32))
        steps = self.body.steps
        before_B = self._num_prompt + (last[1] + 1) * steps.positions - steps.action_groups
        self._cached_B[ids] = self._cached_B[ids].clip(max=before_B)

    def set_prompt(self, ids: np.ndarray, prompts: Sequence[str]) -> None:
        """From the next control step `[new prompt, newest half]` is what these environments see."""
        for env, prompt in zip(ids, prompts, strict=True):
            self.prompts[env] = prompt
        self._tell(ids, prompts)
        exists_BS = existing_positions(self.rows, self.model.layout, self.body.spec)
        self._prompt_exists_BP = exists_BS[:, : self._num_prompt]
        self._keep_newest_half(np.asarray(ids))
        self._embed_prompts(np.asarray(ids))
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

    def act(self, ids: np.ndarray, observations_BO: np.ndarray) -> np.ndarray:
        """Actions of these environments alone, a row for each of `ids`; the others stay where they are.

        So each may go at a pace of its own. `ids` are ascending and have not ended.
        """
        return act_together([(self, ids, observations_BO)])[0]

    def _begin(self, ids: np.ndarray, observations_BO: np.ndarray) -> None:
        """A step of these environments is to be decided."""
        assert len(ids) and (np.diff(ids) > 0).all() and np.isin(ids, self._alive).all()
        codec, name, self._acting = self.model.codec, self.rows.body, ids
        self._fit_cache()
        self._keep_newest_half(ids[self.rows.step_mask_BT[ids].all(1)])
        self._now = now = ids, self.rows.step_mask_BT[ids].sum(1)
        # Of a step that failed half way nothing stays.
        before_B = self._num_prompt + now[1] * self.body.steps.positions
        self._cached_B[ids] = self._cached_B[ids].clip(max=before_B)
        self.rows.observation_BTO[now] = codec.encode_observation(name, np.asarray(observations_BO, np.float32))
        if self._to_go_B is not None:
            self.rows.return_BT[now] = codec.encode_returns(self._to_go_B[ids])

    def _choose(self, index: int, hidden_BD: Tensor) -> None:
        """The ids of action group `index`, from the position before it."""
        distribution = self._distribution(index, hidden_BD)
        chosen = distribution.sample(self._generator) if self.sample else distribution.central()
        self.rows.action_BTA[(*self._now, self.body.head.groups[index])] = chosen.cpu().numpy()

    def _distribution(self, index: int, hidden_BD: Tensor) -> Distribution:
        """Over action group `index` of the step being decided, for the environments that act."""
        return self.body.head(hidden_BD, index, self.model.free)

    def _end(self) -> np.ndarray:
        """The actions that were decided."""
        self.rows.step_mask_BT[self._now] = True
        return self.model.codec.decode_action(self.rows.body, self.rows.action_BTA[self._now])

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
        at, source_BT = self.model.tensor(ids), self.model.tensor(source_BT)
        self._steps_BTPD[at] = self._steps_BTPD[at[:, None], source_BT]
        self.rows.step_mask_BT[ids] = np.arange(window) < kept_B[:, None]
        self._cached_B[ids] = self._cached_B[ids].clip(max=self._num_prompt)

    def _pieces(self, index: int) -> list[Piece]:
        """What is not encoded yet, up to the position that action group `index` is read from.

        Rows that need the same positions go through the trunk together: nearly always all of them.
        """
        ids, num_now = self._acting, self.body.steps.readout + 1 + index
        end_B = self._num_prompt + self._now[1] * self.body.steps.positions + num_now
        counts, kind_B = np.unique(end_B - self._cached_B[ids], return_inverse=True)
        self._embed_new(index)
        self._end_B = end_B
        self._chosen = [np.flatnonzero(kind_B == kind) for kind in range(len(counts))]
        pieces = []
        for count, chosen in zip(counts, self._chosen, strict=True):
            entries_BS = end_B[chosen, None] + np.arange(-count, 0)
            at = self.model.tensor(ids[chosen])[:, None], self.model.tensor(entries_BS)
            pieces.append(Piece(self._hidden_BSD[at], self._place(ids[chosen], entries_BS), self._cache))
        return pieces

    def _joined(self, outs: Sequence[Tensor]) -> Tensor:
        """What the trunk gave for each of the pieces, (B, 1, D), as (B, D) for all environments that act."""
        self._cached_B[self._acting] = self._end_B
        out_BD = torch.cat([out[:, 0] for out in outs])
        if len(outs) == 1:
            return out_BD
        return out_BD[self.model.tensor(np.argsort(np.concatenate(self._chosen)))]

    @torch.inference_mode()
    def _embed_prompts(self, ids: np.ndarray) -> None:
        self._put(ids, 0, self.model.embed_prompt(_pick(self.rows, ids)))

    def _embed_new(self, index: int) -> None:
        """Before action group `index`: the observation and the action of the step before, or the groups so far."""
        rows, (ids, step_B) = self.rows, self._now
        observed = self.body.steps.positions - self.body.steps.action_groups
        first_B = self._num_prompt + step_B * self.body.steps.positions
        if index == 0:
            told_BT = rows.return_BT[ids, step_B][:, None] if rows.return_BT.size else None
            seen_BTO = rows.observation_BTO[ids, step_B][:, None]
            self._put(ids, first_B, self.model.embed_observation(rows.body, seen_BTO, told_BT)[:, 0])
            acted = step_B > 0
            ids, step_B, first_B = ids[acted], step_B[acted] - 1, first_B[acted] - self.body.steps.positions
        if len(ids):
            actions_BTA = rows.action_BTA[ids, step_B][:, None]
            self._put(ids, first_B + observed, self.model.embed_action(rows.body, actions_BTA)[:, 0])

    def _put(self, ids: np.ndarray, first_B: np.ndarray | int, hidden_BSD: Tensor) -> None:
        entries_BS = np.broadcast_to(first_B, len(ids))[:, None] + np.arange(hidden_BSD.shape[1])
        self._hidden_BSD[self.model.tensor(ids)[:, None], self.model.tensor(entries_BS)] = hidden_BSD

    def _place(self, ids: np.ndarray, entries_BS: np.ndarray) -> Place:
        """Of new positions of these environments."""
        keys_L = np.arange(self._num_keys(entries_BS))
        exists_BL = np.ones((len(ids), len(keys_L)), bool)
        exists_BL[:, : self._num_prompt] = self._prompt_exists_BP[ids]
        visible_BSL = (keys_L <= entries_BS[..., None]) & exists_BL[:, None] | (keys_L == entries_BS[..., None])
        return Place(
            rotary_BS=self.model.tensor(self._rotary_S[entries_BS]),
            visible_BSL=self.model.tensor(visible_BSL),
            rows_B=self.model.tensor(np.searchsorted(self._in_cache, ids)),
            entries_BS=self.model.tensor(entries_BS),
        )

    def _num_keys(self, entries_BS: np.ndarray) -> int:
        """Entries of the cache that are looked at: on a GPU all of them, so that shapes repeat."""
        return len(self._rotary_S) if self.model.device.type == "cuda" else int(entries_BS.max()) + 1

    def _run_trunk(self, piece: Piece) -> Tensor:
        """The newest position's output, (B, 1, D)."""
        return self.model.trunk(piece.hidden_BSD, piece.place, piece.cache, asks=NEWEST)

    def _run(self, pieces: Sequence[Piece]) -> list[Tensor]:
        """The same for each of these, of other agents too."""
        # With several threads torch's wait in a loop for a while after each operation, and slow numpy down.
        is_few = sum(piece.hidden_BSD.shape[:2].numel() for piece in pieces) <= FEW and torch.get_num_threads() == 1
        if self._few is not None and is_few:
            return self._few(pieces)
        return [self._run_trunk(piece) for piece in pieces]


@torch.inference_mode()
def act_together(acting: Sequence[tuple[Agent, np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """What `Agent.act` gives for each (agent, ids, observations): several bodies of one model, one pass through it."""
    agents = [agent for agent, _, _ in acting]
    assert len({id(agent) for agent in agents}) == len(agents) and len({id(agent.model) for agent in agents}) == 1
    for agent, ids, observations_BO in acting:
        agent._begin(ids, observations_BO)
    for index in range(max(len(agent.body.head.groups) for agent in agents)):
        deciding = [agent for agent in agents if index < len(agent.body.head.groups)]
        pieces = [agent._pieces(index) for agent in deciding]
        outs = iter(agents[0]._run([piece for own in pieces for piece in own]))
        for agent, own in zip(deciding, pieces, strict=True):
            agent._choose(index, agent._joined([next(outs) for _ in own]))
    return [agent._end() for agent in agents]


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
