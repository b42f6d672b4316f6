"""Any words, to any body: what the body then did, by its readings and by the rule of each of its skills.

In: one prompt, or a file of lines `body<TAB>prompt<TAB>skill`. Out: an `Answer` for each, in the order asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gato.model.gato import Gato
from gato.rollout.prompted import Conditions, Request, Rollout, roll_out
from gato.rollout.suite import check_body, group, success_rate
from gato.skills.evaluate import evaluation_seeds
from gato.skills.prompts import SPLITS
from gato.skills.table import SKILLS, get_skill, skills_of
from gato.specs import Score

HEADER = "body\tprompt\tskill"
"""May stand in the first line of a file of prompts."""


@dataclass(frozen=True)
class Question:
    """Words for a body."""

    body: str
    prompt: str
    skill: str | None
    """The skill that is meant; None where nobody knows."""


@dataclass(frozen=True)
class Answer:
    """What the body did."""

    question: Question
    success: float | None
    """Share of episodes that met the rule of the skill that is meant."""
    behaviours: dict[str, float]
    """The same for each skill of the body."""
    measured: dict[str, float]
    """Mean of each reading over steps, then episodes, in its unit."""
    return_: Score | None
    """By the reward of the skill that is meant."""

    def json(self) -> dict[str, Any]:
        """{"body", "prompt", "skill", "success", "measured", "behaviours", "return"}."""
        return {
            "body": self.question.body,
            "prompt": self.question.prompt,
            "skill": self.question.skill,
            "success": self.success,
            "measured": self.measured,
            "behaviours": self.behaviours,
            "return": None if self.return_ is None else self.return_.json(),
        }


def ask(
    model: Gato, questions: Sequence[Question], conditions: Conditions
) -> tuple[tuple[Answer, ...], dict[str, tuple[Rollout, ...]]]:
    """An answer to each question, and the episodes of each body. The questions of one body run together."""
    seeds = evaluation_seeds(conditions.seed, conditions.episodes)
    bodies = list(dict.fromkeys(question.body for question in questions))
    for body in bodies:
        check_body(model, body)
    answers: dict[int, Answer] = {}
    rollouts = {}
    for body in bodies:
        places = [place for place, question in enumerate(questions) if question.body == body]
        any_skill = skills_of(body)[0].id
        requests = [
            Request(questions[place].prompt, questions[place].skill or any_skill, seed)
            for place in places
            for seed in seeds
        ]
        rollouts[body] = roll_out(model, body, requests, conditions).rollouts
        for place, own in zip(places, group(rollouts[body], len(seeds)), strict=True):
            answers[place] = _answer(questions[place], own)
    return tuple(answers[place] for place in range(len(questions))), rollouts


def _answer(question: Question, rollouts: Sequence[Rollout]) -> Answer:
    skill = question.skill
    behaviours = {one.id: success_rate(one, rollouts) for one in skills_of(question.body) if not one.is_commanded}
    outcomes = [rollout.outcome for rollout in rollouts]
    return Answer(
        question,
        None if skill is None else behaviours[skill],
        behaviours,
        {name: float(np.mean([one.readings[name].mean() for one in outcomes])) for name in outcomes[0].readings},
        None if skill is None else Score.of(one.return_ for one in outcomes),
    )


def question_of(model: Gato, body: str, prompt: str) -> Question:
    """Words for a body; the skill that is meant is the one of whose phrases the words are one, to the tokenizer."""
    check_body(model, body)
    ids = model.codec.encode_text(prompt)
    for skill in (one for one in skills_of(body) if not one.is_commanded):
        said = (phrase for split in SPLITS for phrase in skill.phrases(split))
        if any(model.codec.encode_text(phrase) == ids for phrase in said):
            return Question(body, prompt, skill.id)
    return Question(body, prompt, None)


def read_questions(path: Path, model: Gato) -> tuple[Question, ...]:
    """The lines of a UTF-8 file; ValueError names every bad line by its number."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as such") from error
    questions, problems = [], []
    for number, line in enumerate(lines, start=1):
        line = line.rstrip("\r")
        if not line.strip() or (number == 1 and line == HEADER):
            continue
        try:
            questions.append(_question(line, model))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        raise ValueError(f"{path}: {'; '.join(problems)}")
    if not questions:
        raise ValueError(f"{path} holds no prompts; write lines of body<TAB>prompt<TAB>skill")
    return tuple(questions)


def _question(line: str, model: Gato) -> Question:
    fields = line.split("\t")
    if len(fields) != 3:
        raise ValueError(f"got {len(fields)} field(s), need body<TAB>prompt<TAB>skill")
    body, prompt, name = fields[0].strip(), fields[1], fields[2].strip()
    check_body(model, body)
    # The body stands in the line already, so the skill's own name is enough.
    skill = get_skill(name if name in SKILLS or "/" in name else f"{body}/{name}")
    if skill.body != body:
        own = ", ".join(one.id for one in skills_of(body))
        raise ValueError(f"{skill.id} is no skill of {body}; allowed: {own}")
    return Question(body, prompt, skill.id)
