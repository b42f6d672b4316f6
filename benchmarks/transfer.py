"""A skill held out of training: shown, told, learned from few episodes, and added without forgetting.

    gato record datasets/skills.yaml && gato record datasets/mujoco.yaml
    python benchmarks/transfer.py [--base 900] [--seconds 60] [--seeds 0 1 2] [--episodes 10]
    python benchmarks/transfer.py --table

A `mini` transformer learns the ant's and the hopper's skills without ant/turn-right and hopper/stand (and without their
switches and commands, which hold both) for `--base` seconds. Then, for each of the two: its words alone, a
demonstration alone, and both, nothing being trained; and `--seconds` of training on 1, 5, 25 and 100 episodes, from
nothing (`scratch`), from that transformer (`tuned`), and from it with its old recordings in half of the rows
(`rehearsed`). Of the last two, whose learning rate is a fifth, also what is left of the body's other skills. Runs are
kept in benchmarks/results/transfer.json one by one; the transformer is kept in the folder of --work.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peer_arms.arm import Setup
from peer_arms.gato_arm import GatoArm
from peer_arms.measuring import measure
from peer_arms.results import Run, Store

from gato import api
from gato.data.cache import open_cache
from gato.data.minari_io import list_datasets, open_dataset
from gato.data.mixture import Source
from gato.model.gato import Gato
from gato.reporting.markdown import table
from gato.rollout.agent import Agent
from gato.rollout.prompted import Conditions
from gato.rollout.suite import Results
from gato.skills.evaluate import Actor
from gato.skills.table import get_skill

HERE = Path(__file__).parent
CONFIG, RESULT = HERE.parent / "configs" / "demo.yaml", HERE / "results" / "transfer.json"
LEARNED: Mapping[str, tuple[str, ...]] = {
    "ant": (
        "run-forward",
        "walk-forward",
        "walk-backward",
        "walk-left",
        "walk-right",
        "turn-left",
        "circle-left",
        "circle-right",
        "stand",
    ),
    "hopper": ("hop-forward", "hop-backward", "hop-in-place"),
}
HELD_OUT = ("ant/turn-right", "hopper/stand")
STANDARD = ("ant/run-forward", "hopper/hop-forward")
"""Recorded by datasets/mujoco.yaml."""
PROMPTS = {"language": 0.6, "none": 0.1, "demonstration": 0.3}
EPISODES = (1, 5, 25, 100)
ARMS = ("scratch", "tuned", "rehearsed")
GENTLE = 0.2
"""Share of the demo's learning rate for who has learned before: at the whole, what a hopper knew was worth 0.95 before
and 0.12 to 0.26 after."""
SHOWN = {"words": (True, False), "demonstration": (False, True), "both": (True, True)}
"""How the skill is asked for -> whether it is said, whether it is shown."""
SUITE = "library"
SECTIONS = ("known", "context", "tuning")


def learned(body: str) -> tuple[str, ...]:
    """Skill ids."""
    return tuple(f"{body}/{name}" for name in LEARNED[body])


def recording(skill: str) -> Source:
    """Where a learned skill's episodes are."""
    return Source(f"gato/{skill}/{'expert' if skill in STANDARD else 'library'}-v0", prompts=PROMPTS)


def few(skill: str, episodes: int) -> Source:
    """So many episodes of a skill, recorded where they are not there yet."""
    dataset_id = f"gato/{skill}/transfer{episodes}-v0"
    if dataset_id not in list_datasets():
        api.record(skill, episodes=episodes, seed=7000, noise=(0.0, 0.05), dataset_id=dataset_id)
    return Source(dataset_id, prompts=PROMPTS)


def read_setup(seed: int, sources: Sequence[Source]) -> Setup:
    """The demo's network, rates and batches on these recordings."""
    return replace(Setup.read(CONFIG, (), seed), sources=tuple(sources))


def base(given: argparse.Namespace) -> Gato:
    """The transformer that knows all but the two; trained once."""
    folder = given.work / f"base-{given.base:g}"
    if not folder.is_dir():
        setup = read_setup(0, [recording(skill) for body in LEARNED for skill in learned(body)])
        arm = GatoArm(setup, setup.network)
        arm.train(given.base)
        arm.model.save(folder, card={})
    return Gato.load(folder)


@dataclass(frozen=True)
class Asked:
    """A model asked for a skill in words, by demonstrations of it, or both; as `measure` asks an arm."""

    model: Gato
    shown: Source | None = None
    parameters: int = 0

    def train(self, seconds: float) -> Any:
        """Nothing is learned."""
        raise NotImplementedError

    def actor(self, skill_id: str, prompts: Sequence[str]) -> Actor:
        """Each environment is shown another piece of the episodes."""
        body = get_skill(skill_id).body
        shown = None if self.shown is None else pieces(self.shown, len(prompts), self.model)
        return Agent(self.model.eval(), body, prompts, demonstrations=shown)


@dataclass(frozen=True)
class Silent(Asked):
    """Shown, but told nothing."""

    def actor(self, skill_id: str, prompts: Sequence[str]) -> Actor:
        return super().actor(skill_id, [""] * len(prompts))


def pieces(source: Source, count: int, model: Gato) -> tuple[np.ndarray, np.ndarray]:
    """(count, N, O) and (count, N, A) from the middle of the source's episodes, one after the other."""
    cache, steps = open_cache(open_dataset(source.id)), model.layout.demonstration_steps
    rng, spans = np.random.default_rng(0), list(zip(cache.offsets[:-1], cache.offsets[1:], strict=True))
    starts = [int(rng.integers(first, last - steps)) for first, last in (spans[i % len(spans)] for i in range(count))]
    taken = np.array(starts)[:, None] + np.arange(steps)
    return cache.observations_TO[taken], cache.actions_TA[taken]


def in_context(skill: str, how: str, model: Gato, conditions: Conditions) -> Run:
    """Nothing is trained."""
    is_said, is_shown = SHOWN[how]
    found = {}
    for episodes in (1, 5) if is_shown else (0,):
        shown = few(skill, episodes) if is_shown else None
        found[str(episodes)] = told(
            measure((Asked if is_said else Silent)(model, shown), [skill], conditions, suite=SUITE)
        )
    return {"episodes shown": found}


def tuned(arm_name: str, skill: str, episodes: int, seed: int, given: argparse.Namespace, parent: Gato) -> Run:
    """Trained on few episodes, then measured on the skill and on the body's others."""
    conditions = Conditions(given.episodes, 0, is_shown=False)
    body = skill.split("/")[0]
    sources = [replace(few(skill, episodes), weight=float(len(learned(body)) if arm_name == "rehearsed" else 1))]
    if arm_name == "rehearsed":
        sources += [recording(one) for one in learned(body)]
    is_new = arm_name == "scratch"
    setup = read_setup(seed, sources)
    setup = replace(setup, learning_rate=setup.learning_rate * (1 if is_new else GENTLE))
    arm = GatoArm(setup, setup.network, codec=None if is_new else Gato.load(given.work / f"base-{given.base:g}").codec)
    if not is_new:
        arm.model.begin_from(parent)
    trained = asdict(arm.train(given.seconds))
    kept = None if is_new else measure(arm, learned(body), conditions, suite=SUITE).mean_normalised
    return {**trained, **told(measure(arm, [skill], conditions, suite=SUITE)), "others_normalised": kept}


def told(results: Results) -> dict[str, Any]:
    """Of one skill."""
    task = results.tasks[0]
    return {"normalised": task.normalised, "success": task.success, "return": task.return_.json()}


def run_all(given: argparse.Namespace, store: Store) -> None:
    """What is there is left out."""
    model = base(given)
    conditions = Conditions(given.episodes, 0, is_shown=False)
    for body in LEARNED:
        if not store.has("known", body, 0):
            known = measure(Asked(model), learned(body), conditions, suite=SUITE).mean_normalised
            store.add("known", body, 0, {"normalised": known})
    for skill in HELD_OUT:
        for how in SHOWN:
            if not store.has("context", f"{skill}, {how}", 0):
                store.add("context", f"{skill}, {how}", 0, in_context(skill, how, model, conditions))
    for seed in given.seeds:
        for skill in HELD_OUT:
            for arm, episodes in ((arm, episodes) for arm in ARMS for episodes in EPISODES):
                name = f"{skill}, {arm}, {episodes}"
                if not store.has("tuning", name, seed):
                    store.add("tuning", name, seed, tuned(arm, skill, episodes, seed, given, model))
                    print(f"{name}, seed {seed}: done", flush=True)


def tables(content: Mapping[str, Any]) -> str:
    """Normalised returns and shares of episodes that met the rule."""
    context = [
        [*name.split(", "), episodes, f"{one['normalised']:.2f}", f"{one['success']:.0%}"]
        for name, runs in content["context"].items()
        for episodes, one in runs["0"]["episodes shown"].items()
    ]
    rows = []
    for name, runs in content["tuning"].items():
        mean = {key: np.mean([run[key] for run in runs.values()]) for key in ("normalised", "success")}
        others = [run["others_normalised"] for run in runs.values() if run["others_normalised"] is not None]
        kept = f"{np.mean(others):.2f}" if others else "-"
        rows.append([*name.split(", "), f"{len(runs)}", f"{mean['normalised']:.2f}", f"{mean['success']:.0%}", kept])
    known = [[body, f"{runs['0']['normalised']:.2f}"] for body, runs in content["known"].items()]
    heads = (
        ["body", "what it has learned, normalised"],
        ["held out", "asked by", "episodes shown", "normalised", "obeyed"],
        ["held out", "from", "episodes", "seeds", "normalised", "obeyed", "other skills, normalised"],
    )
    return "\n\n".join(table(head, one) for head, one in zip(heads, (known, context, rows), strict=True) if one)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=float, default=900.0, help="seconds of training without the two skills")
    parser.add_argument("--seconds", type=float, default=60.0, help="of training on few episodes")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--episodes", type=int, default=10, help="a skill, to measure")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("workspace/transfer"))
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_num_threads(given.threads)
    settings = {name: getattr(given, name) for name in ("base", "seconds", "episodes", "threads")}
    store = Store(given.out, {} if given.table else settings | {"cores": os.cpu_count()}, SECTIONS)
    if not given.table:
        run_all(given, store)
    print(tables(store.read()))


if __name__ == "__main__":
    main()
