"""What a page is made from: the JSON of `gato eval`, or a run of `gato fit`, and what lies beside it and the model.

In: a folder with results.json or logs/metrics.csv. Out: `Sources`; of several folders, `Sources` by their names.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gato.lineage import find_artifact
from gato.runs import read_json
from gato.stages import STAGES

RESULTS = "results.json"
METRICS = Path("logs", "metrics.csv")
"""In the folder of a training run."""


@dataclass(frozen=True)
class Sources:
    """Everything a page is made from."""

    results: dict[str, Any]
    """Of `gato eval`; empty for a training run."""
    folder: Path
    """Where results.json lies; else the training run."""
    model: Path | None
    """The model's folder, if it is still there."""
    card: dict[str, Any]
    """The model's; empty without a model."""
    stages: dict[str, dict[str, Any]]
    """Of a demo: finished stage -> {"seconds", "peak_bytes"}."""
    metrics: tuple[dict[str, str], ...]
    """Rows of the training run's metrics.csv."""

    @property
    def tasks(self) -> dict[str, Any]:
        """Skill (or dataset) id -> its figures."""
        return self.results.get("tasks", {})

    @property
    def matrices(self) -> dict[str, Any]:
        """Prompt matrices of bodies with more than one skill: a single one cannot be mistaken for another."""
        found = self.results.get("prompt_matrix", {})
        return {body: matrix for body, matrix in found.items() if len(matrix["behaviours"]) > 1}

    @property
    def videos(self) -> list[Path]:
        """Those beside the results, in the order of the scores."""
        tasks = self.tasks.items()
        order = [f"{skill.split('/')[0]}-{task['prompt'].lower().replace(' ', '-')}" for skill, task in tasks]

        def rank(path: Path) -> tuple[int, str]:
            prompt = path.stem.rpartition("-")[0]
            return (order.index(prompt) if prompt in order else len(order), path.name)

        return sorted((self.folder / "videos").glob("*.mp4"), key=rank)

    @property
    def seconds(self) -> float:
        """Of all stages of a demo."""
        return sum(stage["seconds"] for stage in self.stages.values())

    def column(self, name: str) -> tuple[list[float], list[float]]:
        """(updates, values) of one figure of training."""
        rows = [row for row in self.metrics if row.get(name)]
        return [float(row["step"]) for row in rows], [float(row[name]) for row in rows]


def read_run(run: str | Path) -> Sources:
    """Of a folder of `gato eval` (or its results.json), or of `gato fit`. FileNotFoundError where it is neither."""
    place = Path(run)
    if place.is_file() or (place / RESULTS).is_file():
        return read_sources(place)
    if not (place / METRICS).is_file():
        raise FileNotFoundError(
            f"{place}: no run there, neither {RESULTS} (gato eval MODEL --out {place}) nor {METRICS} (gato fit --out)"
        )
    model = place / "model"
    has_model = (model / "card.json").is_file()
    return Sources(
        results={},
        folder=place,
        model=model if has_model else None,
        card=read_json(model / "card.json") if has_model else {},
        stages={},
        metrics=_metrics(model),
    )


def read_runs(runs: Sequence[str | Path]) -> dict[str, Sources]:
    """Each run by the end of its path that tells it from the others. ValueError: the same one twice, other suites."""
    found = [read_run(run) for run in runs]
    for one, other in itertools.combinations(found, 2):
        is_same = one.folder.resolve() == other.folder.resolve()
        if is_same or (one.results, one.metrics) == (other.results, other.metrics):
            what = "are the same run" if is_same else "hold the same figures, to the last digit"
            raise ValueError(f"{one.folder} and {other.folder} {what}; name each run once")
    parts = [one.folder.resolve().parts for one in found]
    for length in itertools.count(1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            break
    named = dict(zip(names, found, strict=True))
    _check_suites(named)
    return named


def _check_suites(runs: Mapping[str, Sources]) -> None:
    """What was measured on other tasks says nothing of who is better."""
    measured = {name: one for name, one in runs.items() if one.tasks}
    suites = {name: one.results.get("suite") or ", ".join(one.tasks) for name, one in measured.items()}
    if len(set(suites.values())) > 1:
        told = "; ".join(f"{name}: {suite}" for name, suite in suites.items())
        raise ValueError(f"runs of different suites cannot be compared ({told}); gato eval MODEL --suite measures one")
    if measured and not set.intersection(*(set(one.tasks) for one in measured.values())):
        told = "; ".join(f"{name}: {', '.join(one.tasks)}" for name, one in measured.items())
        raise ValueError(f"runs without a task in common cannot be compared ({told}); evaluate them on the same bodies")


def read_sources(results: str | Path) -> Sources:
    """Find and read what the page is made from."""
    path = Path(results)
    path = path / RESULTS if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no results there; make them: gato eval MODEL --out {path.parent}")
    content = read_json(path)
    if not isinstance(content, dict) or not {"tasks", "model"} <= set(content):
        raise ValueError(f'{path} is no result of gato eval: it has no "tasks" and "model"')
    folder = path.parent
    model = next((place for place in _places(folder, content["model"]) if (place / "card.json").is_file()), None)
    stages = folder / STAGES
    done = read_json(stages) if stages.is_file() else {}
    return Sources(
        results=content,
        folder=folder,
        model=model,
        card=read_json(model / "card.json") if model else {},
        stages={name: stage for name, stage in done.items() if "content_hash" in stage},
        metrics=_metrics(model) if model else (),
    )


def _places(folder: Path, model: str) -> Iterator[Path]:
    """A demo keeps its model beside its results; else where the results say."""
    yield folder / "model"
    found = find_artifact(model) if model else None
    if found is not None:
        yield from (found / "model", found)


def _metrics(model: Path) -> tuple[dict[str, str], ...]:
    """Of the run that trained it, which is the folder above, or fit/ in a demo."""
    for run in (model.parent, model.parent / "fit"):
        path = run / METRICS
        if path.is_file():
            with path.open(newline="") as stream:
                rows = tuple(csv.DictReader(stream))
            if any(not row.get("step") for row in rows):
                raise ValueError(f"{path} is no table of a training run: a row has no step; gato fit writes it")
            return rows
    return ()
