"""Batches as training sees them, without datasets or a simulator: random numbers of known bodies.

In: a layout and a number of rows. Out: a codec that knows the bodies, and `specs.Rows` of it. Windows are short, shown,
commanded and prompted as often as `data.mixture` makes them so; only what the numbers say is noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gato.model.config import ModelConfig
from gato.sequences import Layout, build_rows, existing_positions, step_layout
from gato.skills.bodies import BODIES, get_body
from gato.specs import COMMANDS, BodySpec, Element, Rows, Windows
from gato.tokens.codec import Codec

SHORT_SHARE = 0.25
"""Windows of 1..T steps, as in `gato.data.mixture`."""
COMMAND_SHARE, SHOWN_SHARE, SILENT_SHARE = 0.05, 0.05, 0.05
"""Rows with a command, bodies of a batch with demonstrations, rows without words; as in configs/small.yaml."""
PROMPTS = (
    "run forward",
    "run backward as fast as you can",
    "stand still",
    "walk to the left",
    "hop in place",
    "balance",
)


def make_codec(bodies: Sequence[str] = tuple(BODIES)) -> Codec:
    """Knows these bodies, with mean 0 and deviation 1."""
    codec = Codec()
    for name in bodies:
        spec = get_body(name).spec
        codec.add_body(spec, np.zeros(len(spec.observation)), np.ones(len(spec.observation)))
    return codec


def make_batch(codec: Codec, layout: Layout, num_rows: int, *, seed: int = 0) -> list[Rows]:
    """`num_rows` rows, shared out evenly over the codec's bodies."""
    rng = np.random.default_rng(seed)
    share, rest = divmod(num_rows, len(codec.bodies))
    counts = [share + (index < rest) for index in range(len(codec.bodies))]
    return [
        build_rows(codec, _windows(body.spec, count, layout, rng), layout)
        for body, count in zip(codec.bodies.values(), counts, strict=True)
        if count
    ]


def _windows(spec: BodySpec, rows: int, layout: Layout, rng: np.random.Generator) -> Windows:
    steps = layout.window_steps
    shown = layout.demonstration_steps if rng.random() < SHOWN_SHARE else 0
    length_B = np.where(rng.random(rows) < SHORT_SHARE, rng.integers(1, steps + 1, rows), steps)
    is_step_BT = np.arange(steps) < length_B[:, None]
    command_BC = rng.normal(size=(rows, len(COMMANDS))).astype(np.float32)
    command_BC[rng.random(rows) >= COMMAND_SHARE] = np.nan
    words = np.where(rng.random(rows) < SILENT_SHARE, "", rng.choice(PROMPTS, rows))
    actions_BTA = _draw(spec.action, (rows, steps), rng)
    return Windows(
        body=spec.name,
        observations_BTO=_draw(spec.observation, (rows, steps), rng),
        actions_BTA=actions_BTA,
        targets_BTA=actions_BTA,
        step_mask_BT=is_step_BT,
        loss_mask_BT=is_step_BT,
        prompts=tuple(map(str, words)),
        command_BC=command_BC,
        demonstration_BNO=_draw(spec.observation, (rows, shown), rng),
        demonstration_BNA=_draw(spec.action, (rows, shown), rng),
        demonstration_mask_BN=np.ones((rows, shown), bool),
        returns_BT=np.full((rows, steps), np.nan, np.float32),
    )


def _draw(elements: tuple[Element, ...], shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Float32 (..., E): uniform in the box where there is one, else standard normal."""
    columns = [
        rng.uniform(one.low, one.high, shape) if np.isfinite([one.low, one.high]).all() else rng.normal(size=shape)
        for one in elements
    ]
    return np.stack(columns, -1).astype(np.float32)


def num_existing(config: ModelConfig, batch: Sequence[Rows]) -> int:
    """Positions that are no padding."""
    return sum(int(existing_positions(rows, config.layout, get_body(rows.body).spec).sum()) for rows in batch)


def num_read(config: ModelConfig, batch: Sequence[Rows]) -> int:
    """Positions at which an action that counts is predicted."""
    return sum(
        int((rows.loss_mask_BT & rows.step_mask_BT).sum())
        * step_layout(config.layout, get_body(rows.body).spec).action_groups
        for rows in batch
    )


def num_tokens(batch: Sequence[Rows]) -> int:
    """Text ids and numbers of the steps that exist: tokens as Gato counts them, several to a position."""
    total = 0
    for rows in batch:
        steps = int(rows.step_mask_BT.sum()) + int(rows.demonstration_mask_BN.sum())
        numbers = rows.observation_BTO.shape[2] + rows.action_BTA.shape[2]
        total += int((rows.text_BP >= 0).sum()) + int((rows.command_BC >= 0).sum()) + steps * numbers
    return total
