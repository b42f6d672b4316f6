"""Which model is meant: one that ships with the package, a model folder, a training run, or one of the Hub.

In: a name, a path or a Hub id. Out: the folder to load.
"""

from __future__ import annotations

from pathlib import Path

from gato.hub import REVISION, fetch
from gato.runs import PROVENANCE
from gato.specs import near_match
from gato.tokens.codec import CODEC_FILE, TOKENIZER_FILE

SHIPPED = Path(__file__).parent / "shipped"
"""<name>/ a model; they come with the package."""
CONFIG = "config.json"
"""The file that makes a folder a model."""
FILES = ("model.safetensors", "card.json", CODEC_FILE, TOKENIZER_FILE)
"""The others of a model, whose hashes stand in the first."""


def shipped_models() -> tuple[str, ...]:
    """Names of the models that come with Gato."""
    return tuple(sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG}")))


def find_model(name: str | Path) -> Path:
    """The folder of `name`: a model folder, a training run (its `model/`), a shipped model, or `owner/name[@revision]`
    on the Hugging Face Hub.

    What is here beats a shipped model, which beats the Hub; what was fetched from there once is not asked for again.
    ValueError, with a near match, where there is none.
    """
    place = Path(name)
    for candidate in (place, place / "model", SHIPPED / place):
        if (candidate / CONFIG).is_file():
            return candidate
    known = shipped_models()
    if place.exists():
        raise ValueError(f"{place} is no model folder: it has no {CONFIG}; give the folder that `gato fit` wrote")
    if is_hub_id(str(name)):
        return _fetch(str(name))
    raise ValueError(f'no model "{name}", neither a folder here nor one that ships; {near_match(str(name), known)}')


def is_hub_id(name: str) -> bool:
    """Whether the name means `owner/name[@revision]`; where its first part is here, a path was meant and mistyped."""
    return bool(REVISION.fullmatch(name)) and not Path(Path(name).parts[0]).exists()


def _fetch(name: str) -> Path:
    """The Hub's model in its cache: its own files, not the videos and pages beside them."""
    needed = (CONFIG, *FILES)
    try:
        folder = fetch(name, (*needed, PROVENANCE), whole=needed)
    except ValueError as error:
        raise ValueError(f'no model "{name}", neither a folder here nor one that ships; {error}') from error
    if not (folder / CONFIG).is_file():
        raise ValueError(f"{name} on the Hugging Face Hub is no model of Gato: it has no {CONFIG}")
    return folder
