"""Strips of frames: how an expert looks in its first seconds.

In: names of shipped experts and their skills. Out: a JPEG each, its frames side by side.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from gato.experts.policy import Policy
from gato.experts.shipped import SHIPPED
from gato.skills.bodies import get_body
from gato.skills.evaluate import run_episodes
from gato.skills.render import find_renderer, frames
from gato.skills.stepper import find_env_spec, make_stepper
from gato.skills.table import get_skill

SECONDS = 3.0
"""Simulated time that a strip shows at most."""
FRAMES = 6
WIDTH, HEIGHT = 192, 144
"""Pixels of a frame."""
QUALITY = 80
"""Of JPEG: about 25 kB a strip."""
SEED = 0
"""The episode that is shown: the first that is measured."""

log = logging.getLogger(__name__)


class Remembering:
    """A policy whose actions are kept."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.actions: list[np.ndarray] = []

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """The policy's actions (1, A)."""
        self.actions.append(self.policy(observations_BO))
        return self.actions[-1]


def strip_name(name: str) -> str:
    """The file of an expert's strip."""
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()) + ".jpg"


def write_strips(experts: Mapping[str, str], folder: Path) -> None:
    """Draw every expert (name -> skill); without a renderer a warning, and pictures stay as they are."""
    if find_renderer() is None:
        log.warning("no strips of frames: neither EGL nor OSMesa works here (Debian: apt-get install libosmesa6)")
        return
    for name, skill in experts.items():
        actor = Remembering(Policy.load(SHIPPED / name))
        run_episodes(actor, make_stepper(skill, 1), [SEED])
        dt = get_body(get_skill(skill).body).dt
        every = max(1, min(round(SECONDS / dt), len(actor.actions)) // (FRAMES - 1))
        actions_TA = np.concatenate(actor.actions)[: every * (FRAMES - 1)]
        pictures = list(frames(find_env_spec(skill), SEED, actions_TA, every=every, width=WIDTH, height=HEIGHT))
        Image.fromarray(np.concatenate(pictures, axis=1)).save(folder / strip_name(name), quality=QUALITY)
