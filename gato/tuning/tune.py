"""The whole of `gato tune-lm`: a language model, measured, tuned on the grammar's sentences and plans, measured again.

In: a base, bodies. Out: a folder that `gato plan --planner` takes: config.json, weights and tokenizer as transformers
save them, results.json, logs/metrics.csv and provenance.json.
"""

from __future__ import annotations

import logging
import shlex
import signal
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from gato.language.writing import PlanWriter, plan_text
from gato.runs import as_input, open_run, write_json, write_provenance
from gato.skills.bodies import BODIES, get_body
from gato.skills.plan import plan_skills
from gato.specs import share_interval
from gato.training.cli import quiet_libraries
from gato.tuning.base import Base, make_base, merged
from gato.tuning.module import Batches, PlanTuner
from gato.tuning.pairs import SPLITS, Pair, Split, pairs, some_pairs

RESULTS = "results.json"
TEXTS = 3000
"""Pairs of training that the tiny model's tokenizer is learned from."""
MOST_MISTAKES = 10
"""Of each split, mistakes that the results show."""
STREAM = 17
"""Apart from the seeds of the test sentences."""

log = logging.getLogger("gato")


@dataclass(frozen=True)
class Tuning:
    """How long on what. ValueError for what makes no sense."""

    bodies: tuple[str, ...] = ()
    """Whose sentences; all that come with Gato where none is named."""
    steps: int = 800
    """Updates."""
    batch_size: int = 32
    """Sentences an update."""
    test_sentences: int = 100
    """Of each split, before and after."""
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.test_sentences) < 1:
            raise ValueError(
                f"got {self.steps} steps of {self.batch_size} sentences, {self.test_sentences} for the test; all must"
                " be at least 1"
            )
        for body in self.bodies:
            get_body(body)
        if mute := [body for body in self.bodies if not plan_skills(body)]:
            raise ValueError(f"{', '.join(mute)} can be told nothing in words, so there are no plans to learn")

    @property
    def chosen(self) -> tuple[str, ...]:
        """The bodies."""
        return self.bodies or tuple(body for body in BODIES if plan_skills(body))


def tune(name: str, tuning: Tuning, *, out: str, overwrite: bool = False) -> dict[str, Any]:
    """Writes the folder; the share of exact plans in each split, before and after.

    ValueError: no such base, or one that lies in `out`; nothing of `out` is touched then.
    """
    tests = {split: some_pairs(tuning.chosen, split, tuning.test_sentences, seed=tuning.seed) for split in SPLITS}
    tests = {split: found for split, found in tests.items() if found}
    kept_back = {pair.sentence for found in tests.values() for pair in found}
    drawn = pairs(tuning.chosen, "seen", np.random.default_rng([tuning.seed, STREAM]), besides=kept_back)
    torch.manual_seed(tuning.seed)
    with tempfile.TemporaryDirectory() as scratch:
        base = make_base(name, islice(drawn, TEXTS), Path(scratch))
    folder = _open(out, base, overwrite=overwrite)
    log.info("%s: %d of its weights learn", name, base.num_learned)
    before, _ = measure(base, tests)
    _fit(base, drawn, tuning, folder)
    after, mistakes = measure(base, tests)
    result = {
        "base": name,
        "path": str(folder),
        "learned_weights": base.num_learned,
        "sentences": tuning.steps * tuning.batch_size,
        "accuracy": {split: {"before": before[split], "after": after[split]} for split in tests},
    }
    _save(base, folder)
    write_json(folder / RESULTS, {**result, "tuning": asdict(tuning), "mistakes": mistakes})
    write_provenance(
        folder,
        command=_command(name, tuning, out),
        config={"base": name, **asdict(tuning)},
        seeds={"seed": tuning.seed},
        inputs={} if base.folder is None else {"base": as_input(base.folder)},
    )
    return result


def _open(out: str, base: Base, *, overwrite: bool) -> Path:
    """The folder, emptied where it may be; never of the base, which is read again for its hash."""
    if base.folder is not None and base.folder.resolve().is_relative_to(Path(out).resolve()):
        raise ValueError(f"--out {out} holds the base {base.folder}, which is not written over; choose another --out")
    return open_run(out, overwrite=overwrite)


def measure(base: Base, tests: Mapping[Split, Sequence[Pair]]) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The share of plans that are right to the last number, with Wilson's interval; and some of the mistakes."""
    network = base.model.model.eval()
    writer = PlanWriter(base.model)
    shares: dict[str, Any] = {}
    mistakes: list[dict[str, str]] = []
    for split, chosen in tests.items():
        wrong = [pair for pair in chosen if not writer.writes(pair.plan, pair.sentence)]
        right = len(chosen) - len(wrong)
        interval = share_interval(right, len(chosen))
        shares[split] = {"mean": right / len(chosen), "ci95": list(interval), "sentences": len(chosen)}
        mistakes += [
            {"split": split, "sentence": pair.sentence, "wanted": plan_text(pair.plan)}
            for pair in wrong[:MOST_MISTAKES]
        ]
    network.train()
    return shares, mistakes


def _fit(base: Base, drawn: Any, tuning: Tuning, folder: Path) -> None:
    loader: DataLoader[Any] = DataLoader(Batches(base.model, drawn, tuning.batch_size), batch_size=None)
    try:
        with quiet_libraries(), warnings.catch_warnings():
            # Sentences are drawn by one process: a worker of its own would draw them all again.
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            trainer = Trainer(
                max_steps=tuning.steps,
                devices=1,
                logger=CSVLogger(folder, name="", version="logs"),
                log_every_n_steps=min(10, tuning.steps),
                gradient_clip_val=1.0,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            trainer.fit(PlanTuner(base), loader)
    except SystemExit as stop:
        # Lightning turns Ctrl-C into exit(1) and leaves the signal ignored.
        if not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt(f"nothing of {folder} is finished; --overwrite begins again") from stop
    base.model.model.cpu()


def _save(base: Base, folder: Path) -> None:
    """As transformers save a model with its tokenizer; low-rank updates are in the weights."""
    base.model.tokenizer.save_pretrained(folder)
    merged(base).eval().save_pretrained(folder)


def _command(name: str, tuning: Tuning, out: str) -> str:
    """What to type to get this folder again."""
    words = ["gato", "tune-lm", name, "--out", out]
    words += ["--bodies", *tuning.bodies] if tuning.bodies else []
    words += ["--steps", str(tuning.steps), "--batch-size", str(tuning.batch_size)]
    words += ["--test-sentences", str(tuning.test_sentences), "--seed", str(tuning.seed)]
    return shlex.join(words)
