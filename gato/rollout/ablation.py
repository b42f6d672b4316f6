"""What words are worth: the same skills asked for correctly, wrongly, not at all, otherwise, misspelt, at odds.

In: a model, skills of its bodies, their experts. Out: an `Arm` for each arm and body. All arms of a body run together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gato.model.gato import Gato
from gato.rollout.prompted import Conditions, Request, Rollout, roll_out
from gato.rollout.suite import Reference, reference, skills_by_body
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
    normalised: Score | None
    """The same, 0 for random actions and 1 for the expert; None where no skill has both."""

    def json(self) -> dict[str, Any]:
        """{"success", "success_ci95", "return", "normalised", "obeyed"}."""
        return {
            "success": self.success,
            "success_ci95": list(self.success_ci95),
            "return": self.return_.json(),
            "normalised": None if self.normalised is None else self.normalised.json(),
            "obeyed": self.obeyed,
        }


@dataclass(frozen=True)
class _Case:
    wanted: Skill
    said: Skill | None
    request: Request


def ablate(
    model: Gato, skills: Sequence[Skill], conditions: Conditions, *, expert: Callable[[str], str]
) -> dict[str, dict[str, Arm]]:
    """Arm -> body -> figures; `expert`: skill id -> whose return on the same starts is 1.

    Bodies with one skill are left out: no words can choose anything there; of an arm, so are skills of which its split
    has no phrase.
    """
    table: dict[str, dict[str, Arm]] = {arm: {} for arm in ARMS}
    for body, own in skills_by_body(skills).items():
        if len(own) < 2:
            continue
        cases = {arm: _cases(arm, own, conditions) for arm in ARMS}
        flat = [case for arm in ARMS for case in cases[arm]]
        known = {skill.id: reference(skill.id, conditions, expert(skill.id)) for skill in own}
        rollouts = iter(roll_out(model, body, [case.request for case in flat], conditions).rollouts)
        for arm in (one for one in ARMS if cases[one]):
            table[arm][body] = _arm(cases[arm], [next(rollouts) for _ in cases[arm]], known)
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


def _arm(cases: Sequence[_Case], rollouts: Sequence[Rollout], known: Mapping[str, Reference]) -> Arm:
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
        _normalised(pairs, known),
    )


def _normalised(pairs: Sequence[tuple[_Case, Rollout]], known: Mapping[str, Reference]) -> Score | None:
    """Over the skills that were wanted and have both references."""
    returns: dict[str, list[float]] = {}
    for case, rollout in pairs:
        returns.setdefault(case.wanted.id, []).append(rollout.outcome.return_)
    scores = [known[skill].normalise(own) for skill, own in returns.items()]
    found = [one for one in scores if one is not None]
    return Score.of_groups(found) if found else None
