"""Prompts in numbers: `forward_speed=1 yaw_rate=-0.5` asks a body for speeds instead of a skill.

In: a prompt. Out: its numbers in the order of COMMANDS; the same prompt with all that its body can be asked for. Words
are no numbers, and pass.
"""

from __future__ import annotations

import numpy as np

from gato.skills.commands import ranges
from gato.skills.table import skills_of
from gato.specs import COMMANDS

EXAMPLE = "forward_speed=1 yaw_rate=-0.5"


def is_numbers(prompt: str) -> bool:
    """Whether that is meant as numbers: no words have an equals sign."""
    return "=" in prompt


def told_numbers(prompt: str) -> np.ndarray | None:
    """(C,) float32 in m/s, m/s and rad/s, NaN where nothing is asked for; None for words. ValueError for neither."""
    if not is_numbers(prompt):
        return None
    told = dict.fromkeys(COMMANDS, np.nan)
    for pair in prompt.replace(",", " ").split():
        name, _, number = pair.partition("=")
        try:
            told[name], is_known = float(number), name in COMMANDS
        except ValueError:
            is_known = False
        if not is_known or not np.isfinite(told[name]):
            raise ValueError(f'got "{prompt}"; allowed in numbers: {", ".join(COMMANDS)}, such as "{EXAMPLE}"')
    return np.array(list(told.values()), np.float32)


def in_full(prompt: str, body: str) -> str:
    """A prompt in numbers with 0, or what is next to it, for all that it leaves out; words as they are.

    ValueError for what that body is not asked for in numbers.
    """
    told_C = told_numbers(prompt)
    if told_C is None:
        return prompt
    skill = next((one for one in skills_of(body) if one.is_commanded), None)
    if skill is None:
        raise ValueError(f'{body} is told in words only; got "{prompt}"')
    lows_C, highs_C = ranges(skill)
    is_told_C = np.isfinite(told_C)
    wrong_C = is_told_C & ~((told_C >= lows_C) & (told_C <= highs_C))
    if wrong_C.any():
        allowed = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in skill.command.items())
        raise ValueError(f'{body} is not asked for "{prompt}"; allowed: {allowed}')
    full_C = np.where(is_told_C, told_C, np.clip(0.0, lows_C, highs_C))
    return " ".join(f"{name}={value:g}" for name, value in zip(COMMANDS, full_C, strict=True) if np.isfinite(value))
