"""The return an expert is said to have, and whether it has it here.

In: an expert with the score recorded beside it. Out: nothing, or a ValueError with both numbers.
A wrong normaliser, or an environment of another version, raises no error by itself: the body merely moves badly, and
hours later so does the student.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gymnasium.envs.registration import EnvSpec

from gato.runs import PROVENANCE, read_json
from gato.skills.evaluate import Actor, evaluation_seeds, mean_return, random_actor
from gato.skills.stepper import make_stepper

EPISODES = 5
"""Without noise, stepped together: a fraction of a second on the bodies of ours."""
NEAR = 0.1
"""Who misses the score by no more of it is let through at once, without measuring random actions too."""
LEAST_SHARE = 0.5
"""Of the way from random actions to the recorded score. An expert that falls in one episode of five still has 0.8;
with a wrong normaliser next to nothing is left."""


@dataclass(frozen=True)
class RecordedScore:
    """A mean return, without noise, and the file that says so."""

    mean: float
    source: Path


def score_of_policy(folder: Path) -> RecordedScore | None:
    """What the provenance of a policy of ours says; of a training run only `best` has a score."""
    homes = [folder, *([folder.parent] if folder.name == "best" else [])]
    for path in (home / PROVENANCE for home in homes):
        if path.is_file():
            mean = read_json(path).get("result", {}).get("score", {}).get("mean")
            return RecordedScore(float(mean), path) if mean is not None else None
    return None


def score_of_agent(archive: Path) -> RecordedScore | None:
    """What lies beside an agent of Stable-Baselines3: the Hub's results.json, or the zoo's evaluations.npz."""
    results, evaluations = archive.with_name("results.json"), archive.with_name("evaluations.npz")
    if results.is_file():
        found = read_json(results)
        mean = found.get("mean_reward") if isinstance(found, dict) else None
        return RecordedScore(float(mean), results) if isinstance(mean, (int, float)) else None
    if evaluations.is_file():
        try:
            with np.load(evaluations, allow_pickle=False) as stored:
                means = stored["results"].mean(-1)
        except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(f"{evaluations} cannot be read ({error}); copy it again, or remove it") from error
        return RecordedScore(float(means.max() if archive.stem == "best_model" else means[-1]), evaluations)
    return None


def refuse_weak(actor: Actor, env_spec: EnvSpec, recorded: RecordedScore, *, name: str, seed: int) -> None:
    """ValueError if a few episodes bring far less than the recorded score."""
    stepper, seeds = make_stepper(env_spec, EPISODES, num_threads=1), evaluation_seeds(seed, EPISODES)
    mean = mean_return(actor, stepper, seeds)
    if mean >= recorded.mean - NEAR * abs(recorded.mean):
        return
    random = mean_return(random_actor(stepper.spec, seed), stepper, seeds)
    least = random + LEAST_SHARE * (recorded.mean - random)
    if mean < least:
        raise ValueError(
            f"{name} brings {mean:.0f} here (mean of {EPISODES} episodes; random actions {random:.0f}), but"
            f" {recorded.source} says {recorded.mean:.0f}; at least {least:.0f} is needed. Its normaliser or its"
            " environment is another one: pass the --normalizer that was saved with it, or remove that file to record"
            " it as it is"
        )
