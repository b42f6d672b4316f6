"""The design's open questions, answered by training the demo's mixture in variants and rolling each out.

In: the demo's recorded datasets (`gato record datasets/demo.yaml`). Out: a table and benchmarks/results/questions.json.

    python benchmarks/questions.py --updates 1500 --episodes 10 --seeds 1
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from lightning.pytorch import Trainer, seed_everything

from gato import runs
from gato.data.mixture import Mixture, Source
from gato.data.module import GatoDataModule
from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.rollout.suite import evaluate_suite
from gato.sequences import Layout
from gato.specs import Windows
from gato.training.lightning_module import GatoModule

RESULTS = Path(__file__).parent / "results" / "questions.json"
CONTEXTS = (2, 4, 8)
"""Control steps of context a model acts with, beside the 16 it was trained for; 2 is the least a layout allows."""


@dataclass(frozen=True)
class Variant:
    """One way to train."""

    name: str
    network: ModelConfig
    has_intended_context: bool = False
    """Intended instead of executed actions stand in the context."""
    balance: Literal["rows", "gradients"] = "rows"
    temperature: float = 1.0


def variants(size: str) -> list[Variant]:
    """The default and one change each."""
    base = ModelConfig(size=size)
    free = replace(base, embedding="free", head="free", layout=Layout(group_size=1, separator=True, window_steps=4))
    return [
        Variant("default", base),
        Variant("own second layer a body", replace(base, second_layer="own")),
        Variant("intended actions as context", base, has_intended_context=True),
        Variant("two logistics a group", replace(base, mixtures=2)),
        Variant("group_size 1, same positions", replace(base, layout=Layout(group_size=1, window_steps=4))),
        Variant("free/free, group_size 1 (the paper's)", free),
    ]


class IntendedContext(GatoDataModule):
    """The same data with the intended actions in the place of the executed ones."""

    def mixture(self, *, is_validation: bool = False) -> Mixture:
        mixture = super().mixture(is_validation=is_validation)
        draw = mixture.draw

        def draw_intended(batch: int) -> list[Windows]:
            return [replace(part, actions_BTA=part.targets_BTA) for part in draw(batch)]

        mixture.draw = draw_intended  # type: ignore[method-assign]
        return mixture


def train(variant: Variant, sources: list[Source], *, updates: int, seed: int) -> tuple[Gato, float]:
    """The trained model and the seconds it took."""
    seed_everything(seed, verbose=False)
    make = IntendedContext if variant.has_intended_context else GatoDataModule
    data = make(sources, variant.network.layout, batch_size=128, seed=seed, temperature=variant.temperature)
    module = GatoModule(variant.network, balance=variant.balance)
    trainer = Trainer(
        max_steps=updates,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1.0,
        num_sanity_val_steps=0,
        limit_val_batches=0,
    )
    began = time.perf_counter()
    trainer.fit(module, data)
    return module.model.eval(), time.perf_counter() - began


def scores(model: Gato, *, episodes: int, context: int = 0) -> dict[str, float]:
    """Normalised return a skill, acting with `context` steps (0: all the model was trained for)."""
    config = model.config
    if context:
        model.config = replace(config, layout=replace(config.layout, window_steps=context))
    results = evaluate_suite(model, suite="demo", episodes=episodes, seed=7).json()
    model.config = config
    return {skill: task["normalised"] for skill, task in results["tasks"].items()}


def rows(arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    """One row a variant and seed, and one a context length of the default."""
    sources = [Source(one) for one in arguments.datasets]
    for seed in range(arguments.seeds):
        for variant in variants(arguments.size):
            model, seconds = train(variant, sources, updates=arguments.updates, seed=seed)
            found = scores(model, episodes=arguments.episodes)
            yield {
                "variant": variant.name,
                "seed": seed,
                "seconds": seconds,
                **found,
                "mean": np.mean([*found.values()]),
            }
            if variant.name == "default":
                for context in CONTEXTS:
                    found = scores(model, episodes=arguments.episodes, context=context)
                    mean = np.mean([*found.values()])
                    yield {"variant": f"default, acting on {context} steps", "seed": seed, **found, "mean": mean}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=1500)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--size", default="mini")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--datasets", nargs="+", required=True, help="Minari ids of the mixture")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    table = []
    for row in rows(arguments):
        table.append(row)
        print(row["variant"], f"{row['mean']:.3f}", {key: f"{value:.2f}" for key, value in row.items() if "/" in key})
        runs.write_json(RESULTS, {"settings": vars(arguments), "rows": table})


if __name__ == "__main__":
    main()
