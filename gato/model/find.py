"""Which model is meant: one that ships with the package, a model folder, a training run, or one of the Hub.

In: a name, a path or a Hub id. Out: the folder to load.
"""

from __future__ import annotations

from pathlib import Path

from gato.specs import near_match

SHIPPED = Path(__file__).parent / "shipped"
"""<name>/ a model; they come with the package."""
CONFIG = "config.json"
"""The file that makes a folder a model."""


def shipped_models() -> tuple[str, ...]:
    """Names of the models that come with Gato."""
    return tuple(sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG}")))


def find_model(name: str | Path) -> Path:
    """The folder of `name`: a model folder, a training run (its `model/`), or the name of a shipped model.

    A folder here beats a shipped model of that name. ValueError, with a near match, where there is none.
    """
    place = Path(name)
    for candidate in (place, place / "model", SHIPPED / place):
        if (candidate / CONFIG).is_file():
            return candidate
    known = shipped_models()
    if place.exists():
        raise ValueError(f"{place} is no model folder: it has no {CONFIG}; give the folder that `gato fit` wrote")
    raise ValueError(f'no model "{name}", neither a folder here nor one that ships; {near_match(str(name), known)}')
