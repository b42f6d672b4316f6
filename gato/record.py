"""Anything that acts becomes a Minari dataset whose episodes happen again, bit by bit, when played back.

In: a `Recording` (which skill or environment, who acts, how many episodes, what noise, which seeds) or a recipe of
several. Out: one Minari dataset each, under Minari's root, with `provenance.json` beside its data.

Finished blocks of episodes wait in a hidden folder that Minari does not list; the dataset appears by one rename at the
end. A killed recording leaves nothing half-done in Minari's sight, and resuming gives the same bytes as if undisturbed.
"""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from gato.data.minari_io import check_dataset_id, open_dataset
from gato.experts.shipped import NAMED, has_shipped_expert
from gato.progress import Progress
from gato.recording.blocks import Block, Plan, plan_block, record_block
from gato.recording.crew import Crew, find_crew
from gato.recording.dataset import assemble, made_by, publish, without_unset
from gato.recording.recipe import Recording, find_recipe, load_recipe
from gato.runs import minari_root, read_json, write_json
from gato.skills.stepper import Stepper, find_env_spec, make_stepper

__all__ = ["Recording", "find_recipe", "load_recipe", "record_recipe", "record_skill", "record_target"]

log = logging.getLogger("gato")

STAGING = ".gato-staging"
"""Hidden folder under Minari's root in which recordings wait until they are whole."""
BLOCK_EPISODES = 64
"""Most episodes stepped together, and kept together when a recording is interrupted."""
CREWS, THREADS = 2, 2
"""Blocks that are recorded at a time, and the threads that step them."""
MOST_STEPS = 1_000_000
"""Longest episode that is recorded; an environment without a limit is refused."""


def record_target(
    target: str, settings: Mapping[str, Any], *, resume: bool = False, overwrite: bool = False
) -> tuple[str, ...]:
    """Record a recipe (RECIPE.yaml), or one `Recording` of these settings; the ids of the datasets.

    Of the settings a recipe leaves only the experts open. ValueError where others were given, too.
    """
    if not target.endswith((".yaml", ".yml")):
        return (record_skill(Recording(target, **settings), resume=resume, overwrite=overwrite),)
    given = {key: value for key, value in settings.items() if value != getattr(Recording("recipe-v0"), key)}
    experts = given.pop("expert", "shipped")
    experts = experts if isinstance(experts, str) else " ".join(experts)
    if given or "sb3:" in experts:
        flags = ", ".join(f"--{key.replace('_', '-')}" for key in given) or "--expert"
        raise ValueError(
            f"{target} states episodes, seeds, noise, ids and agents itself; leave out those flags ({flags}) or edit it"
        )
    folder = None if experts == "shipped" else Path(experts)
    return record_recipe(target, resume=resume, overwrite=overwrite, experts=folder)


def record_recipe(
    path_or_name: str | Path, *, resume: bool = False, overwrite: bool = False, experts: Path | None = None
) -> tuple[str, ...]:
    """Record every dataset of a recipe; their ids. `experts`: a folder of <body>/<skill> instead of the shipped."""
    recordings = load_recipe(path_or_name)
    if experts is not None:
        folder = str(experts / "{skill}")
        recordings = tuple(replace(one, expert=folder) if one.expert in NAMED else one for one in recordings)
    _refuse_without_experts(recordings)
    if not (resume or overwrite):
        for recording in recordings:
            refuse_existing(recording.id)
    return tuple(record_skill(recording, resume=resume, overwrite=overwrite) for recording in recordings)


def record_skill(recording: Recording, *, resume: bool = False, overwrite: bool = False) -> str:
    """Record one dataset; its id.

    An existing or half-finished dataset is refused unless `overwrite` or `resume`; resuming a finished one does
    nothing. ValueError: a wrong id, expert or environment. FileExistsError: something is there already.
    """
    check_dataset_id(recording.id)
    if overwrite and resume:
        raise ValueError(f"{recording.id}: got both --overwrite and --resume; pass one of them")
    if not (resume or overwrite):
        refuse_existing(recording.id)
    target, staging = minari_root() / recording.id, staging_folder(recording.id)
    crews = _find_crews(recording)
    crew = crews[0]
    if resume and target.exists():
        _check_same(recording, crew, read_json(target / "data" / "metadata.json").get("provenance"))
        open_dataset(recording.id)
        log.info("%s is finished already", recording.id)
        shutil.rmtree(staging, ignore_errors=True)
        return recording.id
    crew.refuse_weak(recording.skills, recording.seed)
    if overwrite:
        shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True, exist_ok=True)
    settings = staging / "recording.json"
    if settings.is_file():
        _check_same(recording, crew, read_json(settings))
    write_json(settings, made_by(recording, crew))
    try:
        assemble(recording, crew, _record_blocks(recording, crews, staging), staging / "dataset")
    except BaseException:
        # What failed before its first block has nothing to go on with: a mended expert begins anew.
        if not any(staging.glob("block-*.npz")):
            shutil.rmtree(staging, ignore_errors=True)
        raise
    publish(staging / "dataset", target)
    shutil.rmtree(staging)
    return recording.id


def _refuse_without_experts(recordings: Sequence[Recording]) -> None:
    """ValueError at once, not after the hours before them, for entries whose expert does not come with Gato."""
    missing = [
        skill
        for recording in recordings
        for name in {*recording.experts} & NAMED.keys()
        for skill in recording.skills
        if not has_shipped_expert(NAMED[name](skill))
    ]
    if missing:
        raise ValueError(
            f"no expert comes with Gato for {', '.join(dict.fromkeys(missing))}; leave those entries out of a copy of"
            " the recipe, or give each its own (expert: FOLDER)"
        )


def _refuse_endless(recording: Recording, stepper: Stepper) -> None:
    if stepper.max_episode_steps > MOST_STEPS:
        raise ValueError(
            f"{recording.env} has no step limit, its episodes may never end; register it with max_episode_steps"
        )
    if any(recording.noise) and any(element.kind == "discrete" for element in stepper.spec.action):
        raise ValueError(f"{recording.env} has discrete actions, which take no noise; leave out --noise")


def _find_crews(recording: Recording) -> tuple[Crew, ...]:
    """One, or two that record a block each at a time, on a thread each: while one simulates, the other is in Python.

    A model that acts is too large to hold twice, and keeps both cores busy by itself.
    """
    env_spec = find_env_spec((recording.skills or (recording.env,))[0], recording.randomise)
    count = CREWS if recording.episodes > BLOCK_EPISODES and not recording.student else 1
    crews = []
    for _ in range(count):
        stepper = make_stepper(env_spec, _block_size(recording.episodes, count), num_threads=THREADS // count)
        _refuse_endless(recording, stepper)
        crews.append(find_crew(recording, stepper))
    return tuple(crews)


def _record_blocks(recording: Recording, crews: Sequence[Crew], staging: Path) -> Iterator[tuple[Plan, Path]]:
    """Record the blocks that are not there yet; every block with its plan, in order."""
    idle: SimpleQueue[Crew] = SimpleQueue()
    for crew in crews:
        idle.put(crew)

    def record(plan: Plan, path: Path) -> None:
        if Block.load(path, plan) is None:
            crew = idle.get()
            try:
                student = crew.student(plan, recording.skills)
                record_block(crew.stepper, crew.actors(plan.seeds[0]), recording.skills, plan, student).save(path)
            finally:
                idle.put(crew)

    size = crews[0].stepper.num_envs
    with Progress(recording.episodes, "episodes", recording.id) as progress, ThreadPoolExecutor(len(crews)) as pool:
        begun: list[tuple[Plan, Path, Future[None]]] = []
        try:
            for first in range(0, recording.episodes, size):
                plan = _plan(recording, crews[0], range(first, min(first + size, recording.episodes)))
                path = staging / f"block-{first:07}.npz"
                begun.append((plan, path, pool.submit(record, plan, path)))
            for plan, path, recorded in begun:
                recorded.result()
                progress.update(len(plan.seeds))
                yield plan, path
        finally:
            pool.shutdown(cancel_futures=True)


def _block_size(episodes: int, num_crews: int) -> int:
    """Episodes a block, so that all crews have as much to do."""
    rounds = math.ceil(episodes / (BLOCK_EPISODES * num_crews))
    return math.ceil(episodes / (rounds * num_crews))


def _plan(recording: Recording, crew: Crew, episodes: range) -> Plan:
    """The block of these episodes."""
    return plan_block(
        episodes,
        min(crew.stepper.max_episode_steps, recording.max_episode_steps or MOST_STEPS),
        seed=recording.seed,
        noise=recording.noise,
        num_skills=len(recording.skills),
        changes=recording.changes,
        num_turns=crew.num_turns,
    )


def staging_folder(dataset_id: str) -> Path:
    """Where a dataset waits until it is whole."""
    return minari_root() / STAGING / dataset_id.replace("/", "--")


def refuse_existing(dataset_id: str) -> None:
    """FileExistsError where there is a dataset of that id, or half of one."""
    if (minari_root() / dataset_id).exists():
        raise FileExistsError(f"dataset {dataset_id} exists; pass --overwrite, or another id")
    if staging_folder(dataset_id).exists():
        raise FileExistsError(
            f"dataset {dataset_id} is half recorded; gato record --resume goes on with it, --overwrite begins again"
        )


def _check_same(recording: Recording, crew: Crew, written: Any) -> None:
    """Refuse to go on with what was begun, or made, with other settings or by another expert."""
    now, changed = made_by(recording, crew), ["it is not by gato record"]
    if isinstance(written, dict):
        before = without_unset(written)
        changed = [
            f"{key} was {before.get(key)}, is {now.get(key)}"
            for key in {**now, **before}
            if before.get(key) != now.get(key)
        ]
    if not changed:
        return
    raise FileExistsError(
        f"dataset {recording.id} was recorded in another way ({'; '.join(changed)}); "
        "use the same settings, --overwrite, or another --dataset-id"
    )
