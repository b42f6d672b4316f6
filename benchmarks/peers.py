"""Ours against its peers: the same episodes, the same seconds of training, the same starts.

    gato record datasets/demo.yaml
    python benchmarks/peers.py [--arms ours jat ...] [--seeds 0 1 2] [--seconds 600] [--episodes 10] [--threads 2]
    python benchmarks/peers.py --table

Arms that learn the demo's seven tasks: `ours` (configs/demo.yaml); `gato`, the paper's layout (a free embedding and
free logits a bin, one position a number, a separator); `jat`, two embeddings a step, squared error, no prompt;
`decision`, transformers' Decision Transformer, one a task; `nearest`, the action of the nearest recorded observation;
`squared`, our trunk, slots and prompts on raw floats with squared error. Arms that learn a half-cheetah's runs in both
directions without any prompt: `bimodal-ours`, `bimodal-two` (two logistics a group of actions) and `bimodal-squared`;
an episode counts when it keeps to either rule. Each docstring in `peer_arms` says where its recipe is from.

All learn from all episodes of `datasets/demo.yaml`, each with a rate that ends when its seconds end; arms on our trunk
share its size, optimiser, peak rate and batch, so that they differ in what they read and predict alone. A run, one arm
and one seed, is written to benchmarks/results/peers.json as soon as it is done; started again, those that are there
are left out. All of it: 4 hours and the episodes. Leave the machine alone meanwhile: seconds are what is shared.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peer_arms.arm import Arm, Setup
from peer_arms.decision import DecisionArm
from peer_arms.gato_arm import GatoArm
from peer_arms.jat import JatArm
from peer_arms.measuring import measure, measure_either
from peer_arms.nearest import NearestArm
from peer_arms.results import Run, Store, tables
from peer_arms.squared import squared_arm

from gato.data.minari_io import list_datasets, open_dataset
from gato.data.mixture import Source
from gato.rollout.prompted import Conditions
from gato.rollout.suite import SUITES

HERE = Path(__file__).parent
CONFIG, RESULT = HERE.parent / "configs" / "demo.yaml", HERE / "results" / "peers.json"
SEEDS = (0, 1, 2)
STARTS = 0
"""Seed of the evaluation, for all arms and seeds."""
PAPER_STEPS = 4
"""Control steps of context in the paper's layout, up to 24 positions each (ours has 12 steps of 2): an update takes 1.5
times as long as ours; in results/questions.json acting on the newest 4 steps did as well as on 16."""


@dataclass(frozen=True)
class Entry:
    """One arm of the comparison."""

    title: str
    make: Callable[[Setup], Arm]
    is_seeded: bool = True
    """Whether it differs from seed to seed."""
    decodings: tuple[str, ...] = ()
    """Of arms that are told nothing: the ways in which actions are taken, `deterministic` or `drawn`."""


def ours(setup: Setup) -> GatoArm:
    """`gato fit -c configs/demo.yaml`."""
    return GatoArm(setup, setup.network)


def paper(setup: Setup) -> GatoArm:
    """Gato's own embedding, head and layout, otherwise as ours."""
    layout = replace(setup.network.layout, group_size=1, separator=True, window_steps=PAPER_STEPS)
    return GatoArm(setup, replace(setup.network, embedding="free", head="free", layout=layout))


def mixed(setup: Setup) -> GatoArm:
    """Two logistics a group: joint modes of an action."""
    return GatoArm(setup, replace(setup.network, mixtures=2))


TASKS: Mapping[str, Entry] = {
    "ours": Entry("ours", ours),
    "gato": Entry("Gato's layout", paper),
    "jat": Entry("JAT-style", JatArm),
    "decision": Entry("Decision Transformers", DecisionArm),
    "nearest": Entry("nearest neighbour", NearestArm, is_seeded=False),
    "squared": Entry("ours, floats and squared error", squared_arm),
}
BIMODAL: Mapping[str, Entry] = {
    "bimodal-ours": Entry("ours", ours, decodings=("deterministic", "drawn")),
    "bimodal-two": Entry("ours, two logistics", mixed, decodings=("deterministic", "drawn")),
    "bimodal-squared": Entry("squared error", squared_arm, decodings=("deterministic",)),
}
ENTRIES = {**TASKS, **BIMODAL}
DIRECTIONS = ("half-cheetah/run-forward", "half-cheetah/run-backward")


def untold(setup: Setup, skills: Sequence[str]) -> Setup:
    """The recordings of these skills alone, as many rows of each, and not a word."""
    sources = [Source(one.id, prompts={"none": 1.0}) for one in setup.sources if _skills(one) in [{s} for s in skills]]
    return replace(setup, sources=tuple(sources), skills=tuple(skills))


def run_tasks(entry: Entry, setup: Setup, seconds: float, conditions: Conditions) -> Run:
    """Train and measure an arm on all tasks."""
    arm = entry.make(setup)
    learned = _learned(arm, setup, seconds)
    results = measure(arm, setup.skills, conditions)
    low, high = results.interval_normalised() or (None, None)
    told = {name: value for name, value in results.json().items() if name.endswith("_normalised")}
    return {
        **learned,
        **told,
        "ci95_normalised": [low, high],
        "tasks": {one.skill: one.json() for one in results.tasks},
    }


def run_bimodal(entry: Entry, setup: Setup, seconds: float, conditions: Conditions) -> Run:
    """Train an arm on two skills at once, told nothing, and see which it does."""
    arm = entry.make(setup)
    assert isinstance(arm, GatoArm)
    learned = _learned(arm, setup, seconds)
    found = {}
    for decoding in entry.decodings:

        def act(skill_id: str, prompts: Sequence[str], is_drawn: bool = decoding == "drawn") -> Any:
            return arm.actor(skill_id, prompts, is_drawn=is_drawn)

        found[decoding] = measure_either(act, setup.skills, conditions)
    return {**learned, "decodings": found}


def _learned(arm: Arm, setup: Setup, seconds: float) -> Run:
    hashes = "".join(open_dataset(source.id).content_hash for source in setup.sources)
    recordings = hashlib.sha256(hashes.encode()).hexdigest()[:16]
    return {**asdict(arm.train(seconds)), "parameters": arm.parameters, "recordings": recordings}


def _skills(source: Source) -> set[str]:
    return set(open_dataset(source.id).skills)


def check_recorded(sources: Sequence[Source]) -> None:
    """SystemExit that says what is missing and how to make it."""
    missing = sorted({source.id for source in sources} - set(list_datasets()))
    if missing:
        raise SystemExit(f"not recorded: {', '.join(missing)}; make them with: gato record datasets/demo.yaml")


def run_one(name: str, seed: int, given: argparse.Namespace) -> Run:
    """Train an arm and measure it."""
    setup = Setup.read(CONFIG, SUITES["demo"].skills, seed)
    conditions = Conditions(given.episodes, STARTS, is_shown=False)
    if name in TASKS:
        return run_tasks(TASKS[name], setup, given.seconds, conditions)
    return run_bimodal(BIMODAL[name], untold(setup, DIRECTIONS), given.seconds, conditions)


def run_all(given: argparse.Namespace, store: Store) -> None:
    """Seed after seed, so that what is there at any time can be compared."""
    check_recorded(Setup.read(CONFIG, (), 0).sources)
    # An arm without chance has one run, whatever seeds are asked for.
    wanted = dict.fromkeys(
        (name, seed if ENTRIES[name].is_seeded else 0) for seed in given.seeds for name in given.arms
    )
    for name, seed in wanted:
        section = "tasks" if name in TASKS else "bimodal"
        if store.has(section, name, seed) and not given.overwrite:
            print(f"{name}, seed {seed}: is there already")
            continue
        began = time.perf_counter()
        run = run_one(name, seed, given)
        store.add(section, name, seed, run)
        took = time.perf_counter() - began
        print(f"{name}, seed {seed}: {run['updates']} updates, {took:.0f} s in all; {_in_short(run)}", flush=True)


def _in_short(run: Run) -> str:
    if "tasks" in run:
        return f"{run['mean_normalised']:.3f} normalised"
    return ", ".join(f"{way}: {one['either']:.0%} either way" for way, one in run["decodings"].items())


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", nargs="+", choices=[*ENTRIES], default=[*ENTRIES], metavar="ARM")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--seconds", type=float, default=600.0, help="of training, an arm and seed")
    parser.add_argument("--episodes", type=int, default=10, help="a task")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--overwrite", action="store_true", help="run again what is there")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_num_threads(given.threads)
    settings = {name: getattr(given, name) for name in ("seconds", "episodes", "threads")} | {"cores": os.cpu_count()}
    store = Store(given.out, {} if given.table else settings)
    if not given.table:
        run_all(given, store)
    print(tables(store.read(), {name: entry.title for name, entry in ENTRIES.items()}))


if __name__ == "__main__":
    main()
