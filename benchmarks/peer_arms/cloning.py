"""The best tenth of the episodes, cloned, one network a task (10 %-BC of Chen et al. 2021).

The recipe of CORL's `any_percent_bc`: two hidden layers of 256, rectified, tanh at the end, Adam at 3e-4, batches of
256 steps, the tenth of the episodes with the highest returns; squared error of what was intended.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gato.skills.evaluate import Actor
from peer_arms.arm import Setup, Trained
from peer_arms.fitting import Learner, fit, num_parameters
from peer_arms.tasks import TaskSteps, read_task

SHARE = 0.1
"""Of the episodes."""
HIDDEN, STEPS, LEARNING_RATE = 256, 256, 3e-4


def best_steps(task: TaskSteps, share: float = SHARE) -> np.ndarray:
    """(S,) numbers of the steps of that share of the episodes, at least one, which earned most."""
    returns_E = task.returns_T[task.offsets[:-1]]
    chosen = np.argsort(-returns_E, kind="stable")[: max(1, round(share * len(returns_E)))]
    return np.concatenate([np.arange(task.offsets[one], task.offsets[one + 1]) for one in np.sort(chosen)])


class Clone:
    """One task's network."""

    def __init__(self, task: TaskSteps, seed: int) -> None:
        self.task, self._steps_S, self._seed = task, best_steps(task), seed
        torch.manual_seed(seed)
        num_seen, num_moved = task.observations_TO.shape[1], task.actions_TA.shape[1]
        self.network = nn.Sequential(
            nn.Linear(num_seen, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, num_moved),
            nn.Tanh(),
        )

    def train(self, seconds: float) -> Trained:
        """Squared error."""
        optimizer = torch.optim.Adam(self.network.parameters(), lr=LEARNING_RATE)
        return fit(Learner(self.draw, self.loss, len, optimizer), seconds)

    def draw(self, number: int) -> np.ndarray:
        """(256,) steps."""
        return np.random.default_rng([self._seed, number]).choice(self._steps_S, STEPS)

    def loss(self, steps_S: np.ndarray) -> Tensor:
        """Mean over steps and action elements."""
        seen = torch.from_numpy(self.task.observations_TO[steps_S])
        return (self.network(seen) - torch.from_numpy(self.task.targets_TA[steps_S])).square().mean()

    @torch.inference_mode()
    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        seen = torch.from_numpy(self.task.scale.standardised(observations_BO))
        return self.task.scale.to_box(self.network(seen).numpy())


class CloningArm:
    """One clone a task."""

    def __init__(self, setup: Setup) -> None:
        self.taught = {skill: Clone(read_task(setup.sources, skill), setup.seed) for skill in setup.skills}
        self.parameters = sum(num_parameters(one.network) for one in self.taught.values())

    def train(self, seconds: float) -> Trained:
        """One after the other."""
        return Trained.total([one.train(seconds / len(self.taught)) for one in self.taught.values()])

    def actor(self, skill_id: str, prompts: Sequence[str]) -> Actor:
        """The skill's own network, which needs no words."""
        return self.taught[skill_id]
