"""A planner in the page: it is asked again and again, and the body does what it chose and never waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from playing import played
from serving import make_telling_model
from test_play_room import CONFIG, LEFT, RIGHT, Watching
from viewing import Viewer, tick
from waiting import SOON, becomes

from gato.language.plans import parse_plan
from gato.model.gato import Gato
from gato.planner.situation import Choice, Situation
from gato.play.room import Room, Spent
from gato.play.steering import EVERY, Pilot
from gato.play.words import Meaning
from gato.skills.bodies import BODIES

SKILLS = {"ant/stand": "stand still", "ant/turn-left": "turn left", "ant/turn-right": "turn right"}
TAUGHT = ("ant/turn-left", "ant/turn-right", "hopper/hop-forward", "hopper/stand")


class Asked:
    """Answers what it is told to, when it is told to."""

    name = "a test"

    def __init__(self, *answers: str | Exception) -> None:
        self.answers, self.situations = list(answers), []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def decide(self, situation: Situation) -> Choice:
        self.situations.append(situation)
        self.may_answer.wait(SOON)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Choice(answer, f"I say {answer}")


@pytest.fixture(scope="module")
def model() -> Gato:
    return make_telling_model(CONFIG, BODIES["ant"].spec, BODIES["hopper"].spec)


@pytest.fixture
def room(model: Gato) -> Iterator[Room]:
    yield Room(model, "ant", 2, Spent())


def steered(room: Room, planner: Asked, words: str = "go round the tree") -> Watching:
    viewer = Watching()
    room.enter(viewer.session, LEFT)
    room.ask(viewer.session, Pilot(planner), SKILLS, words)
    return viewer


def until_decided(room: Room, viewer: Watching, count: int) -> dict:
    becomes(lambda: tick(room) or len(viewer.events("decided")) >= count)
    return viewer.events("decided")[count - 1]


def test_the_body_does_what_was_chosen_until_something_else_is(room: Room) -> None:
    planner = Asked("turn right", "stand still")
    viewer = steered(room, planner)
    decided = until_decided(room, viewer, 1)
    assert (decided["chosen"], decided["answer"]) == ("turn right", "I say turn right")
    assert (viewer.session.prompt, viewer.session.skill) == ("turn right", "ant/turn-right")
    assert room.agent.prompts[viewer.session.row] == "turn right"
    assert viewer.events("told")[-1]["prompt"] == "turn right"
    second = until_decided(room, viewer, 2)
    assert second["asked"] >= decided["asked"] + EVERY - 1e-6
    assert viewer.session.skill == "ant/stand"
    first, after = planner.situations[:2]
    assert first.goal == "go round the tree" and first.options == tuple(SKILLS.values())
    assert "the start is" in first.observation and "upright" in first.observation and not first.memory
    assert [option for _, option in after.memory] == ["turn right"]


def test_who_does_not_answer_does_not_stop_the_body(room: Room) -> None:
    planner = Asked("turn right")
    planner.may_answer.clear()
    viewer = steered(room, planner)
    for _ in range(round(5 / room.body.dt) + 3):
        tick(room)
    (decided,) = viewer.events("decided")
    assert (decided["chosen"], decided["error"]) == (None, "no answer within 5 s")
    assert viewer.session.prompt == "turn left"
    planner.may_answer.set()


def test_who_hangs_is_asked_once_however_often_the_body_begins(room: Room) -> None:
    planner = Asked("turn right")
    planner.may_answer.clear()
    viewer = steered(room, planner)
    for _ in range(20):
        tick(room)
        room.begin(viewer.session)
        room.say(viewer.session, LEFT)
        room.ask(viewer.session, Pilot(planner), SKILLS, "go on")
    assert [one.goal for one in planner.situations] == ["go round the tree"]
    planner.may_answer.set()
    decided = until_decided(room, viewer, 1)
    assert "Task: go on" in decided["request"], "the late answer to the other question is not heard"


def test_who_comes_to_a_planner_that_still_thinks_for_another_is_told_so(room: Room) -> None:
    planner = Asked("turn right")
    planner.may_answer.clear()
    first = steered(room, planner)
    tick(room)
    room.leave(first.session)
    second = steered(room, planner, "go on")
    assert "busy with an earlier question" in second.events("error")[-1]["error"] and not first.events("error")
    planner.may_answer.set()
    assert "Task: go on" in until_decided(room, second, 1)["request"]


def test_who_fails_is_told_of_and_asked_again(room: Room) -> None:
    viewer = steered(room, Asked(ConnectionError("gone"), "jump", "turn right"))
    assert until_decided(room, viewer, 1)["error"] == "ConnectionError: gone"
    assert viewer.session.prompt == "turn left"
    assert 'it chose "jump"' in until_decided(room, viewer, 2)["error"]
    assert until_decided(room, viewer, 3)["chosen"] == "turn right"


def test_asking_again_says_what_matters_more_and_telling_ends_it(room: Room) -> None:
    planner = Asked("turn right")
    viewer = steered(room, planner)
    until_decided(room, viewer, 1)
    room.ask(viewer.session, Pilot(planner), SKILLS, "avoid the ball!")
    assert [(one["goal"], one["instruction"]) for one in viewer.events("steered")] == [
        ("go round the tree", ""),
        ("go round the tree", "avoid the ball!"),
    ]
    until_decided(room, viewer, 2)
    assert planner.situations[-1].instruction == "avoid the ball!"
    assert viewer.events("decided")[1]["asked"] - viewer.events("decided")[0]["answered"] < EVERY, "at once"
    room.say(viewer.session, LEFT)
    assert viewer.events("steered")[-1]["goal"] == "" and viewer.session.steering is None
    for _ in range(30):
        tick(room)
    assert len(viewer.events("decided")) == 2 and viewer.session.prompt == "turn left"


def test_a_body_that_begins_anew_is_steered_on_and_one_that_changes_is_not(room: Room) -> None:
    planner = Asked("turn right")
    viewer = steered(room, planner)
    until_decided(room, viewer, 1)
    room.ask(viewer.session, Pilot(planner), SKILLS, "mind the cat")
    room.begin(viewer.session)
    until_decided(room, viewer, 2)
    assert (planner.situations[-1].goal, planner.situations[-1].instruction) == ("go round the tree", "mind the cat")
    assert not planner.situations[-1].memory
    room.leave(viewer.session)
    room.enter(viewer.session, RIGHT)
    assert viewer.session.steering is None


def test_each_viewer_has_a_goal_of_their_own(room: Room) -> None:
    planner = Asked("turn right")
    one, other = steered(room, planner, "here"), steered(room, planner, "there")
    assert "Task: here" in until_decided(room, one, 1)["request"]
    assert "Task: there" in until_decided(room, other, 1)["request"]


def test_a_plan_ends_where_a_planner_takes_over(room: Room) -> None:
    viewer = Watching()
    room.enter(viewer.session, LEFT)
    plan = parse_plan("turn left for 3 seconds, then turn right", "ant")
    room.say(viewer.session, Meaning("turn left", "ant/turn-left", plan))
    room.ask(viewer.session, Pilot(Asked("turn right")), SKILLS, "go home")
    assert viewer.session.course is None and viewer.events("plan")[-1]["parts"] == []


def test_it_is_asked_over_the_wire_where_there_is_one(model: Gato) -> None:
    with played(model, TAUGHT, pilot=Pilot(Asked("turn right"))) as place:
        with Viewer(place) as viewer:
            assert viewer.event("hello")["has_planner"]
            viewer.event("told")
            viewer.send({"ask": "  go\nround the tree "})
            assert viewer.event("steered")["goal"] == "go round the tree"
            assert viewer.event("decided")["chosen"] == "turn right"
            assert viewer.event("told")["skill"] == "ant/turn-right"
            viewer.send({"ask": " ?"})
            assert "nothing was said" in viewer.event("error")["error"]
            viewer.send({"ask": "go \u001b[2J home"})
            assert "control characters" in viewer.event("error")["error"]
        becomes(lambda: place.is_empty)
    with played(model, TAUGHT) as place:
        with Viewer(place) as viewer:
            assert not viewer.event("hello")["has_planner"]
            viewer.send({"ask": "go round the tree"})
            assert viewer.event("error")["error"].startswith("no planner is here; start the page with gato play MODEL")
        becomes(lambda: place.is_empty)
