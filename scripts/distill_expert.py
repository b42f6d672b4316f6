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
from gato.experts.curriculum import gather_starts, training_stepper
from gato.experts.imitate import ENVIRONMENTS, NOISE, ROUNDS, STD, STEPS, Imitator
from gato.experts.policy import Policy
from gato.experts.shipped import find_expert
from gato.runs import as_input, open_run, write_provenance
from gato.skills.environment import MAX_SEED

STARTED = 0.7
"""Share of episodes begun as FROM left the body."""


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
    learner = Imitator(widths, rng)
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
        error = learner.fit(policy.normalise(np.concatenate(read)), np.concatenate(told))
        policy = policy.with_layers(learner.weights(), np.full(widths[-1], np.log(STD), np.float32))
        print(f"round {turn + 1} of {ROUNDS}: mean squared error {error:.4f}", file=sys.stderr)
    return policy


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
