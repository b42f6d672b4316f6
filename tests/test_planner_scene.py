"""What a body sees, in words: sentences typed by hand, poses against quaternions made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gato.planner.scene import Pose, Sight, describe, poses, see

LOOKS_LEFT = Pose(1.0, 2.0, math.pi / 2, 1.0)
"""Stands at (1, 2) and looks along the world's y axis."""


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((1.0, 5.1), "the ball is 3.1 m away, straight ahead"),
        ((-1.0, 2.0), "the ball is 2.0 m away, 90 degrees to the left"),
        ((2.0, 3.0), "the ball is 1.4 m away, 45 degrees to the right"),
        ((1.1, 0.0), "the ball is 2.0 m away, straight behind"),
        ((1.0, 2.0), "the ball is 0.0 m away, 90 degrees to the right"),
    ],
)
def test_what_lies_on_the_floor_is_said_as_the_body_sees_it(place: tuple[float, float], words: str) -> None:
    assert see(LOOKS_LEFT, "ball", place).words == words


def test_a_bearing_stays_within_half_a_turn() -> None:
    turned_round = Pose(0.0, 0.0, math.radians(179), 1.0)
    assert math.degrees(see(turned_round, "ball", (-1.0, -0.01)).bearing) == pytest.approx(1.573, abs=0.01)
    assert Sight("ball", 1.0, math.radians(-5.4)).words.endswith("straight ahead")
    assert Sight("ball", 1.0, math.radians(-6)).words.endswith("6 degrees to the right")


def test_poses_are_those_of_the_root() -> None:
    """Turned left by 60 degrees; then lying on its back, rolled about the way it looks."""
    half = math.radians(30)
    turned = [3.0, 4.0, 0.5, math.cos(half), 0.0, 0.0, math.sin(half), 9.0]
    on_its_back = [0.0, 0.0, 0.5, 0.0, 1.0, 0.0, 0.0, 9.0]
    first, second = poses(np.array([turned, on_its_back]))
    assert (first.x, first.y, first.up) == pytest.approx((3.0, 4.0, 1.0))
    assert math.degrees(first.heading) == pytest.approx(60.0)
    assert (second.heading, second.up) == pytest.approx((0.0, -1.0))


@pytest.mark.parametrize(
    ("body", "readings", "up", "words"),
    [
        (
            "ant",
            {"forward_speed": 0.7, "lateral_speed": 0.1, "yaw_rate": 0.05, "track_speed": 9.0, "height": 0.551},
            0.98,
            "speed 0.7 m/s forward, height 0.55 m, upright",
        ),
        (
            "ant",
            {"forward_speed": 0.0, "lateral_speed": -0.5, "yaw_rate": -1.0},
            0.3,
            "speed 0.5 m/s to the right, turning right at 57 degrees/s, tilted",
        ),
        ("ant", {"forward_speed": 0.05, "yaw_rate": 0.5}, -0.9, "standing, turning left at 29 degrees/s, upside down"),
        ("ant", {"forward_speed": -0.4, "lateral_speed": 0.3}, 1.0, "speed 0.5 m/s backward, upright"),
        ("hopper", {"forward_speed": 1.2, "height": 1.2}, 1.0, "speed 1.2 m/s forward, height 1.20 m, upright"),
        ("ant", {}, 1.0, "upright"),
    ],
)
def test_a_movement_is_said_in_words(body: str, readings: dict[str, float], up: float, words: str) -> None:
    assert describe(body, readings, up) == words
