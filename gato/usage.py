"""What was wrong with a command line or a config file, in one line with a near match.

In: an error of jsonargparse, the parser that raised it. Out: a `UsageError` that `gato` shows, with exit code 2.
"""

from __future__ import annotations

import argparse
import inspect
import re
from importlib import import_module

from gato.specs import near_match


class UsageError(Exception):
    """The command line itself, or a config file, is wrong."""


def usage_error(error: argparse.ArgumentError, parser: argparse.ArgumentParser) -> UsageError:
    """The error in words: what, got, allowed."""
    verb = parser.prog.removeprefix("gato").strip()
    return UsageError(f"{verb}: " * bool(verb) + _explain(str(error), parser))


def _explain(message: str, parser: argparse.ArgumentParser) -> str:
    flags = [option for action in parser._actions for option in action.option_strings]
    keys = [str(action.dest) for action in parser._actions]
    if found := re.match(r"unrecognized arguments: (-[^\s=]+)", message):
        return f"no flag {found[1]}; {_near(found[1], flags)}"
    if found := re.match(r"(?:Group '(\S+)' does not accept option|Option) '(\S+?)'", message):
        key = f"{found[1]}.{found[2]}" if found[1] else found[2]
        return f"no key {key!r} in the config; {_near(key, keys)}"
    if found := re.search(r"given class_path '(\S+)\.(\w+)':\s+Option '(\S+?)' is not accepted", message):
        record = getattr(import_module(found[1]), found[2])
        return f"no key {found[3]!r} in an entry; {near_match(found[3], inspect.signature(record).parameters)}"
    if (key := re.match(r'Parser key "(\S+?)"', message)) and (got := re.search(r"(?:Given|Got) value: (.*)", message)):
        expected = re.findall(r"Expected an? (.+?)(?:\. Got value.*)?$", message, re.MULTILINE)
        allowed = re.sub(r"<class '(\w+)'>|typing\.Literal", r"\1", ", ".join(dict.fromkeys(expected)))
        if got[1] in ("nan", "inf", "-inf", ".nan", ".inf", "-.inf"):
            allowed = "finite numbers"
        return f"{key[1]}: got {got[1]}; allowed: {allowed}"
    return message


def _near(word: str, options: list[str]) -> str:
    """Hundreds of allowed words would hide the error: then only a near one is named."""
    near = near_match(word, options)
    return near if near.startswith("did you mean") or len(options) < 40 else "see --help"
