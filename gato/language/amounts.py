"""How long a part of a plan lasts: times, ways, angles, and what a reading must say.

In: words after a skill ("for 3 seconds", "90 degrees", "2 times", what follows "until"). Out: seconds, `Until`s.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from gato.language.text import NUMBER, normalise, short
from gato.skills.bodies import get_body
from gato.skills.plan import AVERAGE, MOST_REPEATS, REACTION, Until
from gato.skills.skill import Condition, Skill

DEFAULT_SECONDS = 3.0
"""s that a skill lasts where nothing is said, as long as new words may take to show."""
DEFAULT_LIMIT = 10.0
"""s after which a condition is given up, where no way or angle says how long it takes."""
USUAL_TURNS = {"yaw_rate": math.pi / 2, "pitch_rate": 2 * math.pi}
"""rad that a skill of turning turns where nothing is said: a quarter to the side, a whole flip."""

_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), ("s", 1.0)),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), ("s", 1e-3)),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), ("s", 60.0)),
    **dict.fromkeys(("h", "hour", "hours"), ("s", 3600.0)),
    **dict.fromkeys(("step", "steps"), ("steps", 1.0)),
    **dict.fromkeys(("control step", "control steps"), ("control steps", 1.0)),
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), ("m", 1.0)),
    **dict.fromkeys(("cm", "centimetre", "centimetres", "centimeter", "centimeters"), ("m", 1e-2)),
    **dict.fromkeys(("km", "kilometre", "kilometres", "kilometer", "kilometers"), ("m", 1e3)),
    **dict.fromkeys(("deg", "degree", "degrees"), ("rad", math.pi / 180)),
    **dict.fromkeys(("rad", "radian", "radians"), ("rad", 1.0)),
    **dict.fromkeys(("turn", "turns"), ("rad", 2 * math.pi)),
    **dict.fromkeys(("time", "times", "x"), ("times", 1.0)),
    "m/s": ("m/s", 1.0),
    "rad/s": ("rad/s", 1.0),
    "deg/s": ("rad/s", math.pi / 180),
}
"""Word -> unit, and how much of it."""
_TIMES = ("s", "steps", "control steps")
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))
_LIMITS = ("for at most", "for no more than", "for up to", "at most", "no more than", "up to", "within", "in")
QUANTITY = rf"(?:(?P<how>{'|'.join(_LIMITS)}|for|by) )?(?:about )?(?P<number>{NUMBER}) (?P<unit>{_UNIT})"
_RELATIONS: dict[str | None, Literal["at least", "at most"]] = {
    **dict.fromkeys(("at least", "over", "above", "more than", "greater than", "higher than"), "at least"),
    **dict.fromkeys(("at most", "under", "below", "less than", "lower than"), "at most"),
}
_RELATION = "|".join(filter(None, _RELATIONS))
_BEEN = (
    "gone|moved|travelled|traveled|walked|stepped|run|hopped|jumped|swum|covered|advanced|turned|rotated|spun|flipped"
)
_WHO = "(?:you|it|the robot|the body)"
_HAS_BEEN = re.compile(
    rf"(?:{_WHO} )?(?:have |has )?(?:{_BEEN}) (?:around )?(?:(?:for|by|about|at least) )?"
    rf"(?P<number>{NUMBER}) (?P<unit>{_UNIT})"
)
_READS = re.compile(
    r"(?:the |your |its )?(?P<total>total )?(?P<name>.+?) "
    rf"(?:(?:is|gets|goes|falls|drops|rises) (?P<relation>{_RELATION})|(?P<reaches>reaches)|exceeds) "
    rf"(?P<number>{NUMBER})(?: (?P<unit>{_UNIT}))?"
)


@dataclass(frozen=True)
class Amount:
    """A way or an angle."""

    value: float
    unit: str
    """m or rad"""
    said: str


@dataclass
class Asked:
    """What the words around a phrase say, gathered one after the other."""

    seconds: float | None = None
    is_limit: bool = False
    """Whether `seconds` was said to be the most."""
    amount: Amount | None = None
    repeats: int | None = None

    def add(self, found: re.Match[str], dt: float) -> None:
        """One more `QUANTITY`; `dt` s a control step. ValueError where there is one of that kind already, or it makes
        no sense."""
        said, number, (unit, factor) = found[0], _positive(found), _UNITS[found["unit"]]
        if unit in _TIMES:
            self._refuse_second(self.seconds, said, "times")
            self.seconds, self.is_limit = number * (factor if unit == "s" else dt), found["how"] in _LIMITS
            if unit == "steps" and self.seconds < AVERAGE:
                raise ValueError(
                    f'"{short(said)}": a step is a control step of {dt:g} s, so that is {self.seconds:g} s, less than a'
                    ' stride; say "control steps", or seconds'
                )
        elif unit == "times":
            self._refuse_second(self.repeats, said, "numbers of repeats")
            self.repeats = repeats_of(found)
        elif unit in ("m", "rad"):
            self._refuse_second(self.amount, said, "ways or angles")
            self.amount = Amount(number * factor, unit, said)
        else:
            raise ValueError(f'"{said}" says how fast, not how long; allowed: seconds, steps, metres, degrees, times')

    @staticmethod
    def _refuse_second(before: object, said: str, kind: str) -> None:
        if before is not None:
            raise ValueError(f'"{said}": a part has two {kind}; leave one out')


def repeats_of(found: re.Match[str]) -> int:
    """How often; ValueError unless it is a whole number in range."""
    number = float(found["number"])
    if not number.is_integer() or not 1 <= number <= MOST_REPEATS:
        raise ValueError(f'"{short(found[0])}": got {number:g}; allowed: whole numbers from 1 to {MOST_REPEATS}')
    return int(number)


def is_of_one_part(found: re.Match[str]) -> bool:
    """Whether a `QUANTITY` before a comma is about the next part alone: repeats may be of all that follows."""
    return _UNITS[found["unit"]][0] != "times"


def ends_condition(found: re.Match[str]) -> bool:
    """Whether a `QUANTITY` at the end of a condition is no part of it: repeats, or a time that is a limit."""
    unit = _UNITS[found["unit"]][0]
    return unit == "times" or (unit in _TIMES and found["how"] in _LIMITS)


def lasting(skill: Skill, asked: Asked, condition: str | None) -> tuple[float, Until | None]:
    """The seconds and the condition of a part: what was asked, or what a skill does where nothing is said.

    `condition`: what follows "until". ValueError where the skill or its body cannot tell.
    """
    usual = USUAL_TURNS.get(skill.reading) if _sense(skill, "rad/s") else None
    if condition is not None and asked.amount is not None:
        raise ValueError(f'"until {short(condition)}": "{asked.amount.said}" is said as well; leave one out')
    if condition is not None:
        seconds, until = _condition(skill, condition)
    elif asked.amount is not None:
        seconds, until = _amount(skill, asked.amount)
    elif usual is not None and (asked.seconds is None or asked.is_limit):
        seconds, until = _amount(skill, Amount(usual, "rad", skill.prompt))
    elif asked.is_limit:
        raise ValueError(
            f'"{skill.prompt}" for at most {asked.seconds:g} s: until what? Say "until ...", or "for" alone'
        )
    else:
        return asked.seconds or DEFAULT_SECONDS, None
    return asked.seconds or seconds, until


def _sense(skill: Skill, unit: str) -> Condition | None:
    """What the skill's rule says of a mean in that unit that is never 0: which way it goes, and how slowly at least."""
    readings = get_body(skill.body).readings
    means = [one for one in skill.rule if one.statistic == "mean" and readings[one.reading].unit == unit]
    return next((one for one in means if one.low > 0 or one.high < 0), None)


def _amount(skill: Skill, amount: Amount) -> tuple[float, Until]:
    """Until that way or angle is behind it; and the seconds of who goes as slowly as the skill's rule allows."""
    sense = _sense(skill, f"{amount.unit}/s")
    if sense is None:
        way = "goes" if amount.unit == "m" else "turns"
        raise ValueError(f'"{amount.said}": {skill.id} {way} no way of its own; say how long, such as "for 3 seconds"')
    if sense.low > 0:
        until = Until(sense.reading, "total", "at least", amount.value)
        return REACTION + amount.value / sense.low, until
    return REACTION + amount.value / -sense.high, Until(sense.reading, "total", "at most", -amount.value)


def _condition(skill: Skill, said: str) -> tuple[float, Until]:
    """What follows "until", and the seconds after which it is given up."""
    been = _HAS_BEEN.fullmatch(said)
    if been is not None and _UNITS[been["unit"]][0] in ("m", "rad"):
        unit, factor = _UNITS[been["unit"]]
        return _amount(skill, Amount(_positive(been) * factor, unit, been[0]))
    names = {normalise(name.replace("_", " ")): name for name in get_body(skill.body).readings}
    reads = _READS.fullmatch(said)
    if reads is None or reads["name"] not in {*names, "speed"}:
        raise ValueError(
            f'"until {short(said)}" cannot be told; allowed: "until you have gone 3 metres", "until you have'
            f' turned 90 degrees", "until the speed is over 2 m/s", and so of {", ".join(names)}'
        )
    value, relation = float(reads["number"]), _RELATIONS.get(reads["relation"], "at least")
    if reads["name"] == "speed":
        # Who goes backward is fast at a low reading.
        sense = _sense(skill, "m/s")
        if sense is None:
            raise ValueError(f'"until {short(said)}": {skill.id} goes no way of its own; allowed: {", ".join(names)}')
        name = sense.reading
        if sense.high < 0:
            value, relation = -value, "at most" if relation == "at least" else "at least"
    else:
        name = names[reads["name"]]
        if reads["reaches"]:
            relation = _reaching(skill, name, reads)
    value *= _factor(skill, name, reads)
    return DEFAULT_LIMIT, Until(name, "total" if reads["total"] else "mean", relation, value)


def _reaching(skill: Skill, name: str, reads: re.Match[str]) -> Literal["at least", "at most"]:
    """From which side the skill comes to a value of that reading; ValueError where its rule does not say. Only speeds
    and rates begin at 0."""
    unit = get_body(skill.body).readings[name].unit
    sense = _sense(skill, unit) if unit.endswith("/s") else None
    is_up = sense is not None and sense.low > 0
    if sense is None or sense.reading != name or (float(reads["number"]) > 0) != is_up:
        raise ValueError(
            f'"until {short(reads[0])}": {skill.id} may come to that from above or from below; say "is at least" or'
            ' "is at most"'
        )
    return "at least" if is_up else "at most"


def _factor(skill: Skill, name: str, reads: re.Match[str]) -> float:
    """What the number is multiplied by; ValueError for a unit that is not the reading's."""
    unit = get_body(skill.body).readings[name].unit
    if reads["total"]:
        unit = unit.removesuffix("/s") if unit.endswith("/s") else f"{unit} s"
    said, factor = _UNITS[reads["unit"]] if reads["unit"] else (unit, 1.0)
    if said != unit:
        raise ValueError(f'"until {short(reads[0])}": {name} is not in {reads["unit"]}; allowed: {unit}')
    return factor


def _positive(found: re.Match[str]) -> float:
    number = float(found["number"])
    if not 0 < number < math.inf:
        raise ValueError(f'"{short(found[0])}": got {number:g}; allowed: numbers above 0')
    return number
