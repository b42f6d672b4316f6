"""Episodes become rows: the order of modalities, the prompt, the targets and what may be seen.

In: raw windows of one body (`specs.Windows`) and the codec. Out: token ids (`specs.Rows`), and for each position of
a row where it sits (rotary position) and whether it exists. Training and rollout both build rows here.

A row is `[text P][command 0|1][demonstration N steps][steps T]`; a step is
`[observation groups][separator?][action groups]`. Discrete groups come before continuous ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gato.specs import BodySpec, Rows, Windows
from gato.tokens.codec import Codec


@dataclass(frozen=True)
class Layout:
    """How a row is laid out; fixed when a model is built and saved inside it."""

    prompt_positions: int = 10
    """P: text ids a prompt may have; longer ones are cut, shorter ones padded."""
    window_steps: int = 16
    """T: control steps a row holds at most, and the context of a rollout."""
    demonstration_steps: int = 8
    """N: control steps of a demonstration prompt."""
    group_size: int = 0
    """Numbers of one modality and step that share a position; 0 for all of them, 1 for the paper's layout."""
    separator: bool = False
    """Whether a separator stands between observation and action, as in the paper."""

    def __post_init__(self) -> None:
        too_small = {
            name: value
            for name, value, least in (
                ("prompt_positions", self.prompt_positions, 1),
                ("window_steps", self.window_steps, 2),
                ("demonstration_steps", self.demonstration_steps, 0),
                ("group_size", self.group_size, 0),
            )
            if value < least
        }
        if too_small:
            raise ValueError(f"layout has {too_small}; at least 1 prompt position, 2 window steps, 0 of the others")


@dataclass(frozen=True)
class StepLayout:
    """Positions of one control step of one body."""

    discrete_observations: int
    observation_groups: int
    discrete_actions: int
    action_groups: int
    separator: bool

    @property
    def positions(self) -> int:
        """Positions a step takes."""
        return self.observation_groups + self.separator + self.action_groups

    @property
    def readout(self) -> int:
        """Position inside a step at which the first action group is predicted; the others follow one by one."""
        return self.observation_groups - 1 + self.separator


def group_slices(kinds: Sequence[str], group_size: int) -> list[slice]:
    """Cut elements (discrete first) into groups of one kind each, `group_size` long at most (0: no limit)."""
    num_discrete = kinds.count("discrete")
    slices = []
    for start, stop in ((0, num_discrete), (num_discrete, len(kinds))):
        size = group_size or max(stop - start, 1)
        slices += [slice(begin, min(begin + size, stop)) for begin in range(start, stop, size)]
    return slices


def step_layout(layout: Layout, spec: BodySpec) -> StepLayout:
    """Positions of one step of this body under this layout."""
    observation = [element.kind for element in spec.observation]
    action = [element.kind for element in spec.action]
    return StepLayout(
        discrete_observations=len(group_slices(["discrete"] * observation.count("discrete"), layout.group_size)),
        observation_groups=len(group_slices(observation, layout.group_size)),
        discrete_actions=len(group_slices(["discrete"] * action.count("discrete"), layout.group_size)),
        action_groups=len(group_slices(action, layout.group_size)),
        separator=layout.separator,
    )


def build_rows(codec: Codec, windows: Windows, layout: Layout) -> Rows:
    """Token ids of a batch of windows of one body. Command and demonstration regions nobody uses have no columns."""
    body = windows.body
    steps, shown = windows.step_mask_BT.shape[1], windows.demonstration_mask_BN.shape[1]
    if steps > layout.window_steps or shown > layout.demonstration_steps:
        raise ValueError(
            f"windows of {body} hold {steps} steps and {shown} demonstration steps; the layout has room for "
            f"{layout.window_steps} and {layout.demonstration_steps}: cut them, or train with a longer layout"
        )
    command_BC = codec.encode_command(windows.command_BC)
    num_commands = command_BC.shape[1] if (command_BC >= 0).any() else 0
    return_BT = codec.encode_returns(windows.returns_BT)
    num_told = steps if (return_BT >= 0).any() else 0
    num_shown = windows.demonstration_mask_BN.shape[1] if windows.demonstration_mask_BN.any() else 0
    shown_BN, steps_BT = windows.demonstration_mask_BN[:, :num_shown], windows.step_mask_BT
    return Rows(
        body=body,
        text_BP=encode_prompts(codec, windows.prompts, layout),
        command_BC=command_BC[:, :num_commands],
        demonstration_BNO=codec.encode_observation(body, windows.demonstration_BNO[:, :num_shown], mask=shown_BN),
        demonstration_BNA=codec.encode_action(body, windows.demonstration_BNA[:, :num_shown], mask=shown_BN),
        demonstration_mask_BN=shown_BN,
        observation_BTO=codec.encode_observation(body, windows.observations_BTO, mask=steps_BT),
        action_BTA=codec.encode_action(body, windows.actions_BTA, mask=steps_BT),
        target_BTA=codec.encode_action(body, windows.targets_BTA, mask=steps_BT),
        step_mask_BT=windows.step_mask_BT,
        loss_mask_BT=windows.loss_mask_BT,
        return_BT=return_BT[:, :num_told],
    )


def encode_prompts(codec: Codec, prompts: Sequence[str], layout: Layout) -> np.ndarray:
    """(B, P) text ids of the prompts, cut to P, padded with -1."""
    text_BP = np.full((len(prompts), layout.prompt_positions), -1, np.int64)
    for row, prompt in enumerate(prompts):
        ids = codec.encode_text(prompt)[: layout.prompt_positions]
        text_BP[row, : len(ids)] = ids
    return text_BP


def existing_positions(rows: Rows, layout: Layout, spec: BodySpec) -> np.ndarray:
    """(B, S) bool: which positions of the row exist; the others are never looked at."""
    num_positions = step_layout(layout, spec).positions
    parts = [
        rows.text_BP >= 0,
        np.any(rows.command_BC >= 0, axis=1, keepdims=True)[:, : min(rows.command_BC.shape[1], 1)],
        np.repeat(rows.demonstration_mask_BN, num_positions, axis=1),
        np.repeat(rows.step_mask_BT, num_positions, axis=1),
    ]
    return np.concatenate(parts, axis=1)


def rotary_positions(rows: Rows, layout: Layout, spec: BodySpec) -> np.ndarray:
    """(S,) where each position sits. Each region has its own range, so a prompt's length shifts nothing."""
    num_positions = step_layout(layout, spec).positions
    command_start = layout.prompt_positions
    shown = rows.demonstration_mask_BN.shape[1] * num_positions
    steps_start = command_start + 1 + layout.demonstration_steps * num_positions
    return np.concatenate(
        [
            np.arange(layout.prompt_positions),
            command_start + np.arange(min(rows.command_BC.shape[1], 1)),
            command_start + 1 + np.arange(shown),
            steps_start + np.arange(rows.step_mask_BT.shape[1] * num_positions),
        ]
    )


def visible(existing_BS: np.ndarray) -> np.ndarray:
    """(B, S, S) bool, [query, key]: existing keys up to the query, and the query itself, so that none sees nothing."""
    length = existing_BS.shape[1]
    causal_SS, itself_SS = np.tri(length, dtype=bool), np.eye(length, dtype=bool)
    return np.logical_or(causal_SS & existing_BS[:, None, :], itself_SS)
