"""The first weights of a teacher that is told numbers: several experts become one network.

In: experts of a body and the commands each is right for. Out: a `Policy` that imitates whoever is right for what it is
told, for training to go on with: what lies between, and how to change from one to the other, is PPO's to find.

DAgger (Ross et al. 2011): the network acts with noise, and what it should have done in its own states is learned.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from gato.experts.collect import Moments
from gato.experts.commanded import axes, listening
from gato.experts.curriculum import CommandedStepper, Part
from gato.experts.network import TanhNetwork, num_weights
from gato.experts.policy import Policy
from gato.experts.views import Views
from gato.skills.commands import ranges
from gato.skills.environment import MAX_SEED
from gato.skills.skill import Skill
from gato.skills.table import get_skill

log = logging.getLogger("gato.experts")
ENVIRONMENTS, STEPS, ROUNDS, EPOCHS = 256, 400, 10, 4
"""Episodes side by side, steps a round, rounds, and passes over all data after each."""
NOISE, STD = 0.1, 0.15
"""Noise on the network's actions; what PPO will explore with."""
RATE, BATCH = 2e-3, 1024
NEAR = 0.2
"""m/s and rad/s: where somebody who follows one command for good is right, on each axis."""


def imitation(blank: Policy, parts: Sequence[Part], policies: Sequence[Policy], *, seed: int) -> Policy:
    """`blank`, a teacher, with weights by which it acts as the policies of these parts do; ValueError where one of them
    does not say what it is right for."""
    skill = get_skill(blank.skill)
    if not skill.is_commanded:
        raise ValueError(f"imitate: {skill.id} is told nothing; a teacher ({skill.body}/command) can be made so")
    log.info("imitating %d experts for %d steps before the first of its own", len(parts), ENVIRONMENTS * STEPS * ROUNDS)
    lows_PC, highs_PC = (
        np.array(bounds)
        for bounds in zip(*(_bounds(part, one, skill) for part, one in zip(parts, policies, strict=True)), strict=True)
    )
    told = [one if get_skill(one.skill).is_commanded else listening(one, skill) for one in policies]
    stepper = CommandedStepper(skill, ENVIRONMENTS)
    rng, ids = np.random.default_rng([seed, 3]), np.arange(ENVIRONMENTS)
    learner = Imitator([len(blank.mean_O), *(len(bias) for _, bias in blank.layers)], rng)
    policy, seen, intended = blank, [], []
    observations_BO = stepper.reset(ids, rng.integers(MAX_SEED, size=ENVIRONMENTS).tolist())
    for turn in range(ROUNDS):
        for _ in range(STEPS):
            right_BA = _right(told, lows_PC, highs_PC, observations_BO)
            is_known_B = np.isfinite(right_BA[:, 0])
            seen.append(observations_BO[is_known_B])
            intended.append(right_BA[is_known_B])
            acted_BA = np.nan_to_num(right_BA) if turn == 0 else policy.act(policy.normalise(observations_BO))
            step = stepper.step(policy.to_box(acted_BA + NOISE * rng.standard_normal(acted_BA.shape)))
            observations_BO = step.observations_BO.copy()
            over = ids[step.terminated_B | step.truncated_B | (rng.random(ENVIRONMENTS) < 1 / STEPS)]
            if len(over):
                observations_BO[over] = stepper.reset(over, rng.integers(MAX_SEED, size=len(over)).tolist())
        if not any(map(len, seen)):
            raise ValueError(f"imitate {', '.join(map(str, parts))}: nothing that was told lay there; widen the range")
        if turn == 0:
            moments = Moments.zeros(len(blank.mean_O))
            moments.update(np.concatenate(seen))
            policy = replace(policy, mean_O=moments.mean, std_O=np.sqrt(moments.variance + 1e-8))
        error = learner.fit(policy.normalise(np.concatenate(seen)), np.concatenate(intended))
        policy = policy.with_layers(learner.weights(), np.full_like(blank.log_std_A, np.log(STD)))
        log.info("imitating: round %d of %d, mean squared error %.4f", turn + 1, ROUNDS, error)
    return policy


def _bounds(part: Part, policy: Policy, skill: Skill) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest of what is told, as the teacher sees it (C,), where that expert is right."""
    own, theirs = axes(skill), get_skill(policy.skill)
    if np.isfinite(part.low):
        if len(own) != 1:
            raise ValueError(f"imitate {part}: {skill.id} is told {len(own)} numbers; leave out the range")
        (lowest,), (highest,) = (bound_C[own] for bound_C in ranges(skill))
        if part.high < lowest or part.low > highest:
            raise ValueError(f"imitate {part}: {skill.id} is told {lowest:g} to {highest:g} only")
        return np.array([part.low]), np.array([part.high])
    if theirs.is_commanded:
        return np.full(len(own), -np.inf), np.full(len(own), np.inf)
    if not theirs.command:
        raise ValueError(
            f"imitate {part}: {policy.skill} names no command that it is right for; only experts of commands do, or"
            " EXPERT@LOWEST:HIGHEST of a teacher that is told one number"
        )
    told_C = Views(skill).tell(np.nan_to_num(ranges(theirs)[0])[None])[0, own]
    return told_C - NEAR, told_C + NEAR


def _right(
    policies: Sequence[Policy], lows_PC: np.ndarray, highs_PC: np.ndarray, observations_BO: np.ndarray
) -> np.ndarray:
    """What the first who is right would do, (B, A) in units of half the box; NaN where nobody is."""
    told_BC = observations_BO[:, -lows_PC.shape[1] :]
    right_BA = np.full((len(observations_BO), len(policies[0].low_A)), np.nan)
    for policy, low_C, high_C in zip(policies, lows_PC, highs_PC, strict=True):
        rows = ((told_BC >= low_C) & (told_BC <= high_C)).all(1) & np.isnan(right_BA[:, 0])
        right_BA[rows] = np.clip(policy.act(policy.normalise(observations_BO[rows])), -1, 1)
    return right_BA


class Imitator:
    """A network that learns actions by least squares."""

    def __init__(self, widths: Sequence[int], rng: np.random.Generator) -> None:
        self.rng = rng
        self.flat = torch.nn.Parameter(torch.zeros(num_weights(widths)))
        self.flat.grad = torch.zeros_like(self.flat)
        self.network = TanhNetwork(widths, self.flat.detach(), self.flat.grad)
        self.network.initialise(last_gain=1.0, generator=torch.Generator().manual_seed(int(rng.integers(MAX_SEED))))

    @torch.no_grad()
    def fit(self, observations_NO: np.ndarray, actions_NA: np.ndarray) -> float:
        """By Adam, its rate falling to 0; the mean squared error of the last pass."""
        seen_NO, told_NA = torch.from_numpy(observations_NO), torch.from_numpy(actions_NA).float()
        optimiser = torch.optim.Adam([self.flat], RATE)
        batches = max(1, len(seen_NO) // BATCH)
        for epoch in range(EPOCHS):
            order_N, total = torch.from_numpy(self.rng.permutation(len(seen_NO))), 0.0
            for batch in range(batches):
                rows = order_N[batch * BATCH : (batch + 1) * BATCH]
                optimiser.param_groups[0]["lr"] = RATE * (1 - (epoch * batches + batch) / (EPOCHS * batches))
                errors_NA = self.network(seen_NO[rows]) - told_NA[rows]
                self.network.backward(errors_NA / BATCH)
                optimiser.step()
                total += float(errors_NA.square().mean())
        return total / batches

    def weights(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Copies of (weight, bias) of each layer."""
        return tuple((weight.numpy().copy(), bias.numpy().copy()) for weight, bias in self.network.layers)
