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
    """Every text, and every key, with its long paths cut; a text that begins like a path is one as a whole."""
    return _cut(content, is_command=False)


def _cut(content: Any, *, is_command: bool) -> Any:
    if isinstance(content, Mapping):
        return {_cut(key, is_command=False): _cut(value, is_command=key == "command") for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_cut(one, is_command=False) for one in content]
    if not isinstance(content, str):
        return content
    if not is_command and WHOLE.fullmatch(content):
        return _end_of(content)
    inner = IN_QUOTES.sub(lambda path: _end_of(path[0]), content)
    return IN_WORDS.sub(lambda path: _end_of(path[0]), inner)


def _end_of(path: str) -> str:
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
    return "/".join(parts[-KEPT_PARTS:])
