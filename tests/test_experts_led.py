"""Experts that are led when they take over: what the teacher is asked for, for how long, and who is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from gato.experts.commanded import Teacher
from gato.experts.led import LED, MEMORY, NEAR, Led
from gato.experts.shipped import has_shipped_expert, shipped_policy
from gato.recording.blocks import Plan, record_block
from gato.recording.crew import find_crew
from gato.recording.recipe import Recording
from gato.skills.evaluate import evaluation_seeds
from gato.skills.stepper import make_stepper
from gato.skills.table import get_skill

COMMANDS = get_skill("hopper/command")
DT, ROWS = 0.008, 3


class Told:
    """A teacher that keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []

    def told(self, observations_BO: np.ndarray, command_BC: np.ndarray) -> np.ndarray:
        self.asked.append(command_BC[:, 0].copy())
        return np.ones((len(observations_BO), 3))


def make_led(skill: str = "hopper/hop-backward") -> tuple[Led, Told]:
    teacher = Told()
    led = Led(lambda seen: np.zeros((len(seen), 3)), get_skill(skill), teacher, COMMANDS, dt=DT)  # type: ignore[arg-type]
    led.watch(make_stepper("hopper/stand", ROWS))
    led.reset(np.arange(ROWS))
    return led, teacher


def moving(led: Led, speed_B: list[float], steps: int = round(5 * MEMORY / DT)) -> None:
    for _ in range(steps):
        led.measure({"forward_speed": np.array(speed_B)})


def test_from_the_speed_it_has_to_rest_and_then_the_expert_acts() -> None:
    led, teacher = make_led()
    moving(led, [2.0, 2.0, np.nan])
    observations = np.zeros((ROWS, 11))
    assert not led(observations).any(), "nobody took over yet"
    led.take_over(np.array([0]))
    acts = [led(observations)[:, 0] for _ in range(200)]
    assert np.array(acts)[:, 0].all(), "it has not slowed down yet"
    assert not np.array(acts)[:, 1:].any()
    asked, braking = np.array(teacher.asked)[:, 0], 2.0 / (COMMANDS.command_rate * DT)
    assert asked[0] == pytest.approx(2.0, abs=0.05)
    assert np.diff(asked)[: int(braking) - 2] == pytest.approx(-COMMANDS.command_rate * DT)
    assert asked[-1] == 0
    moving(led, [0.9 * NEAR, 2.0, 0.0])
    assert not led(observations).any()
    moving(led, [2.0, 2.0, 0.0])
    assert not led(observations).any(), "the expert may go as fast as it likes"


def test_who_stands_already_is_not_led() -> None:
    led, _ = make_led()
    moving(led, [0.5 * NEAR, 2.0, 0.0])
    led.take_over(np.arange(ROWS))
    assert led(np.zeros((ROWS, 11)))[:, 0].tolist() == [0, 1, 0]


def test_a_faster_one_is_asked_for_no_more_than_the_teacher_was_taught() -> None:
    led, teacher = make_led()
    moving(led, [9.0, -9.0, 0.0])
    led.take_over(np.arange(ROWS))
    led(np.zeros((ROWS, 11)))
    reach = COMMANDS.command_rate * DT
    assert teacher.asked[0].tolist() == pytest.approx([2.5 - reach, -1.0 + reach, 0.0])


def test_whoever_is_led_has_an_expert_and_a_teacher() -> None:
    for skill in LED:
        assert has_shipped_expert(skill) and has_shipped_expert(f"{get_skill(skill).body}/command")


def test_a_recording_of_switches_is_led_and_names_the_teacher() -> None:
    skills = ("hopper/hop-forward", "hopper/stand")
    stepper = make_stepper(skills[0], 12)
    crew = find_crew(Recording("hopper", switch=skills, expert="steady"), stepper)
    assert "expert hopper/command" in crew.inputs
    asked_TB = np.repeat(np.where(np.arange(600) < 300, 0, 1)[:, None], 12, 1)
    plan = Plan(0, evaluation_seeds(0, 12), (0.0,) * 12, asked_TB, asked_TB)
    led = record_block(stepper, crew.experts, skills, plan)
    alone = tuple(actor.own for actor in crew.experts if isinstance(actor, Led))
    unled = record_block(make_stepper(skills[0], 12), alone, skills, plan)
    assert len(alone) == 2
    np.testing.assert_array_equal(led.actions_TBA[:300], unled.actions_TBA[:300])
    assert led.lengths_B.mean() > unled.lengths_B.mean() + 50, "who is not led falls at once"


def test_other_bodies_are_left_alone() -> None:
    crew = find_crew(
        Recording("walker2d", switch=("walker2d/stand", "walker2d/walk-forward"), expert="steady"),
        make_stepper("walker2d/stand", 1),
    )
    assert not any(isinstance(actor, Led) for actor in crew.experts)


def test_a_teacher_says_the_same_by_its_stepper_and_when_it_is_told() -> None:
    teacher = Teacher(shipped_policy("hopper/command"), COMMANDS)
    stepper = make_stepper("hopper/command", 2)
    seen = stepper.reset(np.arange(2), [0, 1])
    teacher.watch(stepper)
    np.testing.assert_array_equal(teacher(seen), teacher.told(seen, np.nan_to_num(stepper.command())))
