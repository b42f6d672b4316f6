"""Stable-Baselines3's `vecnormalize.pkl`: its numbers, from a pickle in which nothing but arrays may be made.

In: a file that the user named. Out: a `Normaliser`, or None where only rewards were normalised.
A pickle can run any code. This reader makes numpy arrays and numbers; what Stable-Baselines3 and Gymnasium (or the gym
before it) pickled becomes a record that holds its state and does nothing; every other class is refused by its name.
"""

from __future__ import annotations

import collections
import logging
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gato.specs import _Arrays

DamagedPickle = pickle.UnpicklingError
"""What torch raises too, where a file holds more than weights."""

log = logging.getLogger("gato.experts")

INERT = ("stable_baselines3", "sb3_contrib", "gym", "gymnasium", "numpy.random")
"""Packages whose classes become records."""
MAKERS: dict[str, Callable[..., Any]] = {
    "numpy.dtype": np.dtype,
    "numpy.ndarray": np.ndarray,
    "collections.OrderedDict": collections.OrderedDict,
    # Numpy 2 moved numpy.core to numpy._core: asked for by what arrays themselves say.
    "numpy.core.multiarray._reconstruct": np.empty(0).__reduce__()[0],  # type: ignore[dict-item]
    "numpy.core.multiarray.scalar": np.float64(0).__reduce__()[0],  # type: ignore[dict-item]
    "numpy.core.numeric._frombuffer": np.empty(0).__reduce_ex__(5)[0],  # type: ignore[dict-item]
}
"""All that a pickle may call."""


@dataclass(frozen=True, repr=False)
class Normaliser(_Arrays):
    """How observations were normalised."""

    mean_O: np.ndarray
    std_O: np.ndarray
    clip: float
    """In standard deviations."""


class _Record:
    """Stands for an object whose class is not loaded."""

    state: Any = None

    def __new__(cls, *_: object, **__: object) -> _Record:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Refused(pickle.UnpicklingError):
    """A class that a normaliser has no use for."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        full = f"{module.replace('numpy._core', 'numpy.core')}.{name}"
        if full in MAKERS:
            return MAKERS[full]
        if any(module == one or module.startswith(f"{one}.") for one in INERT):
            return type(name, (_Record,), {})
        if module == "numpy" and name in np.sctypeDict:
            return np.sctypeDict[name]
        raise _Refused(f"{module}.{name}")


def read_normaliser(path: Path) -> Normaliser | None:
    """The statistics in a `vecnormalize.pkl`; ValueError where it is damaged, another thing, or holds foreign code."""
    if not path.is_file():
        raise ValueError(f"{path}: no such normaliser; pass the vecnormalize.pkl that was saved with the agent")
    log.warning("%s is a pickle: only its numbers are read, none of its code is run", path)
    try:
        with path.open("rb") as file:
            found = _Reader(file).load()
    except _Refused as error:
        raise ValueError(f"{path} wants {error}, which no normaliser needs; do not trust this file") from error
    except Exception as error:  # the border: a damaged pickle fails in any way there is
        raise ValueError(f"{path} is not a readable pickle ({type(error).__name__}: {error}); copy it again") from error
    state = getattr(found, "state", None)
    if type(found).__name__ != "VecNormalize" or not isinstance(state, dict):
        raise ValueError(f"{path} holds {type(found).__name__}, not a VecNormalize; pass the agent's vecnormalize.pkl")
    if not state.get("norm_obs", True):
        return None
    moments = getattr(state.get("obs_rms"), "state", None)
    if not isinstance(moments, dict) or np.ndim(moments.get("mean", 0)) != 1:
        raise ValueError(f"{path} has no statistics of flat observations (a Dict, or pictures); only vectors are read")
    return normaliser(moments["mean"], moments["var"], epsilon=state["epsilon"], clip=state["clip_obs"])


def normaliser(mean_O: np.ndarray, variance_O: np.ndarray, *, epsilon: float, clip: float) -> Normaliser:
    """From running statistics, as VecNormalize applies them."""
    std_O = np.sqrt(np.asarray(variance_O, np.float64) + epsilon)
    return Normaliser(np.asarray(mean_O, np.float64), std_O, float(clip))
