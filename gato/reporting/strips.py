"""Strips of frames: how an expert looks in its first seconds.

In: names, each with a skill and who acts. Out: a JPEG each, its frames side by side.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from gato.skills.bodies import get_body
from gato.skills.evaluate import Actor, run_episodes
from gato.skills.render import find_renderer, frames
from gato.skills.stepper import Stepper, find_env_spec, make_stepper
from gato.skills.table import get_skill

SECONDS = 3.0
"""Simulated time that a strip shows at most."""
FRAMES = 6
WIDTH, HEIGHT = 192, 144
"""Pixels of a frame."""
QUALITY = 50
"""Of JPEG: about 17 kB a strip."""
SEED = 0
"""The episode that is shown: the first that is measured."""

log = logging.getLogger(__name__)


class Remembering:
    """An actor whose actions are kept."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.actions: list[np.ndarray] = []

    def watch(self, stepper: Stepper) -> None:
        """Passed on to who must know more than observations."""
        if hasattr(self.actor, "watch"):
            self.actor.watch(stepper)

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """The actor's actions (1, A)."""
        self.actions.append(np.asarray(self.actor(observations_BO), np.float32))
        return self.actions[-1]


def strip_name(name: str) -> str:
    """The file of an expert's strip."""
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()) + ".jpg"


def write_strips(shown: Mapping[str, tuple[str, Actor]], folder: Path) -> None:
    """Draw every name (-> skill, actor); without a renderer a warning, and pictures stay as they are."""
    if find_renderer() is None:
        log.warning("no strips of frames: neither EGL nor OSMesa works here (Debian: apt-get install libosmesa6)")
        return
    for name, (skill, who) in shown.items():
        actor = Remembering(who)
        run_episodes(actor, make_stepper(skill, 1), [SEED])
        dt = get_body(get_skill(skill).body).dt
        every = max(1, min(round(SECONDS / dt), len(actor.actions)) // (FRAMES - 1))
        actions_TA = np.concatenate(actor.actions)[: every * (FRAMES - 1)]
        pictures = list(frames(find_env_spec(skill), SEED, actions_TA, every=every, width=WIDTH, height=HEIGHT))
        Image.fromarray(np.concatenate(pictures, axis=1)).save(
            folder / strip_name(name), quality=QUALITY, optimize=True
        )
