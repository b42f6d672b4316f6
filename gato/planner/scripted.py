"""A planner written by hand: it goes to the waypoint and round what it was told to avoid.

In: a `Situation`. Out: a `Choice`. It needs no language model, always says the same of the same, and is what language
models are compared with. It reads the numbers of what is seen, not the words.
"""

from __future__ import annotations

import math
import re

from gato.language.matching import match
from gato.language.text import normalise
from gato.planner.scene import Sight, within_half_a_turn
from gato.planner.situation import Choice, Situation

WALKS = ("walk forward", "walk left", "walk backward", "walk right")
"""By quarter turns to the left."""
TURNS = ("turn left", "turn right")
STAND = "stand still"
STRAY = math.radians(30)
"""How far the waypoint may lie beside the way it walks before it turns: about what an ant turns in half a second."""
BERTH = 1.75
"""m: how wide it goes round what it avoids, counted to the middles of both."""
RETREAT = math.radians(110)
"""From the direction of what it avoids, where it is nearer to it than that."""
AVOIDING = {"avoid", "away", "clear", "around", "round", "past"}
GOING_ON = {"continue", "resume", "go on", "carry on", "never mind"}
CLAUSES = re.compile(r"(?<!\S)(?:,|then)(?!\S)")
NEGATIONS = {"not", "no", "never", "without", "dont"}
"""Words that turn a request round; a phrase that holds one, such as "do not move", is known as a whole."""
ENDING = re.compile(r"(?<!\S)(?:stop|quit) \w+ing(?!\S)")
"""Turns its own clause round: "stop going around the ball", but not "stop , keep away from the ball"."""

QUESTION = re.compile(r"(?:is|are|was|does|did|where|when|who|why|(?:how|what)(?! about))(?!\S)")
"""How a sentence begins that wants to know something; "can you avoid the ball?" wants something done."""


class Scripted:
    """Understands "avoid the ball", "go on", and the phrases of the body's own skills; declines anything else."""

    name = "scripted"

    def decide(self, situation: Situation) -> Choice:
        """What to do now; ValueError where no waypoint is seen."""
        if not situation.sights:
            raise ValueError("the scripted planner goes to waypoints, and sees none")
        waypoint, *others = situation.sights
        said = normalise(situation.instruction).strip(" ,") if situation.instruction else ""
        on_the_way = steer(waypoint.bearing, situation.options)
        if not said or said in GOING_ON:
            return Choice(on_the_way)
        told, words = asked_for(said, situation.body), set(said.split())
        avoided = [one for one in others if one.name in words and AVOIDING & words]
        # Beside a skill, "the ball is 2 m away" says how things are; "avoid the ball" is what matters more.
        is_remark = bool(told) and "is" in words
        is_order = not (is_remark or is_turned_round(said) or QUESTION.match(said))
        if avoided and is_order:
            return Choice(steer(detour(waypoint, avoided[0]), situation.options))
        if len(told) == 1 and told <= set(situation.options):
            return Choice(*told)
        return Choice(on_the_way, remark="declined the instruction, which it does not understand")


def is_turned_round(said: str) -> bool:
    """Whether the sentence asks not to avoid what it names, or not to any more."""
    ended = [clause for clause in CLAUSES.split(said) if ENDING.search(clause)]
    return bool(NEGATIONS & set(said.split())) or any(AVOIDING & set(clause.split()) for clause in ended)


def asked_for(said: str, body: str) -> set[str]:
    """Prompts of the skills that the sentence means, or each of its clauses alone: "stop , the ball is 2 m away"."""
    skills = [match(said, body)]
    if skills == [None]:
        skills = [match(clause.strip(), body) for clause in CLAUSES.split(said)]
    return {skill.prompt for skill in skills if skill is not None}


def steer(direction: float, options: tuple[str, ...] = (*WALKS, *TURNS)) -> str:
    """Walks to that side, or turns until it can; `direction` in rad from the heading, positive to the left."""
    quarter = round(direction / (math.pi / 2))
    beside = within_half_a_turn(direction - quarter * math.pi / 2)
    wanted = WALKS[quarter % 4] if abs(beside) <= STRAY else TURNS[beside < 0]
    if wanted not in options:
        raise ValueError(f'the scripted planner wants to "{wanted}", which is none of {", ".join(options)}')
    return wanted


def detour(waypoint: Sight, avoided: Sight) -> float:
    """The direction to the waypoint, or along the tangent of a circle of `BERTH` round what is avoided, on the nearer
    side; away from it, where it stands within."""
    beside = within_half_a_turn(waypoint.bearing - avoided.bearing)
    side = 1.0 if beside >= 0 else -1.0
    if avoided.distance <= BERTH:
        return avoided.bearing + side * max(RETREAT, abs(beside))
    half = math.asin(BERTH / avoided.distance)
    is_behind_it = waypoint.distance > avoided.distance * math.cos(half)
    return avoided.bearing + side * half if is_behind_it and abs(beside) < half else waypoint.bearing
