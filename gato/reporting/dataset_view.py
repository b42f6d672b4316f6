"""Episodes of a Minari dataset to scroll through: pictures beside all its numbers, and the tokens that a model reads.

In: a dataset id, ours or anybody's. Out: one HTML file with everything in it; view.js beside this module moves it.
"""

from __future__ import annotations

import base64
import html
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gato.data.cache import know_body, open_cache
from gato.data.check import clip_episode
from gato.data.minari_io import Dataset, episodes, open_dataset
from gato.model.find import find_model
from gato.progress import Progress
from gato.reporting.page import document
from gato.reporting.pictures import draw
from gato.reporting.sections import footer
from gato.runs import write_atomic
from gato.skills.bodies import BODIES
from gato.specs import BodySpec, Episode
from gato.tokens.codec import Codec
from gato.tokens.vector import VectorCodec

ASSETS = Path(__file__).parent
IDS = np.uint16
"""Of tokens in the page: the one id space is smaller than 65,536."""

log = logging.getLogger("gato")


@dataclass(frozen=True)
class Reader:
    """Whose tokens are shown."""

    codec: Codec
    name: str


def write_view(dataset_id: str, *, out: str | Path, num_episodes: int = 4, every: int = 2, model: str = "") -> Path:
    """Write the page; its path.

    Episodes are spread over the dataset; a picture each `every` steps; tokens as `model` makes them, by default by the
    statistics of this dataset alone. ValueError: no such dataset, numbers in it that are not finite, a model that does
    not know the body.
    """
    target = Path(out)
    if target.suffix != ".html":
        raise ValueError(f"--out is {out}; it is the page to write, such as {target.name or 'view'}.html")
    if num_episodes < 1 or every < 1:
        raise ValueError(f"--episodes is {num_episodes} and --every {every}; both are at least 1")
    dataset = open_dataset(dataset_id)
    reader = _reader(dataset, model)
    indices = sorted({int(index) for index in np.linspace(0, dataset.num_episodes - 1, num_episodes)})
    chosen = dict(zip(indices, episodes(dataset, indices), strict=True))
    pictures = sum(len(episode.rewards) // every + 1 for episode in chosen.values())
    with Progress(pictures, "pictures", "drawing") as progress:
        told = [
            _episode(dataset, reader, index, episode, every=every, progress=progress)
            for index, episode in chosen.items()
        ]
    content = {**_facts(dataset, reader), "every": every, "episodes": told}
    # "<" could end the element that holds it.
    text = json.dumps(content).replace("<", "\\u003c")
    body = (
        f"{BODY}<script type='application/json' id='data'>{text}</script>"
        f"<script>{(ASSETS / 'view.js').read_text(encoding='utf-8')}</script>"
    )
    style = (ASSETS / "view.css").read_text(encoding="utf-8")
    write_atomic(target, document(dataset.id, _lead(dataset, reader, indices), body, footer(), style=style).encode())
    log.info("%s: %d episodes, %.1f MB", target, len(told), target.stat().st_size / 1e6)
    return target


BODY = """
<noscript><p>The page needs JavaScript, all of which is in it.</p></noscript>
<div id="controls" role="group" aria-label="Where in the dataset">
<label>episode <select id="episode"></select></label>
<button id="play" type="button">play</button>
<input id="step" type="range" min="0" value="0" aria-label="control step">
<button id="clipped" type="button">next clipped value</button>
</div>
<div id="view">
<div id="now"><img id="picture" alt=""><p id="note"></p><dl id="facts"></dl></div>
<div id="plots"></div>
</div>
"""


def _reader(dataset: Dataset, model: str) -> Reader:
    if not model:
        codec = Codec()
        know_body(codec, [open_cache(dataset, clip_actions=True)])
        return Reader(codec, "the statistics of this dataset alone")
    codec = Codec.load(find_model(model))
    codec.check_body(dataset.spec)
    return Reader(codec, f"the statistics in {model}")


def _lead(dataset: Dataset, reader: Reader, indices: list[int]) -> str:
    about = f"{html.escape(dataset.description.rstrip('.'))}. " if dataset.description else ""
    return (
        f"<p>{about}{len(indices)} of {dataset.num_episodes:,} episodes of {html.escape(dataset.spec.name)}, "
        f"{dataset.num_steps:,} control steps in all. Beside each number stand its value at the cursor and the token "
        f"that it becomes by {html.escape(reader.name)}. <b class='bad'>Red</b>: clipped, to the last "
        "of its bins (observations) or into the box (actions). Drag over a plot, or use the slider's arrow keys.</p>"
    )


def _facts(dataset: Dataset, reader: Reader) -> dict[str, Any]:
    """What holds for every episode."""
    body = BODIES.get(dataset.spec.name)
    words = [phrases[0] if phrases else "" for phrases in dataset.prompts]
    assert reader.codec.ranges.vocabulary_size <= np.iinfo(IDS).max
    return {
        "dt": body.dt if body else None,
        "observation": [element.name for element in dataset.spec.observation],
        "action": [element.name for element in dataset.spec.action],
        "prompts": [{"words": one, "ids": reader.codec.encode_text(one)} for one in words],
        "skills": list(dataset.skills),
        "units": {name: reading.unit for name, reading in body.readings.items()} if body else {},
    }


def _episode(
    dataset: Dataset, reader: Reader, index: int, episode: Episode, *, every: int, progress: Progress
) -> dict[str, Any]:
    body = reader.codec.body(dataset.spec.name)
    where = f"{dataset.id} episode {index}"
    inside = clip_episode(dataset.spec, episode)
    has_targets = not np.array_equal(episode.actions, episode.expert_actions)
    pictures = draw(dataset, episode, every=every, on_picture=progress.update)
    return {
        "index": index,
        "seed": episode.seed,
        "noise": dataset.noise[index] if index < len(dataset.noise) else None,
        "end": "terminated" if episode.terminations[-1] else "cut" if episode.truncations[-1] else "still going",
        "pictures": [base64.b64encode(one).decode() for one in pictures.webp],
        "note": pictures.note,
        "observation": _vectors(body.observation, episode.observations, episode.observations, where)
        | {"clipped": _bits(body.observation.outside(episode.observations))},
        "action": _vectors(body.action, episode.actions, inside.actions, where)
        | {"clipped": _bits(outside_box(dataset.spec, body.action, episode.actions))},
        "targets": _pack(episode.expert_actions, np.float32) if has_targets else None,
        "rewards": _pack(episode.rewards, np.float32),
        "readings": {name: _pack(values, np.float32) for name, values in episode.readings.items()},
        "prompts": _pack(episode.prompt_ids, IDS),
    }


def outside_box(spec: BodySpec, codec: VectorCodec, actions_TA: np.ndarray) -> np.ndarray:
    """(T, A) bool: numbers outside the box; where an element has none, outside the bins that stand for it."""
    is_open_A = ~np.isfinite(spec.action_high - spec.action_low)
    is_outside_TA = (actions_TA < spec.action_low) | (actions_TA > spec.action_high)
    return is_outside_TA | (codec.outside(actions_TA) & is_open_A)


def _vectors(codec: VectorCodec, stored: np.ndarray, inside: np.ndarray, where: str) -> dict[str, str]:
    """Values as they are stored, and the tokens of what is inside the space."""
    return {"values": _pack(stored, np.float32), "ids": _pack(codec.encode(inside, where=where)[0], IDS)}


def _bits(mask: np.ndarray) -> str:
    return base64.b64encode(np.packbits(mask).tobytes()).decode()


def _pack(values: np.ndarray, dtype: type[np.generic]) -> str:
    """Little-endian, as browsers have them."""
    return base64.b64encode(np.asarray(values, np.dtype(dtype).newbyteorder("<")).tobytes()).decode()
