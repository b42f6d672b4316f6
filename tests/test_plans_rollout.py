"""Plans followed: each episode moves on by its own time and readings, and each part is judged by its own rule."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest
from making import make_model, told_agents

from gato import cli, runs
from gato.language.plans import parse_plan
from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.rollout import prompted
from gato.rollout.course import Course, Stage, stages
from gato.rollout.experts import Experts
from gato.rollout.planned import follow, judge_plan
from gato.rollout.prompted import Conditions, Request, Rollout
from gato.rollout.video import write_videos
from gato.skills.bodies import BODIES, get_body
from gato.skills.evaluate import Outcome
from gato.skills.plan import Plan, Until
from gato.skills.render import find_renderer

QUIET = Conditions(episodes=3, is_shown=False)


@pytest.fixture(scope="module")
def model() -> Gato:
    return make_model(ModelConfig(size="nano"), BODIES["half-cheetah"].spec)


class Crew(Experts):
    """Experts in the model's place."""

    swapped: dict[str, str] = {}
    """Skill -> whose expert does it."""

    def __init__(self, model: Gato, body: str, prompts: Sequence[str], **settings: Any) -> None:
        super().__init__(body, prompts)

    def skill_of(self, prompt: str) -> str:
        skill = super().skill_of(prompt)
        return self.swapped.get(skill, skill)


@pytest.fixture
def ant(monkeypatch: pytest.MonkeyPatch) -> Gato:
    """A model that knows the ant, and the experts that act in its place."""
    monkeypatch.setattr(prompted, "Agent", Crew)
    return make_model(ModelConfig(size="nano"), BODIES["ant"].spec)


def test_experts_obey_a_plan_and_each_episode_takes_its_own_time(ant: Gato) -> None:
    plan = parse_plan("walk forward for three seconds, then turn left twice and stop", "ant")
    followed, rollouts = follow(ant, plan, dataclasses.replace(QUIET, episodes=10))
    assert [part.success.mean >= 0.8 for part in followed.parts] == [True] * 3
    assert followed.success.mean >= 0.8
    assert [part.reached for part in followed.parts] == [1.0] * 3
    for rollout in rollouts:
        walked, half_way, turned = rollout.begins[1:]
        assert walked == 60, "3 s of 0.05"
        assert rollout.outcome.length == turned + 60, "the episode ends with the plan"
        for begin, end in ((walked, half_way), (half_way, turned)):
            angle = rollout.outcome.readings["yaw_rate"][begin:end].sum() * 0.05
            assert np.pi / 2 <= angle < np.pi / 2 + 0.15
        assert len(rollout.actions_TA) == rollout.outcome.length
    assert len({rollout.begins for rollout in rollouts}) > 1
    took = [(rollout.begins[3] - rollout.begins[1]) * 0.05 for rollout in rollouts]
    assert followed.parts[1].seconds == pytest.approx(np.mean(took))


def test_who_turns_the_wrong_way_fails_that_part_alone(ant: Gato, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Crew, "swapped", {"ant/turn-left": "ant/turn-right"})
    plan = parse_plan("walk forward for 3 seconds, turn left within 2 seconds, then stop", "ant")
    followed, rollouts = follow(ant, plan, QUIET)
    assert [part.success.mean for part in followed.parts] == [1.0, 0.0, 1.0]
    assert followed.success.mean == 0.0
    assert {rollout.begins for rollout in rollouts} == {(0, 60, 100)}, "given up after its 2 s"


def test_the_model_is_told_new_words_once_a_change(model: Gato, monkeypatch: pytest.MonkeyPatch) -> None:
    told = told_agents(monkeypatch)
    plan = parse_plan("sprint ahead 3 control steps twice, then stop until the height is over -9 m", "half-cheetah")
    followed, rollouts = follow(model, plan, QUIET)
    assert told == [(6, [0, 1, 2], ["stand still"] * 3)]
    assert {(rollout.begins, rollout.outcome.length) for rollout in rollouts} == {((0, 3, 6), 16)}
    assert rollouts[0].request.prompt == "run forward", "the canonical words"
    assert followed.parts[1].part.until == Until("height", "mean", "at least", -9.0)


def test_a_plan_may_last_longer_than_the_bodys_episodes(monkeypatch: pytest.MonkeyPatch, model: Gato) -> None:
    monkeypatch.setattr(prompted, "Agent", Crew)
    plan = parse_plan("stand still for 60 seconds", "half-cheetah")
    _, rollouts = follow(model, plan, dataclasses.replace(QUIET, episodes=1))
    assert rollouts[0].outcome.length == 1200 > get_body("half-cheetah").max_episode_steps


def test_a_model_of_other_bodies_is_refused(model: Gato) -> None:
    with pytest.raises(ValueError, match='the model knows no body "ant"'):
        follow(model, parse_plan("stop", "ant"), QUIET)


def test_rows_move_on_each_by_itself() -> None:
    until = Until("speed", "total", "at least", 1.0)
    waiting = (Stage("go", "", 5, until, dt=0.5), Stage("stop", "", 2))
    course = Course([waiting, waiting, (Stage("wait", ""),)])
    said = []
    for speeds in ([2.0, 0.5, 9.0], [0.0, 0.5, 9.0], [0.0, 0.5, 9.0], [0.0, 0.0, 9.0], [9.0, 0.0, 9.0]):
        said.append(course.measure({"speed": np.array(speeds)}))
    assert said == [{0: "stop"}, {}, {}, {}, {1: "stop"}]
    assert course.begins == [[0, 1], [0, 5], [0]]
    assert course.is_done_B.tolist() == [True, False, False]


def test_a_row_that_ended_moves_on_no_more() -> None:
    course = Course([(Stage("go", "", 1), Stage("stop", "", 1))] * 2)
    course.retire(np.array([1]))
    assert course.measure({}) == {0: "stop"}
    assert course.begins == [[0, 1], [0]]


def test_the_same_words_are_not_said_twice() -> None:
    course = Course([(Stage("go", "", 1), Stage("go", "", 1), Stage("stop", "", 1))])
    assert [course.measure({}) for _ in range(3)] == [{}, {0: "stop"}, {}]
    assert course.begins == [[0, 1, 2]] and course.is_done_B.all()


WALKING = {"forward_speed": 0.7, "lateral_speed": 0.0, "yaw_rate": 0.0, "height": 0.5, "track_speed": 0.0}
TURNING = {**WALKING, "forward_speed": 0.0, "yaw_rate": 1.0}
PLAN = parse_plan("walk forward 4 control steps, turn left 8 control steps until you have turned 0.2 rad", "ant")
"""An ant's control step is 0.05 s: 0.2 rad are four steps at 1 rad/s."""


def episode(*spans: tuple[int, dict[str, float]], begins: tuple[int, ...] = (0, 4), fell: bool = False) -> Rollout:
    """Steps with the same readings, one span after the other."""
    steps = [readings for count, readings in spans for _ in range(count)]
    readings = {name: np.array([step[name] for step in steps]) for name in WALKING}
    outcome = Outcome(0, 0.0, len(steps), fell, readings)
    return Rollout(
        Request("walk forward", "ant/walk-forward", 0, plan=PLAN), outcome, np.zeros((len(steps), 8)), begins
    )


@pytest.mark.parametrize(
    ("rollout", "done", "reached", "falls"),
    [
        (episode((4, WALKING), (4, TURNING)), [1, 1], [1, 1], [0, 0]),
        # The first half of a part is there to get going, the second is judged.
        (episode((2, TURNING), (2, WALKING), (1, WALKING), (4, TURNING)), [1, 1], [1, 1], [0, 0]),
        (episode((2, WALKING), (2, TURNING), (4, TURNING)), [0, 1], [1, 1], [0, 0]),
        # Turned in time, but walking in the end; and turning well, but never far enough.
        (episode((4, WALKING), (2, {**TURNING, "yaw_rate": 3.0}), (2, WALKING)), [1, 0], [1, 1], [0, 0]),
        (episode((4, WALKING), (8, {**TURNING, "yaw_rate": 0.49})), [1, 0], [1, 1], [0, 0]),
        # A fall spoils the part in which it comes, and those after it.
        (episode((4, WALKING), (3, TURNING), fell=True), [1, 0], [1, 1], [0, 1]),
        (episode((3, WALKING), begins=(0,), fell=True), [0, 0], [1, 0], [1, 0]),
        (episode((4, WALKING), begins=(0, 4), fell=True), [0, 0], [1, 0], [1, 0]),
    ],
)
def test_a_part_is_judged_by_its_rule_over_its_own_time(
    rollout: Rollout, done: list[int], reached: list[int], falls: list[int]
) -> None:
    followed = judge_plan(PLAN, [rollout])
    assert [part.success.mean for part in followed.parts] == done
    assert [part.reached for part in followed.parts] == reached
    assert [part.falls for part in followed.parts] == falls
    assert followed.success.mean == float(all(done))


def test_shares_and_intervals_are_over_episodes() -> None:
    good, bad = episode((4, WALKING), (4, TURNING)), episode((4, WALKING), (8, WALKING))
    followed = judge_plan(PLAN, [good, good, good, bad])
    assert followed.parts[1].success.episodes == (1.0, 1.0, 1.0, 0.0)
    low, high = followed.success.ci95
    assert low < followed.success.mean == 0.75 < high
    assert followed.parts[1].seconds == pytest.approx((3 * 4 + 8) * 0.05 / 4)


def test_repeats_are_done_if_all_of_them_are() -> None:
    plan = Plan("ant", (dataclasses.replace(PLAN.parts[0], repeats=2),))
    rollout = episode((4, WALKING), (4, TURNING), begins=(0, 4))
    assert judge_plan(plan, [rollout]).parts[0].success.mean == 0.0
    rollout = episode((4, WALKING), (4, WALKING), begins=(0, 4))
    assert judge_plan(plan, [rollout]).parts[0].success.mean == 1.0


def test_stages_last_the_steps_of_their_body() -> None:
    plan = parse_plan("hop forward for 2 seconds twice, then stop", "hopper")
    assert [(stage.prompt, stage.steps) for stage in stages(plan)] == [
        ("hop forward", 250),
        ("hop forward", 250),
        ("stand still", 375),
    ]


def test_what_was_said_is_known_at_every_step() -> None:
    rollout = episode((4, WALKING), (4, TURNING))
    assert [rollout.stage_at(step).prompt for step in (0, 3, 4, 8)] == ["walk forward"] * 2 + ["turn left"] * 2
    assert [rollout.stage_at(step).skill for step in (3, 4)] == ["ant/walk-forward", "ant/turn-left"]


@pytest.mark.skipif(find_renderer() is None, reason="no offscreen renderer on this machine")
def test_a_video_is_named_after_the_parts_and_shows_all_of_them(tmp_path: Path) -> None:
    """Videos of one prompt stop after 8 s; 161 steps of the ant are longer."""
    rollout = episode((100, WALKING), (61, TURNING), begins=(0, 100))
    twice = dataclasses.replace(PLAN, parts=(PLAN.parts[0], dataclasses.replace(PLAN.parts[1], repeats=2)))
    rollout = dataclasses.replace(rollout, request=dataclasses.replace(rollout.request, plan=twice))
    (path,) = write_videos({"ant": [rollout]}, tmp_path, 1)
    assert path.name == "ant-walk-forward-then-turn-left-0.mp4"
    with imageio.get_reader(path) as film:
        assert sum(1 for _ in film) == 162


@pytest.fixture(scope="module")
def saved(model: Gato, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "model"
    model.save(folder, card={})
    return folder


def test_the_command_measures_each_part(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "eval",
        str(saved),
        "--body",
        "half-cheetah",
        "--episodes",
        "2",
        "--plan",
        "run forward 5 control steps, then stop",
    ]
    assert cli.run([*words, "--out", str(tmp_path / "told"), "--json"]) == cli.DONE
    found = json.loads(capsys.readouterr().out)
    assert [part["skill"] for part in found["plan_parts"]] == ["half-cheetah/run-forward", "half-cheetah/stand"]
    assert found["plan_parts"][0]["took"] == pytest.approx(0.25)
    assert len(found["plan_success"]["episodes"]) == 2 and found["tasks"] == {}
    record = runs.read_provenance(tmp_path / "told")
    assert "--plan 'run forward for 0.25 seconds, then stand still for 3.0 seconds'" in record["command"]
    assert cli.run(words) == cli.DONE
    assert "half-cheetah/stand" in capsys.readouterr().out


def test_the_command_takes_a_plan_from_a_file(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = parse_plan("run forward 5 control steps", "half-cheetah")
    runs.write_json(tmp_path / "plan.json", plan.json())
    words = ["--body", "half-cheetah", "--episodes", "1", "--plan", str(tmp_path / "plan.json"), "--json"]
    assert cli.run(["eval", str(saved), *words]) == cli.DONE
    assert json.loads(capsys.readouterr().out)["plan"] == plan.words


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--plan", "stop"], "add --body"),
        (["--plan", "", "--body", "half-cheetah"], "the sentence is empty"),
        (["--plan", "dance", "--body", "half-cheetah"], '"dance" is nothing that half-cheetah can do'),
        (["--plan", "hop forward", "--body", "hopper"], 'the model knows no body "hopper"'),
    ],
)
def test_bad_plans_are_told_in_one_line(
    saved: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["eval", str(saved), *words]) == cli.FAILED
    shown = capsys.readouterr()
    assert told in shown.err and shown.out == "" and "Traceback" not in shown.err
