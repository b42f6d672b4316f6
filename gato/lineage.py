"""From an artifact back to all it was made of, by the hashes that each user of something wrote down.

In: a path, a Minari dataset's id, or `shipped:<skill>`. Out: `Artifact`s, one inside the other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from gato.runs import PROVENANCE, content_hash, minari_root, read_provenance

SHIPPED, EXPERTS = "shipped:", Path(__file__).parent / "experts" / "shipped"
Status = Literal["ok", "changed", "missing", "remembered", "untracked"]


@dataclass(frozen=True)
class Artifact:
    """One step of a lineage. `status` compares its content now with what its user, or itself, recorded."""

    name: str
    place: str
    status: Status
    command: str
    content_hash: str
    inputs: tuple[Artifact, ...]
    recorded: str = ""
    """The hash that its user wrote down; none for the first."""

    def changed(self) -> list[str]:
        """What is no longer what was used, in words, each once."""
        return list(
            dict.fromkeys(
                f"{one.name} ({one.place}) has changed since it was used"
                for one in self._everything({})
                if one.status == "changed"
            )
        )

    def _everything(self, known: dict[int, Artifact]) -> list[Artifact]:
        """This and its ancestors, each once; into `known`, by who they are."""
        if id(self) not in known:
            known[id(self)] = self
            for artifact in self.inputs:
                artifact._everything(known)
        return list(known.values())

    def lines(self, depth: int = 0, above: set[tuple[str, str, str]] | None = None) -> list[str]:
        """The tree as text, one artifact a line with its command below; what stands `above` is told of once."""
        words = {
            "ok": "",
            "changed": "  CONTENT CHANGED SINCE",
            "missing": "  MISSING",
            "remembered": "  (not kept)",
            "untracked": "  (no provenance: not made by gato, or not finished)",
        }
        indent, above = "  " * depth, set() if above is None else above
        line = f"{indent}{self.name}: {self.place}  {self.content_hash}{words[self.status]}"
        told = self.place, self.content_hash, self.command
        if not self.command:
            return [line]
        if told in above:
            return [f"{line}  (as above)"]
        above.add(told)
        inputs = [one for artifact in self.inputs for one in artifact.lines(depth + 1, above)]
        return [line, f"{indent}    by: {self.command}", *inputs]

    def told(self, above: set[tuple[str, str, str]] | None = None) -> dict[str, Any]:
        """The tree as records; what stands `above` is told of once, without its inputs: generations share them."""
        above = set() if above is None else above
        key = self.place, self.content_hash, self.command
        is_above = bool(self.command) and key in above
        above.add(key)
        inputs = [] if is_above else [artifact.told(above) for artifact in self.inputs]
        record = {one.name: getattr(self, one.name) for one in fields(self)} | {"inputs": inputs}
        return record | ({"as_above": True} if is_above else {})


def find_artifact(name: str | Path, *, beside: Path | None = None) -> Path | None:
    """The place of a path, a Minari dataset id, or `shipped:<skill>`; None where nothing is.

    `beside`: the folder of who names it. Its relative paths lead from there, and `datasets/` next to it, as in a demo,
    comes before Minari's own root.
    """
    text = str(name)
    if text.startswith(SHIPPED):
        candidates = [EXPERTS / text.removeprefix(SHIPPED)]
    else:
        near = [beside / text, beside / "datasets" / text, beside.parent / "datasets" / text] if beside else []
        candidates = [*near, Path(text), minari_root() / text]
    return next((path for path in candidates if path.exists()), None)


def _home(place: Path, seen: Sequence[Path]) -> Path | None:
    """The folder whose provenance speaks for `place`: itself, or the one it lies in (a run's `best`)."""
    return next(
        (folder for folder in (place, place.parent) if (folder / PROVENANCE).is_file() and folder not in seen), None
    )


def lineage(path: str | Path, *, name: str = "artifact") -> Artifact:
    """Walk from an artifact back through all it was made of."""
    return _Walk().artifact(path, name=name)


class _Walk:
    """The steps of one lineage. Each training names the datasets of those before it: everything is walked once."""

    def __init__(self) -> None:
        self._hashes: dict[Path, str] = {}
        self._records: dict[Path, dict[str, Any]] = {}
        self._ancestors: dict[tuple[int, Path | None], tuple[Artifact, ...]] = {}
        """Of these inputs, by who they are: all of them live as long as the records do."""
        self._above: list[Path] = []
        """The folders on the way here."""

    def artifact(
        self,
        path: str | Path,
        *,
        name: str,
        expected: str = "",
        beside: Path | None = None,
        memory: Mapping[str, Any] = MappingProxyType({}),
    ) -> Artifact:
        """`expected` is the hash that the artifact's user recorded, `beside` the user's folder, from which relative
        paths lead, and `memory` what the user wrote down about it: of a shipped expert's ancestors only their commands
        are kept. What lies here under the name of something that is remembered, but is another thing, is not it:
        elsewhere, names of folders mean other folders. Nor are the ancestors of what was made anew since those of what
        was used.
        """
        command = memory.get("command", "")
        found = find_artifact(path, beside=beside) or self._teacher(str(path), expected)
        now = self._hash(found.resolve()) if found is not None else ""
        is_namesake = bool(command) and "path" not in memory and now != expected
        if found is None or is_namesake:
            status: Status = "remembered" if command else "missing"
            ancestors = self._walk(memory.get("inputs", {}), beside)
            return Artifact(name, str(path), status, command, expected, ancestors, expected)
        place = found.resolve()
        is_relative = beside is not None and (beside / str(path)).exists()
        shown = os.path.relpath(place) if is_relative else str(path)
        home = _home(place, self._above)
        if home is None:
            is_changed = expected not in ("", now)
            return Artifact(name, shown, "changed" if is_changed else "untracked", "", now, (), expected)
        if home not in self._records:
            self._records[home] = read_provenance(home)
        record = self._records[home]
        wanted = {expected, record["content_hash"] if home == place else ""} - {""}
        self._above.append(home)
        ancestors = self._walk(record["inputs"], home) if len(wanted) < 2 else ()
        self._above.pop()
        status = "ok" if wanted <= {now} else "changed"
        return Artifact(name, shown, status, record["command"], now, ancestors, expected)

    def _walk(self, inputs: Mapping[str, Mapping[str, Any]], beside: Path | None) -> tuple[Artifact, ...]:
        key = id(inputs), beside
        if not inputs:
            return ()
        if key not in self._ancestors:
            self._ancestors[key] = tuple(
                self.artifact(
                    entry.get("path") or entry["id"],
                    name=name,
                    expected=entry.get("hash", ""),
                    beside=beside,
                    memory=entry,
                )
                for name, entry in inputs.items()
            )
        return self._ancestors[key]

    def _teacher(self, name: str, expected: str) -> Path | None:
        """What did a command that has a name ("shipped:hopper/stand"): the teacher of its body, if it is still that."""
        body = name.removeprefix(SHIPPED).split("/")[0]
        folder = EXPERTS / body / "command"
        is_it = name.startswith(SHIPPED) and folder.is_dir() and self._hash(folder) == expected
        return folder if is_it else None

    def _hash(self, place: Path) -> str:
        if place not in self._hashes:
            self._hashes[place] = content_hash(place)
        return self._hashes[place]


def remembered(artifact: Artifact) -> dict[str, Any]:
    """How provenance names an ancestor that readers will not have: its hash, how it was made, back to the beginning.

    Of one that has changed since, how it was made is not known any more.
    """
    return _remembered(artifact, {})


def _remembered(artifact: Artifact, known: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """What was told of already, in `known`, is told in the same words."""
    if id(artifact) not in known:
        told: dict[str, Any] = {"id": artifact.place, "hash": artifact.recorded or artifact.content_hash}
        if artifact.command and artifact.status != "changed":
            inputs = {one.name: _remembered(one, known) for one in artifact.inputs}
            told |= {"command": artifact.command, "inputs": inputs}
        known[id(artifact)] = told
    return known[id(artifact)]
