"""How an expert that follows commands, or one of them for good, is shown a body: from its heading, and from that side
from which the command looks simplest.

In: a skill that is a command, what the body senses, what is asked for. Out: `Views`. An ant told to go to the left
is, relabelled, an ant told to go ahead, and every turn to the right is the mirror image of one to the left: what is
learned in one direction is known in all.
"""

from __future__ import annotations

import numpy as np

from gato.skills.bodies import get_body
from gato.skills.bodies.symmetry import SignedPermutation, Symmetry
from gato.skills.skill import Skill
from gato.specs import COMMANDS

LEFT_AND_RIGHT = ("lateral_speed", "yaw_rate")
"""Commands that change sign in the mirror."""
FORWARD, LEFT, YAW = (COMMANDS.index(name) for name in ("forward_speed", "lateral_speed", "yaw_rate"))
_MIRRORED = SignedPermutation(np.arange(3), np.array([1.0, -1.0, -1.0]))
"""(forward, left, yaw)"""
_QUARTER = SignedPermutation(np.array([1, 0, 2]), np.array([1.0, -1.0, 1.0]))
"""As who looks to the left says it: what was left is ahead."""


class Views:
    """Of all sides a body can be looked at from, the one its expert sees: told to turn left, and to go ahead."""

    def __init__(self, skill: Skill) -> None:
        body = get_body(skill.body)
        turns = any(skill.command.get(name, (0.0, 0.0)) != (0.0, 0.0) for name in LEFT_AND_RIGHT)
        self.from_heading = body.from_heading
        self.has_mirror = body.mirror is not None and turns
        self.num_quarters = 4 if body.quarter_turn is not None else 1
        same = Symmetry(*(_identity(len(elements)) for elements in (body.spec.observation, body.spec.action)))
        images = [(same, _identity(3))]
        if self.has_mirror:
            assert body.mirror is not None
            images.append((body.mirror, _MIRRORED))
        for _ in range(self.num_quarters - 1):
            assert body.quarter_turn is not None
            images += [
                (body.quarter_turn.after(image), _QUARTER.after(command))
                for image, command in images[-1 - self.has_mirror :]
            ]
        self.observations = _stacked([image.observation for image, _ in images])
        self.commands = _stacked([command for _, command in images])
        self.undoing = _stacked([image.action.inverse() for image, _ in images])

    @property
    def changes_nothing(self) -> bool:
        """Whether there is one side only, and it shows the body as it is."""
        return self.from_heading is None and len(self.observations.order_N) == 1

    def choose(self, command_BC: np.ndarray) -> np.ndarray:
        """(B,) int: from which side each body is looked at."""
        told_BC = np.nan_to_num(command_BC)
        is_mirrored_B = (told_BC[:, YAW] < 0) & self.has_mirror
        left_B = np.where(is_mirrored_B, -told_BC[:, LEFT], told_BC[:, LEFT])
        quarter_B = np.round(np.arctan2(left_B, told_BC[:, FORWARD]) / (np.pi / 2)).astype(np.int64) % self.num_quarters
        return quarter_B * (1 + self.has_mirror) + is_mirrored_B

    def show(self, observations_BO: np.ndarray, command_BC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Observations (B, O) and commands (B, C) from the chosen side."""
        seen_BO = observations_BO if self.from_heading is None else self.from_heading(observations_BO)
        side_B = self.choose(command_BC)
        return _each(self.observations, side_B, seen_BO), _each(self.commands, side_B, command_BC)

    def tell(self, command_BC: np.ndarray) -> np.ndarray:
        """Commands (B, C) from the chosen side."""
        return _each(self.commands, self.choose(command_BC), command_BC)

    def undo(self, actions_BA: np.ndarray, command_BC: np.ndarray) -> np.ndarray:
        """Actions (B, A) of who was shown that, as the body itself calls them; their dtype stays."""
        return _each(self.undoing, self.choose(command_BC), actions_BA).astype(actions_BA.dtype)


def _identity(size: int) -> SignedPermutation:
    return SignedPermutation(np.arange(size), np.ones(size, np.float32))


def _stacked(images: list[SignedPermutation]) -> SignedPermutation:
    """One a row."""
    return SignedPermutation(*(np.stack([getattr(image, name) for image in images]) for name in ("order_N", "sign_N")))


def _each(images: SignedPermutation, which_B: np.ndarray, values_BN: np.ndarray) -> np.ndarray:
    """Every row's own image."""
    if len(images.order_N) == 1:
        return values_BN
    return np.take_along_axis(values_BN, images.order_N[which_B], axis=1) * images.sign_N[which_B]
