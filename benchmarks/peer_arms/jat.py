"""A JAT-style model: two embeddings a step, regression, no prompt (Gallouédec et al. 2024, huggingface/jat).

As theirs: the observation with the last reward behind it, and the action, each repeated cyclically up to the longest
of all bodies, become one vector each by linear layers that all bodies share (one for each; theirs has one for both);
they alternate in the trunk; the action is read out at the observation by a linear layer and learned by squared error.
Nothing says which skill is meant: the body alone tells the model what to do, so that with two skills a body it must
average, or go by the rewards that it gets. Scaled down: our trunk (width, depth, optimiser, window) instead of 193M
parameters and 256 steps. Kinder than theirs: observations are standardised and actions are places in their box, a body
at a time. Left out: their loss on the next observation (0.5 % of theirs). A reward before the window is 0, in training
and in rollouts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from gato.data.mixture import Mixture, WindowShape
from gato.model.config import TrunkConfig
from gato.model.trunk import Place, Trunk
from gato.sequences import visible
from gato.skills.table import get_skill
from gato.specs import Windows
from gato.training.lightning_module import has_fast_bf16
from peer_arms.arm import Setup, Trained
from peer_arms.fitting import Learner, fit, num_parameters, trunk_optimizer
from peer_arms.gato_arm import open_data
from peer_arms.history import History
from peer_arms.scaling import Scale

REWARD = 1
"""Numbers of a reward, behind an observation."""


def cyclic(values_N: np.ndarray, size: int) -> np.ndarray:
    """(..., N) repeated from its beginning up to (..., size)."""
    return values_N[..., np.arange(size) % values_N.shape[-1]]


class TwoEmbeddings(nn.Module):
    """Observation and action alternate; what is read at an observation is the action."""

    def __init__(self, config: TrunkConfig, num_observed: int, num_acted: int) -> None:
        super().__init__()
        self.trunk = Trunk(config)
        self.observation = nn.Linear(num_observed, config.width)
        self.action = nn.Linear(num_acted, config.width)
        self.read = nn.Linear(config.width, num_acted)

    def forward(self, observation_BTO: Tensor, action_BTA: Tensor, mask_BT: np.ndarray) -> Tensor:
        """(B, T, A) fp32: the action at each step, told this step's observation and all before it."""
        pair_BT2D = torch.stack([self.observation(observation_BTO), self.action(action_BTA)], 2)
        place = Place(
            rotary_BS=torch.arange(2 * mask_BT.shape[1]).expand(len(mask_BT), -1),
            visible_BSL=torch.from_numpy(visible(repeat(mask_BT, "b t -> b (t two)", two=2))),
        )
        hidden_BSD = self.trunk(rearrange(pair_BT2D, "b t two d -> b (t two) d"), place)
        return self.read(hidden_BSD[:, ::2]).float()


@dataclass(frozen=True)
class Part:
    """The windows of one body as the model reads them."""

    observation_BTO: np.ndarray
    action_BTA: np.ndarray
    target_BTA: np.ndarray
    """In [-1, 1], only as long as the body's own action."""
    mask_BT: np.ndarray
    loss_mask_BT: np.ndarray


class JatArm:
    """One model for all tasks."""

    def __init__(self, setup: Setup) -> None:
        shape = WindowShape(setup.network.layout.window_steps, 0)
        data = open_data(setup, setup.network.layout)
        assert data.codec is not None
        # Told as returns to go in their own unit, the mixture's windows let rewards be taken from them.
        told = [replace(source, prompts={"return": 1.0}) for source in setup.sources]
        units = {cache.skill(0): 1.0 for cache in data.caches}
        self.mixture = Mixture(
            data.caches,
            told,
            shape,
            batch_size=setup.batch_size,
            seed=setup.seed,
            held_out=0.0,
            best_returns=units,
        )
        self.scales = {}
        for name, body in data.codec.bodies.items():
            assert body.observation_statistics is not None
            seen = body.observation_statistics
            self.scales[name] = Scale.of(body.spec, seen.mean_N, seen.std_N)
        self.num_observed = REWARD + max(len(scale.mean_O) for scale in self.scales.values())
        self.num_acted = max(len(scale.low_A) for scale in self.scales.values())
        torch.manual_seed(setup.seed)
        self.setup, self.num_steps = setup, shape.window_steps
        self.model = TwoEmbeddings(setup.network.trunk, self.num_observed, self.num_acted)
        self.parameters = num_parameters(self.model)

    def train(self, seconds: float) -> Trained:
        """Squared error of the intended actions, rows of all bodies together."""
        optimizer = trunk_optimizer(self.model, self.model.trunk, self.setup)
        return fit(Learner(self._draw, self.loss, _num_steps, optimizer), seconds)

    def actor(self, skill_id: str, prompts: Sequence[str]) -> JatActor:
        """Sees the body and its rewards; the skill and the prompts are not for it."""
        return JatActor(self, self.scales[get_skill(skill_id).body], len(prompts))

    def predict(self, observation_BTO: np.ndarray, action_BTA: np.ndarray, mask_BT: np.ndarray) -> Tensor:
        """(B, T, A of the longest body) of inputs that were made as long as that."""
        return self.model(torch.from_numpy(observation_BTO), torch.from_numpy(action_BTA), mask_BT)

    def part(self, windows: Windows) -> Part:
        """Standardised, with rewards, made as long as the longest body."""
        scale = self.scales[windows.body]
        rewards_BT1 = np.zeros((*windows.step_mask_BT.shape, REWARD), np.float32)
        rewards_BT1[:, 1:, 0] = -np.diff(windows.returns_BT, axis=1)
        seen = np.concatenate([scale.standardised(windows.observations_BTO), rewards_BT1], 2)
        return Part(
            cyclic(seen, self.num_observed),
            cyclic(scale.to_unit(windows.actions_BTA), self.num_acted),
            scale.to_unit(windows.targets_BTA),
            windows.step_mask_BT,
            windows.loss_mask_BT,
        )

    def loss(self, parts: Sequence[Part]) -> Tensor:
        """As our own: a mean over action elements, then a body's steps, then rows."""
        joined = [
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("observation_BTO", "action_BTA", "mask_BT")
        ]
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16(torch.device("cpu"))):
            predicted = self.predict(*joined).split([len(part.mask_BT) for part in parts])
        total, num_rows = torch.zeros(()), len(joined[0])
        for part, predicted_BTA in zip(parts, predicted, strict=True):
            target_BTA, counts_BT = torch.from_numpy(part.target_BTA), torch.from_numpy(part.loss_mask_BT)
            error_BT = (predicted_BTA[..., : target_BTA.shape[2]] - target_BTA).square().mean(2)
            mean = (error_BT * counts_BT).sum() / counts_BT.sum().clamp(min=1)
            total = total + mean * len(part.mask_BT) / num_rows
        return total

    def _draw(self, number: int) -> list[Part]:
        return [self.part(one) for one in self.mixture.draw(number)]


class JatActor:
    """Encodes the newest steps anew for each action, all environments at once."""

    def __init__(self, arm: JatArm, scale: Scale, num_envs: int) -> None:
        self.arm, self.scale = arm, scale
        self.rewards_B = np.zeros(num_envs, np.float32)
        widths = {"seen": len(scale.mean_O), "reward": REWARD, "action": len(scale.low_A)}
        self.history = History(num_envs, arm.num_steps, widths)
        arm.model.eval()

    def reset(self, ids: np.ndarray) -> None:
        """Nothing was earned yet."""
        self.rewards_B[ids] = 0.0
        self.history.reset(ids)

    def retire(self, ids: np.ndarray) -> None:
        """These ended."""
        self.history.retire(ids)

    def earn(self, rewards_B: np.ndarray) -> None:
        """Shown with the next observation."""
        self.rewards_B = np.nan_to_num(rewards_B).astype(np.float32)

    @torch.inference_mode()
    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        ids = self.history.alive
        actions_BA = np.zeros((len(observations_BO), len(self.scale.low_A)), np.float32)
        seen = self.scale.standardised(observations_BO[ids])
        self.history.push({"seen": seen, "reward": self.rewards_B[ids, None]})
        shown = self.history.newest()
        shown["reward"][:, 0] = 0.0
        observed = cyclic(np.concatenate([shown["seen"], shown["reward"]], 2), self.arm.num_observed)
        acted = cyclic(shown["action"], self.arm.num_acted)
        units_BA = self.arm.predict(observed, acted, self.history.exists())[:, -1, : actions_BA.shape[1]].numpy()
        self.history.values["action"][ids, -1] = np.clip(units_BA, -1, 1)
        actions_BA[ids] = self.scale.to_box(units_BA)
        return actions_BA


def _num_steps(parts: Sequence[Part]) -> int:
    return sum(int(part.mask_BT.sum()) for part in parts)
