"""Words for commands: what a speed, a side and a turning rate are called, and which words mean the same.

In: a body, the ranges of its commands, commands (..., C). Out: `cells`, every way of moving that has words of its own
with its phrases, and `cell_of`, which of them a command is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from gato.specs import COMMANDS

Ranges = Mapping[str, tuple[float, float]]
"""Name in COMMANDS -> lowest and highest."""

STILL = 0.1
"""Share of the largest command of an axis below which it counts as none."""
SLOW, FAST = 0.4, 0.75
"""Shares of the largest command below and above which it is slow and fast."""
_MANNERS = ((), ("slowly", "gently", "leisurely"), ("moderately", "evenly"), ("briskly", "swiftly", "rapidly"))
"""Words for none, slow, medium, fast: always said, since a body's other skills own the bare words."""
VERBS: dict[str, tuple[str, ...]] = {
    "half-cheetah": ("run", "go", "move"),
    "hopper": ("hop", "go", "move"),
    "walker2d": ("walk", "go", "move"),
    "ant": ("walk", "go", "move"),
    "humanoid": ("walk", "go", "move"),
}
_STAND = ("stand still", "stand", "stay where you are", "do not move", "stop", "hold still", "stay in place", "halt")
_TURNS = ("turn", "rotate", "spin")


@dataclass(frozen=True)
class Cell:
    """Commands that are called the same: the pace of each axis, from -3 (fast, to the other side) to 3."""

    paces: tuple[int, ...]
    phrases: tuple[str, ...]
    """The canonical one first."""


def paces(ranges: Ranges, command_XC: np.ndarray) -> np.ndarray:
    """(..., C) int: 0 none, 1 slow, 2 medium, 3 fast, negative to the other side; 0 where nothing is asked for."""
    most_C = np.array([max(map(abs, ranges.get(name, (1.0, 1.0)))) or 1.0 for name in COMMANDS])
    share_XC = np.nan_to_num(command_XC) / most_C
    size_XC = np.searchsorted([STILL, SLOW, FAST], np.abs(share_XC))
    # Aslant, ahead and aside have one pace.
    is_aslant_X1 = (size_XC[..., :2] > 0).all(-1, keepdims=True)
    size_XC[..., :2] = np.where(is_aslant_X1, size_XC[..., :2].max(-1, keepdims=True), size_XC[..., :2])
    return np.where(share_XC < 0, -size_XC, size_XC)


def cells(body: str, ranges: Ranges) -> tuple[Cell, ...]:
    """Every cell that the ranges reach, in a fixed order; the first is to stand."""
    return tuple(Cell(one, _phrases(body, *one)) for one in _in_order(ranges))


def cell_of(ranges: Ranges, command_XC: np.ndarray) -> np.ndarray:
    """(...) int: index into `cells` of each command."""
    index = {one: number for number, one in enumerate(_in_order(ranges))}
    flat = paces(ranges, command_XC).reshape(-1, len(COMMANDS))
    return np.array([index[tuple(one)] for one in flat.tolist()]).reshape(command_XC.shape[:-1])


def _in_order(ranges: Ranges) -> list[tuple[int, ...]]:
    """The paces of every cell."""
    reached = product(*(_reached(ranges, name) for name in COMMANDS))
    told_apart = (one for one in reached if not (one[0] and one[1]) or abs(one[0]) == abs(one[1]))
    return sorted(told_apart, key=lambda one: (sum(map(abs, one)), one))


def _reached(ranges: Ranges, name: str) -> range:
    low, high = ranges.get(name, (0.0, 0.0))
    corners = np.zeros((2, len(COMMANDS)))
    corners[:, COMMANDS.index(name)] = low, high
    least, most = paces(ranges, corners)[:, COMMANDS.index(name)].tolist()
    return range(least, most + 1)


def _phrases(body: str, ahead: int, aside: int, turn: int) -> tuple[str, ...]:
    if not (ahead or aside or turn):
        return _STAND
    moves = _moves(body, ahead, aside)
    side = "left" if turn > 0 else "right"
    if not turn:
        return tuple(moves)
    if not moves:
        return tuple(f"{verb} {side} {manner}" for manner, verb in product(_MANNERS[abs(turn)], _TURNS))
    turning = {1: ("bending gently {}", "turning slightly {}"), 2: ("turning {}", "curving {}")}
    ways = turning.get(abs(turn), ("turning sharply {}", "turning quickly {}"))
    return tuple(f"{move} while {way.format(side)}" for way, move in product(ways, moves))


def _moves(body: str, ahead: int, aside: int) -> list[str]:
    """Along and across, in words; nothing where the body only turns."""
    if not (ahead or aside):
        return []
    across = "left" if aside > 0 else "right"
    ways = [across, f"to the {across}", f"sideways to the {across}"]
    if ahead:
        along = ("forward", "ahead") if ahead > 0 else ("backward", "back")
        ways = [f"{way} and {across}" if aside else way for way in along]
    manners = _MANNERS[max(abs(ahead), abs(aside))]
    return [f"{verb} {way} {manner}" for manner, way, verb in product(manners, ways, VERBS.get(body, VERBS["ant"]))]
