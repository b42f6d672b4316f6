"""Prompts in numbers."""

from __future__ import annotations

import numpy as np
import pytest

from gato.skills.told import in_full, told_numbers


def test_numbers_stand_in_the_order_of_commands_and_words_are_none():
    np.testing.assert_array_equal(told_numbers("yaw_rate=-0.5, forward_speed=1"), [1, np.nan, -0.5])
    np.testing.assert_array_equal(told_numbers("lateral_speed=1e-1"), np.float32([np.nan, 0.1, np.nan]))
    assert told_numbers("walk forward at one metre a second") is None
    assert told_numbers("") is None


@pytest.mark.parametrize(
    "prompt", ["forward_sped=1", "forward_speed=", "forward_speed=fast", "=1", "walk forward_speed=1", "yaw_rate=nan"]
)
def test_what_is_neither_is_refused_with_an_example(prompt):
    with pytest.raises(ValueError, match=f'got "{prompt}"; allowed in numbers: forward_speed, lateral_speed, yaw_rate'):
        told_numbers(prompt)


def test_what_is_left_out_is_nothing_and_only_what_the_body_has_is_asked_for():
    assert in_full("yaw_rate=0.5", "ant") == "forward_speed=0 lateral_speed=0 yaw_rate=0.5"
    assert in_full("forward_speed=-1", "hopper") == "forward_speed=-1"
    assert in_full("turn left", "ant") == "turn left"


@pytest.mark.parametrize(
    ("prompt", "body", "message"),
    [
        ("yaw_rate=0.5", "hopper", 'hopper is not asked for "yaw_rate=0.5"; allowed: forward_speed -1 to 2.5'),
        ("forward_speed=3", "ant", "allowed: forward_speed -1.5 to 1.5, lateral_speed -1 to 1, yaw_rate -1.5 to 1.5"),
        ("forward_speed=1", "reacher", 'reacher is told in words only; got "forward_speed=1"'),
    ],
)
def test_what_a_body_is_not_asked_for_is_refused_with_what_it_is(prompt, body, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        in_full(prompt, body)
