"""The whole of `gato eval`: what was asked for is checked first, then run, and kept in a folder where one is named.

In: a model folder and `Wishes`. Out: `Results`; in `out`: results.json, videos/ and provenance.json.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gato.data.minari_io import Dataset, open_dataset
from gato.experts.shipped import find_expert
from gato.model.find import find_model
from gato.model.gato import Gato
from gato.rollout.ablation import ablate
from gato.rollout.asked import Hear, Question, ask, question_of, read_questions
from gato.rollout.from_dataset import evaluate_dataset
from gato.rollout.planned import follow
from gato.rollout.prompted import Conditions
from gato.rollout.suite import Results, check_body, expert_name, measure_suite, skills_by_body, suite_skills
from gato.rollout.switching import switching
from gato.rollout.video import write_videos
from gato.runs import PROVENANCE, as_input, content_hash, open_run, write_json, write_provenance
from gato.skills.bodies import get_body
from gato.skills.plan import Plan
from gato.skills.robots.known import typed

log = logging.getLogger("gato")

RESULTS = "results.json"
DEFAULT_SUITE = "demo"
ABLATION_EPISODES, ABLATION_STEPS = 16, 500
"""At most, a skill and arm: the arms of `ablation.ARMS` are compared with one another, not with published scores."""
VIDEO_FOLDER = "workspace/eval"
"""Where videos go when no folder is named."""


@dataclass(frozen=True)
class Wishes:
    """What to measure. Nothing said means the demo suite."""

    suite: str = ""
    """A suite's name."""
    prompt: str | None = None
    """One prompt, to `body`."""
    body: str = ""
    """The body told, or the only one of the suite to measure."""
    prompts: str = ""
    """A file of lines body<TAB>prompt<TAB>skill."""
    dataset: str = ""
    """Minari id, whose environment and reference scores are used."""
    ablate: bool = False
    """Also wrong, empty, unused and misspelt words, and prompts changed while the body moves."""
    video: int = 0
    """Episodes a prompt to draw."""
    experts: str = ""
    """Folder <experts>/<body>/<skill> to compare with, instead of the shipped experts."""
    plan: Plan | None = None
    """What `body` is to do, one thing after the other."""
    free_speech: bool = False
    """The prompts are heard first, in any words."""

    def __post_init__(self) -> None:
        if self.prompt is not None and not self.body:
            raise ValueError(f'--prompt "{self.prompt}" is for a body: add --body, such as --body half-cheetah')
        if self.plan is not None and self.plan.body != self.body:
            raise ValueError(f"--plan is for {self.plan.body}: add --body {self.plan.body}; got {self.body or 'none'}")
        if self.video < 0:
            raise ValueError(f"--video is {self.video}; it is a number of episodes a prompt, 0 for none")
        if self.free_speech and self.prompt is None and not self.prompts:
            raise ValueError("--free-speech hears prompts: add --prompts FILE, or --prompt and --body")
        if self.suite and self.dataset:
            raise ValueError(
                f"got --suite {self.suite} and --dataset {self.dataset}; evaluate them one after the other"
            )
        if self.body and not self._tells_body and not (self.measures_suite or self.ablate):
            raise ValueError(
                "--body goes with --prompt, --plan or --suite; a file of prompts and a dataset name their own"
            )

    @property
    def measures_suite(self) -> bool:
        """Whether a suite is asked for, by name or by asking for nothing else."""
        return bool(self.suite) or not (self._tells_body or self.prompts or self.dataset)

    @property
    def _tells_body(self) -> bool:
        return self.prompt is not None or self.plan is not None

    @property
    def bodies(self) -> tuple[str, ...]:
        """Restriction of the suite; none for all bodies."""
        return (self.body,) if self.body else ()


def evaluate_model(
    model: str | Path,
    wishes: Wishes,
    conditions: Conditions,
    *,
    out: str = "",
    overwrite: bool = False,
    hear: Hear | None = None,
) -> Results:
    """Run all that is wished for. Nothing is written unless `out` or videos are asked for.

    `model` is what `find_model` takes; `hear` is who hears free speech. Everything is checked before the first episode.
    """
    place = find_model(model)
    loaded = Gato.load(place)
    if not (place / PROVENANCE).is_file():
        log.warning("%s has no %s: what it was trained on cannot be told", place, PROVENANCE)
    questions = _questions(loaded, wishes, hear)
    dataset = open_dataset(wishes.dataset) if wishes.dataset else None
    if wishes.plan is not None:
        check_body(loaded, wishes.plan.body)
    bodies = {question.body for question in questions}
    if wishes.measures_suite or wishes.ablate:
        bodies |= {skill.body for skill in suite_skills(loaded, wishes.suite or DEFAULT_SUITE, wishes.bodies)}
    _warn_of_cut_episodes(conditions.steps, bodies, dataset)
    out = out or (VIDEO_FOLDER if wishes.video else "")
    folder = open_run(out, overwrite=overwrite) if out else None
    results = dataclasses.replace(_measure(loaded, wishes, conditions, questions, dataset), model=str(model))
    if folder is not None:
        if wishes.video:
            env_spec = dataset.env_spec if dataset else None
            write_videos(results.rollouts, folder / "videos", wishes.video, env_spec=env_spec)
        write_json(folder / RESULTS, results.json())
        write_provenance(
            folder,
            command=_command(model, wishes, conditions, out),
            config={"wishes": dataclasses.asdict(wishes), "conditions": dataclasses.asdict(conditions)},
            seeds={"seed": conditions.seed},
            inputs=_inputs(place, wishes, dataset, results),
        )
    return results


def _warn_of_cut_episodes(steps: int, bodies: Iterable[str], dataset: Dataset | None) -> None:
    limits: list[float] = [get_body(body).max_episode_steps for body in bodies]
    if dataset is not None and dataset.env_spec is not None:
        limits.append(dataset.env_spec.max_episode_steps or math.inf)
    if 0 < steps < max(limits, default=0):
        log.warning("episodes end after %d steps: no scores to compare with those of whole ones", steps)


def measure_words(
    model: Gato,
    suite: str,
    conditions: Conditions,
    *,
    ablation: Conditions,
    bodies: Sequence[str] = (),
    experts: Path | None = None,
) -> dict[str, Any]:
    """{"ablation": what words are worth, "switching": what prompts changed while the body moves do}, by body.

    `bodies`, `experts`: as `measure_suite` takes them.
    """
    skills = suite_skills(model, suite, bodies)
    arms = ablate(model, skills, ablation, expert=partial(expert_name, suite, experts=experts))
    return {
        "ablation": {arm: {body: one.json() for body, one in own.items()} for arm, own in arms.items()},
        "switching": {
            body: switching(model, own, conditions).json()
            for body, own in skills_by_body(skills).items()
            if len(own) > 1
        },
    }


def _questions(model: Gato, wishes: Wishes, hear: Hear | None) -> tuple[Question, ...]:
    questions: list[Question] = []
    if wishes.prompt is not None:
        questions.append(question_of(model, wishes.body, wishes.prompt, hear))
    if wishes.prompts:
        questions += read_questions(Path(wishes.prompts), model, hear)
    return tuple(questions)


def _measure(
    model: Gato,
    wishes: Wishes,
    conditions: Conditions,
    questions: tuple[Question, ...],
    dataset: Dataset | None,
) -> Results:
    suite = wishes.suite or DEFAULT_SUITE
    results = Results(conditions.seed, conditions.episodes)
    experts = Path(wishes.experts) if wishes.experts else None
    if wishes.measures_suite:
        results = measure_suite(model, suite, conditions, bodies=wishes.bodies, experts=experts)
    elif dataset is not None:
        results = evaluate_dataset(model, dataset, conditions)
    extra, rollouts = dict(results.extra), dict(results.rollouts)
    if questions:
        answers, asked = ask(model, questions, conditions)
        extra["prompts"] = [answer.json() for answer in answers]
        rollouts |= {body: (*rollouts.get(body, ()), *own) for body, own in asked.items()}
    if wishes.plan is not None:
        followed, own = follow(model, wishes.plan, conditions)
        extra |= followed.json()
        rollouts[wishes.body] = (*rollouts.get(wishes.body, ()), *own)
    if wishes.ablate:
        fewer = dataclasses.replace(
            conditions,
            episodes=min(conditions.episodes, ABLATION_EPISODES),
            steps=min(conditions.steps or ABLATION_STEPS, ABLATION_STEPS),
        )
        extra |= measure_words(model, suite, conditions, ablation=fewer, bodies=wishes.bodies, experts=experts)
    return dataclasses.replace(results, extra=extra, rollouts=rollouts)


def _command(model: str | Path, wishes: Wishes, conditions: Conditions, out: str) -> str:
    """What to type to get this folder again: every setting that is not the default."""
    words = ["gato", "eval", str(model)]
    for stated in (wishes, conditions):
        for setting in dataclasses.fields(stated):
            value = getattr(stated, setting.name)
            if value != setting.default and setting.name != "is_shown":
                value = typed(value) if setting.name == "body" else value
                value = value.words if isinstance(value, Plan) else value
                flag = "--" + setting.name.replace("_", "-")
                words += [flag] if value is True else [flag, str(value)]
    return shlex.join([*words, "--out", out])


def _inputs(model: Path, wishes: Wishes, dataset: Dataset | None, results: Results) -> dict[str, dict[str, str]]:
    """The model, and what its scores were compared with, by their hashes."""
    inputs = {"model": as_input(model)}
    if dataset is not None:
        inputs[dataset.id] = {"id": dataset.id, "hash": dataset.content_hash}
    if wishes.prompts:
        inputs["prompts"] = as_input(wishes.prompts)
    if wishes.measures_suite:
        experts = Path(wishes.experts) if wishes.experts else None
        for task in results.tasks:
            if task.reference.expert is None:
                continue
            name = expert_name(wishes.suite or DEFAULT_SUITE, task.skill, experts)
            place = {"path": name} if experts else {"id": f"shipped:{name}"}
            inputs[task.skill] = {**place, "hash": content_hash(find_expert(name))}
    return inputs
