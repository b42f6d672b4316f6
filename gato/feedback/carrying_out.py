"""Plans that may mend what failed, carried out: the experts that come with Gato act, from the same start.

In: a dataset, plans and the seeds that they start from. Out: the episodes in which the plan was followed, by the rules
of its skills.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gato.data.minari_io import Dataset
from gato.feedback.segments import segments_of
from gato.recording.blocks import Plan as BlockPlan
from gato.recording.blocks import record_block
from gato.recording.crew import find_crew
from gato.recording.recipe import Recording
from gato.rollout.course import stages
from gato.skills.plan import Plan
from gato.skills.stepper import make_stepper
from gato.skills.table import get_skill
from gato.specs import Episode

MOST_AT_ONCE = 64
"""Episodes that are stepped together."""


@dataclass(frozen=True)
class Mended:
    """An episode in which a plan was followed."""

    skills: tuple[str, ...]
    """What its prompt_ids are indices of."""
    episode: Episode


def carry_out(
    dataset: Dataset, seeds_of: Mapping[Plan, Sequence[int]]
) -> tuple[tuple[Mended, ...], dict[str, dict[str, str]]]:
    """Every plan once from each of its seeds: what was followed, and who acted, as provenance names it.

    ValueError where no expert comes with Gato for a skill of a plan.
    """
    mended: list[Mended] = []
    inputs: dict[str, dict[str, str]] = {}
    for plan, seeds in seeds_of.items():
        skills = tuple(dict.fromkeys(part.skill for part in plan.parts))
        recording = Recording(plan.body, switch=skills) if len(skills) > 1 else Recording(skills[0])
        own = replace(dataset, skills=skills, prompts=tuple(get_skill(skill).phrases("train") for skill in skills))
        for start in range(0, len(seeds), MOST_AT_ONCE):
            block_plan = _block_plan(plan, skills, seeds[start : start + MOST_AT_ONCE])
            stepper = make_stepper(dataset.env_spec or skills[0], len(block_plan.seeds))
            crew = find_crew(recording, stepper)
            inputs |= crew.inputs
            block = record_block(stepper, crew.experts, skills, block_plan)
            mended += [Mended(skills, one) for one in block.episodes() if _is_followed(own, one)]
    return tuple(mended), inputs


def _block_plan(plan: Plan, skills: Sequence[str], seeds: Sequence[int]) -> BlockPlan:
    """The parts at the same steps in every episode: no part of a plan that mends waits for anything."""
    prompt_ids_T = np.concatenate([np.full(one.steps, skills.index(one.skill), np.int64) for one in stages(plan)])
    prompt_ids_TB = np.tile(prompt_ids_T[:, None], (1, len(seeds)))
    return BlockPlan(0, tuple(seeds), (0.0,) * len(seeds), prompt_ids_TB, prompt_ids_TB)


def _is_followed(dataset: Dataset, episode: Episode) -> bool:
    told = [one for one in segments_of(dataset, 0, episode) if not one.is_too_short]
    return bool(told) and all(one.is_followed for one in told)
