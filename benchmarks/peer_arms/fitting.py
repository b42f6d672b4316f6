"""One training loop for all arms: it ends when the time is over, and so does the learning rate.

In: a `Learner`. Out: `Trained`; the learner's parameters are changed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from gato.model.trunk import Trunk
from gato.training.optimizer import MuonAdamW
from peer_arms.arm import Setup, Trained


@dataclass(frozen=True)
class Learner:
    """What is fitted, and how."""

    draw: Callable[[int], Any]
    """Batch number n."""
    loss: Callable[[Any], Tensor]
    num_steps: Callable[[Any], int]
    """Environment steps in a batch."""
    optimizer: Optimizer
    """Its learning rate is the peak."""
    most_gradient: float = 1.0
    """Norm to which gradients are clipped."""
    warmup: float = 0.05
    """Share of the time in which the rate rises; 100 of the demo's 2200 updates."""


def rate(share: float, warmup: float) -> float:
    """Learning rate, of its peak, when that share of the time is over: a line up, half a cosine down to 0."""
    if share < warmup:
        return share / warmup
    return 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))


def fit(learner: Learner, seconds: float, clock: Callable[[], float] = time.perf_counter) -> Trained:
    """Updates, the making of batches included, until `seconds` are over; the last one may end a little later."""
    groups = learner.optimizer.param_groups
    peaks = [group["lr"] for group in groups]
    parameters = [parameter for group in groups for parameter in group["params"]]
    began, steps = clock(), 0
    for update in count():
        elapsed = clock() - began
        if elapsed >= seconds:
            return Trained(update, steps, elapsed)
        for group, peak in zip(groups, peaks, strict=True):
            group["lr"] = peak * rate(elapsed / seconds, learner.warmup)
        batch = learner.draw(update)
        learner.loss(batch).backward()
        nn.utils.clip_grad_norm_(parameters, learner.most_gradient)
        learner.optimizer.step()
        learner.optimizer.zero_grad()
        steps += learner.num_steps(batch)
    raise AssertionError("counting has no end")


def trunk_optimizer(model: nn.Module, trunk: Trunk, setup: Setup) -> MuonAdamW:
    """That of `gato fit`: all arms on our trunk get the same one."""
    return MuonAdamW.of(model, trunk, learning_rate=setup.learning_rate, weight_decay=setup.weight_decay)


def num_parameters(model: nn.Module) -> int:
    """Trainable numbers."""
    return sum(weight.numel() for weight in model.parameters())
