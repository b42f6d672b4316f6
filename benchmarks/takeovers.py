"""Whether every expert can take over from every other of its body: python benchmarks/takeovers.py [BODY ...]

Each pair of skills, 25 times: one's expert acts for 1 to 5 seconds, then the other's. It succeeds if within 3 seconds
the moving average of the readings meets its rule and it does not fall, as with words that change mid-run
(`gato.rollout.switching`). The bar: 95 % of the take-overs of each expert, and falls in at most 1 %. Prints a table and
writes benchmarks/results/takeovers.json; with `--experts`, as in recipes (`FOLDER/{skill}`), it only prints.
"""

from __future__ import annotations

import argparse
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from gato.recording.blocks import Plan, record_block
from gato.recording.crew import find_crew
from gato.recording.recipe import Recording
from gato.reporting.skill_scores import done_skills
from gato.rollout.switching import EARLIEST, LATEST, REACTION, judge
from gato.runs import write_json
from gato.skills.bodies import BODIES, get_body
from gato.skills.evaluate import Outcome, evaluation_seeds
from gato.skills.stepper import make_stepper

TRIALS = 25
"""Of each pair of skills."""
RESULTS = Path(__file__).parent / "results" / "takeovers.json"


def measure(body: str, experts: str) -> dict[str, Any]:
    """For each skill taken over: success and falls, and both by whom it was taken over from."""
    dt = get_body(body).dt
    skills = [skill for skill in done_skills(body) if not skill.is_commanded]
    pairs = list(permutations(range(len(skills)), 2)) * TRIALS
    rng = np.random.default_rng(0)
    first_B = rng.integers(round(EARLIEST / dt), round(LATEST / dt) + 1, len(pairs))
    before_B, after_B = np.array(pairs).T
    asked_TB = np.where(np.arange(round((LATEST + REACTION) / dt))[:, None] < first_B, before_B, after_B)
    plan = Plan(0, evaluation_seeds(0, len(pairs)), (0.0,) * len(pairs), asked_TB, asked_TB)
    stepper, ids = make_stepper(skills[0].id, len(pairs)), tuple(skill.id for skill in skills)
    crew = find_crew(Recording(body, switch=ids, expert=experts), stepper)
    block = record_block(stepper, crew.experts, ids, plan)
    trials = []
    for (before, after), first, one in zip(pairs, first_B.tolist(), block.episodes(), strict=True):
        fell_before = bool(one.terminations[-1]) and len(one.rewards) <= first
        if not fell_before:
            ended = bool(one.terminations[-1])
            outcome = Outcome(one.seed or 0, 0.0, len(one.rewards), ended, one.readings)
            trials.append((before, after, judge(skills[after], outcome, first, dt)))
    result = {}
    for index, skill in enumerate(skills):
        own = [(before, trial) for before, after, trial in trials if after == index]
        result[skill.id] = {
            "success": float(np.mean([trial.seconds is not None for _, trial in own])),
            "falls": float(np.mean([trial.fell for _, trial in own])),
            "from": {
                other.id: float(np.mean([trial.seconds is not None for before, trial in own if before == place]))
                for place, other in enumerate(skills)
                if place != index
            },
        }
    return result


def main() -> None:
    """All bodies with several skills, or those named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bodies", nargs="*")
    parser.add_argument("--experts", default="steady")
    options = parser.parse_args()
    several = [body for body in BODIES if sum(not skill.is_commanded for skill in done_skills(body)) > 1]
    results = {}
    for body in options.bodies or several:
        results[body] = measure(body, options.experts)
        for skill, found in results[body].items():
            worst = sorted(found["from"].items(), key=lambda pair: pair[1])[:3]
            told = ", ".join(f"{other.split('/')[1]} {rate:.0%}" for other, rate in worst)
            print(f"{skill:28} {found['success']:6.1%}  falls {found['falls']:6.1%}  worst from {told}", flush=True)
    if not options.bodies and options.experts == "steady":
        write_json(RESULTS, results)


if __name__ == "__main__":
    main()
