"""Any words, to any body: what the body then did, by its readings and by the rule of each of its skills.

In: one prompt, or a file of lines `body<TAB>prompt<TAB>skill`. Out: an `Answer` for each, in the order asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gato.model.gato import Gato
from gato.rollout.prompted import Conditions, Request, Rollout, roll_out
from gato.rollout.suite import check_body, group
from gato.skills.evaluate import evaluation_seeds, summarise
from gato.skills.prompts import SPLITS
from gato.skills.skill import TOLD
from gato.skills.table import SKILLS, get_skill, skills_of
from gato.skills.told import in_full, told_numbers
from gato.specs import Score

HEADER = "body\tprompt\tskill"
"""May stand in the first line of a file of prompts."""
NOTHING = "none"
"""The skill of words that mean none, which free speech should decline."""
Hear = Callable[[str, str], str | None]
"""Body, words -> what to tell the body; None where the words mean nothing that it can do."""


@dataclass(frozen=True)
class Question:
    """Words for a body."""

    body: str
    prompt: str
    skill: str | None
    """The skill that is meant; None where nobody knows, NOTHING where none is."""
    told: str | None
    """What the body is told: the words, or what free speech made of them; None where it declined."""


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
        """{"body", "prompt", "told", "skill", "success", "measured", "behaviours", "return"}."""
        return {
            "body": self.question.body,
            "prompt": self.question.prompt,
            "told": self.question.told,
            "skill": self.question.skill,
            "success": self.success,
            "measured": self.measured,
            "behaviours": self.behaviours,
            "return": None if self.return_ is None else self.return_.json(),
        }


def ask(
    model: Gato, questions: Sequence[Question], conditions: Conditions
) -> tuple[tuple[Answer, ...], dict[str, tuple[Rollout, ...]]]:
    """An answer to each question, and the episodes of each body. The questions of one body run together.

    Where free speech declined, no body moves: right where nothing was meant, else wrong.
    """
    seeds = evaluation_seeds(conditions.seed, conditions.episodes)
    for body in {question.body for question in questions}:
        check_body(model, body)
    answers: dict[int, Answer] = {}
    rollouts = {}
    places_of: dict[str, list[int]] = {}
    for place, question in enumerate(questions):
        if question.told is None:
            is_right = None if question.skill is None else float(question.skill == NOTHING)
            answers[place] = Answer(question, is_right, {}, {}, None)
        else:
            places_of.setdefault(question.body, []).append(place)
    for body, places in places_of.items():
        told = [(questions[place].told or "", _known(questions[place]) or _any_skill(body)) for place in places]
        requests = [Request(words, skill, seed) for words, skill in told for seed in seeds]
        rollouts[body] = roll_out(model, body, requests, conditions).rollouts
        for place, own in zip(places, group(rollouts[body], len(seeds)), strict=True):
            answers[place] = _answer(questions[place], own)
    return tuple(answers[place] for place in range(len(questions))), rollouts


def _answer(question: Question, rollouts: Sequence[Rollout]) -> Answer:
    skill = _known(question)
    found = summarise(skill or _any_skill(question.body), [rollout.outcome for rollout in rollouts])
    # What a goal-conditioned skill drew to ask for was told to nobody.
    measured = {name: value for name, value in found.measured.items() if not name.startswith(TOLD)}
    return Answer(
        question,
        found.success if skill is not None else 0.0 if question.skill == NOTHING else None,
        found.behaviours,
        measured,
        None if skill is None else found.return_,
    )


def _any_skill(body: str) -> str:
    """One that is told in words, if any is; whose reward counts where nobody knows what is meant."""
    own = skills_of(body)
    return next((skill.id for skill in own if not skill.is_commanded), own[0].id)


def _known(question: Question) -> str | None:
    return None if question.skill == NOTHING else question.skill


def question_of(model: Gato, body: str, prompt: str, hear: Hear | None = None) -> Question:
    """Words for a body; what it is told is, to the tokenizer, a phrase of the skill that is meant."""
    check_body(model, body)
    told = _heard(body, prompt, hear)
    if told is None:
        return Question(body, prompt, None, None)
    ids = model.codec.encode_text(told)
    for skill in (one for one in skills_of(body) if not one.is_commanded):
        said = (phrase for split in SPLITS for phrase in skill.phrases(split))
        if any(model.codec.encode_text(phrase) == ids for phrase in said):
            return Question(body, prompt, skill.id, told)
    return Question(body, prompt, None, told)


def _heard(body: str, prompt: str, hear: Hear | None) -> str | None:
    """What the body is told: free speech hears whatever is not written as numbers, such as "what is 2+2=?"."""
    if hear is None or _is_in_numbers(prompt):
        return in_full(prompt, body)
    return hear(body, prompt)


def _is_in_numbers(prompt: str) -> bool:
    try:
        return told_numbers(prompt) is not None
    except ValueError:
        return False


def read_questions(path: Path, model: Gato, hear: Hear | None = None) -> tuple[Question, ...]:
    """The lines of a UTF-8 file, heard by `hear` if it is given; ValueError names every bad line by its number."""
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
            questions.append(_question(line, model, hear))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        raise ValueError(f"{path}: {'; '.join(problems)}")
    if not questions:
        raise ValueError(f"{path} holds no prompts; write lines of body<TAB>prompt<TAB>skill")
    return tuple(questions)


def _question(line: str, model: Gato, hear: Hear | None) -> Question:
    fields = line.split("\t")
    if len(fields) != 3:
        raise ValueError(f"got {len(fields)} field(s), need body<TAB>prompt<TAB>skill")
    body, prompt, name = fields[0].strip(), fields[1], fields[2].strip()
    check_body(model, body)
    told = _heard(body, prompt, hear)
    if name == NOTHING and hear is not None:
        return Question(body, prompt, NOTHING, told)
    # The body stands in the line already, so the skill's own name is enough.
    skill = get_skill(name if name in SKILLS or "/" in name else f"{body}/{name}")
    if skill.body != body or skill.is_commanded:
        own = ", ".join(one.id for one in skills_of(body) if not one.is_commanded)
        wrong = f"is no skill of {body}" if skill.body != body else "is told numbers, not words"
        raise ValueError(f"{skill.id} {wrong}; allowed: {own}")
    return Question(body, prompt, skill.id, told)
