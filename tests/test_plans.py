"""Sentences to plans: what is understood, what is refused in one line, and that plans survive words and JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gato import cli
from gato.language.plans import parse_plan, read_plan
from gato.skills.bodies import BODIES, get_body
from gato.skills.plan import MOST_SECONDS, Part, Plan, Until, plan_skills, schema
from gato.skills.prompts import SPLITS
from gato.skills.table import get_skill

WALK, TURN, STAND = "walk-forward 3s", "turn-left yaw_rate>=1.571 <6.142s", "stand 3s"
"""What is meant on the ant where nothing else is said: 3 s, and a quarter turn that at 0.5 rad/s takes 3.142 s."""

SENTENCES = [
    # Times.
    ("ant", "walk forward for three seconds, then turn left twice and stop", f"{WALK} | {TURN} x2 | {STAND}"),
    ("ant", "Walk forward for 3 s. Then turn LEFT!", f"{WALK} | {TURN}"),
    ("ant", "walk forward\nthen turn left", f"{WALK} | {TURN}"),
    ("ant", "walk forward for 2.5 s", "walk-forward 2.5s"),
    ("ant", "walk forward 3s", "walk-forward 3s"),
    ("ant", "turn left and right for 2 seconds", "turn-left yaw_rate>=1.571 <6.142s | turn-right 2s"),
    ("ant", "walk forward and left and right", "walk-forward 3s | walk-left 3s | walk-right 3s"),
    ("ant", "walk forward for half a second, then stop for a second", "walk-forward 0.5s | stand 1s"),
    ("ant", "walk forward for two and a half seconds", "walk-forward 2.5s"),
    ("ant", "walk forward for a second and a half, stop 2 seconds and a half", "walk-forward 1.5s | stand 2.5s"),
    ("ant", "walk forward for twenty-five seconds", "walk-forward 25s"),
    ("ant", "walk forward for a hundred and twenty seconds", "walk-forward 120s"),
    ("ant", "walk forward for a couple of seconds", "walk-forward 2s"),
    ("ant", "walk forward for a quarter of a minute", "walk-forward 15s"),
    ("ant", "walk forward for 1 minute", "walk-forward 60s"),
    ("ant", "walk forward 20 steps", "walk-forward 1s"),
    ("ant", "walk forward 10 steps", "walk-forward 0.5s"),
    ("ant", "walk forward for 3 control steps, then stop for one control step", "walk-forward 0.15s | stand 0.05s"),
    ("hopper", "hop forward for 100 steps", "hop-forward 0.8s"),
    ("ant", "for three seconds walk forward", WALK),
    ("ant", "for 3 seconds, walk forward, then stop", f"{WALK} | {STAND}"),
    ("hopper", "for 3 seconds, hop up and down", "hop-in-place 3s"),
    ("ant", "wait 3 seconds", STAND),
    ("ant", "walk 3 seconds forward, please wait", f"{WALK} | {STAND}"),
    ("ant", "turn left for 3 seconds", "turn-left 3s"),
    ("inverted-pendulum", "balance the pole for 2 seconds", "balance 2s"),
    # Repeats.
    ("ant", "walk forward twice", f"{WALK} x2"),
    ("ant", "turn left once", TURN),
    ("ant", "turn left four times", f"{TURN} x4"),
    ("ant", "walk forward for 2 seconds thrice", "walk-forward 2s x3"),
    ("ant", "walk forward and turn left, do that twice", f"{WALK} | {TURN} | {WALK} | {TURN}"),
    ("ant", "walk forward and turn left and repeat", f"{WALK} | {TURN} | {WALK} | {TURN}"),
    ("ant", "walk forward, repeat that twice, then stop", f"{WALK} | {WALK} | {WALK} | {STAND}"),
    ("ant", "walk forward. Do it again. Stop.", f"{WALK} | {WALK} | {STAND}"),
    ("ant", "repeat twice: walk forward, then stop", f"{WALK} | {STAND} | {WALK} | {STAND}"),
    ("ant", "walk forward, turn left, walk forward again", f"{WALK} | {TURN} | {WALK}"),
    # Order, as in SCAN (Lake and Baroni 2018): "x after y" does y first.
    ("ant", "walk forward twice after turn left", f"{TURN} | {WALK} x2"),
    ("ant", "turn left and walk forward thrice", f"{TURN} | {WALK} x3"),
    ("ant", "turn left twice after walk forward twice", f"{WALK} x2 | {TURN} x2"),
    ("ant", "turn left after stand still and walk forward", f"{STAND} | {WALK} | {TURN}"),
    ("ant", "walk forward and turn left after stand still", f"{STAND} | {WALK} | {TURN}"),
    ("ant", "walk forward thrice and turn left twice", f"{WALK} x3 | {TURN} x2"),
    ("ant", "turn left before walk forward twice", f"{TURN} | {WALK} x2"),
    ("ant", "after turning left, walk forward", f"{TURN} | {WALK}"),
    ("ant", "after you turn left, walk forward", f"{TURN} | {WALK}"),
    ("ant", "before stopping, walk forward", f"{WALK} | {STAND}"),
    ("ant", "stop, after walking forward", f"{WALK} | {STAND}"),
    ("ant", "stop, walk forward, before you turn left", f"{STAND} | {WALK} | {TURN}"),
    ("ant", "stop after walk forward after turn left", f"{TURN} | {WALK} | {STAND}"),
    ("ant", "walk forward; after that turn left", f"{WALK} | {TURN}"),
    ("ant", "walk forward, afterwards turn left, and then stop", f"{WALK} | {TURN} | {STAND}"),
    ("ant", "First, walk forward. Next, turn left. Finally, stop.", f"{WALK} | {TURN} | {STAND}"),
    ("ant", "walk forward followed by stop", f"{WALK} | {STAND}"),
    # Ways, angles, and what a reading says.
    ("ant", "walk forward 2 metres", "walk-forward forward_speed>=2 <8s"),
    ("ant", "walk backward 50 cm", "walk-backward forward_speed<=-0.5 <4.25s"),
    ("ant", "walk right for 2 m", "walk-right lateral_speed<=-2 <8s"),
    ("ant", "turn left 90 degrees", TURN),
    ("ant", "turn 90 degrees left", TURN),
    ("ant", "turn by 90 degrees to the left twice", f"{TURN} x2"),
    ("ant", "walk two metres forward", "walk-forward forward_speed>=2 <8s"),
    ("ant", "turn right by 180°", "turn-right yaw_rate<=-3.142 <9.283s"),
    ("ant", "turn left half a turn", "turn-left yaw_rate>=3.142 <9.283s"),
    ("ant", "turn left two full turns", "turn-left yaw_rate>=12.57 <28.13s"),
    ("ant", "turn left within 3 seconds", "turn-left yaw_rate>=1.571 <3s"),
    ("ant", "turn left until you have turned 1 rad twice", "turn-left yaw_rate>=1 <5s x2"),
    ("ant", "walk forward until you have gone 3 metres, then stop", f"walk-forward forward_speed>=3 <10.5s | {STAND}"),
    ("ant", "walk forward until you've gone 3 m within 5 s", "walk-forward forward_speed>=3 <5s"),
    ("ant", "walk forward for 5 seconds until it has walked 3 m", "walk-forward forward_speed>=3 <5s"),
    ("ant", "walk forward until the speed is over 0.5 m/s", "walk-forward ~forward_speed>=0.5 <10s"),
    ("ant", "walk backward until your speed exceeds 0.5 m/s", "walk-backward ~forward_speed<=-0.5 <10s"),
    ("ant", "walk forward until the speed reaches 0.5 m/s", "walk-forward ~forward_speed>=0.5 <10s"),
    ("ant", "walk backward until the speed reaches 0.5 m/s", "walk-backward ~forward_speed<=-0.5 <10s"),
    ("ant", "turn right until the yaw rate reaches -1 rad/s", "turn-right ~yaw_rate<=-1 <10s"),
    ("ant", "turn left until the total yaw rate reaches 1.5", "turn-left yaw_rate>=1.5 <10s"),
    ("ant", "stop until the height drops below 0.4 metres", "stand ~height<=0.4 <10s"),
    ("ant", "turn left until the yaw rate is over 90 degrees per second", "turn-left ~yaw_rate>=1.571 <10s"),
    ("ant", "stop until the total yaw rate is at most -1", "stand yaw_rate<=-1 <10s"),
    ("reacher", "reach the target until the distance is under 2 cm", "reach ~distance<=0.02 <10s"),
    ("half-cheetah", "do a front flip twice", "front-flip pitch_rate>=6.283 <5.094s x2"),
    ("half-cheetah", "do a back flip", "back-flip pitch_rate<=-6.283 <5.094s"),
    ("swimmer", "turn left", "turn-left yaw_rate>=1.571 <8.236s"),
    # Phrases: politeness, held-out ones, and some that hold an "and".
    ("ant", "please walk forward for 3 seconds please", WALK),
    ("ant", "could you stroll ahead, now turn left please", f"{WALK} | {TURN}"),
    ("ant", "could you just try to walk forward", WALK),
    ("half-cheetah", "stop, then sprint ahead", "stand 3s | run-forward 3s"),
    ("hopper", "hop up and down twice and stop", "hop-in-place 3s x2 | stand 3s"),
    ("humanoid-standup", "stand up and stay there for 5 seconds", "stand-up 5s"),
]
"""Body, sentence, and the parts in short: `reading>=value` is a total, `~reading` a mean, `<` the most seconds."""

REFUSED = [
    ("ant", "", "the sentence is empty"),
    ("ant", " ,;. ", "the sentence is empty"),
    ("ant", "walk forward " * 8000, "the sentence has 104000 characters; allowed: 2000"),
    ("ant", "walk\x00 forward", r"control character '\x00'"),
    ("ant", "walk\x1b[31m forward", r"control character '\x1b'"),
    ("ant", "dance", '"dance" is nothing that ant can do; allowed: run along the track, stand still, turn left'),
    ("ant", "turn lft", 'did you mean "turn left"?'),
    ("ant", "walk forward slowly", '"walk forward slowly" is nothing that ant can do'),
    ("ant", "please " * 250 + "dance", "is nothing that ant can do"),
    ("ant", "hop forward", "ant can do, but hopper can"),
    ("ant", "walk forward, hop forward, stop", "ant can do, but hopper can"),
    ("", "walk forward", "add --body"),
    ("ants", "walk forward", 'unknown body "ants"; did you mean "ant"?'),
    ("ant", "walk forward while turning left", '"while" asks for two things at once'),
    ("ant", "walk forward for -3 seconds", '"for -3 seconds": got -3; allowed: numbers above 0'),
    ("ant", "walk forward for 0 seconds", "got 0; allowed: numbers above 0"),
    ("ant", "walk forward for 1e999 seconds", "got inf; allowed: numbers above 0"),
    ("ant", "walk forward for 1000000 seconds", "got 1000000.0; allowed: numbers from 0.05 to 300"),
    ("ant", "walk forward for 1 ms", "got 0.001; allowed: numbers from 0.05 to 300"),
    ("ant", "walk forward for nan seconds", "is nothing that ant can do"),
    ("ant", "walk forward for 100 seconds 4 times", "takes up to 400 s; at most 300"),
    ("ant", "walk forward 2.5 times", "got 2.5; allowed: whole numbers from 1 to 64"),
    ("ant", "walk forward 1000 times", "got 1000; allowed: whole numbers from 1 to 64"),
    ("ant", "walk forward and " * 100 + "stop", "more than 64 parts"),
    ("ant", "walk forward for 1 s" + ", do that 64 times" * 20, "more than 64 parts"),
    ("ant", "walk forward for 3 seconds for 4 seconds", "a part has two times"),
    ("ant", "turn left 90 degrees until you have turned 30 degrees", '"90 degrees" is said as well'),
    ("ant", "for three seconds", "does not say what to do"),
    ("ant", "and then, please", "does not say what to do"),
    ("ant", "walk forward after 3 seconds", "two things to do are needed"),
    ("ant", "after three seconds turn left", "and what else?"),
    ("ant", "after turn left", "and what else?"),
    ("ant", "after " + "walk forward and " * 99 + "stop", "and what else?"),
    ("ant", "after " + "walk forward " * 99 + "after", "and what else?"),
    ("ant", "walk forward until " + "dance " * 200, "cannot be told"),
    ("ant", "walk forward for " + "9" * 1000 + " seconds", "got inf; allowed: numbers above 0"),
    ("ant", "do that " + "9" * 1000 + " times", "allowed: whole numbers from 1 to 64"),
    ("ant", "repeat", "nothing was said before it"),
    ("ant", "do that twice, then walk forward", "nothing was said before it"),
    ("ant", "walk forward for at most 3 seconds", "until what?"),
    ("ant", "turn left 2 metres", "ant/turn-left goes no way of its own"),
    ("ant", "stand still 90 degrees", "ant/stand turns no way of its own"),
    ("ant", "stop until the speed is under 0.1 m/s", "ant/stand goes no way of its own"),
    ("ant", "walk forward until you face left", 'allowed: "until you have gone 3 metres"'),
    ("ant", "walk forward until you have not gone 3 metres", "cannot be told"),
    ("ant", "walk forward until the moon is over 3 m", "and so of track speed, forward speed"),
    ("ant", "walk forward until the height is over 3 degrees", "height is not in degrees; allowed: m"),
    ("ant", "walk forward until you have gone -3 metres", "got -3; allowed: numbers above 0"),
    # Read wrongly: the wrong part was repeated, and what came down to 2 cm was done while it was farther away.
    (
        "ant",
        "walk forward, then do this twice: turn left and stop",
        '"do this 2 times :": of what is before it, or after',
    ),
    ("ant", "walk forward, repeat: turn left", "of what is before it, or after it?"),
    ("reacher", "reach the target until the distance reaches 2 cm", 'say "is at least" or "is at most"'),
    ("humanoid", "crouch until the height reaches 1.1 m", 'say "is at least" or "is at most"'),
    ("ant", "turn right until the yaw rate reaches 1 rad/s", 'say "is at least" or "is at most"'),
    ("ant", "stop until the forward speed reaches 0", 'say "is at least" or "is at most"'),
    ("ant", "walk forward three steps", 'so that is 0.15 s, less than a stride; say "control steps", or seconds'),
    ("ant", "for 3 seconds, walk forward and turn left", "does not say what to do"),
    ("ant", "for 3 seconds, then walk forward", "does not say what to do"),
    ("ant", "twice, walk forward", "does not say what to do"),
    ("ant", "turn 90 degrees lft", "is nothing that ant can do"),
    ("ant", "walk 2 metres 3 seconds forward", "is nothing that ant can do"),
    ("swimmer", "wait 3 seconds", "is nothing that swimmer can do"),
    ("ant", "walk forward 2 m/s", "says how fast, not how long"),
]


def in_short(plan: Plan) -> str:
    """As in SENTENCES."""
    shown = []
    for part in plan.parts:
        time = f"{part.seconds:.4g}s"
        if part.until is not None:
            relation = {"at least": ">=", "at most": "<="}[part.until.relation]
            mean = "~" * (part.until.statistic == "mean")
            time = f"{mean}{part.until.reading}{relation}{part.until.value:.4g} <{time}"
        skill = part.skill.removeprefix(f"{plan.body}/")
        shown.append(f"{skill} {time}" + f" x{part.repeats}" * (part.repeats > 1))
    return " | ".join(shown)


@pytest.mark.parametrize(("body", "sentence", "parts"), SENTENCES)
def test_a_sentence_is_its_plan_and_survives_words_and_json(body: str, sentence: str, parts: str) -> None:
    plan = parse_plan(sentence, body)
    assert in_short(plan) == parts
    assert parse_plan(plan.words, body) == plan
    assert Plan.from_json(json.loads(json.dumps(plan.json()))) == plan


@pytest.mark.parametrize(("body", "sentence", "told"), REFUSED)
def test_what_is_not_understood_is_refused_in_one_line(body: str, sentence: str, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_plan(sentence, body)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def drawn_part(body: str, rng: np.random.Generator) -> Part:
    until = None
    if rng.random() < 0.5:
        value = float(rng.normal() * 10.0 ** rng.integers(-9, 9))
        reading = str(rng.choice([*BODIES[body].readings]))
        until = Until(reading, rng.choice(["mean", "total"]), rng.choice(["at least", "at most"]), value)
    return Part(str(rng.choice(plan_skills(body))), float(rng.uniform(0.1, 3)), until, int(rng.integers(1, 5)))


@pytest.mark.parametrize("body", BODIES)
def test_any_plan_can_be_said_to_the_last_bit(body: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        plan = Plan(body, tuple(drawn_part(body, rng) for _ in range(rng.integers(1, 9))))
        assert parse_plan(plan.words, body) == plan
        assert Plan.from_json(json.loads(json.dumps(plan.json()))) == plan


@pytest.mark.parametrize("body", BODIES)
def test_every_phrase_of_a_body_is_a_plan_of_one_part(body: str) -> None:
    """Also those that hold an "and", a number or a politeness."""
    for skill_id in plan_skills(body):
        skill = get_skill(skill_id)
        for phrase in (one for split in SPLITS for one in skill.phrases(split)):
            assert [part.skill for part in parse_plan(phrase, body).parts] == [skill_id], phrase


def good() -> dict[str, Any]:
    """The JSON of a plan, to be spoilt."""
    until = {"reading": "yaw_rate", "statistic": "total", "relation": "at least", "value": 1.5}
    return {
        "body": "ant",
        "parts": [
            {"skill": "ant/turn-left", "seconds": 6, "until": until, "repeats": 2},
            {"skill": "ant/stand", "seconds": 2.5, "until": None, "repeats": 1},
        ],
    }


def test_json_becomes_the_plan_it_says() -> None:
    until = Until("yaw_rate", "total", "at least", 1.5)
    plan = Plan("ant", (Part("ant/turn-left", 6, until, 2), Part("ant/stand", 2.5)))
    assert Plan.from_json(good()) == plan
    assert plan.json() == good()
    assert plan.seconds == 14.5
    assert [part.skill for part in plan.runs] == ["ant/turn-left", "ant/turn-left", "ant/stand"]


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("body",), "cow", 'unknown body "cow"'),
        (("body",), 3, 'a plan is an object with "body" and "parts"'),
        (("parts",), [], "parts: got 0 of them; allowed: a list of 1 to 64"),
        (("parts",), "walk", "parts: got 'walk'; allowed: a list of 1 to 64"),
        (("parts", 0), 7, "parts[0]: got 7; allowed: an object with skill, seconds, until, repeats"),
        (("parts", 1, "skill"), "ant/stnd", "parts[1].skill: got 'ant/stnd'; did you mean \"ant/stand\"?"),
        (("parts", 1, "skill"), "hopper/hop-forward", "parts[1].skill: got 'hopper/hop-forward'"),
        (("parts", 1, "skill"), "ant/command", "parts[1].skill: got 'ant/command'"),
        (("parts", 1, "skill"), ["ant/stand"], "parts[1].skill: got ['ant/stand']"),
        (("parts", 1, "seconds"), -1, "parts[1].seconds: got -1; allowed: numbers from 0.05 to 300"),
        (("parts", 1, "seconds"), math.nan, "parts[1].seconds: got nan"),
        (("parts", 1, "seconds"), True, "parts[1].seconds: got True"),
        (("parts", 1, "seconds"), "3", "parts[1].seconds: got '3'"),
        (("parts", 1, "repeats"), 1.5, "parts[1].repeats: got 1.5; allowed: whole numbers from 1 to 64"),
        (("parts", 1, "tempo"), 2, "parts[1]: unknown 'tempo'; allowed: repeats, seconds, skill, until"),
        (("parts", 0, "until"), "later", "parts[0].until: got 'later'; allowed: an object with reading, statistic"),
        (
            ("parts", 0, "until", "reading"),
            "yaw_rat",
            "parts[0].until.reading: got 'yaw_rat'; did you mean \"yaw_rate\"?",
        ),
        (("parts", 0, "until", "statistic"), "max", "parts[0].until.statistic: got 'max'; allowed: mean, total"),
        (("parts", 0, "until", "relation"), ">", "parts[0].until.relation: got '>'; allowed: at least, at most"),
        (("parts", 0, "until", "value"), math.inf, "parts[0].until.value: got inf; allowed: numbers"),
        (("parts", 0, "until", "value"), "x" * 100_000, "parts[0].until.value: got 'xxx"),
    ],
)
def test_json_that_is_no_plan_is_told_where(path: tuple[Any, ...], value: object, told: str) -> None:
    content: Any = good()
    *way, last = path
    inner = content
    for step in way:
        inner = inner[step]
    inner[last] = value
    with pytest.raises(ValueError) as caught:
        Plan.from_json(content)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_all_faults_are_told_at_once_and_a_missing_field_too() -> None:
    content = good()
    content["parts"][0]["seconds"], content["parts"][1]["repeats"] = 0, 0
    del content["parts"][1]["until"]
    with pytest.raises(ValueError) as caught:
        Plan.from_json(content)
    told = str(caught.value)
    assert "parts[0].seconds: got 0" in told and "parts[1].repeats: got 0" in told
    assert "parts[1]: no until; it is needed" in told


def test_a_plan_made_in_python_is_checked_as_well() -> None:
    with pytest.raises(ValueError, match="did you mean"):
        Plan("ant", (Part("ant/stnd", 3.0),))
    with pytest.raises(ValueError, match=f"at most {MOST_SECONDS:g}"):
        Plan("ant", (Part("ant/stand", 200.0, repeats=2),))


def test_the_schema_is_plain_json_of_what_the_body_can_do() -> None:
    found = json.loads(json.dumps(schema("hopper")))
    part = found["properties"]["parts"]["items"]
    assert part["properties"]["skill"]["enum"] == [*plan_skills("hopper")]
    assert "hopper/command" not in part["properties"]["skill"]["enum"]
    assert part["properties"]["seconds"] == {"type": "number", "minimum": 0.008, "maximum": 300.0}
    assert part["required"] == ["skill", "seconds", "until", "repeats"] and part["additionalProperties"] is False


def test_a_condition_holds_by_its_own_statistic() -> None:
    """dt 0.25 s: a mean is over two steps."""
    turned = Until("yaw_rate", "total", "at least", 1.0)
    assert not turned.holds([2.0, 1.9], 0.25) and turned.holds([2.0, 2.0], 0.25)
    back = Until("yaw_rate", "total", "at most", -1.0)
    assert not back.holds([-4.0, 1.0], 0.25) and back.holds([-4.0, 0.0], 0.25)
    fast = Until("forward_speed", "mean", "at least", 2.0)
    assert not fast.holds([9.0], 0.25) and not fast.holds([9.0, 3.0, 0.0], 0.25) and fast.holds([0.0, 3.0, 1.0], 0.25)
    low = Until("height", "mean", "at most", 2.0)
    assert low.holds([9.0, 3.0, 0.0], 0.25) and not low.holds([0.0, 3.0, 3.0], 0.25)


def test_the_command_prints_what_a_file_may_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = "walk forward for two seconds, then turn left twice"
    assert cli.run(["plan", sentence, "--body", "ant", "--json"]) == cli.DONE
    printed = capsys.readouterr().out
    (tmp_path / "plan.json").write_text(printed)
    assert read_plan(str(tmp_path / "plan.json"), "ant") == parse_plan(sentence, "ant")
    assert cli.run(["plan", sentence, "--body", "ant"]) == cli.DONE
    assert "ant/turn-left" in capsys.readouterr().out
    with pytest.raises(ValueError, match="is a plan for ant, not for hopper"):
        read_plan(str(tmp_path / "plan.json"), "hopper")


@pytest.mark.parametrize(
    ("words", "told", "code"),
    [
        (["dance", "--body", "ant"], '"dance" is nothing that ant can do', cli.FAILED),
        (["walk forward", "--body", "cow"], 'unknown body "cow"', cli.FAILED),
        (["nowhere.json", "--body", "ant"], "nowhere.json", cli.FAILED),
        (["walk forward"], "required: body", cli.MISUSED),
    ],
)
def test_the_command_refuses_in_one_line(
    words: list[str], told: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["plan", *words]) == code
    shown = capsys.readouterr()
    assert told in shown.err and len(shown.err.splitlines()) == 1 and shown.out == ""


def test_a_step_is_the_bodys_own() -> None:
    assert parse_plan("hop forward 10 control steps", "hopper").parts[0].seconds == pytest.approx(
        10 * get_body("hopper").dt
    )
