"""Small videos of prompted episodes: what was said, and what the body did, as a picture with its figures.

In: rollouts. Out: mp4 files, replayed from the seed and the executed actions, in simulated time.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
from gymnasium.envs.registration import EnvSpec
from PIL import Image, ImageDraw, ImageFont

from gato.progress import Progress
from gato.rollout.prompted import Rollout
from gato.skills.bodies import BODIES
from gato.skills.environment import make_env
from gato.skills.plan import AVERAGE
from gato.skills.render import find_renderer, frames
from gato.skills.stepper import find_env_spec
from gato.skills.table import get_skill

SECONDS = 8.0
"""Simulated time a video shows at most, but of a plan or a task, which is shown whole."""
MOST_FPS = 32
"""More frames a second than this are left out."""
FONT_SIZE = 15
BAND = 22
"""Pixels of the strips for words, above and below."""
ENCODING = ["-crf", "30", "-preset", "fast", "-movflags", "+faststart"]
"""Of libx264: small enough to stand in a page, and shown before it is loaded whole."""

log = logging.getLogger(__name__)


def write_videos(
    rollouts: Mapping[str, Sequence[Rollout]], folder: Path, count: int, *, env_spec: EnvSpec | None = None
) -> tuple[Path, ...]:
    """`count` episodes of each prompt and body: `<folder>/<body>-<prompt>-<n>.mp4`; a plan's are named after its parts.

    `env_spec` is the environment of episodes that belong to no skill. Without a renderer: a warning, and no files.
    """
    if find_renderer() is None:
        log.warning("no video: neither EGL nor OSMesa works here (Debian: apt-get install libosmesa6)")
        return ()
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [(body, one) for body, own in rollouts.items() for one in _first_of_each_prompt(own, count)]
    written: list[Path] = []
    with Progress(len(chosen), "videos", "drawing") as progress:
        for body, rollout in chosen:
            stem = f"{body}-{_slug(rollout.request.said)}"
            number = sum(path.stem.rpartition("-")[0] == stem for path in written)
            written.append(folder / f"{stem}-{number}.mp4")
            write_video(rollout, written[-1], body=body, env_spec=env_spec)
            progress.update()
    return tuple(written)


def write_video(rollout: Rollout, path: Path, *, body: str, env_spec: EnvSpec | None = None) -> None:
    """One episode's first `SECONDS` of simulated time. RuntimeError where nothing can be drawn."""
    env_spec = find_env_spec(rollout.request.skill) if rollout.request.skill else env_spec
    if env_spec is None:
        raise ValueError(f"the episode of {body} belongs to no skill; say which environment it ran in")
    dt = BODIES[body].dt if body in BODIES else _step_seconds(env_spec)
    every = max(round(1 / dt / MOST_FPS), 1)
    partial = path.with_name(f".{path.name}.part.mp4")
    try:
        writer: Any = imageio.get_writer(
            partial, fps=1 / (dt * every), codec="libx264", quality=None, macro_block_size=2, output_params=ENCODING
        )
        with writer as film:
            for picture in _captioned(rollout, env_spec, dt, every):
                film.append_data(picture)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _captioned(rollout: Rollout, env_spec: EnvSpec, dt: float, every: int) -> Iterator[np.ndarray]:
    """Pictures with the newest prompt above, and below the time and the skill's reading."""
    font = ImageFont.load_default(size=FONT_SIZE)
    is_whole = rollout.request.plan or rollout.request.decided
    actions_TA = rollout.actions_TA if is_whole else rollout.actions_TA[: round(SECONDS / dt)]
    for index, picture in enumerate(frames(env_spec, rollout.request.seed, actions_TA, every=every)):
        step = index * every
        height, width = picture.shape[:2]
        framed = np.zeros((height + height % 2 + 2 * BAND, width + width % 2, 3), np.uint8)
        framed[BAND : BAND + height, :width] = picture
        image = Image.fromarray(framed)
        draw = ImageDraw.Draw(image)
        draw.text((6, 2), f'"{rollout.stage_at(step).prompt}"', font=font, fill="white")
        draw.text((6, height + BAND + 2), f"{step * dt:4.1f} s", font=font, fill="white")
        draw.text((width - 6, height + BAND + 2), _reading_at(rollout, step, dt), font=font, fill="white", anchor="ra")
        yield np.asarray(image)


def _reading_at(rollout: Rollout, step: int, dt: float) -> str:
    """The moving average of the skill's reading until this step, with its unit; "" before the first step."""
    if not rollout.request.skill or step == 0:
        return ""
    skill = get_skill(rollout.stage_at(step).skill)
    unit = BODIES[skill.body].readings[skill.reading].unit
    recent = rollout.outcome.readings[skill.reading][max(step - round(AVERAGE / dt), 0) : step]
    return f"{skill.reading.replace('_', ' ')} {recent.mean():+.1f} {unit}"


def _first_of_each_prompt(rollouts: Sequence[Rollout], count: int) -> list[Rollout]:
    by_prompt: dict[str, list[Rollout]] = {}
    for rollout in rollouts:
        by_prompt.setdefault(rollout.request.said, []).append(rollout)
    return [rollout for own in by_prompt.values() for rollout in own[:count]]


def _slug(prompt: str) -> str:
    """The prompt as a file name: letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", prompt.lower())[:40].strip("-") or "no-words"


def _step_seconds(env_spec: EnvSpec) -> float:
    """Of an environment that Gato does not know: by the frame rate that it states, else 30."""
    env = make_env(env_spec)
    try:
        return 1 / float(env.metadata.get("render_fps", 30))
    finally:
        env.close()
