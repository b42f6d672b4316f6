"""Random windows of several datasets: batch n is a pure function of (seed, n), whoever asks for it, in any order.

In: caches with weights and prompt shares. Out: for each batch, one `Windows` a body; every batch holds the same number
of rows of each body, so that shapes never change.

How a window is cut: an episode by its length, a start anywhere in it. A share of windows is short (rollouts begin with
an empty context, and past actions must not drown the words), a share starts where the episode starts, and in datasets
with switches every second one straddles a switch: the loss then counts after the newest switch only, under its prompt.

Which prompt a row gets: demonstrations are drawn for a whole batch (one without them has no such columns and
wastes nothing), the other forms for each row. Rows with a demonstration, a command or a return to go keep their
language half the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gato.data.cache import Cache
from gato.skills.prompts import typo
from gato.specs import COMMANDS, BodySpec, Windows, near_match

FORMS = ("language", "command", "none", "return", "demonstration")
"""Prompt forms; the shares given for them are divided by their sum."""
SHORT_SHARE = 0.25
"""Windows whose length is drawn from 1..T instead of being T."""
START_SHARE = 0.1
"""Windows that begin with their episode."""
SWITCH_SHARE = 0.5
"""Windows that straddle a switch, in datasets that have some."""
CANONICAL_SHARE = 0.25
"""Language prompts that are the canonical one; the others are any phrase of the skill."""
TYPO_SHARE = 0.1
"""Language prompts with one typing mistake."""
LANGUAGE_BESIDE_SHARE = 0.5
"""Rows with a command, a return to go or a demonstration that keep their language."""
COMMAND_STEPS = (20, 50)
"""A command is the mean of the readings over that many steps ahead."""
VALIDATION_SEED = 1 << 32
"""Added to the seed of a validation mixture, so that it shares no draw with training."""


def _default_shares() -> dict[str, float]:
    return {"language": 0.75, "command": 0.1, "none": 0.05, "demonstration": 0.1}


@dataclass(frozen=True)
class Source:
    """One dataset of the mixture."""

    id: str
    """Minari id."""
    weight: float = 1.0
    """Share of rows, relative to the other datasets."""
    prompts: Mapping[str, float] = field(default_factory=_default_shares)
    """Shares of the prompt forms language, command, none, return, demonstration; a missing one is 0."""

    def __post_init__(self) -> None:
        problems = [
            f'unknown prompt form "{key}": {near_match(key, FORMS)}' for key in self.prompts if key not in FORMS
        ]
        if not self.weight > 0:
            problems.append(f"weight is {self.weight}; more than 0 is needed, leave the dataset out instead")
        if any(share < 0 for share in self.prompts.values()) or sum(self.prompts.values()) <= 0:
            problems.append(f"prompts is {dict(self.prompts)}; shares of at least 0, one of them more")
        if problems:
            raise ValueError(f"dataset {self.id}: " + "; ".join(problems))

    def share(self, form: str) -> float:
        """The form's share, of 1."""
        return self.prompts.get(form, 0.0) / sum(self.prompts.values())


@dataclass(frozen=True)
class WindowShape:
    """How long windows and demonstrations are, in control steps."""

    window_steps: int
    demonstration_steps: int


class Mixture:
    """Batches of windows. `draw(n)` gives batch n; a training and a validation mixture hold different episodes."""

    def __init__(
        self,
        caches: Sequence[Cache],
        sources: Sequence[Source],
        shape: WindowShape,
        *,
        batch_size: int,
        seed: int,
        held_out: float,
        best_returns: Mapping[str, float] | None = None,
        is_validation: bool = False,
    ) -> None:
        """`best_returns`: skill -> what returns to go are shares of, for sources with such prompts."""
        self.shape, self.seed = shape, seed + (VALIDATION_SEED if is_validation else 0)
        kept = [held_out_episodes(len(cache.offsets) - 1, held_out) == is_validation for cache in caches]
        tables = [
            _Table(cache, source, np.flatnonzero(is_kept), (best_returns or {}).get(cache.skill(0), np.nan))
            for cache, source, is_kept in zip(caches, sources, kept, strict=True)
            if is_kept.any()
        ]
        if not tables:
            raise ValueError("no episode is left for validation; record more, or hold out a larger share")
        by_body: dict[str, list[_Table]] = {}
        for table in tables:
            group = by_body.setdefault(table.spec.name, [])
            group.append(table)
            if table.spec.digest != group[0].spec.digest:
                raise ValueError(
                    f"datasets {group[0].source.id} and {table.source.id} are of different bodies, both named "
                    f"{table.spec.name}: their spaces or element names differ; train on one of them"
                )
        weights = {name: sum(table.source.weight for table in group) for name, group in by_body.items()}
        self.rows = rows_per_body(weights, batch_size)
        self._bodies = [_BodyMixture(group, shape) for group in by_body.values()]

    def draw(self, batch: int) -> list[Windows]:
        """Batch number `batch`, one `Windows` a body."""
        shown = float(np.random.default_rng([self.seed, batch]).random())
        return [
            body.draw(self.rows[body.spec.name], shown, np.random.default_rng([self.seed, batch, index]))
            for index, body in enumerate(self._bodies, start=1)
        ]


def held_out_episodes(num_episodes: int, share: float) -> np.ndarray:
    """(E,) bool: episodes for validation, spread evenly; at least one where there are two, none when share is 0."""
    marks = np.floor(np.arange(num_episodes + 1) * share)
    is_held = np.diff(marks) > 0
    if share > 0 and num_episodes > 1 and not is_held.any():
        is_held[-1] = True
    return is_held


def rows_per_body(weights: Mapping[str, float], batch_size: int) -> dict[str, int]:
    """Rows of each body in every batch: proportional to its weight, at least one, `batch_size` in all."""
    if batch_size < len(weights):
        raise ValueError(f"batch_size is {batch_size}; the mixture has {len(weights)} bodies and each needs a row")
    total = sum(weights.values())
    wanted = {name: 1 + (batch_size - len(weights)) * weight / total for name, weight in weights.items()}
    rows = {name: int(value) for name, value in wanted.items()}
    by_remainder = sorted(wanted, key=lambda name: rows[name] - wanted[name])
    for name in by_remainder[: batch_size - sum(rows.values())]:
        rows[name] += 1
    return rows


@dataclass(frozen=True)
class _Cuts:
    """Where m windows of one dataset lie, as flat step numbers."""

    start: np.ndarray
    length: np.ndarray
    newest: np.ndarray
    """First step of the newest skill in the window's last step."""
    until: np.ndarray
    """End of that skill's run of steps."""
    prompt_id: np.ndarray
    episode: np.ndarray


class _Table:
    """One dataset ready for drawing: its episodes of this split, and the runs of steps under one prompt."""

    def __init__(self, cache: Cache, source: Source, kept: np.ndarray, best_return: float) -> None:
        self.cache, self.source, self.spec, self.best_return = cache, source, cache.dataset.spec, best_return
        self.first, self.lengths = cache.offsets[kept], np.diff(cache.offsets)[kept]
        self.ends = np.cumsum(self.lengths)
        is_change = np.diff(cache.prompt_ids_T, prepend=cache.prompt_ids_T[:1]) != 0
        is_change[cache.offsets[:-1]] = False
        changes = np.flatnonzero(is_change)
        self.runs = np.union1d(cache.offsets, changes)
        owner = np.searchsorted(cache.offsets, changes, side="right") - 1
        is_kept = np.isin(owner, kept)
        self.switches = changes[is_kept]
        self.switch_episodes = np.searchsorted(kept, owner[is_kept])
        steady = np.setdiff1d(np.arange(len(kept)), self.switch_episodes)
        prompt_ids = cache.prompt_ids_T[self.first[steady]]
        self.steady = {prompt_id: steady[prompt_ids == prompt_id] for prompt_id in np.unique(prompt_ids).tolist()}
        """Prompt -> the kept episodes that are under it from their first step to their last."""
        self.phrases = [phrases or ("",) for phrases in cache.dataset.prompts]

    def task(self, prompt_id: int) -> tuple[str, str]:
        """What is done under a prompt: its skill, and the words, by which the commands of one skill differ."""
        return self.cache.skill(prompt_id), self.phrases[prompt_id][0]

    def cut(self, count: int, window_steps: int, rng: np.random.Generator) -> _Cuts:
        """`count` random windows."""
        chance = rng.random((6, count))
        episode = np.searchsorted(self.ends, np.floor(chance[0] * self.ends[-1]), side="right")
        whole = np.full(count, window_steps)
        length = np.where(chance[1] < SHORT_SHARE, 1 + np.floor(chance[2] * window_steps).astype(np.int64), whole)
        is_switch = np.zeros(count, bool)
        if len(self.switches):
            is_switch = chance[3] < SWITCH_SHARE
            switch = np.floor(chance[4] * len(self.switches)).astype(np.int64)
            episode = np.where(is_switch, self.switch_episodes[switch], episode)
            length = np.where(is_switch, whole, length)
        first, total = self.first[episode], self.lengths[episode]
        length = np.minimum(length, total)
        start = first + np.floor(chance[5] * (total - length + 1)).astype(np.int64)
        start = np.where((chance[3] > 1 - START_SHARE) & ~is_switch, first, start)
        if is_switch.any():
            last = self.switches[switch] + np.floor(chance[5] * window_steps).astype(np.int64)
            last = np.minimum(last, first + total - 1)
            start = np.where(is_switch, np.maximum(last - length + 1, first), start)
        last = start + length - 1
        run = np.searchsorted(self.runs, last, side="right") - 1
        return _Cuts(start, length, self.runs[run], self.runs[run + 1], self.cache.prompt_ids_T[last], episode)

    def language(self, prompt_ids: np.ndarray, rng: np.random.Generator) -> list[str]:
        """A phrase for each row."""
        chance = rng.random((3, len(prompt_ids)))
        texts = []
        for row, prompt_id in enumerate(prompt_ids):
            phrases = self.phrases[prompt_id]
            is_canonical = chance[0, row] < CANONICAL_SHARE
            text = phrases[0 if is_canonical else int(chance[1, row] * len(phrases))]
            texts.append(typo(text, rng) if text and chance[2, row] < TYPO_SHARE else text)
        return texts

    def commands(self, cuts: _Cuts, rng: np.random.Generator) -> np.ndarray:
        """(m, C) mean readings ahead of where the window's newest skill begins, within that skill's run."""
        begin = np.maximum(cuts.start, cuts.newest)
        horizon = rng.integers(COMMAND_STEPS[0], COMMAND_STEPS[1] + 1, len(begin))
        steps = begin[:, None] + np.arange(COMMAND_STEPS[1])
        is_inside = steps < np.minimum(begin + horizon, cuts.until)[:, None]
        values = self.cache.commands_TC[np.minimum(steps, cuts.until[:, None] - 1)]
        return (values * is_inside[:, :, None]).sum(1) / is_inside.sum(1)[:, None]


class _BodyMixture:
    """Every dataset of one body."""

    def __init__(self, tables: list[_Table], shape: WindowShape) -> None:
        self.tables, self.shape, self.spec = tables, shape, tables[0].spec
        weights = np.array([table.source.weight for table in tables])
        self.bounds = np.cumsum(weights / weights.sum())
        self.shows: dict[tuple[str, str], tuple[_Table, np.ndarray]] = {}
        """Task -> the dataset that demonstrates it, and in which episodes: one of that alone where there is one."""
        for table in sorted(tables, key=lambda table: (len(table.switches) > 0, len(table.steady) > 1)):
            for prompt_id, episodes in table.steady.items():
                self.shows.setdefault(table.task(prompt_id), (table, episodes))

    def draw(self, num_rows: int, shown: float, rng: np.random.Generator) -> Windows:
        """`num_rows` windows; datasets whose share of demonstrations is above `shown` show some."""
        owner = np.sort(np.searchsorted(self.bounds[:-1], rng.random(num_rows), side="right"))
        num_shown = self.shape.demonstration_steps
        if not any(shown < table.source.share("demonstration") for table in self.tables):
            num_shown = 0
        batch = _empty(self.spec, num_rows, self.shape.window_steps, num_shown)
        prompts: list[str] = []
        for index, table in enumerate(self.tables):
            rows = np.flatnonzero(owner == index)
            if len(rows):
                prompts += self._fill(batch, rows, table, shown, rng)
        return Windows(body=self.spec.name, prompts=tuple(prompts), **batch)

    def _fill(
        self, batch: dict[str, np.ndarray], rows: np.ndarray, table: _Table, shown: float, rng: np.random.Generator
    ) -> list[str]:
        """Write the windows of one dataset into their rows; their language prompts."""
        span = slice(rows[0], rows[-1] + 1)
        cuts = table.cut(len(rows), self.shape.window_steps, rng)
        ahead = np.arange(self.shape.window_steps)
        steps = cuts.start[:, None] + np.minimum(ahead, cuts.length[:, None] - 1)
        batch["observations_BTO"][span] = table.cache.observations_TO[steps]
        batch["actions_BTA"][span] = table.cache.actions_TA[steps]
        batch["targets_BTA"][span] = table.cache.targets_TA[steps]
        batch["step_mask_BT"][span] = ahead < cuts.length[:, None]
        batch["loss_mask_BT"][span] = batch["step_mask_BT"][span] & (steps >= cuts.newest[:, None])
        texts = table.language(cuts.prompt_id, rng)
        has_demonstration = shown < table.source.share("demonstration")
        if has_demonstration:
            self._show(batch, rows, table, cuts, rng)
        bounds = np.cumsum([table.source.share(form) for form in FORMS[:-1]])
        drawn = np.searchsorted(bounds[:-1], rng.random(len(rows)) * bounds[-1], side="right")
        is_form = {form: (drawn == index) & (not has_demonstration) for index, form in enumerate(FORMS[:-1])}
        is_command, is_return = is_form["command"], is_form["return"]
        is_beside = rng.random(len(rows)) < LANGUAGE_BESIDE_SHARE * (table.source.share("language") > 0)
        is_spoken = is_form["language"] | (is_beside & (is_command | is_return | has_demonstration))
        if is_command.any():
            batch["command_BC"][span][is_command] = table.commands(cuts, rng)[is_command]
        if is_return.any():
            batch["returns_BT"][span][is_return] = table.cache.returns_T[steps[is_return]] / table.best_return
        return [text if spoken else "" for text, spoken in zip(texts, is_spoken, strict=True)]

    def _show(
        self, batch: dict[str, np.ndarray], rows: np.ndarray, table: _Table, cuts: _Cuts, rng: np.random.Generator
    ) -> None:
        """Demonstrations: the end, or any slice, of another episode in which the same was done."""
        for prompt_id in np.unique(cuts.prompt_id):
            shows, episodes = self.shows.get(table.task(int(prompt_id)), (table, np.empty(0, np.int64)))
            chosen = np.flatnonzero(cuts.prompt_id == prompt_id)
            if len(episodes) < 1 + (shows is table):
                continue
            chance = rng.random((2, len(chosen)))
            if shows is table:
                # Any episode but its own.
                others = rng.integers(1, len(episodes), len(chosen))
                place = (np.searchsorted(episodes, cuts.episode[chosen]) + others) % len(episodes)
            else:
                place = rng.integers(len(episodes), size=len(chosen))
            episode = episodes[place]
            total = shows.lengths[episode]
            length = np.minimum(self.shape.demonstration_steps, total)
            free = total - length
            start = np.where(chance[0] < 0.5, free, np.floor(chance[1] * (free + 1)).astype(np.int64))
            ahead = np.arange(self.shape.demonstration_steps)
            steps = (shows.first[episode] + start)[:, None] + np.minimum(ahead, length[:, None] - 1)
            batch["demonstration_BNO"][rows[chosen]] = shows.cache.observations_TO[steps]
            batch["demonstration_BNA"][rows[chosen]] = shows.cache.actions_TA[steps]
            batch["demonstration_mask_BN"][rows[chosen]] = ahead < length[:, None]


def _empty(spec: BodySpec, num_rows: int, window_steps: int, num_shown: int) -> dict[str, np.ndarray]:
    """The arrays of a batch; demonstrations nobody shows are zeros behind a False mask."""
    num_observations, num_actions = len(spec.observation), len(spec.action)
    return {
        "observations_BTO": np.empty((num_rows, window_steps, num_observations), np.float32),
        "actions_BTA": np.empty((num_rows, window_steps, num_actions), np.float32),
        "targets_BTA": np.empty((num_rows, window_steps, num_actions), np.float32),
        "step_mask_BT": np.empty((num_rows, window_steps), bool),
        "loss_mask_BT": np.empty((num_rows, window_steps), bool),
        "command_BC": np.full((num_rows, len(COMMANDS)), np.nan, np.float32),
        "returns_BT": np.full((num_rows, window_steps), np.nan, np.float32),
        "demonstration_BNO": np.zeros((num_rows, num_shown, num_observations), np.float32),
        "demonstration_BNA": np.zeros((num_rows, num_shown, num_actions), np.float32),
        "demonstration_mask_BN": np.zeros((num_rows, num_shown), bool),
    }
