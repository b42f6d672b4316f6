"""Two experts become one network: python scripts/distill_expert.py FROM BRAKE SPEED THEN OUT

In: experts (skill ids or folders) of one body. A body that moves as FROM left it is first stopped by BRAKE, until its
forward speed has passed SPEED (m/s, from above, or from below where it is negative); from then on, and from the body's
ordinary starts, THEN acts. Out: the policy OUT, which imitates that and is of the skill of THEN, with provenance:
something for `gato expert train --init-from OUT` to go on with.

DAgger (Ross et al. 2011): the network acts with noise, and what it should have done in its own states is learned.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from gato.experts.collect import Moments
from gato.experts.curriculum import MAX_SEED, gather_starts, training_stepper
from gato.experts.network import TanhNetwork, num_weights
from gato.experts.policy import Policy
from gato.experts.shipped import find_expert
from gato.runs import as_input, open_run, write_provenance

ENVIRONMENTS, STEPS, ROUNDS, EPOCHS = 256, 400, 10, 4
"""Episodes side by side, steps a round, rounds, and passes over all data after each."""
STARTED, NOISE, STD = 0.7, 0.1, 0.15
"""Share of episodes begun as FROM left the body; noise on the network's actions; what PPO will explore with."""
RATE, BATCH = 2e-3, 1024


class Relay:
    """BRAKE until the speed is passed, then THEN; remembers for each environment who acts."""

    def __init__(self, brake: Policy, then: Policy, speed: float, element: int) -> None:
        self.brake, self.then, self.speed, self.element = brake, then, speed, element
        self.is_stopped_B = np.ones(ENVIRONMENTS, bool)

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """Actions (B, A) in units of half the box."""
        self.is_stopped_B |= observations_BO[:, self.element] * np.sign(self.speed) <= abs(self.speed)
        both = [np.clip(one.act(one.normalise(observations_BO)), -1, 1) for one in (self.then, self.brake)]
        return np.where(self.is_stopped_B[:, None], *both)


def distill(start: Policy, relay: Relay, seed: int = 0) -> Policy:
    """One network of THEN's shape that acts as the relay does."""
    rng, ids = np.random.default_rng(seed), np.arange(ENVIRONMENTS)
    stepper = training_stepper(relay.then.skill, ENVIRONMENTS)
    starts = gather_starts([start], seed=seed, num_envs=ENVIRONMENTS)

    def begin(rows: np.ndarray) -> np.ndarray:
        observations_BO = stepper.reset(rows, rng.integers(MAX_SEED, size=len(rows)).tolist())
        moving = rows < STARTED * ENVIRONMENTS
        relay.is_stopped_B[rows] = ~moving
        if moving.any():
            drawn = rng.integers(len(starts.qpos_NQ), size=int(moving.sum()))
            observations_BO[moving] = stepper.set_state(rows[moving], starts.qpos_NQ[drawn], starts.qvel_NV[drawn])
        return observations_BO

    widths = [len(relay.then.mean_O), *(len(bias) for _, bias in relay.then.layers)]
    flat = torch.nn.Parameter(torch.zeros(num_weights(widths)))
    flat.grad = torch.zeros_like(flat)
    network = TanhNetwork(widths, flat.detach(), flat.grad)
    network.initialise(last_gain=1.0, generator=torch.Generator().manual_seed(seed))
    policy, read, told = relay.then, [], []
    observations_BO = begin(ids)
    for turn in range(ROUNDS):
        for _ in range(STEPS):
            intended_BA = relay(observations_BO)
            read.append(observations_BO)
            told.append(intended_BA)
            acted_BA = intended_BA if turn == 0 else policy.act(policy.normalise(observations_BO))
            step = stepper.step(policy.to_box(acted_BA + NOISE * rng.standard_normal(acted_BA.shape)))
            observations_BO = step.observations_BO.copy()
            over = ids[step.terminated_B | step.truncated_B | (rng.random(ENVIRONMENTS) < 1 / STEPS)]
            if len(over):
                observations_BO[over] = begin(over)
        if turn == 0:
            moments = Moments.zeros(widths[0])
            moments.update(np.concatenate(read))
            policy = replace(policy, mean_O=moments.mean, std_O=np.sqrt(moments.variance + 1e-8))
        observations_NO, actions_NA = policy.normalise(np.concatenate(read)), np.concatenate(told)
        error = imitate(network, flat, torch.from_numpy(observations_NO), torch.from_numpy(actions_NA).float(), rng)
        layers = tuple((weight.numpy().copy(), bias.numpy().copy()) for weight, bias in network.layers)
        policy = policy.with_layers(layers, np.full(widths[-1], np.log(STD), np.float32))
        print(f"round {turn + 1} of {ROUNDS}: mean squared error {error:.4f}", file=sys.stderr)
    return policy


@torch.no_grad()
def imitate(
    network: TanhNetwork,
    flat: torch.nn.Parameter,
    observations_NO: torch.Tensor,
    actions_NA: torch.Tensor,
    rng: np.random.Generator,
) -> float:
    """Least squares by Adam, its rate falling to 0; the mean squared error of the last pass."""
    optimiser = torch.optim.Adam([flat], RATE)
    batches = len(observations_NO) // BATCH
    for epoch in range(EPOCHS):
        order_N, total = torch.from_numpy(rng.permutation(len(observations_NO))), 0.0
        for batch in range(batches):
            rows = order_N[batch * BATCH : (batch + 1) * BATCH]
            optimiser.param_groups[0]["lr"] = RATE * (1 - (epoch * batches + batch) / (EPOCHS * batches))
            errors_NA = network(observations_NO[rows]) - actions_NA[rows]
            network.backward(errors_NA / BATCH)
            optimiser.step()
            total += float(errors_NA.square().mean())
    return total / batches


def main() -> None:
    """Distill what the command line names."""
    start, brake, speed, then, out = sys.argv[1:]
    torch.set_num_threads(1)
    policies = [Policy.load(find_expert(one)) for one in (start, brake, then)]
    stepper = training_stepper(policies[2].skill, 1)
    element = [one.name for one in stepper.spec.observation].index("vel/rootx")
    folder = open_run(out)
    distill(policies[0], Relay(policies[1], policies[2], float(speed), element)).save(folder)
    inputs = {one: as_input(find_expert(one)) for one in (start, brake, then)}
    command = f"python scripts/distill_expert.py {' '.join(sys.argv[1:])}"
    write_provenance(folder, command=command, config={"speed": float(speed)}, seeds={"seed": 0}, inputs=inputs)
    print(Path(folder))


if __name__ == "__main__":
    main()
