"""Frozen records that cross the borders between rooms, the legend of shape letters, and error wording.

Legend (a tensor's name ends in its dimensions):
    B rows or environments   S positions        T steps of a window or an episode
    P prompt text positions  N demonstration steps   C command elements
    O observation elements   A action elements  D width   H heads   K head width
    V vocabulary             G numbers in a group    M mixture components
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal

import numpy as np

COMMANDS = ("forward_speed", "lateral_speed", "yaw_rate")
"""Elements of a command prompt, in m/s, m/s and rad/s, in the heading frame."""


def near_match(word: str, allowed: Iterable[str]) -> str:
    """The tail of an error line: `did you mean "x"?` where something is near, else the allowed words."""
    options = sorted(set(allowed))
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"?' if close else "allowed: " + ", ".join(options)


@dataclass(frozen=True)
class Element:
    """One number of an observation or an action. Discrete elements hold whole numbers low..high."""

    name: str
    kind: Literal["continuous", "discrete"] = "continuous"
    low: float = -np.inf
    high: float = np.inf


@dataclass(frozen=True)
class BodySpec:
    """What a body senses and moves, flattened: observation (O,) and action (A,) vectors of named elements.

    Order: keys of a Dict space lexicographically, discrete elements before continuous ones.
    """

    name: str
    observation: tuple[Element, ...]
    action: tuple[Element, ...]

    @property
    def digest(self) -> str:
        """Identity of the body: a hash of its spaces and element names, not of its name."""
        text = json.dumps([[asdict(e) for e in self.observation], [asdict(e) for e in self.action]])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def action_low(self) -> np.ndarray:
        """Lower bounds (A,), float32."""
        return np.array([element.low for element in self.action], np.float32)

    @property
    def action_high(self) -> np.ndarray:
        """Upper bounds (A,), float32."""
        return np.array([element.high for element in self.action], np.float32)


class _Arrays:
    """Prints shapes and dtypes, never numbers."""

    def __repr__(self) -> str:
        shown = []
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            is_array = isinstance(value, np.ndarray)
            shown.append(f"{field.name}={value.dtype}{list(value.shape)}" if is_array else f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, repr=False)
class Episode(_Arrays):
    """One whole episode of T steps, as recorded and as stored by Minari."""

    seed: int | None
    observations: np.ndarray
    """(T+1, O) as the environment gave them."""
    actions: np.ndarray
    """(T, A) float32, executed: clipped to the box."""
    expert_actions: np.ndarray
    """(T, A) float32, intended by the expert: the training target."""
    rewards: np.ndarray
    """(T,) float64"""
    terminations: np.ndarray
    truncations: np.ndarray
    prompt_ids: np.ndarray
    """(T,) int: index into the dataset's prompts (and skills) that held at each step."""
    readings: dict[str, np.ndarray]
    """Physical measurements of the behaviour, name -> (T,)."""


@dataclass(frozen=True, repr=False)
class Windows(_Arrays):
    """A batch of raw windows of one body, float32, before tokens. Steps beyond a window's length are masked."""

    body: str
    observations_BTO: np.ndarray
    actions_BTA: np.ndarray
    """Executed actions: what stands in the context."""
    targets_BTA: np.ndarray
    """Intended actions: what is learned."""
    step_mask_BT: np.ndarray
    """True where a step exists; a run of True from step 0."""
    loss_mask_BT: np.ndarray
    """True where the target counts (after the newest switch only)."""
    prompts: tuple[str, ...]
    """B strings; "" for no language."""
    command_BC: np.ndarray
    """Command numbers in the order of COMMANDS; NaN where absent."""
    demonstration_BNO: np.ndarray
    demonstration_BNA: np.ndarray
    demonstration_mask_BN: np.ndarray
    """True where a demonstration step exists."""
    returns_BT: np.ndarray
    """Return to go at each step, as a share of the best return known; NaN where absent."""


@dataclass(frozen=True, repr=False)
class Rows(_Arrays):
    """The same batch as token ids: what the model reads. Masks as in Windows; text pads carry -1."""

    body: str
    text_BP: np.ndarray
    """int64 text ids, -1 where padded."""
    command_BC: np.ndarray
    """int64 number ids, -1 where absent."""
    demonstration_BNO: np.ndarray
    demonstration_BNA: np.ndarray
    demonstration_mask_BN: np.ndarray
    observation_BTO: np.ndarray
    action_BTA: np.ndarray
    target_BTA: np.ndarray
    step_mask_BT: np.ndarray
    loss_mask_BT: np.ndarray
    return_BT: np.ndarray
    """int64 number ids, -1 where absent; no columns where no row has any."""


RESAMPLES = 2000
"""Of a bootstrap interval."""


@dataclass(frozen=True)
class Score:
    """A mean over episodes with its bootstrap 95 % interval."""

    mean: float
    ci95: tuple[float, float]
    episodes: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> Score:
        """Mean and percentile bootstrap interval of `values` (at least one)."""
        array = np.asarray(list(values), np.float64)
        draws = np.random.default_rng(0).integers(len(array), size=(RESAMPLES, len(array)))
        low, high = np.percentile(array[draws].mean(1), [2.5, 97.5])
        return cls(float(array.mean()), (float(low), float(high)), tuple(map(float, array)))

    @classmethod
    def of_groups(cls, groups: Sequence[Sequence[float]]) -> Score:
        """Mean of the groups' means, with `grouped_interval`."""
        mean = float(np.mean([np.mean(group) for group in groups]))
        return cls(mean, grouped_interval(groups), tuple(float(value) for group in groups for value in group))

    def json(self) -> dict[str, object]:
        """{"mean", "ci95": [low, high], "episodes": [...]}."""
        return {"mean": self.mean, "ci95": list(self.ci95), "episodes": list(self.episodes)}


def grouped_interval(groups: Iterable[Iterable[float]]) -> tuple[float, float]:
    """Bootstrap 95 % interval of the mean of the groups' means: values are drawn anew within each group, groups stay.

    At least one group, each with at least one value.
    """
    rng, total, count = np.random.default_rng(0), np.zeros(RESAMPLES), 0
    for group in groups:
        values = np.asarray(list(group), np.float64)
        total += values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(1)
        count += 1
    low, high = np.percentile(total / count, [2.5, 97.5])
    return float(low), float(high)


def share_interval(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, which is never of no width; `trials` at least 1."""
    share, z2 = successes / trials, 1.96**2
    middle = share + z2 / (2 * trials)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / (4 * trials)) / trials)
    return max(0.0, (middle - half) / (1 + z2 / trials)), min(1.0, (middle + half) / (1 + z2 / trials))
