"""Small pictures of a recorded episode, drawn anew from its seed and its actions; or why there are none.

In: a dataset and one of its episodes. Out: `Pictures`. Minari keeps no pictures, so an environment has to be here.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass

import minari
from PIL import Image

from gato.data.check import differences_of
from gato.data.minari_io import Dataset
from gato.skills.render import find_renderer, frames
from gato.specs import Episode

WIDTH, HEIGHT = 240, 180
"""Pixels of a picture, at most."""
QUALITY = 45
"""Of WebP, in per cent: some 4 kB a picture."""

log = logging.getLogger("gato")


@dataclass(frozen=True, repr=False)
class Pictures:
    """Of an episode, or none of it."""

    webp: tuple[bytes, ...] = ()
    """One for step 0 and each `every`-th step after it."""
    note: str = ""
    """Why there are none, or from where on they may show something else than was recorded."""

    def __repr__(self) -> str:
        return f"Pictures({len(self.webp)}, {self.note!r})"


def draw(dataset: Dataset, episode: Episode, *, every: int, on_picture: Callable[[], None]) -> Pictures:
    """Replay the episode, and draw every so many steps. Nothing that can go wrong there is an error here."""
    if dataset.env_spec is None:
        return Pictures(note="No pictures: the dataset stores no environment.")
    if episode.seed is None:
        return Pictures(note="No pictures: the episode stores no seed, so how it began is not known.")
    if find_renderer() is None:
        return Pictures(note="No pictures: neither EGL nor OSMesa works here (Debian: apt-get install libosmesa6).")
    try:
        note = _difference(dataset, episode)
        drawn = []
        for picture in frames(dataset.env_spec, episode.seed, episode.actions, every=every, width=WIDTH, height=HEIGHT):
            image, stored = Image.fromarray(picture), io.BytesIO()
            image.thumbnail((WIDTH, HEIGHT))
            image.save(stored, "WEBP", quality=QUALITY)
            drawn.append(stored.getvalue())
            on_picture()
    except Exception as error:  # the environment may be anybody's, and fail in any way; the plots are there without it
        told = (str(error).splitlines() or [""])[0]
        log.warning("%s: no pictures (%s: %s)", dataset.id, type(error).__name__, told)
        return Pictures(note=f"No pictures: {dataset.env_spec.id} cannot be drawn here ({told}).")
    return Pictures(tuple(drawn), note)


def _difference(dataset: Dataset, episode: Episode) -> str:
    """Whether the environment of today does again what was recorded."""
    environment = minari.MinariDataset(dataset.folder / "data").recover_environment()
    try:
        difference = next(differences_of(environment, dataset, episode), None)
    finally:
        environment.close()
    return (
        f"Replayed, but not as it was recorded, {difference}; pictures from there on may differ." if difference else ""
    )
