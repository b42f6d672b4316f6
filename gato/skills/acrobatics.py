"""Skills that no command describes: flips, hops on the spot, and a swimmer's ways, which swing about what
would be asked for.

In: nothing. Out: `ACROBATICS`.
"""

from __future__ import annotations

from gato.skills.commanded import IN_PLACE
from gato.skills.rewards import Term
from gato.skills.skill import Condition, Skill

FLIPPING = 3.0
"""rad/s: how fast a body that flips turns over on average, at least: once in two seconds."""
TURNING = 0.3
"""rad/s: a swimmer that turns on the spot comes round in 21 s at least; the fastest stroke found turns 0.40."""
HOPPING = 0.4
"""m/s: root mean square of the vertical speed, at least."""

_STAYS = Condition("forward_speed", "mean", -IN_PLACE, IN_PLACE)
_HOPS = Condition("vertical_speed", "rms", low=HOPPING)

_IN_PLACE = (Term("bounce", 10.0, limit=0.4), Term("drift_cost", -20.0, limit=0.3), Term("alive", 7.0))
"""Who stands earns less than who hops, high hops no more than low ones, drifting costs much, and falling never pays."""

ACROBATICS = (
    Skill(
        id="half-cheetah/front-flip",
        body="half-cheetah",
        is_standard=False,
        reward=(Term("pitch_rate", 1.0, limit=8.0), Term("control_cost", -0.1)),
        prompt="do a front flip",
        rule=(Condition("pitch_rate", "mean", low=FLIPPING),),
        reading="pitch_rate",
    ),
    Skill(
        id="half-cheetah/back-flip",
        body="half-cheetah",
        is_standard=False,
        reward=(Term("pitch_rate", -1.0, least=-8.0), Term("control_cost", -0.1)),
        prompt="do a back flip",
        rule=(Condition("pitch_rate", "mean", high=-FLIPPING),),
        reading="pitch_rate",
    ),
    Skill(
        id="hopper/hop-in-place",
        body="hopper",
        is_standard=False,
        reward=(
            *_IN_PLACE,
            Term("control_cost", -1e-3),
        ),
        prompt="hop in place",
        rule=(_STAYS, _HOPS),
        reading="vertical_speed",
    ),
    Skill(
        id="walker2d/hop",
        body="walker2d",
        is_standard=False,
        reward=(
            *_IN_PLACE,
            Term("control_cost", -1e-2),
            Term("pitch_cost", -1.0),
        ),
        prompt="hop in place",
        rule=(_STAYS, _HOPS),
        reading="vertical_speed",
    ),
    Skill(
        id="swimmer/swim-backward",
        body="swimmer",
        is_standard=False,
        reward=(Term("backward_speed", 1.0), Term("control_cost", -1e-4)),
        prompt="swim backward",
        rule=(Condition("forward_speed", "mean", high=-0.1),),
        reading="forward_speed",
    ),
    Skill(
        id="swimmer/turn-left",
        body="swimmer",
        is_standard=False,
        reward=(Term("yaw_rate", 1.0), Term("control_cost", -1e-3)),
        prompt="turn left",
        rule=(Condition("yaw_rate", "mean", low=TURNING),),
        reading="yaw_rate",
    ),
    Skill(
        id="swimmer/turn-right",
        body="swimmer",
        is_standard=False,
        reward=(Term("yaw_rate", -1.0), Term("control_cost", -1e-3)),
        prompt="turn right",
        rule=(Condition("yaw_rate", "mean", high=-TURNING),),
        reading="yaw_rate",
    ),
)
