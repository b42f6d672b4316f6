"""What was found so far, in one file that several sessions add to; and its tables.

In: one run, of an arm and a seed, at a time. Out: the file's content, and Markdown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gato.reporting.markdown import table
from gato.runs import read_json, write_json

RESAMPLES = 2000
Run = dict[str, Any]
Section = Mapping[str, Mapping[str, Run]]
"""Arm -> seed -> what was found."""


@dataclass(frozen=True)
class Store:
    """The file. Runs made under other settings do not belong into it."""

    path: Path
    settings: Mapping[str, Any]
    sections: tuple[str, ...] = ("tasks", "bimodal")

    def read(self) -> dict[str, Any]:
        """{"settings", and each section: Section}; ValueError where it was made under other settings."""
        if not self.path.is_file():
            return {"settings": dict(self.settings), **{name: {} for name in self.sections}}
        found = read_json(self.path)
        differing = [name for name, value in self.settings.items() if found["settings"].get(name) != value]
        if differing:
            told = ", ".join(f"{name} {found['settings'].get(name)}, not {self.settings[name]}" for name in differing)
            raise ValueError(f"{self.path} holds runs with {told}; ask for the same, or give another --out")
        return found

    def has(self, section: str, arm: str, seed: int) -> bool:
        """Whether that run is there."""
        return str(seed) in self.read()[section].get(arm, {})

    def add(self, section: str, arm: str, seed: int, run: Run) -> None:
        """Write it, beside whatever others wrote meanwhile."""
        content = self.read()
        content[section].setdefault(arm, {})[str(seed)] = run
        write_json(self.path, content)


@dataclass(frozen=True)
class Pooled:
    """An arm's normalised returns over seeds, with bootstrap 95 % intervals."""

    mean: float
    mean_ci95: tuple[float, float]
    iqm: float
    iqm_ci95: tuple[float, float]


def interquartile_mean(tasks_RK: np.ndarray) -> np.ndarray:
    """(..., K) -> (...): the lowest and the highest quarter of the tasks (rounded down) left out, as in `Results`."""
    cut = tasks_RK.shape[-1] // 4
    return np.sort(tasks_RK, -1)[..., cut : tasks_RK.shape[-1] - cut].mean(-1)


def pool(scores_SKE: np.ndarray) -> Pooled:
    """Normalised returns of S seeds, K tasks, E episodes; seeds are drawn anew, then the episodes of each task."""
    num_seeds, num_tasks, num_episodes = scores_SKE.shape
    rng = np.random.default_rng(0)
    seeds = rng.integers(num_seeds, size=(RESAMPLES, num_seeds, 1, 1))
    episodes = rng.integers(num_episodes, size=(RESAMPLES, *scores_SKE.shape))
    drawn_RK = scores_SKE[seeds, np.arange(num_tasks)[:, None], episodes].mean((1, 3))
    tasks_K = scores_SKE.mean((0, 2))
    return Pooled(
        float(tasks_K.mean()),
        _interval(drawn_RK.mean(1)),
        float(interquartile_mean(tasks_K)),
        _interval(interquartile_mean(drawn_RK)),
    )


def _interval(values_R: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values_R, [2.5, 97.5])
    return float(low), float(high)


def scores(runs: Mapping[str, Run]) -> np.ndarray:
    """(S, K, E) normalised returns of an arm's runs."""
    return np.array(
        [
            [
                [(value - task["random"]) / (task["expert"] - task["random"]) for value in task["return"]["episodes"]]
                for task in run["tasks"].values()
            ]
            for run in runs.values()
        ]
    )


def tables(content: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Everything that is there so far."""
    tasks, bimodal = ({arm: runs for arm, runs in content[name].items() if runs} for name in ("tasks", "bimodal"))
    parts = []
    if tasks:
        parts += [_summary(tasks, titles), _returns(tasks, titles)]
    if bimodal:
        parts.append(_bimodal(bimodal, titles))
    for section in (tasks, bimodal):
        recordings = {run["recordings"] for runs in section.values() for run in runs.values()}
        if len(recordings) > 1:
            parts.append(f"Beware: learned from {len(recordings)} recordings that differ: {', '.join(section)}")
    return "\n\n".join(parts)


def _summary(tasks: Section, titles: Mapping[str, str]) -> str:
    head = ["arm", "seeds", "mean normalised", "interquartile mean", "training steps/s", "updates", "rollout steps/s"]
    rows = []
    for arm, runs in tasks.items():
        pooled = pool(scores(runs))
        speeds = [task["steps_per_second"] for run in runs.values() for task in run["tasks"].values()]
        updates = np.mean([run["updates"] for run in runs.values()])
        rate = sum(run["steps"] for run in runs.values()) / sum(run["seconds"] for run in runs.values())
        rows.append(
            [
                titles[arm],
                f"{len(runs)}",
                _with_interval(pooled.mean, pooled.mean_ci95),
                _with_interval(pooled.iqm, pooled.iqm_ci95),
                f"{rate:,.0f}" if updates else "-",
                f"{updates:,.0f}" if updates else "-",
                f"{np.mean(speeds):,.0f}",
                f"{next(iter(runs.values()))['parameters']:,}",
            ]
        )
    return table([*head, "parameters"], rows)


def _returns(tasks: Section, titles: Mapping[str, str]) -> str:
    """Mean return of each task; experts and random actions beside it."""
    first = next(iter(next(iter(tasks.values())).values()))["tasks"]
    rows = []
    for skill, task in first.items():
        means = [np.mean([run["tasks"][skill]["return"]["mean"] for run in runs.values()]) for runs in tasks.values()]
        rows.append([skill, *(f"{value:.0f}" for value in (task["random"], task["expert"], *means))])
    return table(["return", "random", "expert", *(titles[arm] for arm in tasks)], rows)


def _bimodal(bimodal: Section, titles: Mapping[str, str]) -> str:
    rows = []
    for arm, runs in bimodal.items():
        for decoding in next(iter(runs.values()))["decodings"]:
            found = [run["decodings"][decoding] for run in runs.values()]
            each = ", ".join(f"{np.mean([one['each'][skill] for one in found]):.0%}" for skill in found[0]["each"])
            either = np.mean([one["either"] for one in found])
            speed = np.mean([one["speed"]["mean"] for one in found])
            rows.append([f"{titles[arm]}, {decoding}", f"{len(runs)}", f"{either:.0%}", each, f"{speed:.2f}"])
    return table(["two experts, no prompt", "seeds", "runs either way", "forward, backward", "mean speed, m/s"], rows)


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"
