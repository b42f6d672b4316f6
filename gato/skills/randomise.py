"""Bodies that differ a little from episode to episode: heavier or lighter, more or less slippery, weaker or stronger.

In: ranges of factors ("mass=0.8:1.2"), the seed of an episode. Out: factors, and the fields of a MuJoCo model by them.
A policy that has seen such bodies forgives what a simulator gets wrong (Tobin et al. 2017; Peng et al. 2018).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import mujoco
import numpy as np

from gato.specs import near_match

FIELDS = {
    "mass": ("body_mass", "body_inertia"),
    "friction": ("geom_friction",),
    "strength": ("actuator_gainprm", "actuator_biasprm"),
}
"""What can vary -> the fields of the model that are multiplied by its factor."""
MOST = 100
"""What no body is multiplied by, nor divided."""
STREAM = 78
"""Beside the seed of an episode, for what is drawn here."""
Ranges = Mapping[str, tuple[float, float]]
"""Name in FIELDS -> lowest and highest factor."""


def read_ranges(words: Iterable[str]) -> dict[str, tuple[float, float]]:
    """NAME=LOWEST:HIGHEST as ranges; ValueError for other words, unknown names and factors that are not above 0."""
    found = {}
    for word in words:
        name, _, pair = word.partition("=")
        if name not in FIELDS:
            raise ValueError(f'randomise: unknown "{name}"; {near_match(name, FIELDS)}')
        try:
            low, high = (float(one) for one in pair.split(":"))
        except ValueError:
            raise ValueError(f"randomise {word!r}: such as {name}=0.8:1.2 is needed") from None
        if name in found:
            raise ValueError(f"randomise {word!r}: {name} is given twice; one pair of factors is needed")
        if not MOST**-1 <= low <= high <= MOST:
            raise ValueError(
                f"randomise {word!r}: {low:g} to {high:g}; 1/{MOST} to {MOST} are allowed, the lowest first"
            )
        found[name] = (low, high)
    return found


def draw(ranges: Ranges, seed: int) -> dict[str, float]:
    """The factors of one episode, uniform in their ranges, in the order of FIELDS."""
    rng = np.random.default_rng([seed, STREAM])
    return {name: float(rng.uniform(*ranges[name])) for name in FIELDS if name in ranges}


def originals(model: mujoco.MjModel, ranges: Ranges) -> dict[str, np.ndarray]:
    """Copies of the fields that vary, by their names."""
    return {field: getattr(model, field).copy() for name in ranges for field in FIELDS[name]}


def vary(model: mujoco.MjModel, original: Mapping[str, np.ndarray], factors: Mapping[str, float]) -> None:
    """Makes one model the body of an episode, constants that hang on its masses and all."""
    for name, factor in factors.items():
        for field in FIELDS[name]:
            getattr(model, field)[:] = original[field] * factor
    mujoco.mj_setConst(model, mujoco.MjData(model))
