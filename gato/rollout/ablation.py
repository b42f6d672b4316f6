"""What words are worth: the same skills asked for correctly, wrongly, not at all, otherwise, misspelt, at odds.

In: a model and the skills of its bodies. Out: an `Arm` for each arm and body. All arms of a body run together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gato.model.gato import Gato
from gato.rollout.prompted import Conditions, Request, Rollout, roll_out
from gato.rollout.suite import skills_by_body
from gato.skills.evaluate import evaluation_seeds
from gato.skills.prompts import HELD_OUT, typo
from gato.skills.table import Skill
from gato.specs import Score, share_interval

PHRASES = {"seen": "train"} | {split: split for split in HELD_OUT}
"""Arm -> split of the grammar that its phrases are of."""
ARMS = ("correct", "wrong", "empty", *PHRASES, "typo", "contradictory")


@dataclass(frozen=True)
class Arm:
    """One way of saying it, on one body, over all its skills."""

    success: float
    """Share of episodes that met the rule of the skill that was wanted (for `wrong`: not the one that was said)."""
    success_ci95: tuple[float, float]
    """Wilson's interval of it."""
    obeyed: float | None
    """Share of episodes that met the rule of the skill that was said, last where two were; None where nothing was."""
    return_: Score
    """By the reward of the skill that was wanted."""

    def json(self) -> dict[str, Any]:
        """{"success", "success_ci95", "return", "obeyed"}."""
        return {
            "success": self.success,
            "success_ci95": list(self.success_ci95),
            "return": self.return_.json(),
            "obeyed": self.obeyed,
        }


@dataclass(frozen=True)
class _Case:
    wanted: Skill
    said: Skill | None
    request: Request


def ablate(model: Gato, skills: Sequence[Skill], conditions: Conditions) -> dict[str, dict[str, Arm]]:
    """Arm -> body -> figures. Bodies with one skill are left out: no words can choose anything there; of an arm, so are
    skills of which its split has no phrase."""
    table: dict[str, dict[str, Arm]] = {arm: {} for arm in ARMS}
    for body, own in skills_by_body(skills).items():
        if len(own) < 2:
            continue
        cases = {arm: _cases(arm, own, conditions) for arm in ARMS}
        flat = [case for arm in ARMS for case in cases[arm]]
        rollouts = iter(roll_out(model, body, [case.request for case in flat], conditions).rollouts)
        for arm in (one for one in ARMS if cases[one]):
            table[arm][body] = _arm(cases[arm], [next(rollouts) for _ in cases[arm]])
    return table


def _cases(arm: str, skills: Sequence[Skill], conditions: Conditions) -> list[_Case]:
    """The episodes of one arm: every skill on the same starts."""
    rng = np.random.default_rng([conditions.seed, ARMS.index(arm)])
    seeds = evaluation_seeds(conditions.seed, conditions.episodes)
    cases = []
    for skill in skills:
        others = [other for other in skills if other is not skill]
        phrases = rng.permutation(skill.phrases(PHRASES[arm])).tolist() if arm in PHRASES else [skill.prompt]
        for index, seed in enumerate(seeds if phrases else ()):
            said: Skill | None = skill
            prompt = phrases[index % len(phrases)]
            if arm == "empty":
                said, prompt = None, ""
            elif arm == "wrong":
                said = others[index % len(others)]
                prompt = said.prompt
            elif arm == "contradictory":
                said = others[index % len(others)]
                prompt = f"{skill.prompt} {said.prompt}"
            elif arm == "typo":
                prompt = typo(prompt, rng)
            cases.append(_Case(skill, said, Request(prompt, skill.id, seed)))
    return cases


def _arm(cases: Sequence[_Case], rollouts: Sequence[Rollout]) -> Arm:
    def met(skill: Skill, rollout: Rollout) -> bool:
        return skill.success(rollout.outcome.readings, survived=rollout.survived)

    pairs = list(zip(cases, rollouts, strict=True))
    obeyed = [met(case.said, rollout) for case, rollout in pairs if case.said is not None]
    done = [met(case.wanted, rollout) for case, rollout in pairs]
    return Arm(
        float(np.mean(done)),
        share_interval(sum(done), len(done)),
        float(np.mean(obeyed)) if obeyed else None,
        Score.of(rollout.outcome.return_ for rollout in rollouts),
    )
