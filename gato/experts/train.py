"""Training an expert: collect with the previous weights while learning from the last rollout; log, evaluate, save.

In: a skill id, a PPOConfig. Out: a folder with `best/` and `last/` (Policy folders), `history/<steps>/` (the policy of
each evaluation), `logs/progress.csv`, `checkpoints/state.safetensors` (for --resume) and provenance.

Two threads, one hand-shake an iteration: a worker collects rollout i+1 with the weights from before update i, while
the caller's thread does update i. Physics and torch release the GIL, so both cores are busy, and since nothing
else is shared two seeded runs are equal.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from gato.experts.collect import FAILURE_COST, Collector, Rollout
from gato.experts.commanded import as_actor, listening, obeying, teacher_mirror
from gato.experts.curriculum import StartedStepper, gather_starts, habit, training_stepper
from gato.experts.imitate import imitation
from gato.experts.logs import LoggerName, Writer, open_writers
from gato.experts.policy import Policy
from gato.experts.ppo import Learner, PPOConfig, UpdateFigures
from gato.experts.settings import command_line, parents, refuse_other_run, settings_of
from gato.experts.shipped import find_expert, refuse_other_body
from gato.progress import Progress
from gato.runs import HISTORY, PROVENANCE, open_run, read_json, write_atomic, write_json, write_provenance
from gato.skills.bodies import BODIES, get_body
from gato.skills.bodies.symmetry import Symmetry
from gato.skills.evaluate import evaluate, evaluation_seeds, run_episodes
from gato.skills.table import get_skill

log = logging.getLogger("gato.experts")
NUM_EVALUATIONS = 20
"""Over a run, evenly spread."""
MIN_ITERATIONS = 5
"""Between evaluations, which take as long as two or three."""
EVALUATION_EPISODES = 20
EVALUATION_SEED = 10_000
"""Added to the run's seed: `best` is not chosen on the episodes that `gato expert eval` reports."""
STATE = Path("checkpoints") / "state.safetensors"
"""The checkpoint, inside the run's folder."""
CHECKPOINT_SECONDS = 20.0
"""Between saved states: what a killed run loses at most."""
CRITIC_ITERATIONS = 10
"""Updates of the critic alone after `init_from`: a fresh critic would spoil the weights taken over."""


def train_expert(
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
    """Train an expert of a skill for `steps` environment steps (rounded up to whole rollouts); returns `out`.

    A killed run goes on with `resume` and ends with the same weights as one that was left alone. Ctrl-C leaves `best`,
    `last` and the newest checkpoint.
    """
    skill, config = get_skill(skill_id), config or PPOConfig()
    asked = settings_of(skill.id, steps=steps, seed=seed, config=config)
    folder = open_run(out, overwrite=overwrite, resume=resume)
    place = folder / "run.json"
    begun = read_json(place) if resume and place.is_file() else {}
    if begun:
        refuse_other_run(begun, asked, folder)
    with one_torch_thread(), _leaves_nothing(folder, unless=resume):
        command = begun.get("command") or command_line(skill.id, steps=steps, seed=seed, out=out, config=config)
        inputs = begun["inputs"] if "inputs" in begun else parents(config)
        run = _Run(skill.id, steps=steps, seed=seed, config=config, folder=folder)
        if resume:
            run.load()
        write_json(place, {**asked, "command": command, "inputs": inputs})
        if run.iteration == run.num_iterations and (folder / PROVENANCE).is_file():
            log.info("%s is finished already", folder)
            return folder
    with one_torch_thread():
        writers = open_writers(folder / "logs", logger, asked, first_step=run.steps_done)
        try:
            _loop(run, writers)
        finally:
            for writer in writers:
                writer.close()
    record = write_provenance(folder, command=command, config=asked, seeds={"train": seed}, inputs=inputs)
    result = {"steps": run.steps_done, "seconds": round(run.seconds_before, 1), **run.score()}
    write_json(folder / PROVENANCE, {**record, "result": result})
    return folder


@contextmanager
def _leaves_nothing(folder: Path, *, unless: bool) -> Iterator[None]:
    """A run that cannot begin leaves no folder that would refuse the corrected command."""
    try:
        yield
    except BaseException:
        if not unless:
            shutil.rmtree(folder)
        raise


class _Run:
    """The state of one training run: everything that `save` writes and `load` reads."""

    def __init__(self, skill_id: str, *, steps: int, seed: int, config: PPOConfig, folder: Path) -> None:
        self.skill_id, self.seed, self.config, self.folder = skill_id, seed, config, folder
        stepper = training_stepper(skill_id, config.num_envs, is_blind=config.blind, randomise=config.randomise)
        spec, mirror = stepper.spec, self._mirror() if config.symmetric else None
        self.num_iterations = -(-steps // self.steps_an_iteration)
        self.iteration = 0
        self.best = -np.inf
        self.seconds_before = 0.0
        self.recent: deque[tuple[float, int]] = deque(maxlen=100)
        if config.lift and "height" not in stepper.body.readings:
            tall = ", ".join(name for name, body in BODIES.items() if "height" in body.readings)
            raise ValueError(f"lift={config.lift}, but {stepper.body.name} cannot get up; these can: {tall}")
        visitors = [_relative(text, skill_id) for text in config.start_states]
        is_fresh = config.is_fresh
        starts = gather_starts(visitors, seed=seed, with_reversed=is_fresh, lift=config.lift) if visitors else None
        if config.widen and not (folder / STATE).is_file():
            stepper.commands.share = 0.0
            stepper.commands.centre_C[:] = habit(_relative(config.init_from, skill_id), get_skill(skill_id), seed=seed)
        self.collector = Collector(
            stepper,
            seed=seed,
            discount=config.discount,
            rule=get_skill(skill_id).rule,
            starts=starts,
            start_share=config.start_share,
            failure_cost=FAILURE_COST if visitors and is_fresh else 0.0,
            reward_limit=np.inf if config.reward_limit is None else config.reward_limit,
            mirror=mirror,
            quietest=config.quietest,
        )
        self.learner = Learner(
            config, num_observations=len(spec.observation), num_actions=len(spec.action), seed=seed, mirror=mirror
        )
        layers, log_std_A = self.learner.weights()
        ones_O = np.ones(len(spec.observation))
        self.blank = Policy(
            skill_id,
            mean_O=0 * ones_O,
            std_O=ones_O,
            layers=layers,
            log_std_A=log_std_A,
            low_A=spec.action_low,
            high_A=spec.action_high,
        )
        self.collector.learns_normaliser = is_fresh
        if not is_fresh and not (folder / STATE).is_file():
            self._begin_from(self._parent())
        self.pending: Rollout | None = None

    def _mirror(self) -> Symmetry:
        skill = get_skill(self.skill_id)
        mirror = get_body(skill.body).mirror
        if mirror is None:
            alike = ", ".join(name for name, body in BODIES.items() if body.mirror)
            raise ValueError(f"symmetric=True, but {skill.body} is not alike on both sides as {alike} are")
        return teacher_mirror(mirror, skill)

    def _parent(self) -> Policy:
        """Whose weights are the first ones."""
        text, skill = self.config.init_from, get_skill(self.skill_id)
        if self.config.imitate:
            parts = self.config.parts
            policies = [_relative(part.expert, skill.id) for part in parts]
            return imitation(self.blank, parts, policies, seed=self.seed)
        parent = _relative(text, skill.id)
        theirs = get_skill(parent.skill)
        if theirs.is_commanded and not skill.is_commanded:
            parent = obeying(parent, skill, theirs)
        if skill.is_commanded and not theirs.is_commanded:
            parent = listening(parent, skill)
        if parent.activation != "tanh" or parent.is_squashed:
            raise ValueError(f"init_from {text} is no plain tanh network; pass one that ppo trained")
        return parent

    def _begin_from(self, parent: Policy) -> None:
        """Take over an expert's weights and normaliser; a resumed run has them in its checkpoint."""
        self.learner.begin_from(parent)
        self.collector.keep_normaliser(parent)
        self.blank = replace(parent, skill=self.skill_id).with_layers(*self.learner.weights())

    @property
    def steps_an_iteration(self) -> int:
        return self.config.num_envs * self.config.rollout_steps

    @property
    def steps_done(self) -> int:
        return self.iteration * self.steps_an_iteration

    def score(self) -> dict[str, Any]:
        """What `best` is said to bring; with start states its figure is no plain return."""
        if self.collector.starts is not None:
            return {}
        return {"score": {"mean": self.best, "episodes": EVALUATION_EPISODES, "seed": EVALUATION_SEED + self.seed}}

    def policy(self) -> Policy:
        """The newest weights with the newest observation statistics."""
        return self.collector.normaliser(self.blank.with_layers(*self.learner.weights()))

    def prime(self) -> None:
        """One rollout for the statistics alone (the first update would be blind), then one to learn from."""
        self._help()
        self.collector.collect(self.blank, self.config.rollout_steps)
        self.pending, _ = self.collector.collect(self.policy(), self.config.rollout_steps)

    def advance(self, pool: ThreadPoolExecutor) -> UpdateFigures:
        """One iteration: update on the pending rollout while the next one is collected."""
        assert self.pending is not None
        done = self.iteration / self.num_iterations
        self._help()
        collecting = pool.submit(self.collector.collect, self.policy(), self.config.rollout_steps)
        if not self.config.is_fresh and self.iteration == CRITIC_ITERATIONS:
            self.learner.begin_actor()
        figures = self.learner.update(
            self.pending,
            learning_rate=self.config.learning_rate * (1 - done),
            most_std=self.config.most_std(done),
            critic_only=not self.config.is_fresh and self.iteration < CRITIC_ITERATIONS,
        )
        self.pending, finished = collecting.result()
        self.recent.extend(zip(finished.returns, finished.lengths, strict=True))
        self.iteration += 1
        return figures

    def _help(self) -> None:
        """All of `lift` in one row to nothing in another, and less and less of it: rows teach those with less help.
        With `widen`, what is told comes as near to the whole of it as it is time for."""
        done = self.iteration / self.num_iterations
        if self.config.widen:
            self.collector.stepper.commands.share = min(1.0, done / self.config.widen)
        share = self.config.lift * (1 - done)
        self.collector.stepper.lift(np.linspace(0, share, self.config.num_envs))

    def save(self) -> None:
        """Write the checkpoint, whole or not at all, and the policy `last`."""
        assert self.pending is not None
        learner, learner_facts = self.learner.state()
        collector, collector_facts = self.collector.state()
        pending = {field.name: getattr(self.pending, field.name) for field in fields(self.pending)}
        groups = {"learner": learner, "collector": collector, "pending": pending}
        arrays = {f"{group}/{k}": np.ascontiguousarray(v) for group, kept in groups.items() for k, v in kept.items()}
        facts = {"learner": learner_facts, "collector": collector_facts, "iteration": self.iteration}
        facts |= {"best": self.best, "recent": list(self.recent), "seconds": self.seconds_before}
        content = save(arrays, metadata={"facts": json.dumps(facts)})
        write_atomic(self.folder / STATE, content)
        self.policy().save(self.folder / "last")

    def load(self) -> None:
        """Go on from the checkpoint; a run killed before its first one begins anew."""
        path = self.folder / STATE
        if not path.is_file():
            log.info("%s has no checkpoint yet: beginning anew", self.folder)
            return
        try:
            with safe_open(path, "numpy") as stored:
                facts = json.loads(stored.metadata()["facts"])
                arrays = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 (not a dict)
        except SafetensorError as error:
            raise ValueError(f"{path} is damaged ({error}); train again with --overwrite") from error
        groups: dict[str, dict[str, Any]] = {"learner": {}, "collector": {}, "pending": {}}
        for key, value in arrays.items():
            group, name = key.split("/", 1)
            groups[group][name] = value
        self.learner.load_state(groups["learner"], facts["learner"])
        self.collector.load_state(groups["collector"], facts["collector"])
        # A run kept for another day has none: the loop collects one.
        self.pending = Rollout(**groups["pending"]) if groups["pending"] else None
        self.iteration, self.best, self.seconds_before = facts["iteration"], facts["best"], facts["seconds"]
        self.recent.extend((value, length) for value, length in facts["recent"])


def _loop(run: _Run, writers: list[Writer]) -> None:
    begun = saved = time.monotonic()
    before = run.seconds_before
    every = max(MIN_ITERATIONS, run.num_iterations // NUM_EVALUATIONS)
    if run.pending is None:
        run.prime()
    total, done = run.num_iterations * run.steps_an_iteration, run.steps_done
    with Progress(total, "steps", run.skill_id, done=done) as progress, ThreadPoolExecutor(1) as pool:
        while run.iteration < run.num_iterations:
            row = _figures(run, run.advance(pool))
            is_last = run.iteration == run.num_iterations
            if run.iteration % every == 0 or is_last:
                row |= _evaluate(run)
            now = time.monotonic()
            run.seconds_before = before + now - begun
            row["seconds"] = run.seconds_before
            for writer in writers:
                writer.write(run.steps_done, row)
            if is_last or run.iteration == 1 or now - saved > CHECKPOINT_SECONDS:
                run.save()
                saved = time.monotonic()
            shown = {key: row[key] for key in ("return", "evaluation") if key in row}
            progress.update(run.steps_an_iteration, **shown)


def _figures(run: _Run, figures: UpdateFigures) -> dict[str, float]:
    row = asdict(figures)
    row["std"] = float(np.exp(run.learner.log_std_A.numpy()).mean())
    if run.recent:
        row["return"], row["length"] = (float(np.mean(column)) for column in zip(*run.recent, strict=True))
    return row


def _evaluate(run: _Run) -> dict[str, float]:
    """Deterministic episodes; the policy is kept, and the best. With start states, half of the episodes begin there."""
    policy, seed = run.policy(), EVALUATION_SEED + run.seed
    actor = as_actor(policy)
    result = evaluate(actor, run.skill_id, episodes=EVALUATION_EPISODES, seed=seed)
    score, starts = result.return_.mean, run.collector.starts
    if starts is not None:
        stepper = StartedStepper(run.skill_id, EVALUATION_EPISODES, starts)
        begun = run_episodes(actor, stepper, evaluation_seeds(seed, EVALUATION_EPISODES))
        score = (score + float(np.mean([one.return_ for one in begun]))) / 2
    if score > run.best:
        run.best = score
        policy.save(run.folder / "best")
    policy.save(run.folder / HISTORY / f"{run.steps_done:08}")
    return {"evaluation": score, "success": result.success}


def _relative(text: str, skill_id: str) -> Policy:
    """An expert of the same body."""
    policy = Policy.load(find_expert(text))
    refuse_other_body(policy, text, skill_id)
    return policy


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Nets this small are slower on several threads, and the other core steps the physics."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
