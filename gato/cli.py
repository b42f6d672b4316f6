"""The `gato` command: words and flags in, one function of `gato.api` called, results on standard output.

In: `sys.argv`. Out: a table (or JSON with --json) on standard output, everything else on standard error, and an exit
code: 0 done, 1 failed, 2 misused, 130 interrupted. The parsers are made from the signatures and docstrings of the
functions, so a verb is described in one place.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import inspect
import logging
import os
import re
import sys
import textwrap
import threading
import traceback
import types
import typing
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gato
from gato import api
from gato.lineage import Artifact
from gato.progress import setup_logging
from gato.runs import to_json
from gato.specs import near_match
from gato.usage import UsageError, usage_error

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

COMMANDS: dict[str, Callable[..., Any]] = {
    "info": api.info,
    "skills": api.skills,
    "plan": api.plan,
    "say": api.say,
    "tune-lm": api.tune_lm,
    "expert train": api.expert_train,
    "expert eval": api.expert_eval,
    "record": api.record,
    "data list": api.data_list,
    "data show": api.data_show,
    "data check": api.data_check,
    "data view": api.data_view,
    "data judge": api.data_judge,
    "fit": api.fit,
    "validate": api.validate,
    "test": api.test,
    "eval": api.evaluate,
    "act": api.act,
    "report": api.report,
    "export": api.export,
    "push": api.push,
    "serve": api.serve,
    "play": api.play,
    "demo": api.demo,
}
RECORDS = {"PPOConfig": "gato.experts.ppo"}
"""Settings records that are flags of a verb, and where they live."""
LIGHTNING = ("fit", "validate", "test")
"""Verbs whose words go to LightningCLI untouched."""
ENVIRONMENT = """environment:
    MINARI_DATASETS_PATH  where datasets are    GATO_CACHE      where their flat copies are
    GATO_LOG              text or json          GATO_LOG_LEVEL  debug, info, warning or error
    MUJOCO_GL             egl or osmesa, for video
    GATO_PLANNER_KEY      sent to the server of gato act --planner URL, or gato data judge --judge URL"""
MOST_CELL = 200
"""Characters of a text in a table; --json gives all."""
HELP_WIDTH = 110
"""Columns."""
DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130

log = logging.getLogger(__name__)

_is_interrupted = threading.Event()


def interrupt(number: int, frame: types.FrameType | None) -> None:
    """What Ctrl-C does. Modules in C that are being imported would make their own error of it, or abort."""
    _is_interrupted.set()
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2, b"gato: interrupted: finished work is kept\n")
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


def main() -> None:
    """Entry point of the `gato` command."""
    # Libraries, and MuJoCo from C, print where they like: results keep the real standard output to themselves.
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = results
    code = run(sys.argv[1:])
    with contextlib.suppress(BrokenPipeError):
        results.flush()
        sys.exit(code)
    os.dup2(os.open(os.devnull, os.O_WRONLY), results.fileno())
    sys.exit(FAILED)


def run(argv: list[str]) -> int:
    """Run one command line, without the word `gato`; returns the exit code, all errors told in one line."""
    is_debug = "--debug" in argv
    arguments: dict[str, Any] = {}
    failure: Exception
    try:
        setup_logging()
        _dispatch([word for word in argv if word != "--debug"], arguments)
        return DONE
    except KeyboardInterrupt as stop:
        _complain("interrupted", str(stop) or _what_is_kept(arguments))
        return INTERRUPTED
    except (UsageError, argparse.ArgumentError) as error:
        failure, code, told = error, MISUSED, str(error)
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        failure, code, told = error, FAILED, _in_words(error)
    except Exception as error:  # the border: whatever is unforeseen is told in one line too
        failure, code, told = error, FAILED, f"{type(error).__name__}: {error}; --debug shows where"
    if _is_interrupted.is_set():
        _complain("interrupted", _what_is_kept(arguments))
        return INTERRUPTED
    _complain("error", told)
    if is_debug:
        traceback.print_exception(failure)
    return code


def _complain(kind: str, text: str) -> None:
    sys.stderr.write(f"gato: {kind}: {' '.join(text.split())}\n")


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
    return str(error)


def _what_is_kept(arguments: dict[str, Any]) -> str:
    if "resume" not in arguments or (arguments.get("out") and not Path(arguments["out"]).exists()):
        return "nothing was finished"
    place = f" in {arguments['out']}" if arguments.get("out") else ""
    return f"finished work{place} is kept; --resume goes on with it"


def _dispatch(argv: list[str], arguments: dict[str, Any]) -> None:
    for word in argv:
        if any("\ud800" <= letter <= "\udfff" for letter in word):
            raise UsageError(f"{ascii(word)} is not valid UTF-8; type it again")
    if not argv:
        sys.stderr.write(_overview() + "\n")
        raise UsageError("a command is needed")
    if argv[0] in ("-h", "--help", "help"):
        print(_overview())
        return
    if argv == ["--version"]:
        print(gato.__version__)
        return
    name, rest = _find_command(argv)
    if name not in COMMANDS:
        print(_overview(name))
        return
    if name in LIGHTNING:
        _run_lightning(name, rest)
        return
    function = COMMANDS[name]
    parser = _make_parser(name, function)
    arguments |= _parse(parser, function, rest)
    as_json = arguments.pop("json", False)
    with contextlib.redirect_stdout(sys.stderr):
        words = [arguments[word] for word in _words(function)]
        result = function(*words, **{key: value for key, value in arguments.items() if key not in _words(function)})
    print(_shown(result, as_json=as_json))
    problems = result.changed() if isinstance(result, Artifact) else isinstance(result, dict) and result.get("problems")
    if problems:
        first = f"{len(problems)} problems found; the first: " if len(problems) > 1 else ""
        raise ValueError(first + problems[0])


def _run_lightning(name: str, rest: list[str]) -> None:
    is_shown = any(word in ("-h", "--help", "--help-all") or word.startswith("--print_config") for word in rest)
    with contextlib.redirect_stdout(sys.stdout if is_shown else sys.stderr):
        result = COMMANDS[name]([word for word in rest if word != "--json"])
    print(_shown(result, as_json="--json" in rest))


def _shown(result: object, *, as_json: bool) -> str:
    if as_json:
        result = result.told() if isinstance(result, Artifact) else result
        return to_json({"path": result} if isinstance(result, Path) else result)
    return "\n".join(table(result))


def _find_command(argv: list[str]) -> tuple[str, list[str]]:
    """The command's name and the words after it; a group alone or with --help comes back as the group's name."""
    for length in (2, 1):
        if " ".join(argv[:length]) in COMMANDS:
            return " ".join(argv[:length]), argv[length:]
    group, verbs = argv[0], [name.split()[1] for name in COMMANDS if name.startswith(argv[0] + " ")]
    if not verbs:
        raise UsageError(f"no command {group!r}; {near_match(group, {name.split()[0] for name in COMMANDS})}")
    if len(argv) > 1 and argv[1] in ("-h", "--help"):
        return group, []
    wrong = argv[1] if len(argv) > 1 else ""
    raise UsageError(f"gato {group}: no command {wrong!r}; {near_match(wrong, verbs)}")


def _overview(group: str = "") -> str:
    lines = [str(gato.__doc__), "", "usage: gato COMMAND ... [--help] [--debug]", ""]
    for name, function in COMMANDS.items():
        if name.startswith(group):
            lines.append(f"    {name:14}{inspect.getdoc(function).splitlines()[0]}")  # type: ignore[union-attr]
    return "\n".join([*lines, "", "gato COMMAND --help shows its flags and an example.", "", ENVIRONMENT])


# Parsers


def _words(function: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Types of the parameters; a settings record is imported only for the verb that takes it."""
    written = " ".join(map(str, function.__annotations__.values()))
    records = {name: module for name, module in RECORDS.items() if name in written}
    names = {name: getattr(import_module(module), name) for name, module in records.items()}
    hints = typing.get_type_hints(function, localns=names)
    return {
        key: next((one for one in typing.get_args(hint) if one in names.values()), hint) for key, hint in hints.items()
    }


def _make_parser(name: str, function: Callable[..., Any]) -> ArgumentParser:
    import docstring_parser
    from jsonargparse import ArgumentParser, DefaultHelpFormatter

    class Formatter(argparse.RawDescriptionHelpFormatter, DefaultHelpFormatter):
        """Keeps the lines of the example, and lines of a fixed length."""

        def __init__(self, prog: str) -> None:
            super().__init__(prog, max_help_position=28, width=HELP_WIDTH)

    documentation = docstring_parser.parse(inspect.getdoc(function) or "", docstring_parser.DocstringStyle.GOOGLE)
    described = {entry.arg_name: entry.description or "" for entry in documentation.params}
    about = textwrap.fill(documentation.long_description or "", HELP_WIDTH)
    parser = ArgumentParser(
        prog=f"gato {name}",
        description="\n\n".join(filter(None, (documentation.short_description, about))),
        epilog="\n".join(["example:", *(f"    {example.description}" for example in documentation.examples)]),
        exit_on_error=False,
        allow_abbrev=False,
        formatter_class=Formatter,
    )
    parser.add_argument("--config", action="config", help="YAML file of these flags; a flag beats it.")
    hints = _hints(function)
    for parameter in inspect.signature(function).parameters.values():
        hint, text = hints[parameter.name], described[parameter.name]
        if dataclasses.is_dataclass(hint):
            _add_record(parser, hint)
        elif parameter.kind is parameter.KEYWORD_ONLY:
            _add_flag(parser, parameter.name, hint, parameter.default, text)
        elif typing.get_origin(hint) is tuple:
            parser.add_argument(parameter.name, type=typing.get_args(hint)[0], nargs="+", help=text)
        elif parameter.default is parameter.empty:
            parser.add_argument(parameter.name, type=hint, help=text)
        else:
            parser.add_argument(parameter.name, type=hint, help=text, nargs="?", default=parameter.default)
    parser.add_argument("--json", action="store_true", help="Print JSON, not a table.")
    return parser


def _add_record(parser: ArgumentParser, record: Any) -> None:
    """Every field of a settings record becomes a flag of its own."""
    import docstring_parser

    texts = {
        entry.arg_name: entry.description
        for owner in record.__mro__[-2::-1]
        for entry in docstring_parser.parse_from_object(owner).params
    }
    hints = typing.get_type_hints(record)
    for field in dataclasses.fields(record):
        _add_flag(parser, field.name, hints[field.name], field.default, texts[field.name] or "")


def _add_flag(parser: ArgumentParser, name: str, hint: Any, default: Any, text: str) -> None:
    flag = "--" + name.replace("_", "-")
    if hint is bool:
        parser.add_argument(flag, action="store_true", help=text)
    elif default is inspect.Parameter.empty:
        parser.add_argument(flag, type=hint, required=True, help=text)
    elif typing.get_origin(hint) is tuple:
        one = typing.get_args(hint)[0]
        parser.add_argument(flag, type=one, nargs="*", default=list(default), help=text)
    else:
        parser.add_argument(flag, type=hint, default=default, help=text)


def _parse(parser: ArgumentParser, function: Callable[..., Any], argv: list[str]) -> dict[str, Any]:
    """The arguments of the function, and `json`."""
    dashed = [re.sub(r"^--[\w-]+", lambda flag: flag[0].replace("_", "-"), word) for word in argv]
    try:
        values = parser.parse_args(dashed)
    except argparse.ArgumentError as error:
        raise usage_error(error, parser) from error
    _show_overrides(parser, values)
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    given.pop("config", None)
    for name, hint in _hints(function).items():
        if dataclasses.is_dataclass(hint):
            record: Any = hint
            settings = {field.name: given.pop(field.name) for field in dataclasses.fields(record)}
            filled = record(**settings)
            # None where nobody said anything: else an algorithm that has no such settings would have to refuse them.
            given[name] = filled if filled != record() or _are_typed(settings, dashed) else None
    return given


def _are_typed(names: Iterable[str], argv: list[str]) -> bool:
    flags = {"--" + name.replace("_", "-") for name in names}
    return any(word.split("=")[0] in flags for word in argv)


def _show_overrides(parser: ArgumentParser, values: Namespace) -> None:
    """Say which flags beat the config file."""
    import yaml

    for path in values.get("config") or []:
        for key, written in yaml.safe_load(Path(str(path)).read_text()).items():
            if values[key] != written:
                log.info("%s: %s from the command line beats %s in %s", key, values[key], written, path)


# Tables


def table(result: object) -> list[str]:
    """A result as lines a person reads: scalars, `mean [low, high]` for scores, records as columns, long lists cut."""
    if isinstance(result, Artifact):
        return result.lines()
    if isinstance(result, list) and result and all(isinstance(row, dict) for row in result):
        return _columns(result)
    if not isinstance(result, dict):
        return [str(result) if isinstance(result, (str, Path)) else _cell(result)]
    lines = []
    for key, value in result.items():
        if value == {}:
            continue
        if isinstance(value, dict) and all(isinstance(row, dict) for row in value.values()):
            lines += ["", *_columns([{key: name, **row} for name, row in value.items()])]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines += ["", key, *_columns(value)]
        elif isinstance(value, dict) and "mean" not in value:
            lines += [f"{key}:", *(f"  {name:16} {_cell(one)}" for name, one in value.items())]
        else:
            lines.append(f"{key:16} {_cell(value)}")
    return lines


def _columns(rows: Iterable[dict[str, Any]]) -> list[str]:
    cells = [{key: _cell(value) for key, value in row.items()} for row in rows]
    widths: dict[str, int] = {}
    for row in cells:
        for key, text in row.items():
            widths[key] = max(widths.get(key, len(key)), len(text))
    head = "  ".join(f"{key:{width}}" for key, width in widths.items())
    return [
        line.rstrip()
        for line in [
            head,
            *("  ".join(f"{row.get(key, ''):{width}}" for key, width in widths.items()) for row in cells),
        ]
    ]


def _cell(value: object) -> str:
    if isinstance(value, dict) and "mean" in value and "ci95" in value:
        low, high = value["ci95"]
        return f"{value['mean']:.4g} [{low:.4g}, {high:.4g}]"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_cell(one)}" for key, one in value.items())
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], (list, tuple)):
        return " | ".join(map(_cell, value))
    if isinstance(value, (list, tuple)):
        return "; ".join(map(_cell, value)) or "none" if len(value) <= 20 else f"{len(value)} values"
    text = "-" if value is None else str(value)
    return text if len(text) <= MOST_CELL else f"{text[:MOST_CELL]}..."
