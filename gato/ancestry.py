"""Ancestors of an artifact written down once each: experts stand under every dataset that they taught.

In: a provenance whose inputs hold, one inside the other, how they were made. Out: the same, `fold`ed: how each ancestor
was made stands once, under `ancestors`, and inputs name it; and `unfold`ed again. What is not folded unfolds as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

ANCESTORS, NAME = "ancestors", "made"
"""Keys: of the table in a provenance, and of its line in an input."""
TOLD = ("command", "inputs")
"""What the table has of an ancestor; its id and hash stay with who names it."""


def fold(record: Mapping[str, Any]) -> dict[str, Any]:
    """The provenance with a table of its inputs' ancestors; unchanged where nothing of an input is known."""
    table: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}
    known: dict[int, dict[str, Any]] = {}
    """Entries that were folded already: many are one and the same."""

    def folded(entry: Mapping[str, Any]) -> dict[str, Any]:
        if id(entry) not in known:
            known[id(entry)] = fold_one(entry)
        return known[id(entry)]

    def fold_one(entry: Mapping[str, Any]) -> dict[str, Any]:
        if "command" not in entry:
            return dict(entry)
        told = {"command": entry["command"], "inputs": _each(entry.get("inputs", {}), folded)}
        text = json.dumps(told, sort_keys=True)
        if text not in names:
            # The same content may have been made in two ways: the hash alone does not name one of them.
            number = sum(name.split("-")[0] == entry["hash"] for name in table)
            names[text] = f"{entry['hash']}-{number + 1}" if number else entry["hash"]
            table[names[text]] = told
        return {key: value for key, value in entry.items() if key not in TOLD} | {NAME: names[text]}

    inputs = _each(record["inputs"], folded)
    return {**record, "inputs": inputs, ANCESTORS: table} if table else dict(record)


def unfold(record: Mapping[str, Any]) -> dict[str, Any]:
    """The provenance as it was before `fold`. ValueError: an ancestor is named that the table does not have."""
    table = record.get(ANCESTORS, {})
    known: dict[str, dict[str, Any]] = {}

    def unfolded(entry: Mapping[str, Any], above: tuple[str, ...] = ()) -> dict[str, Any]:
        name = entry.get(NAME)
        if name is None:
            return dict(entry)
        if name not in table or name in above:
            raise ValueError(f"ancestor {name!r} is {'its own' if name in above else 'not told of'}")
        if name not in known:
            told = table[name]
            known[name] = {**told, "inputs": _each(told["inputs"], lambda one: unfolded(one, (*above, name)))}
        return {key: value for key, value in entry.items() if key != NAME} | known[name]

    kept = {key: value for key, value in record.items() if key != ANCESTORS}
    return {**kept, "inputs": _each(record.get("inputs", {}), unfolded)}


def _each(inputs: Mapping[str, Mapping[str, Any]], change: Any) -> dict[str, Any]:
    return {name: change(entry) for name, entry in inputs.items()}
