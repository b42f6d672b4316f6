"""The algorithms of `gato expert train`: ours, and those of Stable-Baselines3, behind one call and one run folder.

In: a skill id, an algorithm, what it takes. Out: the run folder.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from gato.experts import sb3_train, train
from gato.experts.library import is_library, train_library
from gato.experts.logs import LoggerName
from gato.experts.ppo import PPOConfig
from gato.specs import near_match

OWN = "ppo"
UNSAID = (1_000_000, 0, "csv")
"""Steps, seed and logger where nobody says any: a file of experts states its own."""
ALGORITHMS = (OWN, *sb3_train.SETTINGS)


def train_by(
    algorithm: str,
    skill_id: str,
    *,
    steps: int,
    seed: int,
    out: str | Path,
    config: PPOConfig | None = None,
    resume: bool = False,
    overwrite: bool = False,
    logger: LoggerName = "csv",
) -> Path:
    """Train an expert; `config` and `resume` are PPO's alone, and refused elsewhere. Returns `out`.

    In place of a skill, a file of experts (`gato.experts.library`): it says how each is trained, and goes on by itself.
    """
    if is_library(skill_id):
        if config is not None or algorithm != OWN or overwrite or (steps, seed, logger) != UNSAID:
            raise ValueError(f"{skill_id} says itself how its experts are trained; leave out all flags but --out")
        return train_library(Path(skill_id), Path(out))
    if algorithm not in ALGORITHMS:
        raise ValueError(f'algorithm "{algorithm}"; {near_match(algorithm, ALGORITHMS)}')
    if algorithm == OWN:
        return train.train_expert(
            skill_id, steps=steps, seed=seed, out=out, config=config, resume=resume, overwrite=overwrite, logger=logger
        )
    if config is not None:
        told = [one.name for one in fields(config) if getattr(config, one.name) != getattr(PPOConfig(), one.name)]
        flags = ", ".join("--" + name.replace("_", "-") for name in told) or "its defaults, spelt out"
        raise ValueError(f"settings of ppo ({flags}) mean nothing to {algorithm}; leave them out")
    if resume:
        raise ValueError(
            f"--resume is for ppo: {algorithm} keeps its state as pickles, which Gato does not write; pass --overwrite"
        )
    return sb3_train.train_by_sb3(
        skill_id, algorithm=algorithm, steps=steps, seed=seed, out=out, overwrite=overwrite, logger=logger
    )
