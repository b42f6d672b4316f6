"""transformers' Decision Transformer, one a task, told the best return of its recordings (Chen et al. 2021).

The recipe of their Gym experiments: 3 layers of 128, one head, context of 20 steps, dropout 0.1, batches of 64, AdamW
at 1e-4 with decay 1e-4, gradients clipped to 0.25, the first tenth of training a linear warm-up. The rate then falls
as in all arms, where theirs stays. Returns to go are divided by the best one, theirs by 1000. Each task gets an equal
share of the seconds, and its own datasets only; as in all arms the executed actions stand in the context and the
intended ones are learned.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import DecisionTransformerConfig, DecisionTransformerModel

from gato.skills.bodies import LONGEST_EPISODE
from peer_arms.arm import Setup, Trained
from peer_arms.fitting import Learner, fit, num_parameters
from peer_arms.history import History
from peer_arms.tasks import TaskSteps, read_task

CONTEXT = 20
"""K, control steps."""
ROWS = 64
LEARNING_RATE, WEIGHT_DECAY = 1e-4, 1e-4
MOST_GRADIENT = 0.25
WARMUP = 0.1
"""10 000 of 100 000 updates."""
Batch = dict[str, np.ndarray]


class DecisionTransformer:
    """One task's model, its training and its batches."""

    def __init__(self, task: TaskSteps, seed: int) -> None:
        self.task = task
        self.scale_of_returns = max(abs(task.best_return), 1.0)
        self._seed = seed
        self._ends_T = np.repeat(task.offsets[1:], np.diff(task.offsets))
        self._starts_T = np.repeat(task.offsets[:-1], np.diff(task.offsets))
        torch.manual_seed(seed)
        config = DecisionTransformerConfig(
            state_dim=task.observations_TO.shape[1],
            act_dim=task.actions_TA.shape[1],
            hidden_size=128,
            n_layer=3,
            n_head=1,
            activation_function="relu",
            resid_pdrop=0.1,
            embd_pdrop=0.1,
            attn_pdrop=0.1,
            max_ep_len=LONGEST_EPISODE,
            bos_token_id=None,
            eos_token_id=None,
        )
        self.model = DecisionTransformerModel(config)

    @property
    def target(self) -> float:
        """What is asked for: the best return, in the unit that the model is told."""
        return self.task.best_return / self.scale_of_returns

    def train(self, seconds: float) -> Trained:
        """Squared error of the actions."""
        self.model.train()
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        return fit(Learner(self.draw, self.loss, _num_steps, optimizer, MOST_GRADIENT, WARMUP), seconds)

    def draw(self, number: int) -> Batch:
        """Windows that begin at any step, shorter at an episode's end, padded in front."""
        rng, task = np.random.default_rng([self._seed, number]), self.task
        start_B = rng.integers(len(task.returns_T), size=ROWS)
        length_B = np.minimum(CONTEXT, self._ends_T[start_B] - start_B)
        ahead_BT = np.arange(CONTEXT) - (CONTEXT - length_B)[:, None]
        step_BT = start_B[:, None] + np.maximum(ahead_BT, 0)
        return {
            "states": task.observations_TO[step_BT],
            "actions": task.actions_TA[step_BT],
            "targets": task.targets_TA[step_BT],
            "returns_to_go": task.returns_T[step_BT][..., None] / np.float32(self.scale_of_returns),
            "timesteps": step_BT - self._starts_T[start_B][:, None],
            "attention_mask": ahead_BT >= 0,
        }

    def loss(self, batch: Batch) -> Tensor:
        """Mean over the steps that there are and their action elements."""
        mask_BT = torch.from_numpy(batch["attention_mask"])
        return (self.predict(batch) - torch.from_numpy(batch["targets"]))[mask_BT].square().mean()

    def predict(self, batch: Batch) -> Tensor:
        """(B, T, A) in [-1, 1]."""
        told = {name: torch.from_numpy(batch[name]) for name in ("states", "actions", "returns_to_go")}
        times_BT = torch.from_numpy(batch["timesteps"]).clamp(0, LONGEST_EPISODE - 1)
        mask_BT = torch.from_numpy(batch["attention_mask"]).long()
        return self.model(**told, timesteps=times_BT, attention_mask=mask_BT).action_preds


class DecisionActor:
    """Encodes the newest steps anew for each action, all environments at once."""

    def __init__(self, taught: DecisionTransformer, num_envs: int) -> None:
        self.taught, self.scale = taught, taught.task.scale
        self.to_go_B = np.full(num_envs, taught.target)
        """Return still to come, in the unit that the model is told."""
        self.time_B = np.zeros(num_envs, np.int64)
        widths = {"states": len(self.scale.mean_O), "actions": len(self.scale.low_A), "returns_to_go": 1}
        self.history = History(num_envs, CONTEXT, widths)
        taught.model.eval()

    def reset(self, ids: np.ndarray) -> None:
        """The whole return is still to come."""
        self.to_go_B[ids], self.time_B[ids] = self.taught.target, 0
        self.history.reset(ids)

    def retire(self, ids: np.ndarray) -> None:
        """These ended."""
        self.history.retire(ids)

    def earn(self, rewards_B: np.ndarray) -> None:
        """What was earned is no longer to come."""
        self.to_go_B -= np.nan_to_num(rewards_B) / self.taught.scale_of_returns

    @torch.inference_mode()
    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        ids = self.history.alive
        seen = self.scale.standardised(observations_BO[ids])
        self.history.push({"states": seen, "returns_to_go": self.to_go_B[ids, None]})
        times_BT = self.time_B[ids, None] - np.arange(CONTEXT)[::-1]
        batch = {**self.history.newest(), "timesteps": times_BT, "attention_mask": self.history.exists()}
        units_BA = self.taught.predict(batch)[:, -1].numpy()
        self.history.values["actions"][ids, -1] = units_BA
        self.time_B[ids] += 1
        actions_BA = np.zeros((len(observations_BO), units_BA.shape[1]), np.float32)
        actions_BA[ids] = self.scale.to_box(units_BA)
        return actions_BA


class DecisionArm:
    """One Decision Transformer a task."""

    def __init__(self, setup: Setup) -> None:
        self.taught = {
            skill: DecisionTransformer(read_task(setup.sources, skill), setup.seed) for skill in setup.skills
        }
        self.parameters = sum(num_parameters(one.model) for one in self.taught.values())

    def train(self, seconds: float) -> Trained:
        """One after the other."""
        return Trained.total([one.train(seconds / len(self.taught)) for one in self.taught.values()])

    def actor(self, skill_id: str, prompts: Sequence[str]) -> DecisionActor:
        """The skill's own model."""
        return DecisionActor(self.taught[skill_id], len(prompts))


def _num_steps(batch: Batch) -> int:
    return int(batch["attention_mask"].sum())
