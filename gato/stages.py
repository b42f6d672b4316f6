"""Stages of a longer run: made once, kept while their content is what they left, and timed.

In: stages that say what they are made from and what they make. Out: logs/stages.json in the run's folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gato.runs import content_hash, read_json, write_json

STAGES = "logs/stages.json"
"""Among the logs: it holds times, which are not content."""

log = logging.getLogger("gato")


@dataclass(frozen=True)
class Stage:
    """One step of the way."""

    name: str
    settings: dict[str, Any]
    """JSON: everything that it is made from, with the hashes of its inputs."""
    products: tuple[Path, ...]
    """Files and folders that it leaves."""
    make: Callable[[], Any]
    """Makes the products, or goes on where it was interrupted."""


class Journal:
    """What the stages of a run were made from, what they left, and what they took."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / STAGES
        self._stages: dict[str, dict[str, Any]] = read_json(self.path) if self.path.is_file() else {}

    @property
    def finished(self) -> tuple[str, ...]:
        """Names of the stages that are done."""
        return tuple(name for name, stage in self._stages.items() if "content_hash" in stage)

    def costs(self) -> dict[str, dict[str, float]]:
        """Stage -> {"seconds", "peak_gib"}, of the run that made it."""
        done = {name: self._stages[name] for name in self.finished}
        return {
            name: {"seconds": round(stage["seconds"], 1), "peak_gib": round(stage["peak_bytes"] / 2**30, 2)}
            for name, stage in done.items()
        }

    def run(self, stage: Stage) -> None:
        """Make the stage, unless it was made from the same before and is as it was left."""
        settings = json.loads(json.dumps(stage.settings))
        before = self._stages.get(stage.name, {"settings": settings, "seconds": 0.0, "peak_bytes": 0})
        if before["settings"] != settings:
            changed = [key for key in settings if before["settings"].get(key) != settings[key]]
            raise FileExistsError(
                f"{self.folder} holds a stage made in another way ({stage.name}: other {', '.join(changed)}); "
                "pass --overwrite to make all anew, or another --out"
            )
        if "content_hash" in before:
            if before["content_hash"] == _hash(stage.products):
                log.info("%s: kept, made before in %.0f s", stage.name, before["seconds"])
                return
            log.warning("%s: not as it was left; made again", stage.name)
            before["seconds"] = 0.0
        self._make(stage, settings, before["seconds"])

    def _make(self, stage: Stage, settings: dict[str, Any], seconds: float) -> None:
        """`seconds`: what an interrupted attempt has taken already."""
        entry: dict[str, Any] = {"settings": settings, "seconds": seconds, "peak_bytes": 0}
        self._stages[stage.name] = entry
        write_json(self.path, self._stages)
        log.info("%s: begun", stage.name)
        began = time.monotonic()
        try:
            stage.make()
            entry["content_hash"] = _hash(stage.products)
        finally:
            entry["seconds"] = seconds + time.monotonic() - began
            entry["peak_bytes"] = peak_bytes()
            write_json(self.path, self._stages)
        log.info("%s: done in %.0f s", stage.name, entry["seconds"])


def _hash(products: tuple[Path, ...]) -> str:
    """Of all of them; "" when one is missing."""
    if not all(product.exists() for product in products):
        return ""
    return hashlib.sha256("".join(map(content_hash, products)).encode()).hexdigest()[:16]


def peak_bytes() -> int:
    """The most memory that this process has held, and the largest of its children beside it."""
    unit = 1 if sys.platform == "darwin" else 1024
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own + children) * unit
