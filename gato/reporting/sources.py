"""What a page is made from: the JSON of `gato eval`, and what lies beside it and beside the model.

In: a folder with results.json. Out: `Sources`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gato.runs import find_artifact, read_json
from gato.stages import STAGES

RESULTS = "results.json"


@dataclass(frozen=True)
class Sources:
    """Everything a page is made from."""

    results: dict[str, Any]
    folder: Path
    """Where results.json lies."""
    model: Path | None
    """The model's folder, if it is still there."""
    card: dict[str, Any]
    """The model's; empty without a model."""
    stages: dict[str, dict[str, Any]]
    """Of a demo: finished stage -> {"seconds", "peak_bytes"}."""
    metrics: tuple[dict[str, str], ...]
    """Rows of the training run's metrics.csv."""

    @property
    def matrices(self) -> dict[str, Any]:
        """Prompt matrices of bodies with more than one skill: a single one cannot be mistaken for another."""
        found = self.results.get("prompt_matrix", {})
        return {body: matrix for body, matrix in found.items() if len(matrix["behaviours"]) > 1}

    @property
    def videos(self) -> list[Path]:
        """Those beside the results, in the order of the scores."""
        tasks = self.results["tasks"].items()
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
        path = run / "logs" / "metrics.csv"
        if path.is_file():
            with path.open(newline="") as stream:
                return tuple(csv.DictReader(stream))
    return ()
