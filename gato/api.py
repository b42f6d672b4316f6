"""Every verb of the `gato` command as a function: decide nothing, call one room.

In: plain values. Out: a dict or list that is JSON, a `Path` that was made, or an `Artifact` (a lineage).
Rooms are imported inside the functions, so that `gato --help` and light commands stay light.

The command line is made from these signatures: what stands before `*` is a word, the rest are flags.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gato.api_evaluation import evaluate as evaluate
from gato.api_evaluation import report as report
from gato.api_feedback import data_judge as data_judge
from gato.api_feedback import tune_lm as tune_lm
from gato.api_language import act as act
from gato.api_language import plan as plan
from gato.api_language import say as say
from gato.api_sharing import export as export
from gato.api_sharing import play as play
from gato.api_sharing import push as push
from gato.api_sharing import serve as serve
from gato.lineage import Artifact, find_artifact, lineage
from gato.runs import minari_root, package_versions

if TYPE_CHECKING:
    from gato.experts.ppo import PPOConfig


def info(path: str = "") -> dict[str, Any] | Artifact:
    """Show versions, devices, renderer and paths; or where an artifact comes from.

    With a path (a report, a model, an expert, a Minari dataset id, or shipped:SKILL; a shipped model by its name) the
    lineage is walked back to the experts by content hashes; what changed since, or is missing, is marked.

    Example:
        gato info workspace/demo

    Args:
        path: Artifact whose lineage to show.
    """
    if path:
        from gato.model.find import find_model, shipped_models

        found = find_artifact(path)
        if found is None and path not in shipped_models():
            raise FileNotFoundError(f"{path}: no such file, folder, Minari dataset id, shipped:SKILL or shipped model")
        return lineage(path if found else find_model(path))
    import torch

    from gato.skills.render import find_renderer

    cards = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "versions": package_versions(),
        "devices": {"cpu": f"{os.cpu_count()} cores", **{f"cuda:{index}": name for index, name in enumerate(cards)}},
        "renderer": find_renderer() or "none: no video (install EGL, or OSMesa: libosmesa6)",
        "paths": {"package": str(Path(__file__).parent), "datasets": str(minari_root()), "runs": "workspace"},
    }


def skills(skill: str = "") -> dict[str, Any] | list[dict[str, Any]]:
    """List what can be asked for, of all bodies or of one, or show one skill.

    Example:
        gato skills half-cheetah/run-forward

    Args:
        skill: Skill id, body/skill, or a body; or a robot's FILE.yaml, FILE.yaml:SKILL.
    """
    from gato.skills.listing import list_skills

    return list_skills(skill)


def expert_train(
    skill: str,
    *,
    out: str,
    algorithm: Literal["ppo", "sac", "td3", "a2c"] = "ppo",
    steps: int = 1_000_000,
    seed: int = 0,
    config: PPOConfig | None = None,
    logger: Literal["csv", "tensorboard", "wandb"] = "csv",
    resume: bool = False,
    overwrite: bool = False,
) -> Path:
    """Train an expert of a skill.

    Writes best/ and last/ (policies as safetensors), logs/progress.csv and checkpoints. A killed run of ppo goes on
    with --resume as if nothing had happened.

    Example:
        gato expert train half-cheetah/run-forward --steps 3000000 --seed 0 --out workspace/cheetah

    Args:
        skill: Skill id, body/skill; your own robot's FILE.yaml, FILE.yaml:SKILL; or a FILE.yaml of many experts.
        out: Folder to write.
        algorithm: Ours (ppo), or one of Stable-Baselines3: pip install gato-agent[sb3].
        steps: Environment steps in all.
        seed: Of weights, starts and exploration.
        config: How ppo learns.
        logger: Where figures go besides the CSV.
        resume: Go on with the run in --out.
        overwrite: Remove the run in --out first.
    """
    from gato.experts.algorithms import train_by
    from gato.skills.robots.known import named_skill

    told: dict[str, Any] = {"config": config, "resume": resume, "overwrite": overwrite, "logger": logger}
    return train_by(algorithm, named_skill(skill), steps=steps, seed=seed, out=out, **told)


def expert_eval(
    skill: str,
    *,
    episodes: int = 50,
    seed: int = 0,
    expert: str = "shipped",
    normalizer: str = "",
    randomise: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Measure experts: return, success and length without exploration; sampled: with that of their training.

    Example:
        gato expert eval all --episodes 50 --seed 0 --json

    Args:
        skill: Skill id, a robot's FILE.yaml:SKILL, or all: those without a shipped expert are named, and left out.
        episodes: Episodes a skill.
        seed: Episode i starts from seed * 100003 + i.
        expert: shipped, steady, random, zero, a policy folder, a run, sb3:PATH.zip, sb3:HUB_OWNER/NAME, or
            module.py:factory.
        normalizer: The vecnormalize.pkl of an sb3: expert, a file here or in its repository. It is a pickle.
        randomise: NAME=LOWEST:HIGHEST of mass, friction, strength, by which the body differs from episode to episode.
    """
    from gato.experts.measure import measure_experts
    from gato.skills.robots.known import named_skill

    told: dict[str, Any] = {"expert": expert, "normalizer": normalizer, "randomise": randomise}
    return measure_experts(named_skill(skill), episodes=episodes, seed=seed, **told)


def record(
    target: str,
    *,
    episodes: int = 10,
    seed: int = 0,
    noise: tuple[float, ...] = (0.0,),
    expert: tuple[str, ...] = ("shipped",),
    sample: bool = False,
    reference: str = "",
    switch: tuple[str, ...] = (),
    changes: tuple[int, ...] = (1, 3),
    student: str = "",
    normalizer: str = "",
    randomise: tuple[str, ...] = (),
    max_episode_steps: int = 0,
    dataset_id: str = "",
    resume: bool = False,
    overwrite: bool = False,
) -> list[dict[str, Any]]:
    """Record an expert (or anything that acts) as Minari datasets.

    Example:
        gato record half-cheetah/run-forward --episodes 100 --noise 0 0.1 0.3

    Args:
        target: Skill id, Gymnasium id, body (with --switch), a robot's FILE.yaml:SKILL, or a recipe (RECIPE.yaml).
        episodes: Episodes to record.
        seed: Episode i starts from seed * 100003 + i.
        noise: Standard deviations of the noise on actions, one after the other over the episodes.
        expert: shipped, random, zero, a policy folder ({skill} in it is filled in), sb3:AGENT, or module.py:factory;
            several take turns, an episode each.
        sample: Draw actions from the policy's own distribution, the exploration of its training.
        reference: Expert whose score is the reference of the dataset, instead of the one that acts.
        switch: Skills of the body between which every episode changes.
        changes: Fewest and most changes an episode.
        student: Model folder that acts while the experts say what it should have done (DAgger).
        normalizer: The vecnormalize.pkl of an sb3: agent, a file here or in its repository; a pickle.
        randomise: NAME=LOWEST:HIGHEST of mass, friction, strength, by which the body differs from episode to episode.
        max_episode_steps: An episode is cut after as many; 0: as long as the environment lets it.
        dataset_id: Minari id, by default made from the skill.
        resume: Go on with a recording that was interrupted.
        overwrite: Replace the dataset.
    """
    from gato.record import record_target
    from gato.skills.robots.known import named_body, named_skill, named_target

    settings: dict[str, Any] = {"episodes": episodes, "seed": seed, "noise": noise, "sample": sample}
    settings |= {"expert": expert, "reference": reference, "student": student, "max_episode_steps": max_episode_steps}
    settings |= {"switch": tuple(map(named_skill, switch)), "changes": changes, "normalizer": normalizer}
    settings |= {"randomise": randomise, "dataset_id": dataset_id}
    target = named_body(target) if switch else named_target(target)
    return [_dataset_row(made) for made in record_target(target, settings, resume=resume, overwrite=overwrite)]


def _dataset_row(dataset_id: str) -> dict[str, Any]:
    from gato.data.minari_io import open_dataset

    try:
        dataset = open_dataset(dataset_id)
    except ValueError as error:
        return {"dataset": dataset_id, "unreadable": str(error)}
    return {
        "dataset": dataset.id,
        "body": dataset.spec.name,
        "episodes": dataset.num_episodes,
        "steps": dataset.num_steps,
        "hash": dataset.content_hash,
    }


def data_list() -> list[dict[str, Any]]:
    """List the Minari datasets that are here.

    Example:
        gato data list
    """
    from gato.data.minari_io import list_datasets

    return [_dataset_row(dataset_id) for dataset_id in list_datasets()]


def data_show(dataset: str) -> dict[str, Any]:
    """Show what a dataset holds: body, prompts, reference scores, noise.

    Example:
        gato data show gato/half-cheetah/run-forward-v0

    Args:
        dataset: Minari id.
    """
    from gato.data.minari_io import open_dataset

    opened = open_dataset(dataset)
    return {
        **_dataset_row(opened.id),
        "folder": str(opened.folder),
        "environment": opened.env_spec.id if opened.env_spec else None,
        "observation": [element.name for element in opened.spec.observation],
        "action": [element.name for element in opened.spec.action],
        "skills": list(opened.skills),
        "prompts": [list(phrases) for phrases in opened.prompts],
        "reference": dict(opened.reference),
        "noise": sorted(set(opened.noise)),
        "description": opened.description,
    }


def data_check(dataset: str, *, replay: int = 3, clip_actions: bool = False) -> dict[str, Any]:
    """Check a dataset: shapes, lengths, bounds, NaN, and that its episodes replay to the bit.

    Example:
        gato data check gato/half-cheetah/run-forward-v0 --replay -1

    Args:
        dataset: Minari id.
        replay: Episodes to step again; -1 for all.
        clip_actions: Count actions outside the box as clipped, not as faults.
    """
    from gato.data.check import check_dataset

    return check_dataset(dataset, replay=replay, clip_actions=clip_actions).json()


def data_view(dataset: str, *, out: str, episodes: int = 4, every: int = 2, model: str = "") -> Path:
    """Write a page to scroll through episodes: pictures beside plots of every number, tokens, clipped values.

    Works for anybody's Minari dataset; where its episodes cannot be drawn, the page says why and has the plots.

    Example:
        gato data view gato/half-cheetah/run-forward-v0 --out workspace/view.html

    Args:
        dataset: Minari id.
        out: Page to write, FILE.html.
        episodes: How many, spread over the dataset.
        every: Control steps from picture to picture.
        model: Whose tokens are shown, a name as for gato eval; by default by the statistics of this dataset alone.
    """
    from gato.reporting.dataset_view import write_view

    return write_view(dataset, out=out, num_episodes=episodes, every=every, model=model)


def fit(arguments: list[str]) -> str | Path | dict[str, Any]:
    """Train the transformer on recorded datasets (LightningCLI): the model's folder, or a help text.

    Example:
        gato fit -c configs/demo.yaml --trainer.max_steps 100
    """
    from gato.training.cli import main

    return main(["fit", *arguments])


def validate(arguments: list[str]) -> str | Path | dict[str, Any]:
    """Measure the loss of a run's newest checkpoint on episodes held out of training (LightningCLI).

    Example:
        gato validate --out workspace/fit --json
    """
    from gato.training.cli import main

    return main(["validate", *arguments])


def test(arguments: list[str]) -> str | Path | dict[str, Any]:
    """The same as validate, under the name test (LightningCLI).

    Example:
        gato test --out workspace/fit --json
    """
    from gato.training.cli import main

    return main(["test", *arguments])


def demo(
    *,
    out: str = "workspace/demo",
    seed: int = 0,
    from_scratch: bool = False,
    overwrite: bool = False,
    size: Literal["full", "miniature"] = "full",
) -> dict[str, Any]:
    """The whole path in minutes on a CPU: experts, datasets, one transformer, prompted rollouts, a report.

    Started again, it keeps finished stages and goes on with the one that was interrupted.

    Example:
        gato demo --out workspace/demo

    Args:
        out: Folder to write.
        seed: Of recording, training and evaluation.
        from_scratch: Train the experts too.
        overwrite: Replace an earlier demo.
        size: The miniature walks the path in seconds and learns nothing.
    """
    from gato.demo import demo as run_demo

    return run_demo(out=out, seed=seed, from_scratch=from_scratch, overwrite=overwrite, size=size)
