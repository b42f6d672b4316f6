"""A causal language model writes a plan as JSON, token by token, and cannot write anything else.

In: a `CausalModel`, a sentence, a body. Out: a `Plan`. Of the tokens only those count with which the text so far can
still become a plan for that body, by `gato.skills.plan.schema`; of these the likeliest is taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import regex
import torch

from gato.language.causal import CausalModel
from gato.language.text import normalise
from gato.skills.plan import Plan, schema

DECIMALS = 3
"""Of the numbers in a written plan: thousandths of a second, a metre, a radian."""
MOST_TOKENS = 768
"""Of a written plan; one that is not at its end by then is given up."""
_NUMBER = rf"(?:0|[1-9]\d{{0,2}})(?:\.\d{{0,{DECIMALS - 1}}}[1-9])?"
_INTEGER = r"[1-9]\d?"
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
        """The plan that the model makes of a sentence. ValueError where it comes to no end, or its numbers are none
        that a plan may have."""
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
        raise ValueError(
            f'the model made no plan of "{sentence}": no end after {MOST_TOKENS} tokens; train it longer (gato tune-lm)'
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
    """Matches every plan for the body, after the blanks that some tokenizers put before a text."""
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
        return _INTEGER
    return _NUMBER if "minimum" in allowed else f"-?{_NUMBER}"


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
