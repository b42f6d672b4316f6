"""Run folders, atomic files and provenance: what every stage writes with.

In: an output folder and what made it. Out: a folder that says where it came from, for `gato.lineage` to
walk back.

A run's folder: the artifact's own files are counted by `content_hash`; `provenance.json`, `report.html`,
`comparison.html`, `logs/`, `checkpoints/`, `lightning_logs/`, `wandb/`, `curve.csv`, `*.log` and hidden files hold
times and are not, nor is `history/`, what an expert was on its way, nor what tells of a shared model: `README.md`,
`replay.mp4`, `evaluation/`. Put what varies there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from gato.ancestry import fold, unfold

PROVENANCE = "provenance.json"
MARKER = ".gato-run"
CURVE, HISTORY, STEADY = "curve.csv", "history", "steady"
"""Beside a shipped expert: figures of its training, policies on the way, another one. It is the same without them."""
NOT_CONTENT = {PROVENANCE, "report.html", "comparison.html", "logs", "checkpoints", "lightning_logs", "wandb"}
NOT_CONTENT |= {"__pycache__"}
NOT_CONTENT |= {CURVE, HISTORY, STEADY}
README, REPLAY, EVALUATION = "README.md", "replay.mp4", "evaluation"
"""Beside a shared model: its card, and what that shows. The model is the same without them."""
NOT_CONTENT |= {README, REPLAY, EVALUATION}
PACKAGES = ("torch", "lightning", "gymnasium", "mujoco", "minari", "numpy", "tokenizers", "transformers", "safetensors")
TIMED, TIMINGS = "results.json", {"steps_per_second"}
"""A file of results, and its keys that differ from run to run: not content."""


# Folders and files


def open_run(out: str | Path, *, overwrite: bool = False, resume: bool = False) -> Path:
    """Make the folder `out` for a run, or open it again; a folder with something in it needs one of the two flags.

    `overwrite` removes it first, but only if Gato made it; `resume` demands a run of Gato's.
    """
    folder = Path(out)
    if overwrite and resume:
        raise ValueError(f"{folder}: got both --overwrite and --resume; pass one of them")
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file, a folder is needed; choose another --out")
    is_ours = (folder / MARKER).is_file() or (folder / PROVENANCE).is_file()
    is_filled = folder.is_dir() and any(entry.name != MARKER for entry in folder.iterdir())
    if resume and not is_ours:
        raise FileNotFoundError(f"{folder}: nothing to resume there; check --out or leave out --resume")
    if is_filled and not (overwrite or resume):
        raise FileExistsError(f"{folder} is not empty; pass --resume to go on with it, --overwrite, or another --out")
    if is_filled and overwrite:
        if not is_ours:
            raise FileExistsError(f"{folder} was not made by gato and will not be removed; choose another --out")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()
    return folder


def write_atomic(path: str | Path, content: bytes) -> None:
    """Write the whole file or leave what was there: temporary file beside it, fsync, rename. OSError names the path."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} {value!r} cannot be written as JSON")


def to_json(content: object) -> str:
    """Indented JSON; records, paths and numpy values are written as what they hold."""
    return json.dumps(content, indent=2, default=_plain)


def write_json(path: str | Path, content: object) -> None:
    """`to_json`, written atomically."""
    write_atomic(path, (to_json(content) + "\n").encode())


def read_json(path: str | Path) -> Any:
    """The content of a JSON file; a damaged one is a ValueError that names it."""
    try:
        return json.loads(Path(path).read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); make it again") from error


# Provenance


def _content_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        parts = path.relative_to(folder).parts
        is_left_out = any(part in NOT_CONTENT or part.startswith(".") for part in parts) or path.suffix == ".log"
        if path.is_file() and not is_left_out:
            yield path


def _digest(file: Path) -> bytes:
    if file.name == TIMED:
        with contextlib.suppress(ValueError):
            untimed = json.loads(
                file.read_bytes(), object_hook=lambda found: {key: found[key] for key in found if key not in TIMINGS}
            )
            return hashlib.sha256(json.dumps(untimed).encode()).digest()
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def content_hash(path: str | Path) -> str:
    """SHA-256 (16 hexadecimal digits) of a file, or of a folder's counted files by sorted relative name and bytes.

    The speeds in a results.json are left out: they differ from run to run.
    """
    root = Path(path)
    if not root.exists():
        raise FileNotFoundError(f"{root}: nothing there to hash")
    total = hashlib.sha256()
    for file in [root] if root.is_file() else _content_files(root):
        name = "" if root.is_file() else file.relative_to(root).as_posix()
        total.update(name.encode() + b"\0" + _digest(file))
    return total.hexdigest()[:16]


def _git_commit() -> str | None:
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def package_versions(names: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Installed versions, without importing anything; a package that is not there is left out."""
    installed = {}
    for name in ("gato-agent", *names):
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def as_input(path: str | Path) -> dict[str, str]:
    """How provenance names what lies there: {"path", "hash"}."""
    return {"path": str(path), "hash": content_hash(path)}


def write_provenance(
    folder: str | Path,
    *,
    command: str,
    config: object,
    seeds: object,
    inputs: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Write `provenance.json` last of all into `folder`; returns it.

    `command` makes the folder again when typed. `inputs`: name -> {"path" or "id", "hash"}; an id is a Minari dataset's
    or `shipped:<skill>`, a hash is `content_hash` of the input; `remembered` adds how it was made. Paths of neighbours
    are kept relative to `folder`: a workspace may be moved as a whole.
    """
    place = Path(folder)
    kept = {name: dict(entry) for name, entry in inputs.items()}
    for entry in kept.values():
        if "path" in entry:
            entry["path"] = neighbour(entry["path"], place) or str(Path(entry["path"]).resolve())
    record = {
        "command": command,
        "config": config,
        "seeds": seeds,
        "inputs": kept,
        "content_hash": content_hash(place),
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "packages": package_versions(),
    }
    write_json(place / PROVENANCE, fold(record))
    return record


def neighbour(path: str | Path, folder: str | Path) -> str:
    """The relative path from a folder to what lies in it or beside it; "" for what is farther away."""
    relative = os.path.relpath(path, folder)
    return "" if relative.startswith("../..") else relative


def read_provenance(folder: str | Path) -> dict[str, Any]:
    """The provenance of an artifact (a folder, or a file in one); ValueError when there is none."""
    place = Path(folder)
    path = (place if place.is_dir() else place.parent) / PROVENANCE
    if not path.is_file():
        raise ValueError(f"{place} has no {PROVENANCE}: it was not made by gato, or its run did not finish")
    record = read_json(path)
    try:
        return unfold(record)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; make it again, or copy it again") from error


def minari_root() -> Path:
    """Where Minari keeps datasets: MINARI_DATASETS_PATH, else its own default."""
    return Path(os.environ.get("MINARI_DATASETS_PATH") or Path.home() / ".minari" / "datasets")
