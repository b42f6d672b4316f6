"""What was typed, in one form: lower case, words apart by single spaces, numbers in digits, every stop a comma.

In: any text. Out: the same sentence, as the grammar and the phrases of skills are compared. "Turn left, twice!" becomes
"turn left , 2 times ,", "three and a half seconds" "3.5 seconds",
as do "3½ seconds" and "3,5 seconds".
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from gato.skills.plan import MOST_SHOWN

MOST_CHARACTERS = 2000
"""Of a sentence."""
NUMBER = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:e[-+]?\d+)?"
_TOKEN = re.compile(rf"{NUMBER}|[^\W\d_]+(?:[/'][^\W\d_]+)*|\S")
_ALIKE = str.maketrans({"’": "'", "‘": "'", "−": "-", "–": ",", "—": ",", "°": " degrees "})
_FRACTION = re.compile(
    r"(?:(\d*) ?([¼½¾⅓⅔⅛])|(?<![\d/.])(?:(\d{1,2}) )?([1-9])/([2-9])(?![\d/.]))(?: (?:of )?an?(?=\s))?"
)
_COMMA = re.compile(r"(?<=\d),(?:(?P<thousands>\d{3})(?!\d)|(?=\d))")
_STOPS, _DROPPED = frozenset(",;.!?-"), frozenset("\"'`“”()[]*")
_CONTRACTIONS = {"n't": " not", "let's": "let us", "'ve": " have", "'re": " are", "'s": " is"}

_ONES = "one|two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_VALUES = {
    "zero": 0,
    "a": 1,
    **{word: value for value, word in enumerate(f"{_ONES}|{_TEENS}".split("|"), start=1)},
    **{word: 10 * value for value, word in enumerate(_TENS.split("|"), start=2)},
}
_BELOW_100 = rf"(?:(?:{_TENS})(?: (?:{_ONES}))?|{_TEENS}|{_ONES})"
_CARDINAL = re.compile(rf"(?<!\S)(?:({_ONES}|a) hundred(?:(?: and)? ({_BELOW_100}))?|({_BELOW_100}|zero))(?!\S)")
_A_UNIT = "second|minute|hour|millisecond|metre|meter|centimetre|centimeter|kilometre|kilometer|step|degree|radian"
_SHARES = {"half": 0.5, "quarter": 0.25}
_OFTEN = {"once": "1 times", "twice": "2 times", "thrice": "3 times"}
_SPELLINGS = (
    (
        rf"(?:an?|({NUMBER})) ({_A_UNIT})s? and a (half|quarter)(?! (?:turn|of|an?)(?!\S))",
        lambda m: f"{float(m[1] or 1) + _SHARES[m[3]]!r} {m[2]}s",
    ),
    (rf"({NUMBER}) and a (half|quarter)", lambda m: repr(float(m[1]) + _SHARES[m[2]])),
    (rf"({NUMBER}) quarters?(?: of an?)?", lambda m: repr(float(m[1]) / 4)),
    (r"(?:a )?(half|quarter) (?:of )?an?", lambda m: repr(_SHARES[m[1]])),
    (r"a (half|quarter)", lambda m: repr(_SHARES[m[1]])),
    (r"a couple of", lambda m: "2"),
    (rf"({NUMBER}|a) (?:full|whole|complete) (turns?)", lambda m: f"{1 if m[1] == 'a' else m[1]} {m[2]}"),
    (r"once|twice|thrice", lambda m: _OFTEN[m[0]]),
    (r"(?:metres?|meters?)(?: per | a |/)second", lambda m: "m/s"),
    (r"(?:radians?)(?: per | a |/)second", lambda m: "rad/s"),
    (r"(?:degrees?)(?: per | a |/)second", lambda m: "deg/s"),
    (rf"an? ({_A_UNIT})", lambda m: f"1 {m[1]}"),
)
"""Pattern of whole words, in order, and what is written for it."""
_SPELT = [(re.compile(rf"(?<!\S)(?:{pattern})(?!\S)"), written) for pattern, written in _SPELLINGS]


def short(said: str) -> str:
    """As much of it as an error shows."""
    return said if len(said) <= MOST_SHOWN else f"{said[:MOST_SHOWN]}..."


@lru_cache(maxsize=1 << 10)
def normalise(text: str) -> str:
    """The text in that form; ValueError where it is empty, too long, or holds control characters."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"the sentence has {len(text)} characters; allowed: {MOST_CHARACTERS}; say it in fewer words")
    control = [letter for letter in text if unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\t\n\r"]
    if control:
        raise ValueError(f"the sentence holds the control character {ascii(control[0])}; type it again without")
    plain = _COMMA.sub(lambda m: m["thousands"] or ".", _FRACTION.sub(_decimal, text))
    plain = unicodedata.normalize("NFKC", plain).casefold().translate(_ALIKE)
    for short, long in _CONTRACTIONS.items():
        plain = re.sub(rf"{short}(?!\w)", long, plain)
    # A hyphen joins words (twenty-five); before a number it is a minus.
    plain = re.sub(r"(?<=\w)-(?=[^\W\d])", " ", plain)
    tokens = ["," if token in _STOPS else token for token in _TOKEN.findall(plain) if token not in _DROPPED]
    if not set(tokens) - {","}:
        raise ValueError('the sentence is empty; say what to do, such as "walk forward for 3 seconds, then stop"')
    said = _CARDINAL.sub(_digits, " ".join(tokens))
    for pattern, written in _SPELT:
        said = pattern.sub(written, said)
    return said


def _decimal(found: re.Match[str]) -> str:
    """2½, 1/2 or 2 1/2 with a decimal point."""
    sign_whole, sign, whole, above, below = found.groups()
    share = unicodedata.numeric(sign) if sign else int(above) / int(below)
    return f"{round(int(sign_whole or whole or 0) + share, 3):g}"


def _digits(found: re.Match[str]) -> str:
    """A number in words as digits."""
    hundreds, rest, alone = (sum(_VALUES[word] for word in (words or "").split()) for words in found.groups())
    return str(100 * hundreds + rest + alone)
