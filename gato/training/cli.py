"""`gato fit|validate|test`: LightningCLI with one output folder, exact resume and loud defaults.

In: a YAML config and flags. Out: a folder with config.yaml, logs/, checkpoints/, and after `fit` model/.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import signal
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback

from gato import runs
from gato.data.module import GatoDataModule
from gato.model.find import find_model
from gato.sequences import Layout
from gato.training.callbacks import Figures, RolloutEvaluation, figures_of
from gato.training.checkpoints import AtomicFiles, Checkpoints, RunIdentity, newest_checkpoint, step_of
from gato.training.estimate import UPDATES, Probe
from gato.training.lightning_module import GatoModule
from gato.training.loggers import LoggerName, make_logger
from gato.usage import usage_error

Verb = Literal["fit", "validate", "test"]

HELP = """usage: gato {verb} -c CONFIG.yaml [--out DIR] [--key value ...]

{purpose}

  -c, --config FILE             YAML; flags beat it, the last of several wins
  --out DIR                     folder of the run: config.yaml, logs/, checkpoints/, model/ [workspace/fit]
  --resume                      go on from the newest checkpoint in --out, with its config.yaml if no other is given
  --overwrite                   remove what --out holds first
  --estimate                    parameters, tokens a step, memory and time; nothing is kept
  --seed N                      of weights and data (--seed_everything, --data.seed) [0]
  --run.loggers [csv, ...]      csv, tensorboard, wandb (offline unless logged in)
  --run.checkpoint_every N      updates between checkpoints
  --data.datasets '[{{"id": "gato/hopper/hop-forward-v0", "weight": 1}}, ...]'     --data.batch_size N     ...
  --model.init_from DIR         model folder to go on from
  --model.network.size nano|mini|small|79m|364m|1.2b     --model.learning_rate X     ...
  --model.compile_layers true   three quarters of the time an update, after half a minute of compiling
  --evaluation.every N          updates between rollout evaluations; 0 for none
  --trainer.max_steps N         updates; and any other argument of Lightning's Trainer
  --json                        print JSON, not a table
  --print_config                the whole configuration as YAML
  --help-all                    every key with its default

Environment: PL_<KEY> sets a key (PL_TRAINER__MAX_STEPS=10); GATO_LOG=json, GATO_LOG_LEVEL=debug for the log.

example: gato {verb} {example}
"""
PURPOSES = {
    "fit": "Train one transformer on a mixture of datasets.",
    "validate": "Loss of a run's newest checkpoint on the episodes held out of training.",
    "test": "The same as validate, under the name test.",
}
EXAMPLES = {
    "fit": "-c configs/demo.yaml --out workspace/fit --trainer.max_steps 200",
    "validate": "--out workspace/fit --json",
    "test": "--out workspace/fit --json",
}

CONFIG = "config.yaml"
PLACES = ("config", "run.out", "run.resume", "run.overwrite")
"""Keys that say where and how a run is gone on with: not worth a line when they differ."""
SHORT_FLAGS = {"--out": ("run.out",), "--seed": ("seed_everything", "data.seed")}
TRAINER_DEFAULTS = {
    "accelerator": "auto",
    "devices": 1,
    # The data has no end: updates are counted, not epochs.
    "max_epochs": -1,
    "max_steps": 1000,
    "gradient_clip_val": 1.0,
    "log_every_n_steps": 10,
    "num_sanity_val_steps": 0,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}

log = logging.getLogger("gato")


@dataclass(frozen=True)
class RunConfig:
    """Where a run lives and what it keeps."""

    out: str = "workspace/fit"
    """Folder of the run."""
    loggers: tuple[LoggerName, ...] = ("csv",)
    """Where figures go: csv, tensorboard, wandb."""
    checkpoint_every: int = 200
    """Updates between checkpoints."""
    resume: bool = False
    """Go on from the newest checkpoint in `out`."""
    overwrite: bool = False
    """Remove what `out` holds first."""
    estimate: bool = False
    """Say what the run would take, by a few of its updates, and keep nothing."""

    def __post_init__(self) -> None:
        if self.checkpoint_every < 1:
            raise ValueError(f"run.checkpoint_every is {self.checkpoint_every}; at least 1 is needed")


class GatoCLI(LightningCLI):
    """One parser for the three verbs; loggers, callbacks and folder follow from `run`."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--run", type=RunConfig, default=RunConfig())
        parser.add_lightning_class_args(RolloutEvaluation, "evaluation")
        parser.link_arguments("model", "data.layout", compute_fn=_layout, apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        try:
            self.config = parser.parse_args(args)
        except argparse.ArgumentError as error:
            raise usage_error(error, parser) from error

    def before_instantiate_classes(self) -> None:
        run, self.probe = self.run_config, Probe(self.config.trainer.max_steps)
        if self.config.trainer.max_steps < 1:
            raise ValueError(
                f"trainer.max_steps is {self.config.trainer.max_steps}; the data has no end, give a number"
            )
        if run.estimate:
            self._begin_estimate()
            return
        self.folder = runs.open_run(run.out, overwrite=run.overwrite, resume=run.resume or self.verb != "fit")
        self.checkpoint = newest_checkpoint(self.folder / "checkpoints")
        if self.checkpoint is None and (run.resume or self.verb != "fit"):
            raise FileNotFoundError(f"{self.folder}/checkpoints holds no checkpoint; run `gato fit` there first")
        configs = [Path(str(path)) for path in self.config.config or []]
        before = self.folder / CONFIG
        if before.is_file() and before.resolve() not in [path.resolve() for path in configs]:
            configs.append(before)
        for path in configs:
            show_overrides(self.parser, self.config, path)

    verb: Verb = "fit"
    checkpoint: Path | None = None

    def _begin_estimate(self) -> None:
        """A few updates, in a folder that goes with this object; what is not an update is left out."""
        self._temporary = tempfile.TemporaryDirectory(prefix="gato-")
        self.folder = Path(self._temporary.name)
        self.config.trainer.max_steps, self.config.run.loggers = UPDATES, []
        self.config.evaluation.every = self.config.data.validation_batches = 0

    def instantiate_classes(self) -> None:
        """A model that goes on from another reads and writes that one's tokens."""
        super().instantiate_classes()
        if self.model.parent is not None:
            self.datamodule.codec = self.model.parent.codec

    @property
    def run_config(self) -> RunConfig:
        """The parsed `run` section."""
        section = self.config.run
        return RunConfig(**{**vars(section), "loggers": tuple(section.loggers)})

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        run, stored = self.run_config, RunIdentity.stored(self.checkpoint) if self.checkpoint else ""
        wandb_id = stored or ("wandb" in run.loggers) * uuid.uuid4().hex[:8]
        # validate and test print their figures: a learning curve is not theirs to write into.
        names = run.loggers if self.verb == "fit" else ()
        done = step_of(self.checkpoint)
        loggers = [make_logger(name, self.folder, done=done, wandb_id=wandb_id) for name in names]
        mine: list[Callback] = [
            Figures(),
            Checkpoints(self.folder / "checkpoints", run.checkpoint_every),
            RunIdentity(wandb_id),
            *[self.probe] * run.estimate,
        ]
        given = self.config_init.trainer
        return super().instantiate_trainer(
            logger=loggers or False,
            default_root_dir=self.folder,
            callbacks=[*_listed(given.callbacks), *mine],
            plugins=[*_listed(given.plugins), AtomicFiles()],
        )


def _layout(model: GatoModule) -> Layout:
    return model.network.layout


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given] * (given is not None)


def show_overrides(parser: LightningArgumentParser, config: Namespace, path: Path) -> None:
    """Say which values beat those of a config file: those of this run's start, too, when it is resumed."""
    written = parser.parse_path(path, defaults=False, env=False)
    for key, value in written.items():
        if key not in PLACES and config.get(key) != value:
            log.info("%s: %s beats %s of %s", key, _short(config.get(key)), _short(value), path)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) < 100 else text[:100] + "..."


class KeepConfig(SaveConfigCallback):
    """config.yaml of the whole run, in its folder; written once a resumed run is known to fit its checkpoint."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.already_saved = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        config = self.config.clone()
        config.run.resume = config.run.overwrite = False
        text = self.parser.dump(config, skip_none=False)
        runs.write_atomic(Path(trainer.default_root_dir) / CONFIG, text.encode())


def main(arguments: list[str]) -> str | Path | dict[str, Any]:
    """Run `gato VERB ...`; `arguments` begins with the verb. The model's folder, figures, or a help text."""
    verb, rest = arguments[0], arguments[1:]
    if {"-h", "--help"} & set(rest):
        return HELP.format(verb=verb, purpose=PURPOSES[verb], example=EXAMPLES[verb])
    with quiet_libraries():
        cli = make_cli(verb, rest)
        if cli.run_config.estimate:
            return estimate(cli)
        return fit(cli, command=shlex.join(["gato", *arguments])) if verb == "fit" else measure(cli)


def make_cli(verb: str, words: list[str]) -> GatoCLI:
    """Parse the words of a command and build model, data and trainer; nothing is read or trained yet."""
    return type("GatoCLI", (GatoCLI,), {"verb": verb})(
        GatoModule,
        GatoDataModule,
        args=_with_own_config(verb, _plain_words(words)),
        run=False,
        seed_everything_default=0,
        save_config_callback=KeepConfig,
        auto_configure_optimizers=False,
        parser_kwargs={"prog": f"gato {verb}", "exit_on_error": False, "allow_abbrev": False, "default_env": True},
        trainer_defaults=TRAINER_DEFAULTS,
    )


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Their warnings in our log, their tips and greetings only with GATO_LOG_LEVEL=debug."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    before = [(logger, logger.level, logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG if log.isEnabledFor(logging.DEBUG) else logging.WARNING)
        logger.handlers, logger.propagate = log.handlers or logger.handlers, not log.handlers
    with warnings.catch_warnings():
        # Words are taken from a list on purpose: this is a command inside a command.
        warnings.filterwarnings("ignore", message="LightningCLI's args parameter", category=UserWarning)
        warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)", category=FutureWarning)
        try:
            yield
        finally:
            for logger, level, handlers, propagate in before:
                logger.setLevel(level)
                logger.handlers, logger.propagate = handlers, propagate


def _plain_words(words: list[str]) -> list[str]:
    """`--out`, `--resume`, `--overwrite` and `--seed`, as in every other command, in LightningCLI's words."""
    plain: list[str] = []
    given = iter(words)
    for word in given:
        flag, equals, value = word.partition("=")
        if flag in ("--resume", "--overwrite", "--estimate"):
            plain.append(f"--run.{flag[2:]}={value or 'true'}")
        elif flag in SHORT_FLAGS:
            value = value if equals else next(given, "")
            plain += [f"--{key}={value}" for key in SHORT_FLAGS[flag]]
        else:
            plain.append("--help" if word == "--help-all" else word)
    return plain


def _with_own_config(verb: str, words: list[str]) -> list[str]:
    """A run that exists is gone on with, or measured, by its own config.yaml unless another is given."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-c", "--config")
    parser.add_argument("--run.out", dest="out", default=RunConfig.out)
    parser.add_argument("--run.resume", dest="resume")
    given, _ = parser.parse_known_args(words)
    own = Path(given.out) / CONFIG
    is_theirs = given.config is None and (verb != "fit" or given.resume == "true")
    return [f"--config={own}", *words] if is_theirs and own.is_file() else words


def fit(cli: GatoCLI, *, command: str) -> Path:
    """Train, then save the model with its provenance; the model's folder."""
    folder, done = cli.folder / "model", step_of(cli.checkpoint)
    if cli.checkpoint:
        log.info("going on from %s", cli.checkpoint)
    if done >= cli.trainer.max_steps and (folder / runs.PROVENANCE).is_file():
        log.info("all %d updates are done already; --trainer.max_steps asks for more", done)
        return folder
    try:
        cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=cli.checkpoint, weights_only=True)
    except SystemExit as stop:
        # Lightning turns Ctrl-C into exit(1) and leaves the signal ignored.
        if not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)
        kept = newest_checkpoint(cli.folder / "checkpoints")
        told = f"{kept} is kept; --resume goes on with it" if kept else "there is no checkpoint yet"
        raise KeyboardInterrupt(told) from stop
    save_model(cli, folder, command)
    return folder


def estimate(cli: GatoCLI) -> dict[str, Any]:
    """What `fit` would take; nothing is kept."""
    cli.trainer.fit(cli.model, cli.datamodule)
    return cli.probe.figures(cli.model)


def measure(cli: GatoCLI) -> dict[str, Any]:
    """Losses of the newest checkpoint on held-out episodes, nats an action element."""
    run, split = (cli.trainer.validate, "val") if cli.verb == "validate" else (cli.trainer.test, "test")
    run(cli.model, cli.datamodule, ckpt_path=cli.checkpoint, weights_only=True, verbose=False)
    found = figures_of(cli.trainer, split)
    if not found:
        raise ValueError("no episode is held out; set data.validation_share and data.validation_batches above 0")
    parts = {
        part: {name.rpartition("/")[2]: value for name, value in found.items() if f"/{part}/" in name}
        for part in ("body", "modality")
    }
    return {
        "checkpoint": str(cli.checkpoint),
        "updates": step_of(cli.checkpoint),
        "loss": found[f"{split}/loss"],
        **parts,
    }


def save_model(cli: GatoCLI, folder: Path, command: str) -> None:
    """Write weights, codec, card, and provenance with the datasets' hashes."""
    data, module = cli.datamodule, cli.model
    assert isinstance(data, GatoDataModule) and isinstance(module, GatoModule)
    datasets = {cache.dataset.id: cache.dataset for cache in data.caches}
    card = {
        "bodies": sorted(data.bodies),
        "skills": sorted({skill for dataset in datasets.values() for skill in dataset.skills}),
        "datasets": sorted(datasets),
        "parameters": module.model.num_parameters(),
        "updates": cli.trainer.global_step,
        "loss": figures_of(cli.trainer, "train") or module.learned,
        "licence": "MIT",
    }
    origin = cli.config.model.init_from
    parent = {"init_from": runs.as_input(find_model(origin))} if origin else {}
    module.model.save(folder, card=card)
    runs.write_provenance(
        folder,
        command=command,
        config=cli.parser.dump(cli.config, skip_none=False),
        seeds={"weights": cli.config.seed_everything, "data": data.seed},
        inputs={name: {"id": name, "hash": dataset.content_hash} for name, dataset in datasets.items()} | parent,
    )
    log.info("model: %s", folder)
