"""The words of every skill: phrases to train with, phrases kept back for the test, and typing mistakes.

A phrase is an action ("run {}") with a way ("forward"), bare or decorated with a manner or a politeness. Every action
of a body's skills goes with either direction wherever that is a sensible request, so that the direction decides.
The test split holds combinations that training never sees, of words that it does see.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gato.specs import near_match

FORWARD = (
    "forward",
    "forwards",
    "ahead",
    "straight ahead",
    "onward",
    "to the front",
    "in the forward direction",
    "frontwards",
    "onwards",
    "straight forward",
)
BACKWARD = (
    "backward",
    "backwards",
    "in reverse",
    "back",
    "rearward",
    "to the rear",
    "in the backward direction",
    "rearwards",
    "to the back",
    "straight back",
)
ALONG_THE_TRACK = (
    "along the track",
    "down the track",
    "along the line",
    "down the line",
    "along the path",
    "down the path",
    "straight along the track",
    "straight down the track",
    "along the running track",
    "following the line",
)
"""Where bodies that can turn are paid for one direction of the world, whatever is forward to them."""
NEUTRAL = ("go {}", "move {}", "travel {}", "head {}")
"""Actions that say nothing but to move: on every walking body, in both directions."""
MANNERS = (
    "quickly",
    "now",
    "steadily",
    "fast",
    "without stopping",
    "smoothly",
    "without falling",
    "as fast as you can",
    "right away",
    "and keep going",
    "all the way",
    "at full speed",
)
SWIMMING_MANNERS = tuple(manner for manner in MANNERS if manner != "without falling")
CALM_MANNERS = ("now", "steadily", "smoothly", "without stopping", "right away", "all the time", "carefully", "well")
POLITENESS = (
    "please {}",
    "{} please",
    "can you {}",
    "now {}",
    "i want you to {}",
    "could you {}",
    "try to {}",
    "robot {}",
    "let us {}",
    "your task is to {}",
    "start to {}",
    "just {}",
    "you should {}",
    "ok {}",
)
ADVANCE = ("forward", "forwards", "ahead", "advance", "go on ahead", "full speed ahead", "forward please")
KEEP_TO_THE_TRACK = (
    "follow the track",
    "follow the line",
    "track run",
    "run the track",
    "take the path",
    "run the line",
)
BALANCE = (
    "balance {}",
    "keep {} upright",
    "hold {} up",
    "stabilize {}",
    "keep {} from falling",
    "steady {}",
    "keep {} balanced",
    "hold {} upright",
    "stop {} from falling",
)
STAY_BALANCED = ("balance", "stay balanced", "stay upright", "stand still", "keep your balance", "do not fall")
RETREAT = ("backward", "backwards", "reverse", "retreat", "back up", "in reverse please", "go into reverse")
"""Whole phrases that name the direction alone."""


@dataclass(frozen=True)
class Wording:
    """The table of one skill; its first action with its first way is the canonical prompt."""

    actions: tuple[str, ...]
    ways: tuple[str, ...]
    alone: tuple[str, ...] = ()
    manners: tuple[str, ...] = MANNERS

    def core(self, action: int, way: int) -> str:
        """One action with one way."""
        return self.actions[action].format(self.ways[way])


WORDINGS: dict[str, Wording] = {
    "half-cheetah/run-forward": Wording(
        ("run {}", "sprint {}", "race {}", "gallop {}", "dash {}", *NEUTRAL), FORWARD, (*ADVANCE, "forward run")
    ),
    "half-cheetah/run-backward": Wording(
        ("run {}", "sprint {}", "race {}", "gallop {}", "dash {}", *NEUTRAL), BACKWARD, (*RETREAT, "backward run")
    ),
    "hopper/hop-forward": Wording(
        ("hop {}", "jump {}", "bounce {}", "leap {}", "skip {}", *NEUTRAL), FORWARD, (*ADVANCE, "forward hop")
    ),
    "hopper/hop-backward": Wording(
        ("hop {}", "jump {}", "bounce {}", "leap {}", "skip {}", *NEUTRAL), BACKWARD, (*RETREAT, "backward hop")
    ),
    "walker2d/run-forward": Wording(
        ("run {}", "sprint {}", "race {}", "jog {}", "stride {}", *NEUTRAL), FORWARD, (*ADVANCE, "forward run")
    ),
    "walker2d/walk-backward": Wording(
        ("walk {}", "step {}", "stroll {}", "march {}", "stride {}", *NEUTRAL), BACKWARD, (*RETREAT, "backward walk")
    ),
    "inverted-pendulum/balance": Wording(
        BALANCE,
        ("the pole", "the pendulum", "the rod", "it", "the stick", "the inverted pendulum", "that pole", "your pole"),
        STAY_BALANCED,
        CALM_MANNERS,
    ),
    "ant/run-forward": Wording(
        ("run {}", "sprint {}", "race {}", "gallop {}", "dash {}", *NEUTRAL), ALONG_THE_TRACK, KEEP_TO_THE_TRACK
    ),
    "humanoid/run-forward": Wording(
        ("run {}", "sprint {}", "race {}", "jog {}", "stride {}", *NEUTRAL), ALONG_THE_TRACK, KEEP_TO_THE_TRACK
    ),
    "humanoid-standup/stand-up": Wording(
        (
            "stand {}",
            "get {}",
            "come {}",
            "go {}",
            "push {}",
            "get right {}",
            "stand right {}",
            "come right {}",
            "get back {}",
        ),
        (
            "up",
            "up straight",
            "up high",
            "up on your feet",
            "up on both feet",
            "up on two feet",
            "up from there",
            "up from your back",
            "up and stay up",
            "up and stay there",
        ),
        ("get to your feet", "on your feet", "stand", "stand straight", "do not lie there", "do not lie down"),
        CALM_MANNERS,
    ),
    "swimmer/swim-forward": Wording(
        ("swim {}", "crawl {}", "kick {}", "float {}", "race {}", *NEUTRAL),
        FORWARD,
        (*ADVANCE, "forward swim"),
        SWIMMING_MANNERS,
    ),
    "reacher/reach": Wording(
        (
            "reach {}",
            "hit {}",
            "go to {}",
            "move to {}",
            "get to {}",
            "come to {}",
            "reach for {}",
            "reach out to {}",
            "put your hand on {}",
        ),
        ("the target", "the goal", "the point", "the ball", "the red ball", "the mark", "the dot", "it"),
        ("reach", "reach out", "get there", "go there", "reach it now please", "hand to the target"),
        CALM_MANNERS,
    ),
    "pusher/push": Wording(
        (
            "push {}",
            "move {}",
            "take {}",
            "send {}",
            "get {}",
            "put {}",
            "press {}",
            "place {}",
            "transport {}",
        ),
        (
            "the object to the goal",
            "it to the goal",
            "it to the target",
            "the object there",
            "the block to the goal",
            "the block there",
            "the object to the target",
            "it there",
        ),
        ("push", "push it", "push the object", "push the block", "object to the goal"),
        CALM_MANNERS,
    ),
    "inverted-double-pendulum/balance": Wording(
        BALANCE,
        (
            "the double pole",
            "the double pendulum",
            "both links",
            "the two links",
            "the links",
            "that double pole",
            "your double pole",
            "your double pendulum",
        ),
        STAY_BALANCED,
        CALM_MANNERS,
    ),
}


def phrases(skill_id: str, split: str = "train") -> tuple[str, ...]:
    """The phrases of one skill, distinct; the first training phrase is the canonical prompt.

    `split` "train" or "test". ValueError for an unknown skill or split.
    """
    if skill_id not in WORDINGS:
        raise ValueError(f"no phrases for skill {skill_id!r}; {near_match(skill_id, WORDINGS)}")
    if split not in ("train", "test"):
        raise ValueError(f"unknown split {split!r}; {near_match(split, ('train', 'test'))}")
    wording = WORDINGS[skill_id]
    is_test = split == "test"
    cores = [wording.core(action, way) for action, way in _pairs(wording) if _is_kept_back(action, way) == is_test]
    alone = [] if is_test else list(wording.alone)
    return tuple(dict.fromkeys([*cores, *alone, *_decorated([*cores, *alone], wording.manners)]))


def typo(text: str, rng: np.random.Generator) -> str:
    """The text with one mistake: a letter of a word swapped, dropped or doubled, or its case or end changed.

    Always differs from a text that has a word of four letters or more; shorter words keep their letters.
    """
    words = text.split(" ")
    long_words = [index for index, word in enumerate(words) if len(word) >= 4]
    kind = rng.choice(["swap", "drop", "double", "case", "dot"]) if long_words else "dot"
    if kind == "dot":
        return text + "."
    if kind == "case":
        return text.upper() if text.upper() != text else text.lower()
    index = rng.choice(long_words)
    words[index] = _misspelt(words[index], str(kind), rng)
    return " ".join(words)


def _pairs(wording: Wording) -> Iterator[tuple[int, int]]:
    """Every action with every way, the canonical pair first."""
    return ((action, way) for action in range(len(wording.actions)) for way in range(len(wording.ways)))


def _is_kept_back(action: int, way: int) -> bool:
    """A diagonal of the table: every action and every way stays in training, the canonical pair with them."""
    return (action + 3 * way) % 8 == 5


def _decorated(cores: list[str], manners: tuple[str, ...]) -> Iterator[str]:
    """Each manner and each politeness on two cores, spread over the table, and a few with both."""
    for turn in range(2):
        for index, manner in enumerate(manners):
            yield f"{cores[(5 * index + 7 * turn) % len(cores)]} {manner}"
        for index, polite in enumerate(POLITENESS):
            yield polite.format(cores[(3 * index + 11 * turn) % len(cores)])
    for index, polite in enumerate(POLITENESS[::2]):
        yield f"{polite.format(cores[(2 * index + 5) % len(cores)])} {manners[index % len(manners)]}"


def _misspelt(word: str, kind: str, rng: np.random.Generator) -> str:
    """One inner letter swapped with a different next one, dropped, or doubled; the first letter stays."""
    if kind == "swap":
        unequal = [index for index in range(1, len(word) - 1) if word[index] != word[index + 1]]
        if unequal:
            at = rng.choice(unequal)
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    at = rng.integers(1, len(word))
    return word[:at] + word[at + 1 :] if kind == "drop" else word[:at] + word[at] + word[at:]
