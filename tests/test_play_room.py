"""What a viewer sees is what an agent and a simulation of their own would do; and how words are understood."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from serving import make_telling_model
from viewing import tick

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.play.room import FALLEN, PUSH_SECONDS, PUSH_SPEED, Room, Spent
from gato.play.scene import Poses
from gato.play.session import Session
from gato.play.words import Interpreter, Meaning
from gato.rollout.agent import Agent
from gato.sequences import Layout
from gato.serve.catalogue import Catalogue
from gato.skills.batch_stepper import BatchStepper
from gato.skills.bodies import BODIES
from gato.skills.stepper import find_env_spec
from gato.skills.transition import Transition

CONFIG = ModelConfig(size="nano", layout=Layout(prompt_positions=6, window_steps=5, demonstration_steps=0))
ANT_TAUGHT = ("ant/run-forward", "ant/turn-left", "ant/turn-right", "ant/walk-forward", "ant/command")
TAUGHT = (*ANT_TAUGHT, "hopper/hop-forward")
LEFT, RIGHT = Meaning("turn left", "ant/turn-left"), Meaning("turn right", "ant/turn-right")


@pytest.fixture(scope="module")
def model() -> Gato:
    return make_telling_model(CONFIG, BODIES["ant"].spec, BODIES["hopper"].spec, BODIES["inverted-pendulum"].spec)


@pytest.fixture(scope="module")
def catalogue(model: Gato) -> Catalogue:
    return Catalogue(model, TAUGHT)


@pytest.fixture(scope="module")
def interpreter(catalogue: Catalogue) -> Interpreter:
    return Interpreter(catalogue)


class Watching:
    """A viewer who keeps all that comes."""

    def __init__(self) -> None:
        self.items: list[dict | bytes] = []
        self.session = Session(self.items.append)

    def events(self, kind: str) -> list[dict]:
        return [item for item in self.items if isinstance(item, dict) and item["event"] == kind]

    def frames(self, parts: int, readings: int) -> list[tuple[float, np.ndarray, np.ndarray]]:
        """Time, poses (T, N, 7), readings (R,)."""
        found = []
        for item in self.items:
            if isinstance(item, bytes):
                time, count, _ = np.frombuffer(item, "<f8", 3)
                numbers = np.frombuffer(item, "<f4", offset=24)
                assert len(numbers) == count * parts * 7 + readings
                found.append((time, numbers[:-readings].reshape(int(count), parts, 7), numbers[-readings:]))
        return found


def alone(model: Gato, body: str, seed: int, prompts: dict[int, str], steps: int, moments: int) -> list[np.ndarray]:
    """Poses (T, N, 7) of every control step of an agent and a simulation, told these words at these steps."""
    skill = f"{body}/run-forward" if body == "ant" else f"{body}/hop-forward"
    stepper = BatchStepper(skill, 1, env_spec=find_env_spec(skill))
    stepper.keep_motion(moments)
    poses, row, agent = Poses(stepper.model), np.arange(1), Agent(model, body, [prompts[0]])
    observations_BO, shown = stepper.reset(row, [seed]), []
    for step in range(steps):
        if step and step in prompts:
            agent.set_prompt(row, [prompts[step]])
        observations_BO = stepper.step(agent(observations_BO)).observations_BO
        assert stepper.motion_TbQ is not None
        shown.append(poses(stepper.motion_TbQ[:, 0]))
    return shown


def test_each_viewer_sees_a_simulation_of_their_own_to_the_last_bit(model: Gato) -> None:
    """Others come, go, pause, are told other things; new words hold from the next control step on."""
    room = Room(model, "ant", 3, Spent(), seed=1)
    one, other, late = Watching(), Watching(), Watching()
    room.enter(one.session, LEFT)
    room.enter(other.session, RIGHT)
    for step in range(12):
        if step == 4:
            room.enter(late.session, LEFT)
        if step == 5:
            room.say(one.session, RIGHT)
            room.pause(other.session, True)
        if step == 8:
            room.leave(late.session)
            room.pause(other.session, False)
        tick(room)
    parts, readings = 13, len(BODIES["ant"].readings)
    for viewer, prompts, steps in ((one, {0: "turn left", 5: "turn right"}, 12), (other, {0: "turn right"}, 9)):
        expected = alone(model, "ant", viewer.events("begun")[0]["seed"], prompts, steps, 3)
        shown = viewer.frames(parts, readings)
        assert [time for time, _, _ in shown] == pytest.approx([0.05 * (1 + step) for step in range(steps)])
        assert all(np.array_equal(poses, want) for (_, poses, _), want in zip(shown, expected, strict=True))
    assert len(late.frames(parts, readings)) == 4 and late.session.body == ""
    assert one.events("told")[-1]["time"] == pytest.approx(0.25) and one.events("told")[-1]["skill"] == "ant/turn-right"


def test_a_row_that_is_given_away_remembers_nothing(model: Gato) -> None:
    room = Room(model, "ant", 1, Spent())
    first, second = Watching(), Watching()
    room.enter(first.session, LEFT)
    room.push(first.session)
    for _ in range(3):
        tick(room)
    room.leave(first.session)
    room.enter(second.session, RIGHT)
    for _ in range(3):
        tick(room)
    expected = alone(model, "ant", second.events("begun")[0]["seed"], {0: "turn right"}, 3, 3)
    shown = second.frames(13, len(BODIES["ant"].readings))
    assert all(np.array_equal(poses, want) for (_, poses, _), want in zip(shown, expected, strict=True))


def test_a_body_that_acts_often_is_shown_sixty_times_a_second(model: Gato) -> None:
    room, viewer = Room(model, "hopper", 1, Spent()), Watching()
    room.enter(viewer.session, Meaning("hop forward", "hopper/hop-forward"))
    for _ in range(10):
        tick(room)
    shown = viewer.frames(4, len(BODIES["hopper"].readings))
    assert [time for time, _, _ in shown] == pytest.approx([0.016, 0.032, 0.048, 0.064, 0.08])


def test_who_fell_begins_anew_under_the_same_words(model: Gato) -> None:
    room, viewer = Room(model, "hopper", 1, Spent()), Watching()
    room.enter(viewer.session, Meaning("hop forward", "hopper/hop-forward"))
    for _ in range(600):
        tick(room)
        if viewer.session.steps == 0:
            break
    begun = viewer.events("begun")
    assert [one["why"] for one in begun] == ["", "it fell"] and begun[0]["seed"] != begun[1]["seed"]
    assert viewer.session.prompt == "hop forward"
    falls = viewer.frames(4, len(BODIES["hopper"].readings))
    assert falls[-1][0] >= FALLEN  # it was seen lying


def test_a_push_gives_its_speed_and_ends(model: Gato) -> None:
    """The pendulum's cart, which nothing but its rail holds: m v = F t, along the rail."""
    rooms = [Room(model, "inverted-pendulum", 1, Spent(), seed=3) for _ in range(2)]
    viewers = [Watching(), Watching()]
    for room, viewer in zip(rooms, viewers, strict=True):
        room.enter(viewer.session, Meaning("balance", "inverted-pendulum/balance"))
        room.agent.act = lambda ids, _: np.zeros((len(ids), 1), np.float32)  # type: ignore[method-assign]
    rooms[1].push(viewers[1].session)
    for _ in range(round(PUSH_SECONDS / 0.04)):
        for room in rooms:
            tick(room)
    state = [room.stepper.get_state(np.array([0]))[1].sum() for room in rooms]
    (told,) = viewers[1].events("pushed")
    assert abs(told["direction"][0]) == pytest.approx(math.sqrt(0.5))
    rail = rooms[1].stepper.get_state(np.array([0]))[1][0, 0] - rooms[0].stepper.get_state(np.array([0]))[1][0, 0]
    assert np.sign(rail) == np.sign(told["direction"][0]) and 0.4 * PUSH_SPEED < abs(rail) < 2 * PUSH_SPEED, state
    assert not rooms[1].stepper._forces_BN6.any()


def test_a_plan_is_followed_part_by_part(model: Gato, interpreter: Interpreter) -> None:
    room, viewer = Room(model, "ant", 1, Spent()), Watching()
    room.enter(viewer.session, LEFT)
    meant = interpreter.understand("ant", "turn right for 0.1 seconds twice, then walk forward for 0.15 seconds")
    room.say(viewer.session, meant)
    for _ in range(8):
        tick(room)
    plans, parts = viewer.events("plan"), viewer.events("part")
    assert plans[0]["parts"] == [
        "turn right for 0.1 seconds",
        "turn right for 0.1 seconds",
        "walk forward for 0.15 seconds",
    ]
    assert [(one["index"], round(one["time"], 2)) for one in parts] == [(1, 0.1), (2, 0.2)]
    assert plans[1]["parts"] == [] and plans[1]["is_done"] and plans[1]["time"] == pytest.approx(0.35)
    assert [one["prompt"] for one in viewer.events("told")] == ["turn left", "turn right", "walk forward"]
    assert room.agent.prompts == ["walk forward"]


def test_other_words_and_a_new_beginning_end_a_plan(model: Gato, interpreter: Interpreter) -> None:
    for end in ("words", "reset"):
        room, viewer = Room(model, "ant", 1, Spent()), Watching()
        room.enter(viewer.session, LEFT)
        room.say(viewer.session, interpreter.understand("ant", "turn right for 3 seconds, then turn left"))
        tick(room)
        room.say(viewer.session, LEFT) if end == "words" else room.begin(viewer.session)
        assert viewer.session.course is None and viewer.events("plan")[-1]["parts"] == []


@pytest.mark.parametrize("how", ["not a number", "too large for float32"])
def test_whose_simulation_breaks_begins_anew_and_the_others_notice_nothing(
    model: Gato, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others saw the same moment twice; and what no float32 can say was told to the agent, which failed for all."""
    room = Room(model, "ant", 2, Spent())
    broken, other = Watching(), Watching()
    room.enter(broken.session, LEFT)
    room.enter(other.session, LEFT)
    tick(room)
    if how == "not a number":
        qpos_BQ, qvel_BV = room.stepper.get_state(np.array([0]))
        qvel_BV[0, 3] = np.nan
        room.stepper.set_state(np.array([0]), qpos_BQ, qvel_BV)
    else:
        step = room.stepper.step

        def too_far(actions_BA: np.ndarray, ids: np.ndarray) -> Transition:
            monkeypatch.undo()
            stepped = step(actions_BA, ids)
            stepped.observations_BO[0] = 1e300
            return stepped

        monkeypatch.setattr(room.stepper, "step", too_far)
    for _ in range(3):
        tick(room)
    (error,) = broken.events("error")
    assert ("state is not finite" if how == "not a number" else "got out of hand") in error["error"]
    assert broken.events("begun")[-1]["why"] == "the simulation broke" and broken.session.steps == 2
    assert not other.events("error")
    expected = alone(model, "ant", other.events("begun")[0]["seed"], {0: "turn left"}, 4, 3)
    shown = other.frames(13, len(BODIES["ant"].readings))
    assert all(np.array_equal(poses, want) for (_, poses, _), want in zip(shown, expected, strict=True))
    for session in (broken.session, other.session):
        room.leave(session)


def test_where_all_simulations_break_all_begin_anew(model: Gato) -> None:
    room, viewer = Room(model, "ant", 1, Spent()), Watching()
    room.enter(viewer.session, LEFT)
    qpos_BQ, qvel_BV = room.stepper.get_state(np.array([0]))
    room.stepper.set_state(np.array([0]), qpos_BQ, qvel_BV * np.nan)
    for _ in range(2):
        tick(room)
    assert [one["why"] for one in viewer.events("begun")] == ["", "the simulation broke"]
    assert len(viewer.frames(13, len(BODIES["ant"].readings))) == 1


def test_who_ran_when_acting_failed_begins_anew_and_waits(model: Gato) -> None:
    """It went on by itself, and failed again, as fast as it could, for ever."""
    room, running, paused = Room(model, "ant", 2, Spent()), Watching(), Watching()
    room.enter(running.session, LEFT)
    room.enter(paused.session, LEFT)
    tick(room)
    room.pause(paused.session, True)
    room.fail(MemoryError())
    assert room.due == math.inf and running.session.is_paused and running.session.steps == 0
    assert running.events("error")[0]["error"].endswith("it begins anew and is paused: go on tries again")
    assert not paused.events("error") and paused.session.steps == 1
    room.pause(running.session, False)
    tick(room)
    assert running.session.steps == 1


def test_what_is_typed_is_understood(interpreter: Interpreter) -> None:
    for text, prompt, skill, parts, note in (
        ("turn left", "turn left", "ant/turn-left", 0, ""),
        ("  Turn   LEFT! ", "Turn LEFT!", "ant/turn-left", 0, ""),
        ("ant/turn-left", "turn left", "ant/turn-left", 0, ""),
        ("turning left", "turn left", "ant/turn-left", 0, 'told "turn left"'),
        ("walk forward for three seconds", "walk forward", "ant/walk-forward", 1, ""),
        ("walk forward until the speed is over 2 m/s", "walk forward", "ant/walk-forward", 1, ""),
        ("turn left until the yaw rate is over 1 rad/s", "turn left", "ant/turn-left", 1, ""),
        ("turn left twice and then turn right", "turn left", "ant/turn-left", 2, ""),
        ("yaw_rate=0.5", "forward_speed=0 lateral_speed=0 yaw_rate=0.5", None, 0, ""),
        ("trun lfet", "trun lfet", None, 0, 'did you mean "turn left"?; told as it is'),
    ):
        meant = interpreter.understand("ant", text)
        assert (meant.prompt, meant.skill) == (prompt, skill), text
        assert (len(meant.plan.parts) if meant.plan else 0) == parts and note in meant.note, text
        assert bool(note) == bool(meant.note), text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "nothing was said"),
        (" ,.! ", "nothing was said"),
        ("hop forward", '"hop forward" is nothing that ant can do, but hopper can; did you mean'),
        ("ant/turn-lft", 'did you mean "ant/turn-left"?'),
        ("walk backward", "was not taught to this model; say"),
        ("turn left, then walk backward", "was not taught to this model; say"),
        ("turn left, then trun rihgt", '"trun rihgt" is nothing that ant can do; did you mean "turn right"?'),
        ("turn left for 9999 seconds", "got 9999.0; allowed: numbers from 0.05 to 300"),
        ("one two three four five six seven eight", "is nothing that ant can do"),
        ("a" * 1000, "is nothing that ant can do"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(interpreter: Interpreter, text: str, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        interpreter.understand("ant", text)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_sentence_in_any_words_is_heard_where_somebody_listens(catalogue: Catalogue) -> None:
    interpreter = Interpreter(catalogue, lambda body, text: "turn left" if "port" in text else None)
    meant = interpreter.understand("ant", "hard to port, helmsman")
    assert (meant.prompt, meant.skill, meant.note) == ("turn left", "ant/turn-left", 'heard as "turn left"')
    with pytest.raises(ValueError, match="is nothing that ant can do"):
        interpreter.understand("ant", "make me a sandwich")
    assert interpreter.understand("ant", "turn right").note == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("turn left for 1 second, then trun rihgt", 'did you mean "turn right"?'),
        ("first trun lfet, then wait", 'did you mean "turn left"?'),
        ("turn right for 9999 seconds", "allowed: numbers from 0.05 to 300"),
        ("walk forward until the sped is over 2 m/s", "cannot be told; allowed"),
    ],
)
def test_what_is_wrong_with_a_plan_is_told_though_somebody_listens(catalogue: Catalogue, text: str, told: str) -> None:
    """It was heard as one skill, and the rest was dropped."""
    interpreter = Interpreter(catalogue, lambda body, text: "turn left")
    with pytest.raises(ValueError) as caught:
        interpreter.understand("ant", text)
    assert told in str(caught.value)
    assert interpreter.understand("ant", "turn left, the train is coming").note == 'heard as "turn left"'
    assert interpreter.understand("ant", "round and round, for me").note == 'heard as "turn left"'


def test_one_sentence_is_heard_at_a_time(catalogue: Catalogue) -> None:
    """Sentences of several viewers come in several threads, and a tokenizer is not for more than one."""
    busy = threading.Lock()

    def hear(body: str, text: str) -> str:
        assert busy.acquire(blocking=False), "two at once"
        time.sleep(0.05)
        busy.release()
        return "turn left"

    interpreter = Interpreter(catalogue, hear)
    with ThreadPoolExecutor(2) as pool:
        heard = list(pool.map(lambda text: interpreter.understand("ant", text), ["hard to port"] * 2))
    assert [one.skill for one in heard] == ["ant/turn-left"] * 2
