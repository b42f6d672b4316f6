"""The whole path on a CPU: experts, datasets, one transformer, prompted rollouts, a page about it.

In: the experts that come with Gato (or, from scratch, their settings), the recipe and the config called demo.
Out: a folder with report.html, results.json, videos/, model/, and what they were made from: datasets/, fit/, experts/.

Each stage notes what it was made from. Started again, the demo keeps finished stages whose content is what they left,
goes on with the one that was interrupted, and refuses a folder that was made in another way.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from gato.experts.ppo import PPOConfig
from gato.experts.shipped import find_expert, steady
from gato.experts.train import train_expert
from gato.model.gato import Gato
from gato.record import Recording, load_recipe, record_skill
from gato.report import PAGE, write_report
from gato.rollout.evaluate import Wishes, evaluate_model, measure_words
from gato.rollout.prompted import Conditions
from gato.runs import (
    MARKER,
    as_input,
    content_hash,
    minari_root,
    open_run,
    read_json,
    read_provenance,
    write_json,
    write_provenance,
)
from gato.skills.table import SKILLS, get_skill
from gato.stages import Journal, Stage
from gato.training.checkpoints import newest_checkpoint
from gato.training.cli import main as run_training

NAME = "demo"
"""Of the recipe, the config and the suite."""
CONFIG_FOLDERS = (Path(__file__).parent / "configs", Path(__file__).parent.parent / "configs")
"""Where an installed package and a checkout keep the configs."""
SizeName = Literal["full", "miniature"]

log = logging.getLogger("gato")


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    bodies: tuple[str, ...]
    """Whose datasets are recorded and learned."""
    expert_steps: int
    """Most environment steps of an expert that is trained from scratch."""
    record_episodes: int
    """Most episodes of a dataset."""
    fit: tuple[str, ...]
    """What beats the config."""
    episodes: int
    """Episodes a prompt, and prompts changed while a body moves, in the evaluation."""
    ablation_episodes: int
    """Episodes a skill and way of saying it: there are as many ways as `ablation.ARMS`, so these are fewer."""
    steps: int
    """Control steps an episode, in the evaluation."""


SIZES = {
    "full": Size(("half-cheetah", "hopper", "walker2d", "inverted-pendulum"), 10**9, 10**6, (), 50, 10, 1000),
    "miniature": Size(
        ("half-cheetah", "inverted-pendulum"),
        1,
        2,
        (
            "--model.network.size=nano",
            "--model.warmup_steps=2",
            "--data.batch_size=8",
            "--data.validation_share=0",
            "--trainer.max_steps=4",
            "--trainer.log_every_n_steps=1",
            "--evaluation.every=0",
        ),
        2,
        1,
        30,
    ),
}
"""The miniature walks the whole path in seconds and learns nothing."""


@dataclass(frozen=True)
class Plan:
    """What one demo is made of."""

    folder: Path
    seed: int
    size: Size
    recordings: tuple[Recording, ...]
    config: Path
    experts: Path | None
    """Folder of experts that are trained first; None for those that come with Gato."""

    @property
    def model(self) -> Path:
        """Folder of the model."""
        return self.folder / "model"

    @property
    def skills(self) -> tuple[str, ...]:
        """All skills that are recorded, once each."""
        return tuple(dict.fromkeys(skill for one in self.recordings for skill in one.skills))

    def expert(self, skill_id: str) -> Path:
        """Where the expert of a skill lies."""
        return self.experts / skill_id if self.experts else Path(steady(skill_id))

    def dataset(self, recording: Recording) -> Path:
        """Where a dataset lies."""
        return minari_root() / recording.id


def demo(
    *,
    out: str | Path = "workspace/demo",
    seed: int = 0,
    from_scratch: bool = False,
    overwrite: bool = False,
    size: SizeName = "full",
) -> dict[str, Any]:
    """Walk the whole path, or what is left of it; scores, time and memory of the stages, and the page's path.

    FileExistsError: `out` holds something else, or a demo that was made in another way. A KeyboardInterrupt says what
    is kept.
    """
    plan = make_plan(Path(out), seed=seed, from_scratch=from_scratch, size=size)
    is_begun = (plan.folder / MARKER).is_file() and not overwrite
    folder = open_run(plan.folder, overwrite=overwrite, resume=is_begun)
    journal = Journal(folder)
    with own_datasets(folder):
        try:
            if plan.experts:
                journal.run(_experts(plan))
            journal.run(_datasets(plan, overwrite=overwrite))
            journal.run(_training(plan))
            journal.run(_evaluation(plan))
        except KeyboardInterrupt as stop:
            kept = ", ".join(journal.finished) or "no stage yet"
            raise KeyboardInterrupt(f"finished and kept in {folder}: {kept}; the same command goes on there") from stop
        words = ["--seed", str(seed)] if seed else []
        words += ["--from-scratch"] if from_scratch else []
        words += ["--size", size] if size != "full" else []
        write_provenance(
            folder,
            command=shlex.join(["gato", "demo", *words, "--out", str(out)]),
            config={"size": dataclasses.asdict(plan.size), "from_scratch": from_scratch},
            seeds={"seed": seed},
            inputs={"model": as_input(plan.model)},
        )
        page = write_report(folder)
    return _summary(read_json(folder / "results.json"), journal, page)


def make_plan(folder: Path, *, seed: int, from_scratch: bool, size: SizeName) -> Plan:
    """Everything that is fixed before the first stage."""
    chosen = SIZES[size]
    experts = folder / "experts" if from_scratch else None
    recordings = [
        dataclasses.replace(
            one,
            seed=one.seed + seed,
            episodes=min(one.episodes, chosen.record_episodes),
            expert=str(experts / "{skill}") if experts else one.expert,
        )
        for one in load_recipe(NAME)
        if SKILLS[one.skills[0]].body in chosen.bodies
    ]
    config = next((place / f"{NAME}.yaml" for place in CONFIG_FOLDERS if (place / f"{NAME}.yaml").is_file()), None)
    if config is None:
        raise FileNotFoundError(f"no configs/{NAME}.yaml beside the package; install Gato again")
    is_near = config.is_relative_to(Path.cwd())
    return Plan(folder, seed, chosen, tuple(recordings), config.relative_to(Path.cwd()) if is_near else config, experts)


@contextmanager
def own_datasets(folder: Path) -> Iterator[None]:
    """Datasets and caches of the demo lie in its folder, unless the user says where.

    Its datasets have the names that `gato record` gives, and a user's own of those names may be of other experts.
    """
    places = {"MINARI_DATASETS_PATH": folder / "datasets", "GATO_CACHE": folder / ".cache"}
    chosen = {name: str(place.resolve()) for name, place in places.items() if not os.environ.get(name)}
    os.environ.update(chosen)
    try:
        yield
    finally:
        for name in chosen:
            os.environ.pop(name, None)


def _experts(plan: Plan) -> Stage:
    """Train every expert as the shipped one was, by the settings in its provenance."""
    settings = {skill: expert_settings(skill, plan.skills) for skill in plan.skills}

    def make() -> None:
        waiting = list(plan.skills)
        while waiting:
            # An expert that begins from others comes after them; in a circle, the first begins from the shipped one.
            free = [skill for skill in waiting if not {*settings[skill]["config"]["start_states"]} & {*waiting}]
            skill = (free or waiting)[0]
            waiting.remove(skill)
            _train(plan, skill, settings[skill])

    products = tuple(plan.expert(skill) for skill in plan.skills)
    return Stage("experts", {"settings": settings, "most_steps": plan.size.expert_steps}, products, make)


def expert_settings(skill: str, beside: Sequence[str]) -> dict[str, Any]:
    """Those that trained the shipped expert, with ancestors that did not stay replaced.

    Start states come from experts of the body's other skills among `beside`, then; and weights from nothing.
    """
    settings = read_provenance(find_expert(steady(skill)))["config"]
    config = settings["config"]
    others = [other for other in beside if other != skill and get_skill(other).body == get_skill(skill).body]
    if not {*config["start_states"]} <= {*SKILLS}:
        config["start_states"] = others
    if config["init_from"] not in ("", *others):
        log.warning("%s: the shipped expert went on from one that did not stay; this one begins from nothing", skill)
        config["init_from"] = ""
    return settings


def _train(plan: Plan, skill: str, settings: dict[str, Any]) -> None:
    place = plan.expert(skill)
    if (place / "provenance.json").is_file():
        return
    stated: dict[str, Any] = settings["config"]
    config: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in stated.items()}
    fresh = {
        other: str(plan.expert(other)) for other in plan.skills if (plan.expert(other) / "provenance.json").exists()
    }
    config["start_states"] = tuple(fresh.get(other, other) for other in stated["start_states"])
    config["init_from"] = fresh.get(stated["init_from"], stated["init_from"])
    is_begun = (place / "run.json").is_file()
    train_expert(
        skill,
        steps=min(settings["steps"], plan.size.expert_steps),
        seed=settings["seed"],
        out=place,
        config=PPOConfig(**config),
        resume=is_begun,
        overwrite=not is_begun,
    )


def _datasets(plan: Plan, *, overwrite: bool) -> Stage:
    experts = {skill: content_hash(find_expert(plan.expert(skill))) for skill in plan.skills}
    recordings = [{**dataclasses.asdict(one), "expert": ""} for one in plan.recordings]

    def make() -> None:
        for recording in plan.recordings:
            # With --overwrite the folder is new, but not a place for datasets that the user chose.
            is_there = plan.dataset(recording).exists()
            record_skill(recording, resume=not (overwrite and is_there), overwrite=overwrite and is_there)

    products = tuple(plan.dataset(one) for one in plan.recordings)
    return Stage("datasets", {"recordings": recordings, "experts": experts}, products, make)


def _training(plan: Plan) -> Stage:
    fit = plan.folder / "fit"
    recorded = {one.id: content_hash(plan.dataset(one)) for one in plan.recordings}
    mixture = [one for one in yaml.safe_load(plan.config.read_text())["data"]["datasets"] if one["id"] in recorded]
    flags = ["--seed", str(plan.seed), *plan.size.fit]
    if len(mixture) < len(recorded) or plan.size.fit:
        flags.append(f"--data.datasets={json.dumps(mixture)}")

    def make() -> None:
        words = ["fit", "-c", str(plan.config), "--out", str(fit), *flags]
        if newest_checkpoint(fit / "checkpoints") is not None:
            words.append("--resume")
        elif fit.exists():
            words.append("--overwrite")
        run_training(words)
        shutil.rmtree(plan.model, ignore_errors=True)
        (fit / "model").rename(plan.model)

    settings = {"config": content_hash(plan.config), "flags": flags, "datasets": recorded}
    return Stage("training", settings, (plan.model,), make)


def _evaluation(plan: Plan) -> Stage:
    work = plan.folder / "eval"
    wishes = Wishes(suite=NAME, video=1, experts=str(plan.experts or ""))
    conditions = Conditions(plan.size.episodes, plan.seed, plan.size.steps)
    fewer = dataclasses.replace(conditions, episodes=plan.size.ablation_episodes)
    products = (plan.folder / "results.json", plan.folder / "videos")

    def make() -> None:
        results = evaluate_model(plan.model, wishes, conditions, out=str(work), overwrite=work.exists())
        model = Gato.load(plan.model)
        words = measure_words(model, NAME, conditions, ablation=fewer, experts=plan.experts)
        write_json(work / "results.json", {**results.json(), **words})
        # Absent where nothing can be drawn; an empty folder says that this was tried.
        (work / "videos").mkdir(exist_ok=True)
        shutil.rmtree(plan.folder / "videos", ignore_errors=True)
        for product in products:
            (work / product.name).replace(product)
        shutil.rmtree(work)

    settings = {
        "model": content_hash(plan.model),
        "wishes": {**dataclasses.asdict(wishes), "experts": ""},
        "conditions": [dataclasses.asdict(conditions), dataclasses.asdict(fewer)],
    }
    return Stage("evaluation", settings, products, make)


def _summary(results: dict[str, Any], journal: Journal, page: Path) -> dict[str, Any]:
    shown = ("prompt", "return", "expert", "random", "normalised", "success")
    return {
        "tasks": {skill: {key: task[key] for key in shown} for skill, task in results["tasks"].items()},
        "stages": journal.costs(),
        "mean_normalised": results["mean_normalised"],
        "results": str(page.parent / "results.json"),
        PAGE.removesuffix(".html"): str(page),
    }
