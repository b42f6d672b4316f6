"""A model in the environment of a Minari dataset, ours or anybody's, against the dataset's own reference scores.

In: a model and an opened dataset. Out: `Results` with a task a skill, or one task where the environment has no skills.
"""

from __future__ import annotations

import logging
import math

from gymnasium.envs.registration import EnvSpec

from gato.data.minari_io import Dataset
from gato.model.gato import Gato
from gato.rollout.prompted import Conditions, Request, roll_out
from gato.rollout.suite import Reference, Results, Task, group, prompt_matrix, task_of
from gato.skills.evaluate import evaluation_seeds
from gato.skills.spaces import body_spec
from gato.skills.stepper import make_stepper
from gato.skills.table import get_skill
from gato.specs import Score

log = logging.getLogger(__name__)


def evaluate_dataset(model: Gato, dataset: Dataset, conditions: Conditions) -> Results:
    """Each skill of the dataset under its canonical prompt, or the environment's own task under the first prompt.

    ValueError when the dataset names no environment, or a skill that is told numbers, or the model, the dataset and the
    environment do not fit.
    """
    env_spec = _environment(model, dataset)
    skills = [get_skill(skill_id) for skill_id in dataset.skills]
    if commanded := [skill.id for skill in skills if skill.is_commanded]:
        raise ValueError(
            f"{dataset.id} is of {commanded[0]}, which is told numbers and has no words of its own to measure; "
            "use --suite, or --prompt and --body"
        )
    seeds = evaluation_seeds(conditions.seed, conditions.episodes)
    known = Reference(dataset.reference.get("random"), dataset.reference.get("expert"))
    if 0 < conditions.steps < (env_spec.max_episode_steps or math.inf):
        known = Reference(None, None)  # scores of whole episodes
    elif known.random is None or known.expert is None:
        log.warning("%s states no reference scores for random and expert; its return is not normalised", dataset.id)
    prompts = [skill.prompt for skill in skills] or [dataset.prompts[0][0]]
    names = [skill.id for skill in skills] or [""]
    requests = [Request(prompt, name, seed) for prompt, name in zip(prompts, names, strict=True) for seed in seeds]
    body = dataset.spec.name
    batch = roll_out(model, body, requests, conditions, env_spec=env_spec)
    by_skill = group(batch.rollouts, len(seeds))
    if skills:
        pairs = zip(skills, by_skill, strict=True)
        tasks = tuple(task_of(skill, own, known, batch.steps_per_second) for skill, own in pairs)
    else:
        score = Score.of(rollout.outcome.return_ for rollout in batch.rollouts)
        tasks = (Task(dataset.id, prompts[0], score, known, None, batch.steps_per_second),)
    return Results(
        conditions.seed,
        conditions.episodes,
        tasks=tasks,
        prompt_matrix={body: prompt_matrix(skills, by_skill)} if skills else {},
        extra={"dataset": dataset.id},
        rollouts={body: batch.rollouts},
    )


def _environment(model: Gato, dataset: Dataset) -> EnvSpec:
    """The dataset's environment, if the model knows the body and what is installed is what was recorded."""
    if dataset.env_spec is None:
        raise ValueError(f"{dataset.id} does not say what environment it was recorded in; evaluate by --suite instead")
    model.body(dataset.spec.name)
    model.codec.check_body(dataset.spec)
    stepper = make_stepper(dataset.env_spec, 1)
    spaces = [(stepper.observation_space, stepper.action_space), (dataset.observation_space, dataset.action_space)]
    installed, recorded = (body_spec(dataset.spec.name, *pair) for pair in spaces)
    if installed.digest != recorded.digest:
        raise ValueError(
            f"{dataset.env_spec.id} as installed here has {len(installed.observation)} observation and "
            f"{len(installed.action)} action elements, {dataset.id} was recorded with {len(recorded.observation)} and "
            f"{len(recorded.action)} (or other bounds); install the version of the environment it was recorded in"
        )
    return dataset.env_spec
