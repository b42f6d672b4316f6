"""What is told to others names no folder of this machine.

In: anything that is JSON, such as a provenance. Out: the same; of paths from the root, the last two parts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

KEPT_PARTS = 2
"""Of a path: enough for others to know what it was."""
START = r"(?:/(?!/)|(?:\.\./){2,})"
"""Of a path that only this machine has: from the root, or up by two folders or more."""
IN_QUOTES = re.compile(rf"""(?<=['"]){START}[^'"\n]+(?=['"])""")
"""Such a path may have spaces."""
IN_WORDS = re.compile(rf"""(?<![\w.@+~/-]){START}[^\s'"\\,;:=<>|()\[\]]+""")
WHOLE = re.compile(START + ".+")


def without_folders(content: Any) -> Any:
    """Every text, and every key, with its long paths cut; a text that begins like a path is one as a whole.

    What stands in many places, as an ancestor of many, is cut once, and is one in all of them again.
    """
    return _cut(content, {}, is_command=False)


def _cut(content: Any, known: dict[int, dict[Any, Any]], *, is_command: bool) -> Any:
    """`known`: mappings that were cut already, by who they were."""
    if isinstance(content, Mapping):
        if id(content) not in known:
            known[id(content)] = {
                _cut_text(key): _cut(value, known, is_command=key == "command") for key, value in content.items()
            }
        return known[id(content)]
    if isinstance(content, (list, tuple)):
        return [_cut(one, known, is_command=False) for one in content]
    return _cut_text(content, is_command=is_command)


def _cut_text(content: Any, *, is_command: bool = False) -> Any:
    if not isinstance(content, str):
        return content
    if not is_command and WHOLE.fullmatch(content):
        return _end_of(content)
    inner = IN_QUOTES.sub(lambda path: _end_of(path[0]), content)
    return IN_WORDS.sub(lambda path: _end_of(path[0]), inner)


def _end_of(path: str) -> str:
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
    return "/".join(parts[-KEPT_PARTS:])
