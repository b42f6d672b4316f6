"""`gato fit|validate|test`: LightningCLI with one output folder, exact resume and loud defaults.

In: a YAML config and flags. Out: a folder with config.yaml, logs/, checkpoints/, and after `fit` model/.
"""

from __future__ import annotations

import logging
import netrc
import os
import shlex
import uuid
import warnings
from argparse import ArgumentError
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from gato import runs
from gato.data.module import GatoDataModule
from gato.sequences import Layout
from gato.training.callbacks import (
    RolloutEvaluation,
    RunIdentity,
    SaveAtInterruption,
    Speed,
    checkpoints,
    newest_checkpoint,
)
from gato.training.lightning_module import GatoModule
from gato.usage import usage_error

Verb = Literal["fit", "validate", "test"]
LoggerName = Literal["csv", "tensorboard", "wandb"]

HELP = """usage: gato {verb} -c CONFIG.yaml [--out DIR] [--resume | --overwrite] [--key value ...]

{purpose}

  -c, --config FILE            YAML; flags beat it (repeatable, the last one wins)
  --run.out DIR                folder of the run: config.yaml, logs/, checkpoints/, model/  (also: --out)
  --run.loggers [csv, ...]     csv, tensorboard, wandb (offline unless logged in)
  --run.checkpoint_every N     updates between checkpoints
  --resume                     go on from the newest checkpoint of --out, exactly
  --overwrite                  remove what --out holds first
  --seed_everything N          seed of the weights (data: --data.seed)
  --data.datasets '[{{"id": ..., "weight": 1, "prompts": {{"language": 0.8}}}}]'   --data.batch_size N   ...
  --model.network.size nano|mini|small|79m|364m|1.2b   --model.learning_rate X   ...
  --evaluation.every N         updates between rollout evaluations
  --trainer.max_steps N        any argument of Lightning's Trainer
  --help-all                   every key, with its default

example: gato {verb} -c configs/demo.yaml --out workspace/fit
"""
PURPOSES = {
    "fit": "Train one transformer on a mixture of datasets.",
    "validate": "Loss of a run's newest checkpoint on the episodes held out of training.",
    "test": "The same as validate, logged under test/.",
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


class GatoCLI(LightningCLI):
    """One parser for the three verbs; loggers, callbacks and folder follow from `run`."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--run", type=RunConfig, default=RunConfig())
        parser.add_lightning_class_args(RolloutEvaluation, "evaluation")
        parser.link_arguments("model", "data.layout", compute_fn=_layout, apply_on="instantiate")
        parser.set_defaults({"trainer.max_epochs": 1})

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        try:
            self.config = parser.parse_args(args)
        except ArgumentError as error:
            raise usage_error(error, parser) from error

    def before_instantiate_classes(self) -> None:
        run = self.run_config
        self.folder = runs.open_run(run.out, overwrite=run.overwrite, resume=run.resume or self.verb != "fit")
        self.checkpoint = newest_checkpoint(self.folder / "checkpoints")
        if self.checkpoint is None and (run.resume or self.verb != "fit"):
            raise FileNotFoundError(f"{self.folder}/checkpoints holds no checkpoint; run `gato fit` there first")

    verb: Verb = "fit"

    @property
    def run_config(self) -> RunConfig:
        """The parsed `run` section."""
        section = self.config.run
        return RunConfig(**{**vars(section), "loggers": tuple(section.loggers)})

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        stored_id = RunIdentity.stored(self.checkpoint) if self.checkpoint else ""
        wandb_id = stored_id or uuid.uuid4().hex[:8]
        folder = self.folder / "checkpoints"
        mine = [checkpoints(folder, self.run_config.checkpoint_every), Speed(), SaveAtInterruption(folder)]
        loggers = [make_logger(name, self.folder, wandb_id) for name in self.run_config.loggers]
        given = self._get(self.config_init, "trainer")["callbacks"] or []
        return super().instantiate_trainer(
            logger=loggers or False,
            default_root_dir=self.folder,
            callbacks=[*given, *mine, RunIdentity(wandb_id if "wandb" in self.run_config.loggers else "")],
        )


def _layout(model: GatoModule) -> Layout:
    return model.network.layout


class KeepConfig(SaveConfigCallback):
    """config.yaml of the whole run, in its folder."""

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        if stage == "fit":
            text = self.parser.dump(self.config, skip_none=False)
            runs.write_atomic(Path(trainer.default_root_dir) / "config.yaml", text.encode())


def make_logger(name: LoggerName, folder: Path, wandb_id: str) -> Logger:
    """CSV, TensorBoard or W&B below the run's folder; W&B stays offline unless someone is logged in."""
    if name == "csv":
        return CSVLogger(folder, name="logs", version="")
    if name == "tensorboard":
        return TensorBoardLogger(folder, name="logs", version="tensorboard")
    return WandbLogger(
        save_dir=folder,
        project="gato",
        id=wandb_id,
        resume="allow",
        offline=not is_logged_in_to_wandb(),
        log_model=False,
    )


def is_logged_in_to_wandb() -> bool:
    """A key in the environment or in the user's netrc, and WANDB_MODE not offline."""
    if os.environ.get("WANDB_MODE", "online") != "online":
        return False
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators("api.wandb.ai") is not None
    except (FileNotFoundError, netrc.NetrcParseError):
        return False


def main(arguments: list[str]) -> None:
    """Run `gato VERB ...`; `arguments` begins with the verb."""
    verb, rest = arguments[0], [_alias(word) for word in arguments[1:]]
    if {"-h", "--help"} & set(rest):
        print(HELP.format(verb=verb, purpose=PURPOSES[verb]))  # noqa: T201 the help of a command
        return
    # Words are taken from a list on purpose: this is a command inside a command.
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter", category=UserWarning)
    logging.getLogger("lightning").setLevel(logging.WARNING)
    cli_class = type("GatoCLI", (GatoCLI,), {"verb": verb})
    cli = cli_class(
        GatoModule,
        GatoDataModule,
        args=["--help" if word == "--help-all" else word for word in rest],
        run=False,
        seed_everything_default=0,
        save_config_callback=KeepConfig,
        auto_configure_optimizers=False,
        parser_kwargs={"exit_on_error": False},
        trainer_defaults={
            "accelerator": "auto",
            "devices": 1,
            "max_epochs": 1,
            "max_steps": 1000,
            "gradient_clip_val": 1.0,
            "log_every_n_steps": 10,
            "num_sanity_val_steps": 0,
            "enable_progress_bar": False,
            "enable_model_summary": False,
        },
    )
    run_verb(cli, verb, command=shlex.join(["gato", *arguments]))


def _alias(word: str) -> str:
    """`--out`, `--resume` and `--overwrite` as in every other command."""
    for flag in ("out", "resume", "overwrite"):
        if word == f"--{flag}" or word.startswith(f"--{flag}="):
            shown = word.replace(f"--{flag}", f"--run.{flag}", 1)
            return shown if flag == "out" or "=" in word else shown + "=true"
    return word


def run_verb(cli: GatoCLI, verb: str, *, command: str) -> None:
    """Train, then save the model with its provenance; or measure a checkpoint."""
    if verb != "fit":
        measure = cli.trainer.validate if verb == "validate" else cli.trainer.test
        measure(cli.model, cli.datamodule, ckpt_path=cli.checkpoint, weights_only=True)
        return
    if cli.checkpoint:
        log.info("going on from %s", cli.checkpoint)
    cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=cli.checkpoint, weights_only=True)
    if cli.trainer.interrupted:
        raise KeyboardInterrupt(f"{cli.folder} keeps its last checkpoint; --resume goes on with it")
    save_model(cli, command)


def save_model(cli: GatoCLI, command: str) -> Path:
    """Write `model/` in the run's folder: weights, codec, card, provenance with the datasets' hashes."""
    folder = cli.folder / "model"
    data = cli.datamodule
    assert isinstance(data, GatoDataModule)
    final = {name: float(value) for name, value in cli.trainer.callback_metrics.items() if name.startswith("train/")}
    datasets = {cache.dataset.id: cache.dataset for cache in data.caches}
    card = {
        "bodies": sorted(data.bodies),
        "skills": sorted({skill for dataset in datasets.values() for skill in dataset.skills}),
        "datasets": sorted(datasets),
        "parameters": cli.model.model.num_parameters(),
        "updates": cli.trainer.global_step,
        "loss": final,
        "licence": "MIT",
    }
    cli.model.model.save(folder, card=card)
    runs.write_provenance(
        folder,
        command=command,
        config=cli.parser.dump(cli.config, skip_none=False),
        seeds={"weights": cli.config.seed_everything, "data": data.seed},
        inputs={name: {"id": name, "hash": dataset.content_hash} for name, dataset in datasets.items()},
    )
    log.info("model: %s", folder)
    return folder
