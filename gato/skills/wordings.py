"""The words of every skill, as tables: an action ("run {}") with a way ("forward"), and actions kept for the test.

Every action of a body's skills goes with either direction wherever that is a sensible request, so that the direction
decides.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    rare: tuple[str, ...] = ()
    """Actions for the test alone, whose verbs no phrase of the skill has."""

    def core(self, action: int, way: int) -> str:
        """One action with one way."""
        return self.actions[action].format(self.ways[way])


LEFTWARD = (
    "left",
    "to the left",
    "leftward",
    "leftwards",
    "to your left",
    "in the left direction",
    "to the left side",
    "over to the left",
)
RIGHTWARD = tuple(way.replace("left", "right") for way in LEFTWARD)
STILL = (
    "still",
    "in place",
    "where you are",
    "on the spot",
    "there",
    "right there",
    "motionless",
    "in your place",
    "at this spot",
    "here",
)
_WALK = ("walk {}", "step {}", "stroll {}", "march {}", "pace {}", "wander {}", "amble {}", "trudge {}")
_TURN = ("turn {}", "rotate {}", "spin {}", "swivel {}", "twist {}", "pivot {}", "wheel {}", "veer {}")
_STAND = ("stand {}", "stay {}", "wait {}", "remain {}", "rest {}", "hold {}", "pause {}", "stop {}", "freeze {}")
_HALT = ("stop", "halt", "stand", "keep still please", "do not move", "do not go anywhere", "rest", "stop moving")
_SWIM = ("swim {}", "crawl {}", "kick {}", "float {}", "race {}", *NEUTRAL)
_HOP = ("hop {}", "jump {}", "bounce {}", "leap {}", "skip {}", "keep hopping {}", "keep jumping {}", "spring {}")
_BOUNCE = ("hop", "bounce", "jump", "keep hopping", "keep bouncing")
UP_AND_DOWN = ("in place", "up and down", *(way for way in STILL if way not in ("still", "in place", "motionless")))
_FLIP = ("do {}", "make {}", "perform {}", "show me {}", "give me {}", "turn {}", "try {}", "throw {}")
FRONT_FLIPS = (
    "a front flip",
    "front flips",
    "a somersault",
    "somersaults",
    "a forward flip",
    "forward flips",
    "a forward roll",
    "frontflips",
)
BACK_FLIPS = (
    "a back flip",
    "back flips",
    "a reverse somersault",
    "reverse somersaults",
    "a backward flip",
    "backward flips",
    "a backward roll",
    "backflips",
)
_CROUCH = ("crouch {}", "squat {}", "duck {}", "bend {}", "sink {}", "stoop {}", "hunker {}", "get {}")
LOW = ("down", "low", "down low", "lower", "down a bit", "a bit lower", "close to the ground", "nearer to the ground")
LEFT_CIRCLES = (
    "in a left circle",
    "in left circles",
    "in a circle left",
    "left in a circle",
    "in circles left",
    "left in circles",
    "around a left circle",
    "left around a circle",
)
RIGHT_CIRCLES = tuple(way.replace("left", "right") for way in LEFT_CIRCLES)
_RUSH = ("scamper {}", "hurry {}", "rush {}", "bolt {}", "charge {}")
_TREAD = ("tread {}", "saunter {}", "plod {}", "tramp {}", "ramble {}")
_REVOLVE = ("revolve {}", "whirl {}", "swing {}", "gyrate {}", "yaw {}")
_LINGER = ("linger {}", "idle {}", "settle {}", "park {}", "be {}")
_BOUND = ("bound {}", "vault {}", "hurdle {}", "pop {}", "lope {}")
_PADDLE = ("paddle {}", "glide {}", "slither {}", "wriggle {}", "stroke {}")
_EXECUTE = ("execute {}", "land {}", "attempt {}", "complete {}", "pull off {}")
_RISE = ("rise {}", "arise {}", "climb {}", "pick yourself {}", "raise yourself {}")
_PROP = ("prop {} up", "support {}", "level {}", "secure {}", "maintain {}")
_TOUCH = ("touch {}", "grab at {}", "contact {}", "approach {}", "tap {}")
_SHOVE = ("shove {}", "slide {}", "nudge {}", "drive {}", "carry {}")
_COWER = ("cower {}", "fold {}", "dip {}", "slump {}", "scrunch {}")
"""Verbs kept for the test: training never sees them."""
_SIDESTEP = (*_WALK, "sidestep {}", "go sideways {}", "move sideways {}")
COMMANDED = {
    "half-cheetah/walk-forward": (_WALK, FORWARD, ("forward walk", "go for a walk", "walk"), _TREAD),
    "half-cheetah/stand": (_STAND, STILL, _HALT, _LINGER),
    "hopper/stand": (_STAND, STILL, _HALT, _LINGER),
    "walker2d/walk-forward": (_WALK, FORWARD, ("forward walk", "go for a walk", "walk"), _TREAD),
    "walker2d/stand": (_STAND, STILL, _HALT, _LINGER),
    "ant/walk-forward": ((*_WALK, *NEUTRAL), FORWARD, (*ADVANCE, "forward walk", "walk"), _TREAD),
    "ant/walk-backward": ((*_WALK, *NEUTRAL), BACKWARD, (*RETREAT, "backward walk"), _TREAD),
    "ant/walk-left": (_SIDESTEP, LEFTWARD, ("left walk", "sidestep left please"), _TREAD),
    "ant/walk-right": (_SIDESTEP, RIGHTWARD, ("right walk", "sidestep right please"), _TREAD),
    "ant/turn-left": (_TURN, LEFTWARD, ("left turn", "turn around to the left", "make a left turn"), _REVOLVE),
    "ant/turn-right": (_TURN, RIGHTWARD, ("right turn", "turn around to the right", "make a right turn"), _REVOLVE),
    "ant/circle-left": (
        (*_WALK, *NEUTRAL),
        LEFT_CIRCLES,
        ("circle left", "circle to the left", "make a left circle"),
        _TREAD,
    ),
    "ant/circle-right": (
        (*_WALK, *NEUTRAL),
        RIGHT_CIRCLES,
        ("circle right", "circle to the right", "make a right circle"),
        _TREAD,
    ),
    "ant/stand": (_STAND, STILL, _HALT, _LINGER),
    "humanoid/walk-forward": ((*_WALK, *NEUTRAL), FORWARD, (*ADVANCE, "forward walk", "walk"), _TREAD),
    "humanoid/walk-backward": ((*_WALK, *NEUTRAL), BACKWARD, (*RETREAT, "backward walk"), _TREAD),
    "humanoid/turn-left": (_TURN, LEFTWARD, ("left turn", "turn around to the left", "make a left turn"), _REVOLVE),
    "humanoid/turn-right": (
        _TURN,
        RIGHTWARD,
        ("right turn", "turn around to the right", "make a right turn"),
        _REVOLVE,
    ),
    "humanoid/stand": (_STAND, STILL, _HALT, _LINGER),
    "swimmer/swim-backward": (_SWIM, BACKWARD, (*RETREAT, "backward swim"), _PADDLE),
    "swimmer/turn-left": (_TURN, LEFTWARD, ("left turn", "turn around to the left", "make a left turn"), _REVOLVE),
    "swimmer/turn-right": (_TURN, RIGHTWARD, ("right turn", "turn around to the right", "make a right turn"), _REVOLVE),
    "half-cheetah/front-flip": (_FLIP, FRONT_FLIPS, ("somersault", "front flip", "flip forward please"), _EXECUTE),
    "half-cheetah/back-flip": (_FLIP, BACK_FLIPS, ("back flip", "flip back", "flip backward please"), _EXECUTE),
    "hopper/hop-in-place": (_HOP, UP_AND_DOWN, _BOUNCE, _BOUND),
    "walker2d/hop": (_HOP, UP_AND_DOWN, _BOUNCE, _BOUND),
    "humanoid/crouch": (_CROUCH, LOW, ("crouch", "squat", "duck", "bend your knees", "get low please"), _COWER),
}
"""Skills that are a command with a name: actions, ways, whole phrases, actions for the test."""


WORDINGS: dict[str, Wording] = {
    "half-cheetah/run-forward": Wording(
        ("run {}", "sprint {}", "race {}", "gallop {}", "dash {}", *NEUTRAL),
        FORWARD,
        (*ADVANCE, "forward run"),
        rare=_RUSH,
    ),
    "half-cheetah/run-backward": Wording(
        ("run {}", "sprint {}", "race {}", "gallop {}", "dash {}", *NEUTRAL),
        BACKWARD,
        (*RETREAT, "backward run"),
        rare=_RUSH,
    ),
    "hopper/hop-forward": Wording(
        ("hop {}", "jump {}", "bounce {}", "leap {}", "skip {}", *NEUTRAL),
        FORWARD,
        (*ADVANCE, "forward hop"),
        rare=_BOUND,
    ),
    "hopper/hop-backward": Wording(
        ("hop {}", "jump {}", "bounce {}", "leap {}", "skip {}", *NEUTRAL),
        BACKWARD,
        (*RETREAT, "backward hop"),
        rare=_BOUND,
    ),
    "walker2d/run-forward": Wording(
        ("run {}", "sprint {}", "race {}", "jog {}", "stride {}", *NEUTRAL),
        FORWARD,
        (*ADVANCE, "forward run"),
        rare=_RUSH,
    ),
    "walker2d/walk-backward": Wording(
        ("walk {}", "step {}", "stroll {}", "march {}", "stride {}", *NEUTRAL),
        BACKWARD,
        (*RETREAT, "backward walk"),
        rare=_TREAD,
    ),
    "inverted-pendulum/balance": Wording(
        BALANCE,
        ("the pole", "the pendulum", "the rod", "it", "the stick", "the inverted pendulum", "that pole", "your pole"),
        STAY_BALANCED,
        CALM_MANNERS,
        rare=_PROP,
    ),
    "ant/run-forward": Wording(
        ("run {}", "sprint {}", "race {}", "gallop {}", "dash {}", *NEUTRAL),
        ALONG_THE_TRACK,
        KEEP_TO_THE_TRACK,
        rare=_RUSH,
    ),
    "humanoid/run-forward": Wording(
        ("run {}", "sprint {}", "race {}", "jog {}", "stride {}", *NEUTRAL),
        ALONG_THE_TRACK,
        KEEP_TO_THE_TRACK,
        rare=_RUSH,
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
        rare=_RISE,
    ),
    "swimmer/swim-forward": Wording(
        ("swim {}", "crawl {}", "kick {}", "float {}", "race {}", *NEUTRAL),
        FORWARD,
        (*ADVANCE, "forward swim"),
        SWIMMING_MANNERS,
        rare=_PADDLE,
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
        ("reach", "reach out", "get there", "go there", "reach out now please", "hand to the target"),
        CALM_MANNERS,
        rare=_TOUCH,
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
        rare=_SHOVE,
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
        rare=_PROP,
    ),
    **{skill: Wording(*row[:3], CALM_MANNERS, row[3]) for skill, row in COMMANDED.items()},
}
