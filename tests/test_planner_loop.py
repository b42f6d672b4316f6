"""The ant steered through tasks: courses that change when somebody speaks, and planners that fail while it goes on."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from making import make_model, told_agents

from gato import cli, runs
from gato.model.config import ModelConfig
from gato.planner import deliberation, loop
from gato.planner.charts import draw_courses
from gato.planner.deliberation import Timing, WallClock
from gato.planner.loop import Setting, run
from gato.planner.scene import Pose
from gato.planner.scripted import Scripted
from gato.planner.situation import Choice, Situation
from gato.planner.tasks import TASKS, Course, Errand, Instruction, Task, figures, parse_instructions
from gato.rollout.experts import Experts
from gato.skills.bodies import BODIES

SHORT = dataclasses.replace(TASKS["reach"], distances=(1.5,), seconds=20.0)
AT_ONCE = Timing()
DT = 0.05
"""s a control step of the ant."""


class Hurried(WallClock):
    """For askers: nobody waits until a planner is there again."""

    def wait_until(self, seconds: float) -> None:
        pass


@pytest.fixture(autouse=True)
def _pauses_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliberation, "WallClock", Hurried)


def experts(prompts: Sequence[str]) -> Experts:
    return Experts("ant", prompts)


def courses(planner: Any, task: Task, timing: Timing = AT_ONCE, episodes: int = 2) -> list[Course]:
    setting = Setting(task, task.instructions, episodes=episodes, timing=timing, is_shown=False)
    return [course for course, _ in run(experts, planner, setting)]


class Then:
    """Says one thing, once; then it does something else."""

    name = "then"

    def __init__(self, option: str, then: Any) -> None:
        self.option, self.then, self.calls = option, then, 0

    def decide(self, situation: Situation) -> Choice:
        self.calls += 1
        if self.calls > 1:
            self.then()
        return Choice(self.option)


def fail() -> None:
    raise ConnectionError("nobody there")


def test_the_ant_reaches_waypoints_and_the_episode_ends_there() -> None:
    for course in courses(Scripted(), SHORT, episodes=4):
        assert course.is_done and course.reached == 1 and course.seconds < 15
        assert len(course.path) == len(course.told) + 1 == round(course.seconds / DT) + 1
        (x, y), end = course.world.waypoints[0], course.path[-1]
        assert math.hypot(x - end.x, y - end.y) <= 0.5 < math.hypot(x - course.path[-2].x, y - course.path[-2].y)


def test_two_runs_are_the_same_and_late_answers_are_late() -> None:
    first, again = (courses(Scripted(), SHORT, Timing(latency=0.3)) for _ in range(2))
    assert [one.path for one in first] == [one.path for one in again]
    assert set(first[0].told[:6]) == {"stand still"} and first[0].told[6] != "stand still"
    step, decision = first[0].decisions[0]
    assert (step, decision.asked, decision.answered) == (6, 0.0, pytest.approx(0.3))


def test_words_in_the_middle_change_the_course_from_then_on() -> None:
    """ "avoid the ball!" after 2 s: the same episode to the bit until then, and a wide berth afterwards."""
    untold = dataclasses.replace(TASKS["avoid"], instructions=())
    told, silent = courses(Scripted(), TASKS["avoid"]), courses(Scripted(), untold)
    for heard, deaf in zip(told, silent, strict=True):
        assert heard.path[:41] == deaf.path[:41]
        assert heard.is_done and heard.closest >= 1.0
        assert not deaf.is_done and deaf.closest < 0.75 and deaf.reached == 1
    newest = [decision.situation for _, decision in told[0].decisions if decision.asked >= 2.0]
    assert {one.instruction for one in newest} == {"avoid the ball!"}
    assert newest[0].seconds == 2.0, "it is asked at once"
    assert len(newest[-1].memory) == 8 and "the ball is" in newest[0].observation


def test_the_ant_goes_on_while_its_planner_fails() -> None:
    (course,) = courses(
        Then("walk forward", fail), dataclasses.replace(SHORT, seconds=5.0, distances=(9.0,)), episodes=1
    )
    assert set(course.told) == {"walk forward"} and not course.fell
    assert math.hypot(course.path[-1].x, course.path[-1].y) > 2, "it walked, though nobody was there"
    asked = [decision.asked for _, decision in course.decisions]
    assert asked == pytest.approx([0.0, 0.5, 1.0, 2.0, 4.0]), "after pauses that double"
    found = figures([course])
    assert (found["decisions"], found["failed_decisions"]) == (5, 4)
    assert found["first_failure"] == "ConnectionError: nobody there"


def test_all_episodes_ask_one_planner_one_thing_at_a_time() -> None:
    """Each had a thread of its own: up to 128 asked at once, and each waited for its own time to be up."""
    let_go = threading.Event()
    planner = Then("walk forward", lambda: let_go.wait(30))
    task = dataclasses.replace(SHORT, seconds=1.0, distances=(9.0,))
    found = courses(planner, task, Timing(timeout=0.3), episodes=3)
    let_go.set()
    assert planner.calls == 2
    errors = [decision.error for course in found for _, decision in course.decisions if decision.error]
    assert {*errors} == {"no answer within 0.3 s", "it is still busy with an earlier question"}
    assert errors.count("no answer within 0.3 s") == 1


def test_in_real_time_the_ant_walks_while_its_planner_hangs() -> None:
    let_go = threading.Event()
    task = dataclasses.replace(SHORT, seconds=1.5, distances=(9.0,))
    timing = Timing(every=0.2, timeout=0.5, is_real_time=True)
    began = time.monotonic()
    (course,) = courses(Then("walk forward", lambda: let_go.wait(30)), task, timing, episodes=1)
    took = time.monotonic() - began
    let_go.set()
    assert 1.4 <= took < 15, "at the pace of the wall's clock, and no slower than the machine"
    assert course.told[-1] == "walk forward" and len(course.told) == 30
    assert "no answer within 0.5 s" in [decision.error for _, decision in course.decisions]


def test_a_machine_that_is_too_slow_for_real_time_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "LATE", -1.0)
    task = dataclasses.replace(SHORT, seconds=0.2, distances=(9.0,))
    courses(Scripted(), task, Timing(is_real_time=True), episodes=1)
    assert "behind the clock on the wall" in caplog.text


def test_a_model_is_told_the_words_that_were_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    from gato.rollout import prompted

    told = told_agents(monkeypatch)
    model = make_model(ModelConfig(size="nano"), BODIES["ant"].spec)
    task = dataclasses.replace(SHORT, seconds=1.0, distances=(9.0,))
    setting = Setting(task, (), episodes=2, timing=Timing(latency=0.2), is_shown=False)
    ran = run(lambda prompts: prompted.Agent(model, "ant", prompts), Then("turn left", fail), setting)
    assert told[0][0] == 4 and set(told[0][2]) == {"turn left"}
    for course, rollout in ran:
        assert [rollout.stage_at(step).prompt for step in range(rollout.outcome.length)] == list(course.told)
        assert rollout.actions_TA.shape == (rollout.outcome.length, 8) and rollout.request.said == "reach"


def test_waypoints_count_in_their_order_and_the_ball_from_the_first_word_on() -> None:
    task = dataclasses.replace(TASKS["patrol"], is_kept_away=True)
    errand = Errand(task, (Instruction(1.0, "avoid the ball"),), seed=3)
    corners = errand.world.waypoints
    assert [round(math.dist(*pair), 6) for pair in zip(corners, corners[1:], strict=False)] == [2.0] * 3
    assert corners[3] == pytest.approx((0.0, 0.0), abs=1e-9)
    for seconds, place in enumerate((errand.world.ball, corners[1], corners[0], corners[2], corners[1])):
        errand.track(Pose(*place, 0.0, 1.0), float(seconds))
    assert errand.reached == 2 and not errand.is_over
    assert errand.sights()[0].distance == pytest.approx(2.0), "the third corner, from the second"
    assert errand.closest == pytest.approx(1.0), "that it stood on the ball before counts for nothing"
    assert errand.instruction(0.99) == "" and errand.instruction(1.0) == "avoid the ball"
    for place in corners[2:]:
        errand.track(Pose(*place, 0.0, 1.0), 9.0)
    done = errand.course(dt=DT, fell=False, told=[], decisions=[])
    assert done.is_done and not dataclasses.replace(done, is_done=False).is_done
    assert not errand.course(dt=DT, fell=True, told=[], decisions=[]).is_done
    errand.track(Pose(*errand.world.ball, 0.0, 1.0), 9.5)
    assert not errand.course(dt=DT, fell=False, told=[], decisions=[]).is_done


def test_shares_come_with_wilsons_interval(tmp_path: Path) -> None:
    found = courses(Scripted(), SHORT, episodes=2)
    failed = dataclasses.replace(found[0], is_done=False, fell=True, reached=0)
    told = figures([*found, failed, failed])
    assert told["success"]["mean"] == 0.5 and told["falls"] == 2 and told["waypoints"] == 0.5
    assert told["success"]["ci95"] == pytest.approx([0.15, 0.85], abs=0.01)
    draw_courses({"a": found, "b": [failed]}).savefig(tmp_path / "courses.png")
    assert (tmp_path / "courses.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("avoid the ball!", 'got "avoid the ball!"; SECONDS:WORDS is needed, such as "12:avoid'),
        ("soon:stop", "SECONDS:WORDS is needed"),
        ("-1:stop", "allowed: from 0 to less than the 60 s of reach"),
        ("nan:stop", "allowed: from 0"),
        ("60:stop", "allowed: from 0"),
        ("3:", "the sentence is empty"),
        ("3: \t ", "the sentence is empty"),
        ("3:" + "walk " * 9999, "has 49995 characters; allowed: 2000"),
        ("3:\x1b[2J", "control character"),
    ],
)
def test_instructions_that_cannot_be_heard_are_refused_before_anything_moves(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("[", r"\[")) as found:
        parse_instructions([text], TASKS["reach"])
    assert len(str(found.value)) < 300


def test_instructions_come_in_time_whatever_they_hold() -> None:
    heard = parse_instructions(["9:go on", "2.5: avoid \N{DUCK}: the ball "], TASKS["reach"])
    assert heard == (Instruction(2.5, "avoid \N{DUCK}: the ball"), Instruction(9.0, "go on"))


def test_the_command_keeps_decisions_beside_trajectories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["act", "experts", "--episodes", "1", "--instruct", "1:stop", "--latency", "0.1", "--out", str(out)]
    assert cli.run([*words, "--json"]) == cli.DONE
    found = json.loads(capsys.readouterr().out)
    assert found["success"]["mean"] == 0.0 and found["planner"] == "scripted" and found["instructions"] == ["1 s: stop"]
    decisions = [json.loads(line) for line in (out / "episodes" / "000-decisions.jsonl").read_text().splitlines()]
    assert len(decisions) == found["decisions"]
    assert decisions[-1]["chosen"] == "stand still" and "the task: stop" in decisions[-1]["request"]
    assert (decisions[0]["step"], decisions[0]["asked"], decisions[0]["answered"]) == (2, 0.0, 0.1)
    with (out / "episodes" / "000-trajectory.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1201 and rows[-2]["told"] == "stand still" and rows[-1]["told"] == ""
    assert (out / "courses.png").stat().st_size > 1000
    assert "--instruct 1:stop --episodes 1 --seed 0 --latency 0.1 --out" in runs.read_provenance(out)["command"]


def test_a_server_that_is_not_there_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    words = ["act", "experts", "--planner", "http://127.0.0.1:9/v1", "--episodes", "1", "--json"]
    assert cli.run(words) == cli.FAILED
    shown = capsys.readouterr()
    assert "never decided anything: ConnectionError: http://127.0.0.1:9/v1/chat/completions" in shown.err
    assert json.loads(shown.out)["falls"] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["experts", "--task", "reech"], 'no task "reech"; did you mean "reach"'),
        (["experts", "--body", "hopper"], "the tasks are for ant"),
        (["nobody"], 'no model "nobody"'),
        (["experts", "--planner", "no such"], "neither a folder nor a Hub id"),
        (["experts", "--episodes", "0"], "at least 1"),
        (["experts", "--every", "0"], "got {'every': 0.0}"),
        (["experts", "--video", "-1"], "video is -1"),
    ],
)
def test_bad_wishes_are_told_in_one_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["act", *words]) == cli.FAILED
    shown = capsys.readouterr()
    assert told in shown.err and shown.out == "" and "Traceback" not in shown.err
