"""What can be asked of a model: its bodies, what they sense, and the words for each; every wish is checked here.

In: a model and the skills that it was taught. Out: what a client is told when it connects, and ValueErrors of one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gato.client import PROTOCOL
from gato.model.find import find_model
from gato.model.gato import Gato
from gato.rollout.policy import how_to_make
from gato.runs import read_json
from gato.skills.bodies import BODIES, Body
from gato.skills.prompts import SPLITS
from gato.skills.robots.known import add_installed
from gato.skills.skill import Skill
from gato.skills.table import SKILLS, get_skill
from gato.skills.told import in_full, is_numbers
from gato.specs import BodySpec, Element, near_match

SHOWN = 3
"""Wrong numbers of an observation that are named."""


class Catalogue:
    """Answers for one model, in any thread."""

    def __init__(self, model: Gato, taught: Sequence[str] = ()) -> None:
        """`taught`: ids of the skills it was trained on; where there are none, all skills of its bodies count."""
        self._model = model
        self._taught = [SKILLS[one] for one in taught or SKILLS if one in SKILLS]
        self._meant: dict[tuple[int, ...], list[Skill]] = {}
        """Token ids of a phrase -> the skills whose phrase it is, of any body."""
        for skill in SKILLS.values():
            for phrase in _phrases(skill):
                self._meant.setdefault(tuple(model.codec.encode_text(phrase)), []).append(skill)

    def metadata(self) -> dict[str, Any]:
        """What a client is told first: of each body its spaces, environment, statistics and skills."""
        layout = self._model.layout
        return {
            "protocol": PROTOCOL,
            "window_steps": layout.window_steps,
            "prompt_tokens": layout.prompt_positions,
            "bodies": {name: self._about(name) for name in self._model.bodies},
        }

    def body(self, body: str, env: str = "") -> str:
        """The body that is meant by its name, by a Gymnasium id of it, or because there is no other."""
        known = list(self._model.bodies)
        if env:
            bodies = {made.gym_id: name for name, made in BODIES.items() if name in known}
            bodies |= {skill.env_id: skill.body for skill in SKILLS.values() if skill.body in known}
            if env not in bodies:
                raise ValueError(f'no body of the model acts in "{env}"; {near_match(env, bodies)}')
            if body not in ("", bodies[env]):
                raise ValueError(f"{env} is for {bodies[env]}, and body says {body}; leave one of them out")
            body = bodies[env]
        if not body and len(known) == 1:
            return known[0]
        if not body:
            raise ValueError(f'the first message names no body; send "body": one of {", ".join(known)}')
        self._model.body(body)
        return body

    def observation(self, body: str, value_O: np.ndarray) -> np.ndarray:
        """(O,) float32, finite and inside the body's bounds."""
        spec, vector = self._model.body(body).spec, self._model.codec.body(body).observation
        if value_O.shape != (len(spec.observation),):
            how = f"; {how_to_make(body)} gives them" if _made(spec) else ""
            raise ValueError(
                f"observation of {body}: got {value_O.dtype} {value_O.shape}, need ({len(spec.observation)},) numbers, "
                f"{spec.observation[0].name} to {spec.observation[-1].name}{how}"
            )
        with np.errstate(over="ignore"):
            value_O = value_O.astype(np.float32)
        is_right_O = np.isfinite(value_O) & (value_O >= vector.low_N) & (value_O <= vector.high_N)
        whole = vector.discrete_columns
        is_right_O[whole] &= value_O[whole] == np.rint(value_O[whole])
        if is_right_O.all():
            return value_O
        wrong = np.flatnonzero(~is_right_O)
        named = "; ".join(f"{_bounds(spec.observation[i])} is {value_O[i]:g}" for i in wrong[:SHOWN])
        raise ValueError(
            f"observation of {body}: {len(wrong)} of {len(value_O)} numbers are wrong: {named}; "
            "send finite numbers in these bounds"
        )

    def words(self, body: str, prompt: str) -> tuple[str, str | None]:
        """What the body is told, and the skill that is meant; None for words that are nobody's phrase.

        Such words pass, since the model may understand them; so do all where no skill of ours was taught. ValueError
        for a skill's id or phrases that this body was not taught, for numbers that it is not asked for, and for more
        words than the model reads.
        """
        if is_id(prompt):
            skill = get_skill(prompt)
            return skill.prompt, self._own([skill], body, prompt)
        if is_numbers(prompt):
            return in_full(prompt, body), None
        ids, most = self._model.codec.encode_text(prompt), self._model.layout.prompt_positions
        meant = self._meant.get(tuple(ids), [])
        if meant:
            return prompt, self._own(meant, body, prompt)
        if len(ids) > most:
            raise ValueError(f'"{prompt}" has {len(ids)} tokens, the model reads {most}; say it in fewer words')
        return prompt, None

    def _own(self, meant: list[Skill], body: str, prompt: str) -> str | None:
        """The one of these skills that the body was taught; None where it was taught none of ours."""
        taught = self._skills(body)
        if not taught:
            return None
        ids = [skill.id for skill in meant if skill.body == body]
        for one in ids:
            if one in taught:
                return one
        told = f"say {' or '.join(map(repr, taught.values()))}"
        if ids:
            raise ValueError(f'"{prompt}" ({ids[0]}) was not taught to this model; {told}')
        raise ValueError(f'"{prompt}" is for {meant[0].body}, and this is {body}; {told}')

    def _skills(self, body: str) -> dict[str, str]:
        """Id -> canonical prompt of what the body was taught."""
        return {skill.id: skill.prompt for skill in self._taught if skill.body == body}

    def _about(self, name: str) -> dict[str, Any]:
        known = self._model.codec.body(name)
        made, statistics = _made(known.spec), known.observation_statistics
        return {
            "observation": _space(known.spec.observation),
            "action": _space(known.spec.action),
            "environment": None if made is None else {"id": made.gym_id, "settings": dict(made.gym_kwargs or {})},
            "statistics": None if statistics is None else {"mean": statistics.mean_N, "std": statistics.std_N},
            "skills": self._skills(name),
        }


def load_catalogue(name: str) -> tuple[Path, Gato, Catalogue]:
    """The model that `find_model` takes by that name: its folder, itself, and what can be asked of it."""
    place = find_model(name)
    model = Gato.load(place)
    add_installed()
    return place, model, Catalogue(model, read_json(place / "card.json").get("skills", ()))


def is_id(said: str) -> bool:
    """Whether that is meant as a skill's id: words may have a slash too, as in "2 m/s", but then there are several."""
    return "/" in said and len(said.split()) == 1


def _phrases(skill: Skill) -> Iterator[str]:
    """All that is said for a skill; of a goal-conditioned one, for each thing it can be asked for."""
    if skill.is_commanded:
        yield skill.prompt
        for cell in skill.cells:
            yield from cell.phrases
        return
    for split in SPLITS:
        yield from skill.phrases(split)


def _made(spec: BodySpec) -> Body | None:
    """The record of this very body, if it is one of ours."""
    made = BODIES.get(spec.name)
    return made if made is not None and made.spec.digest == spec.digest else None


def _bounds(element: Element) -> str:
    whole = "whole " if element.kind == "discrete" else ""
    return f"{element.name} ({whole}{element.low:g} to {element.high:g})"


def _space(elements: Sequence[Element]) -> dict[str, Any]:
    """Names, kinds and bounds of the elements, in order."""
    return {
        "names": [one.name for one in elements],
        "kinds": [one.kind for one in elements],
        "low": np.array([one.low for one in elements], np.float32),
        "high": np.array([one.high for one in elements], np.float32),
    }
