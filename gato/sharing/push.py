"""What is sent to the Hugging Face Hub, shown before it is sent: an exported model, or a dataset of ours with its card.

In: a folder of `gato export`, or a Minari id; the repository. Out: the list of files, and whether they were sent.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gato.ancestry import fold
from gato.data.minari_io import DATASET_ID, open_dataset
from gato.hub import HUB_ID, send
from gato.model.find import CONFIG, FILES
from gato.model.gato import Gato
from gato.runs import EVALUATION, PROVENANCE, README, REPLAY, read_provenance, to_json
from gato.sharing.dataset_card import dataset_card
from gato.sharing.folders import without_folders
from gato.sharing.model_card import HERE

SHARED = (CONFIG, *FILES, README, PROVENANCE, REPLAY, f"{EVALUATION}/results.json", f"{EVALUATION}/videos/*.mp4")
"""What is sent of a model's folder: names and patterns."""

log = logging.getLogger("gato")


@dataclass(frozen=True)
class Parcel:
    """Files by their names in the repository, where they lie or as they are."""

    kind: Literal["model", "dataset"]
    files: Mapping[str, Path | bytes]

    def sizes(self) -> dict[str, int]:
        """Bytes of each file."""
        return {name: len(f) if isinstance(f, bytes) else f.stat().st_size for name, f in self.files.items()}


def push(what: str, repository: str, *, is_private: bool = False, is_sent: bool = False) -> dict[str, Any]:
    """Show what goes where, and send it if `is_sent`. ValueError: nothing to send, a damaged model, a refusal."""
    if not HUB_ID.fullmatch(repository):
        raise ValueError(f'"{repository}" is no id of a repository; it is owner/name, such as somebody/gato-small')
    parcel = _model(Path(what), repository) if Path(what).is_dir() else _dataset(what, repository)
    sizes = parcel.sizes()
    shown = {
        "repository": repository,
        "kind": parcel.kind,
        "visibility": "private" if is_private else "public",
        "bytes": sum(sizes.values()),
        "files": [{"file": name, "bytes": size} for name, size in sizes.items()],
    }
    if not is_sent:
        log.info("nothing was sent; --yes sends it")
        return {**shown, "sent": None}
    message = f"gato push {Path(what).name if parcel.kind == 'model' else what}"
    address = send(parcel.files, repository, kind=parcel.kind, is_private=is_private, message=message)
    return {**shown, "sent": address}


def _model(folder: Path, repository: str) -> Parcel:
    Gato.load(folder)
    if not (folder / README).is_file():
        raise ValueError(f"{folder} has no card; make it ready first: gato export {folder} --out DIR")
    found = [path for pattern in SHARED for path in sorted(folder.glob(pattern))]
    files: dict[str, Path | bytes] = {path.relative_to(folder).as_posix(): path for path in found}
    here = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    if others := sorted(path.name for path in here if path not in found):
        log.warning("left out, since no export wrote it: %s", ", ".join(others))
    return Parcel("model", files | _rewritten(folder, (folder / README).read_text(), repository))


def _dataset(dataset_id: str, repository: str) -> Parcel:
    if not DATASET_ID.fullmatch(dataset_id):
        raise ValueError(f'"{dataset_id}" is neither a folder of gato export nor a Minari id like gato/hopper/hop-v0')
    dataset = open_dataset(dataset_id)
    card = dataset_card(dataset)
    files: dict[str, Path | bytes] = {
        f"data/{name}": dataset.folder / "data" / name for name, *_ in dataset.fingerprint
    }
    return Parcel("dataset", files | _rewritten(dataset.folder, card, repository))


def _rewritten(folder: Path, card: str, repository: str) -> dict[str, Path | bytes]:
    """The card with the repository's name; the provenance without folders that only this machine has."""
    files: dict[str, Path | bytes] = {README: card.replace(HERE, repository).encode()}
    if (folder / PROVENANCE).is_file():
        files[PROVENANCE] = (to_json(fold(without_folders(read_provenance(folder)))) + "\n").encode()
    return files
