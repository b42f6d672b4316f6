"""Training an expert by Stable-Baselines3 (an extra), for tasks where our PPO is weak: SAC, TD3 and A2C.

In: a skill id, an algorithm. Out: the folder that `train_expert` writes, `best/` and `last/` being policies of ours: to
use them needs no Stable-Baselines3. No checkpoints: its own are zips of pickles.

SAC and TD3 learn once a step, from a batch of all earlier ones: less than a hundredth of PPO's steps a second.
"""

from __future__ import annotations

import math
import shlex
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import TransformObservation

from gato.experts.logs import LoggerName, Writer, open_writers
from gato.experts.policy import Policy
from gato.experts.sb3_network import Settings, make_policy
from gato.experts.train import EVALUATION_EPISODES, EVALUATION_SEED, NUM_EVALUATIONS, one_torch_thread
from gato.experts.vecnormalize import Normaliser, normaliser
from gato.progress import Progress
from gato.runs import open_run, write_json, write_provenance
from gato.skills.bodies import get_body
from gato.skills.environment import make_env
from gato.skills.evaluate import evaluate
from gato.skills.robots.known import typed
from gato.skills.stepper import find_env_spec
from gato.skills.table import get_skill

EXPLORING_STEPS, EXPLORING_SHARE = 10_000, 0.1
"""Random steps before learning begins (the zoo's setting for MuJoCo), and their most share of a short run."""
SETTINGS: dict[str, dict[str, Any]] = {
    "sac": {},
    "td3": {"learning_rate": 1e-3, "exploration_std": 0.1},
    "a2c": {"num_envs": 8},
}
"""Beyond Stable-Baselines3's defaults: those of its zoo for MuJoCo. A2C alone sees normalised observations."""
LOSSES = {
    "policy_loss": ("train/policy_loss", "train/actor_loss"),
    "value_loss": ("train/value_loss", "train/critic_loss"),
}
"""Our columns, and its names for them."""


def train_by_sb3(
    skill_id: str,
    *,
    algorithm: str,
    steps: int,
    seed: int,
    out: str | Path,
    overwrite: bool = False,
    logger: LoggerName = "csv",
) -> Path:
    """Train for `steps` environment steps (A2C: rounded up to whole rollouts); returns `out`.

    Ctrl-C leaves `best` and `last`. ValueError where Stable-Baselines3 is not installed.
    """
    skill = get_skill(skill_id)
    if steps < 1:
        raise ValueError(f"steps={steps}; an expert needs at least 1, and usually hundreds of thousands")
    version = _sb3_version()
    settings: dict[str, Any] = {"skill": skill.id, "algorithm": algorithm, "steps": steps, "seed": seed}
    settings |= {"settings": SETTINGS[algorithm], "stable_baselines3": version}
    folder = open_run(out, overwrite=overwrite)
    write_json(folder / "run.json", settings)
    begun = time.monotonic()
    with one_torch_thread():
        writers = open_writers(folder / "logs", logger, settings, first_step=0)
        run = _Run(skill.id, algorithm=algorithm, steps=steps, seed=seed, folder=folder, writers=writers)
        try:
            run.learn()
        except KeyboardInterrupt as stop:
            kept = "best/ and last/ are kept" if (folder / "last").is_dir() else "nothing was finished"
            raise KeyboardInterrupt(f"{kept} in {folder}; --overwrite begins again") from stop
        finally:
            for writer in writers:
                writer.close()
    words = ["gato", "expert", "train", typed(skill.id), "--algorithm", algorithm, "--steps", steps, "--seed", seed]
    command = shlex.join(map(str, [*words, "--out", out]))
    record = write_provenance(folder, command=command, config=settings, seeds={"train": seed}, inputs={})
    result = {"steps": run.model.num_timesteps, "seconds": round(time.monotonic() - begun, 1), "score": run.score()}
    write_json(folder / "provenance.json", {**record, "result": result})
    return folder


class _Run:
    """A model that learns, and what is written about it on the way."""

    def __init__(
        self, skill_id: str, *, algorithm: str, steps: int, seed: int, folder: Path, writers: list[Writer]
    ) -> None:
        self.skill_id, self.steps, self.seed, self.folder, self.writers = skill_id, steps, seed, folder, writers
        self.model = _model(skill_id, algorithm, steps=steps, seed=seed)
        self.every = max(1, steps // NUM_EVALUATIONS)
        self.best = -math.inf
        self.begun = time.monotonic()
        self.evaluated = 0

    def learn(self) -> None:
        """All steps, measured now and then and at the end."""
        with Progress(self.steps, "steps", self.skill_id) as progress:

            def on_step(*_: object) -> bool:
                done = self.model.num_timesteps
                progress.update(done - progress.done)
                if done - self.evaluated >= self.every and self.steps - done >= self.every:
                    progress.update(0, evaluation=self.measure())
                return True

            self.model.learn(self.steps, callback=on_step, log_interval=None)
            progress.update(0, evaluation=self.measure())

    def measure(self) -> float:
        """Evaluate the newest policy, save it, write a row."""
        policy = self.policy()
        result = evaluate(policy, self.skill_id, episodes=EVALUATION_EPISODES, seed=EVALUATION_SEED + self.seed)
        score = result.return_.mean
        policy.save(self.folder / "last")
        if score > self.best:
            self.best = score
            policy.save(self.folder / "best")
        row = {"seconds": time.monotonic() - self.begun, "evaluation": score, "success": result.success}
        if self.model.ep_info_buffer:
            for name, key in (("return", "r"), ("length", "l")):
                row[name] = float(np.mean([one[key] for one in self.model.ep_info_buffer]))
        said = self.model.logger.name_to_value
        row |= {name: float(said[key]) for name, keys in LOSSES.items() for key in keys if key in said}
        self.evaluated = self.model.num_timesteps
        for writer in self.writers:
            writer.write(self.evaluated, row)
        return score

    def score(self) -> dict[str, Any]:
        """What `best` is said to bring."""
        return {"mean": self.best, "episodes": EVALUATION_EPISODES, "seed": EVALUATION_SEED + self.seed}

    def policy(self) -> Policy:
        """The newest weights as a policy of ours."""
        space = self.model.action_space
        kwargs = self.model.policy_kwargs
        activation = kwargs["activation_fn"].__name__ if "activation_fn" in kwargs else ""
        settings = Settings(type(self.model).__name__, self.skill_id, space.low, space.high, activation)
        weights = {name: value.detach().clone() for name, value in self.model.policy.state_dict().items()}
        return make_policy(weights, settings, _normaliser(self.model))


def _sb3_version() -> str:
    try:
        import stable_baselines3
    except ImportError as error:
        raise ValueError(
            f'--algorithm other than ppo needs Stable-Baselines3 ({error}); pip install "gato-agent[sb3]"'
        ) from error
    return str(stable_baselines3.__version__)


def _model(skill_id: str, algorithm: str, *, steps: int, seed: int) -> Any:
    """The learner of Stable-Baselines3 with its environments, on the CPU."""
    from stable_baselines3 import A2C, SAC, TD3
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.noise import NormalActionNoise
    from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

    own = SETTINGS[algorithm]
    env_spec, body = find_env_spec(skill_id), get_body(get_skill(skill_id).body)

    def make() -> gymnasium.Env[Any, Any]:
        env = make_env(env_spec, disable_env_checker=True)
        # As a Policy will see it.
        return Monitor(TransformObservation(env, body.as_it_looks, env.observation_space))

    env: VecEnv = DummyVecEnv([make] * own.get("num_envs", 1))
    if algorithm == "a2c":
        return A2C("MlpPolicy", VecNormalize(env), seed=seed, device="cpu")
    exploring = min(EXPLORING_STEPS, math.ceil(EXPLORING_SHARE * steps))
    if algorithm == "sac":
        return SAC("MlpPolicy", env, learning_starts=exploring, seed=seed, device="cpu")
    num_actions = env.action_space.shape[0]  # type: ignore[index]
    noise = NormalActionNoise(np.zeros(num_actions), np.full(num_actions, own["exploration_std"]))
    rate = own["learning_rate"]
    return TD3("MlpPolicy", env, rate, learning_starts=exploring, action_noise=noise, seed=seed, device="cpu")


def _normaliser(model: Any) -> Normaliser | None:
    kept = model.get_vec_normalize_env()
    if kept is None:
        return None
    moments = kept.obs_rms
    return normaliser(moments.mean.copy(), moments.var.copy(), epsilon=kept.epsilon, clip=kept.clip_obs)
