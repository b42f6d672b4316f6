"""A causal language model writes a plan as JSON, token by token, and cannot write anything else.

In: a `CausalModel`, a sentence, a body. Out: a `Plan`. Of the tokens only those count with which the text so far can
still become a plan for that body, by `gato.skills.plan.schema`; of these the likeliest is taken.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import regex
import torch

from gato.language.causal import CausalModel
from gato.language.text import normalise, short
from gato.skills.plan import Plan, schema

DECIMALS = 3
"""Of the numbers in a written plan: thousandths of a second, a metre, a radian."""
MOST_TOKENS = 768
"""Of a written plan; one that is not at its end by then is given up."""
_DECIMALS = rf"(?:\.\d{{0,{DECIMALS - 1}}}[1-9])?"
"""None, or those behind a whole number, the last of them no 0."""
_UNBOUNDED = rf"-?(?:0|[1-9]\d{{0,2}}){_DECIMALS}"
"""A number for which a schema has no bounds: those below a thousand."""
_WRITTEN = regex.compile(r"[ \w{}\[\]\":,./-]+", regex.ASCII)
"""Characters of plans."""


def question(body: str, sentence: str) -> str:
    """What the model is asked; ValueError for a sentence that is empty, endless, or holds control characters."""
    normalise(sentence)
    return f"A robot ({body}) is told: {' '.join(sentence.split())}\nWrite its plan as JSON."


def plan_text(plan: Plan) -> str:
    """The plan as it is written: its JSON without blanks, numbers to `DECIMALS` places and no longer than need be."""
    return json.dumps(_short(plan.json()), separators=(",", ":"))


class PlanWriter:
    """Writes plans with one model."""

    def __init__(self, model: CausalModel) -> None:
        self.model = model
        self._pieces = _pieces(model.tokenizer, int(model.model.config.vocab_size))
        self._ids = torch.tensor(list(self._pieces), dtype=torch.long)

    def write(self, sentence: str, body: str) -> Plan:
        """The plan that the model makes of a sentence. ValueError where it comes to no end, or its parts take longer
        together than a plan may."""
        *_, text = self.texts(sentence, body)
        return Plan.from_json(json.loads(text))

    def writes(self, plan: Plan, sentence: str) -> bool:
        """Whether it makes that plan of the sentence; given up at the first token that leads elsewhere."""
        wanted = plan_text(plan)
        text = ""
        for text in self.texts(sentence, plan.body):
            if not wanted.startswith(text):
                return False
        return text == wanted

    def texts(self, sentence: str, body: str) -> Iterator[str]:
        """What is written so far, token by token, until it is a whole plan."""
        allowed = _pattern(body)
        ids, memory, text = self.model.asked(question(body, sentence)), None, ""
        for _ in range(MOST_TOKENS):
            logits_V, memory = self.model.next(ids, memory)
            ids, text = self._next(logits_V, text, allowed)
            yield text.lstrip()
            if not allowed.fullmatch(text, partial=True).partial:
                return
        said = short(" ".join(sentence.split()))
        raise ValueError(
            f'the model made no plan of "{said}": no end after {MOST_TOKENS} tokens; train it longer (gato tune-lm)'
        )

    def _next(self, logits_V: torch.Tensor, text: str, allowed: regex.Pattern) -> tuple[list[int], str]:
        """The likeliest token with which the text can still become a plan, and the text with it."""
        for place in logits_V[self._ids].argsort(descending=True).tolist():
            token = int(self._ids[place])
            longer = text + self._pieces[token]
            if allowed.fullmatch(longer, partial=True):
                return [token], longer
        raise ValueError("the model's tokenizer has no words for a plan's JSON; name another model")


@lru_cache
def _pattern(body: str) -> regex.Pattern:
    """Matches plans for the body, none that its schema forbids, after the blanks that some tokenizers put before."""
    return regex.compile(" {0,2}" + _matching(schema(body)))


def _matching(allowed: Mapping[str, Any]) -> str:
    """A pattern for what the part of a schema allows, as `plan_text` writes it."""
    if "anyOf" in allowed:
        return f"(?:null|{_matching(allowed['anyOf'][1])})"
    if "enum" in allowed:
        return f"(?:{'|'.join(regex.escape(json.dumps(one)) for one in allowed['enum'])})"
    if allowed["type"] == "object":
        fields = (f'"{name}":{_matching(one)}' for name, one in allowed["properties"].items())
        return r"\{" + ",".join(fields) + r"\}"
    if allowed["type"] == "array":
        item = _matching(allowed["items"])
        return rf"\[{item}(?:,{item}){{{allowed['minItems'] - 1},{allowed['maxItems'] - 1}}}\]"
    if allowed["type"] == "integer":
        return _whole(allowed["minimum"], allowed["maximum"])
    return _number(allowed["minimum"], allowed["maximum"]) if "minimum" in allowed else _UNBOUNDED


def _number(low: float, high: float) -> str:
    """Numbers from `low` to `high`, without what is between `high` and the whole number below it.

    `low` is at least 0, and less than that whole number by more than 1.
    """
    whole, rest = divmod(math.ceil(Decimal(str(low)) * 10**DECIMALS), 10**DECIMALS)
    least = rf"{whole}\.{_decimals(str(rest).zfill(DECIMALS))}" if rest else f"{whole}{_DECIMALS}"
    most = math.floor(high)
    return f"(?:{least}|{_whole(whole + 1, most - 1)}{_DECIMALS}|{most})"


def _decimals(lowest: str) -> str:
    """Those from `lowest` on, of as many places at most, the last of them no 0."""
    if set(lowest) <= {"0"}:
        return "(?:" + r"\d?" * (len(lowest) - 1) + "[1-9])?" if lowest else ""
    first, after = int(lowest[0]), lowest[1:]
    same = f"{first}{_decimals(after)}"
    return same if first == 9 else f"(?:{same}|[{first + 1}-9]{_decimals('0' * len(after))})"


def _whole(low: int, high: int) -> str:
    """Whole numbers from `low`, which is at least 1, to `high`."""
    lengths = range(len(str(low)), len(str(high)) + 1)
    parts = (_between(str(max(low, 10 ** (n - 1))), str(min(high, 10**n - 1))) for n in lengths)
    return f"(?:{'|'.join(parts)})"


def _between(low: str, high: str) -> str:
    """Digits from `low` to `high`, which has as many."""
    num_after = len(low) - 1
    if set(low[1:]) <= {"0"} and set(high[1:]) <= {"9"}:
        return f"[{low[0]}-{high[0]}]" + r"\d" * num_after
    if low[0] == high[0]:
        return low[0] + _between(low[1:], high[1:])
    if set(low[1:]) <= {"0"}:
        first, then = str(int(high[0]) - 1) + "9" * num_after, high[0] + "0" * num_after
    else:
        first, then = low[0] + "9" * num_after, str(int(low[0]) + 1) + "0" * num_after
    return f"(?:{_between(low, first)}|{_between(then, high)})"


def _short(value: Any) -> Any:
    """JSON with its numbers rounded, whole ones as such."""
    if isinstance(value, Mapping):
        return {name: _short(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_short(one) for one in value]
    if isinstance(value, float):
        rounded = round(value, DECIMALS)
        return int(rounded) if rounded.is_integer() else rounded
    return value


def _pieces(tokenizer: Any, size: int) -> dict[int, str]:
    """What each id below `size` writes in the middle of a text; ids that no plan has are left out."""
    (anchor, *_) = tokenizer("a", add_special_tokens=False)["input_ids"]
    plain = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    before = tokenizer.decode([anchor], **plain)
    ids = range(min(len(tokenizer), size))
    written = [tokenizer.decode([anchor, token], **plain) for token in ids]
    pieces = {token: text.removeprefix(before) for token, text in zip(ids, written, strict=True)}
    return {token: piece for token, piece in pieces.items() if _WRITTEN.fullmatch(piece)}
