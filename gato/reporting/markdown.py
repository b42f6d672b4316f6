"""Pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def with_interval(mean: float, bounds: Sequence[float], form: str = ".2f") -> str:
    """A mean and its interval, both in the same format."""
    low, high = bounds
    return f"{mean:{form}} [{low:{form}}, {high:{form}}]"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int = 1) -> str:
    """A table whose first `texts` columns are words, the others figures."""
    lines = [head, ["---"] * texts + ["---:"] * (len(head) - texts), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
