"""The eleven standard tasks, with Gymnasium's own rewards to the bit, and what the demo tells from them.

In: nothing. Out: `STANDARD`.
"""

from __future__ import annotations

from gato.skills.rewards import Term
from gato.skills.skill import Condition, Skill

UPRIGHT = 1.5
"""rad; a half-cheetah pitched further than this (about a right angle) has gone over."""


STAYS_UPRIGHT = (Condition("pitch", "max", high=UPRIGHT), Condition("pitch", "min", low=-UPRIGHT))

STANDARD = (
    Skill(
        id="half-cheetah/run-forward",
        body="half-cheetah",
        is_standard=True,
        reward=(Term("forward_speed", 1.0), Term("control_cost", -0.1)),
        prompt="run forward",
        rule=(Condition("forward_speed", "mean", low=2.5), *STAYS_UPRIGHT),
        reading="forward_speed",
    ),
    Skill(
        id="half-cheetah/run-backward",
        body="half-cheetah",
        is_standard=False,
        reward=(
            Term("backward_speed", 1.0, limit=3.25),
            Term("control_cost", -0.1),
            Term("pitch_cost", -0.5, limit=4.0),
        ),
        prompt="run backward",
        rule=(Condition("forward_speed", "mean", high=-2.5), *STAYS_UPRIGHT),
        reading="forward_speed",
    ),
    Skill(
        id="hopper/hop-forward",
        body="hopper",
        is_standard=True,
        reward=(Term("forward_speed", 1.0), Term("alive", 1.0), Term("control_cost", -1e-3)),
        prompt="hop forward",
        rule=(Condition("forward_speed", "mean", low=1.5),),
        reading="forward_speed",
    ),
    Skill(
        id="hopper/hop-backward",
        body="hopper",
        is_standard=False,
        reward=(Term("backward_speed", 2.0, limit=1.5), Term("alive", 0.25), Term("control_cost", -1e-3)),
        prompt="hop backward",
        rule=(Condition("forward_speed", "mean", high=-0.5),),
        reading="forward_speed",
    ),
    Skill(
        id="walker2d/run-forward",
        body="walker2d",
        is_standard=True,
        reward=(Term("forward_speed", 1.0), Term("alive", 1.0), Term("control_cost", -1e-3)),
        prompt="run forward",
        rule=(Condition("forward_speed", "mean", low=2.0),),
        reading="forward_speed",
    ),
    Skill(
        id="walker2d/walk-backward",
        body="walker2d",
        is_standard=False,
        # About 0 or more while it takes over from running: falling must not end a run of losses, and pay.
        reward=(
            Term("backward_speed", 3.0, limit=1.5, least=-1.0),
            Term("alive", 3.25),
            Term("control_cost", -1e-2),
            Term("pitch_cost", -1.0),
        ),
        prompt="walk backward",
        rule=(Condition("forward_speed", "mean", high=-0.8),),
        reading="forward_speed",
    ),
    Skill(
        id="inverted-pendulum/balance",
        body="inverted-pendulum",
        is_standard=True,
        reward=(Term("alive", 1.0),),
        prompt="balance the pole",
        rule=(Condition("angle", "max", high=0.2), Condition("angle", "min", low=-0.2)),
        reading="angle",
    ),
    Skill(
        id="ant/run-forward",
        body="ant",
        is_standard=True,
        reward=(
            Term("track_speed", 1.0),
            Term("alive", 1.0),
            (Term("control_cost", -0.5), Term("clipped_contact_cost", -5e-4)),
        ),
        prompt="run along the track",
        rule=(Condition("track_speed", "mean", low=2.5),),
        reading="track_speed",
    ),
    Skill(
        id="humanoid/run-forward",
        body="humanoid",
        is_standard=True,
        reward=(
            Term("track_speed", 1.25),
            Term("alive", 5.0),
            (Term("exact_control_cost", -0.1), Term("contact_cost", -5e-7, limit=2e7)),
        ),
        prompt="run along the track",
        # Gymnasium pays 5 a step for not falling: a return of 6300 is no more than 1.1 m/s.
        rule=(Condition("track_speed", "mean", low=1.0),),
        reading="track_speed",
    ),
    Skill(
        id="humanoid-standup/stand-up",
        body="humanoid-standup",
        is_standard=True,
        reward=(
            Term("lift", 1.0),
            Term("exact_control_cost", -0.1),
            Term("contact_cost", -5e-7, limit=2e7),
            Term("alive", 1.0),
        ),
        prompt="stand up",
        # Lying it is at 0.1 m and standing straight at 1.4; the best published return, 273600, is a mean of 0.82.
        rule=(Condition("height", "mean", low=0.8),),
        reading="height",
    ),
    Skill(
        id="swimmer/swim-forward",
        body="swimmer",
        is_standard=True,
        reward=(Term("track_speed", 1.0), Term("control_cost", -1e-4)),
        prompt="swim forward",
        rule=(Condition("track_speed", "mean", low=0.25),),
        reading="track_speed",
    ),
    Skill(
        id="reacher/reach",
        body="reacher",
        is_standard=True,
        reward=(Term("distance", -1.0), Term("control_cost", -1.0)),
        prompt="reach the target",
        rule=(Condition("distance", "min", high=0.02), Condition("distance", "mean", high=0.12)),
        reading="distance",
    ),
    Skill(
        id="pusher/push",
        body="pusher",
        is_standard=True,
        reward=(Term("distance", -1.0), Term("control_cost", -0.1), Term("hand_distance", -0.5)),
        prompt="push the object to the goal",
        # The object (radius 0.05) reaches the goal (0.08). It starts at least 0.17 away; hurry costs more than it pays.
        rule=(Condition("distance", "min", high=0.13),),
        reading="distance",
    ),
    Skill(
        id="inverted-double-pendulum/balance",
        body="inverted-double-pendulum",
        is_standard=True,
        reward=(Term("alive", 10.0), Term("tip_cost", -1.0), Term("swing_cost", -1.0)),
        prompt="balance the double pole",
        rule=(Condition("height", "min", low=1.1),),
        reading="height",
    ),
)
