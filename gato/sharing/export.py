"""A model made ready for others: weights in half the bytes, where it came from, how well it does, and a card of it all.

In: a model, and maybe the folder of its `gato eval`. Out: a folder that loads like any model's, with README.md,
evaluation/ (results.json, videos/) and replay.mp4 beside it; none of these is content.
"""

from __future__ import annotations

import logging
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from gato import runs
from gato.hub import HUB_ID
from gato.lineage import Artifact, lineage, remembered
from gato.model.find import FILES, find_model
from gato.model.gato import Gato
from gato.reporting.sources import RESULTS, Sources, read_sources
from gato.sharing.folders import without_folders
from gato.sharing.model_card import Shared, model_card

Precision = Literal["bf16", "fp32"]
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
VIDEOS = f"{runs.EVALUATION}/videos"
MOST_VIDEOS, MOST_VIDEO_BYTES = 16, 4_000_000
WEIGHTS = FILES[0]

log = logging.getLogger("gato")


def export_model(
    model: str | Path,
    *,
    out: str | Path,
    dtype: Precision = "bf16",
    results: str | Path = "",
    datasets: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Write the folder; the same model gives the same content hash, with and without `results`.

    `datasets`: Hub ids of what it was trained on, for the card. ValueError: results of another model, no such id.
    """
    place = find_model(model)
    sources = read_sources(results) if str(results) else None
    _check(place, out, sources, datasets)
    loaded, source = Gato.load(place), lineage(place, name="model")
    for line in source.changed() if source.command else [f"{place} has no {runs.PROVENANCE}: its card has gaps"]:
        log.warning(line)
    folder = runs.open_run(out, overwrite=overwrite)
    card = runs.read_json(place / "card.json")
    loaded.save(folder, card=card, dtype=DTYPES[dtype])
    shared = Shared(
        model=loaded,
        card=card,
        dtype=dtype,
        size=(folder / WEIGHTS).stat().st_size,
        source=source,
        is_rounded=dtype == "bf16" and runs.content_hash(folder / WEIGHTS) != runs.content_hash(place / WEIGHTS),
        datasets=tuple(datasets),
        results=sources.results if sources else {},
        videos=_copy_evaluation(sources, folder) if sources else (),
    )
    runs.write_atomic(folder / runs.README, model_card(shared).encode())
    options = ["--out", str(out), "--dtype", dtype]
    options += ["--results", str(results)] if str(results) else []
    options += ["--datasets", *datasets] if datasets else []
    runs.write_provenance(
        folder,
        command=without_folders(shlex.join(["gato", "export", str(model), *options])),
        config=without_folders({"dtype": dtype, "results": str(results), "datasets": list(datasets)}),
        seeds={},
        inputs={"model": _source(model, place, source, folder)},
    )
    return folder


def _source(model: str | Path, place: Path, source: Artifact, folder: Path) -> dict[str, Any]:
    """The model that is exported, by what others can know it by; where it lies, if that is beside its export."""
    # A model of the Hub, or of the package, is known by its name and not by where this machine keeps it.
    name = str(place) if Path(model).exists() else str(model)
    told = without_folders(remembered(source) | {"id": name, "hash": source.content_hash})
    return told | ({"path": str(place)} if runs.neighbour(place, folder) else {})


def _check(place: Path, out: str | Path, sources: Sources | None, datasets: Sequence[str]) -> None:
    for own in (place, *([sources.folder] if sources else [])):
        if own.resolve().is_relative_to(Path(out).resolve()):
            raise ValueError(f"--out {out} holds {own}, which is read; choose another --out")
    wrong = [name for name in datasets if not HUB_ID.fullmatch(name)]
    if wrong:
        raise ValueError(f"--datasets takes ids of the Hugging Face Hub, owner/name; got {', '.join(wrong)}")
    if sources is None:
        return
    if not (sources.folder / runs.PROVENANCE).is_file():
        log.warning("%s has no %s: that its results are of this model is not known", sources.folder, runs.PROVENANCE)
        return
    measured, ours = runs.read_provenance(sources.folder)["inputs"]["model"]["hash"], runs.content_hash(place)
    if measured != ours:
        raise ValueError(
            f"{sources.folder} has results of another model ({measured}; {place} is {ours}); measure this one:"
            f" gato eval {place} --out DIR"
        )


def _copy_evaluation(sources: Sources, folder: Path) -> tuple[str, ...]:
    """Results and videos into `folder`; names of the videos, the first of which the Hub shows beside the card."""
    runs.write_json(folder / runs.EVALUATION / RESULTS, {**sources.results, "model": ""})
    small = [path for path in sources.videos if path.stat().st_size <= MOST_VIDEO_BYTES][:MOST_VIDEOS]
    if len(small) < len(sources.videos):
        log.warning("%d of %d videos are copied: small ones only", len(small), len(sources.videos))
    for path in small:
        (folder / VIDEOS).mkdir(exist_ok=True)
        shutil.copyfile(path, folder / VIDEOS / path.name)
    if small:
        shutil.copyfile(small[0], folder / runs.REPLAY)
    return tuple(f"{VIDEOS}/{path.name}" for path in small)
