"""Skills that are numbers to be reached: a speed ahead, to the left, a turning rate. Fixed ones have names; of the
goal-conditioned ones (`body/command`) a teacher is told which numbers.

In: nothing. Out: `COMMANDED`.
"""

from __future__ import annotations

import numpy as np

from gato.skills.rewards import Term, Terms
from gato.skills.skill import Condition, Skill
from gato.skills.standard import STAYS_UPRIGHT

TOLERANCE = 0.25
"""m/s and rad/s: how far off a goal-conditioned teacher may be on average, once it had the time to get there."""
DRIFT, STILL_SPEED = 0.3, 0.1
"""m/s and rad/s: how much of what is not asked for is allowed (a mean), and how little a body that stands moves (a root
mean square)."""


def _near(reading: str, slope: float, bell: float, width: float, least: float = -np.inf) -> Terms:
    """Paid for going where it is asked to go, less for what is beyond, and by a bell for being exact, also at 0."""
    return Term(f"{reading}_progress", slope, least=least), Term(f"{reading}_error", bell, width=width)


_REWARDS: dict[str, Terms] = {
    "half-cheetah": (
        *_near("forward_speed", 2.0, 2.0, 0.15),
        # Lying on its back ends an episode of training: who runs the other way must have more to lose.
        Term("alive", 5.0),
        Term("control_cost", -0.05),
        Term("action_change", -0.05),
        Term("pitch_cost", -0.2, limit=4.0),
    ),
    "hopper": (
        # Never below 0 in all, nor the walker's: who runs and is asked to go back must not be paid for falling.
        *_near("forward_speed", 2.0, 1.0, 0.25, least=-1.4),
        Term("alive", 3.0),
        Term("control_cost", -1e-3),
        Term("action_change", -0.01),
    ),
    "walker2d": (
        *_near("forward_speed", 2.0, 1.0, 0.3, least=-1.5),
        Term("alive", 3.0),
        Term("control_cost", -0.01),
        Term("action_change", -0.01),
        Term("pitch_cost", -0.5),
    ),
    "ant": (
        *_near("forward_speed", 3.0, 1.0, 0.3),
        *_near("lateral_speed", 3.0, 1.0, 0.3),
        *_near("yaw_rate", 3.0, 1.0, 0.3),
        Term("alive", 1.0),
        Term("control_cost", -0.05),
        Term("action_change", -0.01),
    ),
    "humanoid": (
        *_near("forward_speed", 2.0, 1.0, 0.3),
        *_near("lateral_speed", 1.0, 0.5, 0.3),
        *_near("yaw_rate", 1.5, 0.5, 0.4),
        Term("alive", 5.0),
        Term("exact_control_cost", -0.1),
        Term("action_change", -0.05),
    ),
}
"""Body -> what its teacher is paid for."""
_BACKWARD = (
    Term("alive", 5.0),
    Term("backward_speed", 1.25),
    Term("yaw_rate_error", 0.5, width=0.4),
    Term("lateral_speed_error", 0.5, width=0.3),
    Term("exact_control_cost", -0.1),
)
"""A humanoid that has not learned to stand finds backward as it finds forward: paid for speed, without end."""
_STILL = (
    Term("alive", 5.0),
    Term("forward_speed_error", 3.0, width=0.1),
    Term("lateral_speed_error", 1.0, width=0.1),
    Term("yaw_rate_error", 0.5, width=0.4),
    Term("exact_control_cost", -0.1),
    Term("action_change", -0.05),
)
"""A sway forgiven is 0.2 m/s backward for good: it treads on the spot, and must be held there."""
_LOW = (
    Term("alive", 5.0),
    Term("height", 3.0, width=0.1, target=1.1),
    Term("height", 3.0, width=0.3, target=1.1),
    Term("forward_speed_error", 1.0, width=0.2),
    Term("lateral_speed_error", 0.5, width=0.2),
    Term("yaw_rate_error", 0.5, width=0.4),
    Term("exact_control_cost", -0.1),
)
IN_PLACE = 0.2
"""m/s: how fast a body that crouches or hops in place may wander."""
_RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "half-cheetah": {"forward_speed": (-4.0, 6.0)},
    "hopper": {"forward_speed": (-1.0, 2.5)},
    "walker2d": {"forward_speed": (-1.5, 4.0)},
    "ant": {"forward_speed": (-1.5, 1.5), "lateral_speed": (-1.0, 1.0), "yaw_rate": (-1.5, 1.5)},
    "humanoid": {"forward_speed": (-0.5, 2.5), "lateral_speed": (0.0, 0.0), "yaw_rate": (-1.0, 1.0)},
}
"""Body -> what it can be asked for."""


_RATES = {"hopper": 2.0, "walker2d": 2.0, "humanoid": 1.0}
"""Body -> m/s^2 by which what it is asked for moves. Of 64 hoppers at 2 m/s asked to stand, 83 % fell when asked
at once, 9 % by 2 m/s^2; of walkers at 4 m/s that were asked to turn back, 31 and 2 %; the same teachers."""
_ALWAYS = {"half-cheetah": STAYS_UPRIGHT}
"""Body -> what holds whatever it is asked for: one that lies on its back slides as fast, and is not ended."""


def _command(body: str) -> Skill:
    asked = {name: pair for name, pair in _RANGES[body].items() if pair[0] < pair[1]}
    rule = tuple(Condition(name, "mean", high=TOLERANCE, is_relative=True) for name in asked)
    return Skill(
        id=f"{body}/command",
        body=body,
        is_standard=False,
        reward=_REWARDS[body],
        prompt="do as you are told",
        rule=(*rule, *_ALWAYS.get(body, ())),
        reading="forward_speed",
        command=_RANGES[body],
        command_rate=_RATES.get(body, np.inf),
    )


def _named(
    skill_id: str,
    prompt: str,
    command: dict[str, float],
    rule: tuple[Condition, ...],
    *,
    reward: Terms = (),
    reading: str = "",
) -> Skill:
    """A command with a name; what it does not mention is asked to be 0. Without a reward it is paid as its teacher."""
    body = skill_id.split("/")[0]
    return Skill(
        id=skill_id,
        body=body,
        is_standard=False,
        reward=reward or _REWARDS[body],
        prompt=prompt,
        rule=(*rule, *_ALWAYS.get(body, ())),
        reading=reading or next(iter(command), "forward_speed"),
        command={name: (command.get(name, 0.0),) * 2 for name in _RANGES[body]},
    )


def _mean(reading: str, low: float = -np.inf, high: float = np.inf) -> Condition:
    return Condition(reading, "mean", low, high)


def _rests(*readings: str) -> tuple[Condition, ...]:
    return tuple(Condition(reading, "rms", high=STILL_SPEED) for reading in readings)


_ASIDE, _AHEAD, _STRAIGHT = (
    _mean(reading, -DRIFT, DRIFT) for reading in ("lateral_speed", "forward_speed", "yaw_rate")
)
_NAMED = (
    _named("half-cheetah/walk-forward", "walk forward", {"forward_speed": 1.2}, (_mean("forward_speed", 0.8, 1.6),)),
    _named("half-cheetah/stand", "stand still", {}, _rests("forward_speed")),
    _named("hopper/stand", "stand still", {}, _rests("forward_speed")),
    _named("walker2d/walk-forward", "walk forward", {"forward_speed": 1.2}, (_mean("forward_speed", 0.8, 1.6),)),
    _named("walker2d/stand", "stand still", {}, _rests("forward_speed")),
    _named(
        "ant/walk-forward",
        "walk forward",
        {"forward_speed": 0.7},
        (_mean("forward_speed", 0.4, 1.0), _ASIDE, _STRAIGHT),
    ),
    _named(
        "ant/walk-backward",
        "walk backward",
        {"forward_speed": -0.7},
        (_mean("forward_speed", -1.0, -0.4), _ASIDE, _STRAIGHT),
    ),
    _named("ant/walk-left", "walk left", {"lateral_speed": 0.7}, (_mean("lateral_speed", 0.4, 1.0), _AHEAD, _STRAIGHT)),
    _named(
        "ant/walk-right", "walk right", {"lateral_speed": -0.7}, (_mean("lateral_speed", -1.0, -0.4), _AHEAD, _STRAIGHT)
    ),
    _named("ant/turn-left", "turn left", {"yaw_rate": 1.0}, (_mean("yaw_rate", 0.5), _AHEAD, _ASIDE)),
    _named("ant/turn-right", "turn right", {"yaw_rate": -1.0}, (_mean("yaw_rate", high=-0.5), _AHEAD, _ASIDE)),
    *(
        _named(
            f"ant/circle-{side}",
            f"walk in a {side} circle",
            {"forward_speed": 0.7, "yaw_rate": 0.7 * sign},
            (_mean("forward_speed", 0.4, 1.0), _mean("yaw_rate", *sorted((0.35 * sign, 1.05 * sign))), _ASIDE),
        )
        for side, sign in (("left", 1), ("right", -1))
    ),
    _named("ant/stand", "stand still", {}, _rests("forward_speed", "lateral_speed", "yaw_rate")),
    _named(
        "humanoid/walk-forward",
        "walk forward",
        {"forward_speed": 1.2},
        (_mean("forward_speed", 0.8, 1.6), _ASIDE, _STRAIGHT),
    ),
    _named(
        "humanoid/walk-backward",
        "walk backward",
        {"forward_speed": -0.45},
        (_mean("forward_speed", high=-0.2), _ASIDE, _STRAIGHT),
        reward=_BACKWARD,
    ),
    _named("humanoid/turn-left", "turn left", {"yaw_rate": 0.8}, (_mean("yaw_rate", 0.5), _AHEAD, _ASIDE)),
    _named("humanoid/turn-right", "turn right", {"yaw_rate": -0.8}, (_mean("yaw_rate", high=-0.5), _AHEAD, _ASIDE)),
    _named("humanoid/stand", "stand still", {}, _rests("forward_speed", "lateral_speed"), reward=_STILL),
    _named(
        "humanoid/crouch",
        "crouch down",
        {},
        (
            _mean("height", 1.03, 1.17),
            _mean("forward_speed", -IN_PLACE, IN_PLACE),
            _mean("lateral_speed", -IN_PLACE, IN_PLACE),
        ),
        reward=_LOW,
        reading="height",
    ),
)

COMMANDED = (*(_command(body) for body in _RANGES), *_NAMED)
