"""What was typed, in one form."""

from __future__ import annotations

import pytest

from gato.language.text import normalise


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Turn left, twice!", "turn left , 2 times ,"),
        ("three and a half seconds", "3.5 seconds"),
        ("half a turn", "0.5 turn"),
        ("2½ seconds", "2.5 seconds"),
        ("½ a second", "0.5 second"),
        ("½ second", "0.5 second"),
        ("2 1/2 turns", "2.5 turns"),
        ("1/4 of a turn", "0.25 turn"),
        ("2,5 seconds", "2.5 seconds"),
        ("1,000 steps", "1000 steps"),
        ("3 times,2 steps", "3 times , 2 steps"),
        ("2 metres and a half turn", "2 metres and 0.5 turn"),
        ("two hundred and five degrees", "205 degrees"),
        ("three quarters of a turn", "0.75 turn"),
        ("a step, one step", "1 step , 1 step"),
        ("2 metres per second", "2 m/s"),
        ("Don't move — you've arrived", "do not move , you have arrived"),
        ("-0.5m 1e-3s", "-0.5 m 1e-3 s"),
    ],
)
def test_numbers_and_stops_have_one_form(text: str, form: str) -> None:
    assert normalise(text) == form
