"""Several experts become one that is told in numbers: python scripts/distill_teacher.py OUT BODY LOW:HIGH=EXPERT ...

In: experts (skill ids or folders) of a body whose teacher is told one number, its forward speed, and the range of it
(m/s) that each is right for; those that are told themselves keep being told. Out: the policy OUT, a teacher of
BODY/command that imitates whoever is right for what it is told, with provenance: something for `gato expert train
--init-from OUT` to go on with, which learns what lies between and how to change from one to the other.

DAgger (Ross et al. 2011): the network acts with noise, and what it should have done in its own states is learned.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import numpy as np
import torch
from distill_expert import ENVIRONMENTS, NOISE, ROUNDS, STD, STEPS, imitate

from gato.experts.collect import Moments
from gato.experts.commanded import listening
from gato.experts.curriculum import MAX_SEED, CommandedStepper
from gato.experts.network import TanhNetwork, num_weights
from gato.experts.policy import Policy
from gato.experts.shipped import find_expert
from gato.runs import as_input, open_run, write_provenance
from gato.skills.table import get_skill


@dataclass(frozen=True)
class Part:
    """Who is right where."""

    low: float
    high: float
    expert: str

    @classmethod
    def read(cls, text: str) -> Part:
        """From LOW:HIGH=EXPERT."""
        bounds, _, expert = text.partition("=")
        low, _, high = bounds.partition(":")
        return cls(float(low), float(high), expert)


def label(parts: list[tuple[Part, Policy]], observations_BO: np.ndarray) -> np.ndarray:
    """What whoever is right would do, (B, A) in units of half the box, NaN where nobody is."""
    told_B = observations_BO[:, -1]
    right_BA = np.full((len(observations_BO), len(parts[0][1].low_A)), np.nan)
    for part, policy in parts:
        rows = (told_B >= part.low) & (told_B <= part.high)
        right_BA[rows] = np.clip(policy.act(policy.normalise(observations_BO[rows])), -1, 1)
    return right_BA


def distill(body: str, parts: list[Part], seed: int = 0) -> Policy:
    """One network of the first expert's shape."""
    skill = get_skill(f"{body}/command")
    policies = [Policy.load(find_expert(part.expert)) for part in parts]
    told = [one if get_skill(one.skill).is_commanded else listening(one, skill) for one in policies]
    right = list(zip(parts, told, strict=True))
    rng, ids = np.random.default_rng(seed), np.arange(ENVIRONMENTS)
    stepper = CommandedStepper(skill, ENVIRONMENTS)
    widths = [len(stepper.spec.observation), *(len(bias) for _, bias in told[0].layers)]
    flat = torch.nn.Parameter(torch.zeros(num_weights(widths)))
    flat.grad = torch.zeros_like(flat)
    network = TanhNetwork(widths, flat.detach(), flat.grad)
    network.initialise(last_gain=1.0, generator=torch.Generator().manual_seed(seed))
    policy, read, intended = replace(told[0], skill=skill.id), [], []
    observations_BO = stepper.reset(ids, rng.integers(MAX_SEED, size=ENVIRONMENTS).tolist())
    for turn in range(ROUNDS):
        for _ in range(STEPS):
            right_BA = label(right, observations_BO)
            known_B = np.isfinite(right_BA[:, 0])
            read.append(observations_BO[known_B])
            intended.append(right_BA[known_B])
            acted_BA = np.nan_to_num(right_BA) if turn == 0 else policy.act(policy.normalise(observations_BO))
            step = stepper.step(policy.to_box(acted_BA + NOISE * rng.standard_normal(acted_BA.shape)))
            observations_BO = step.observations_BO.copy()
            over = ids[step.terminated_B | step.truncated_B | (rng.random(ENVIRONMENTS) < 1 / STEPS)]
            if len(over):
                observations_BO[over] = stepper.reset(over, rng.integers(MAX_SEED, size=len(over)).tolist())
        if turn == 0:
            moments = Moments.zeros(widths[0])
            moments.update(np.concatenate(read))
            policy = replace(policy, mean_O=moments.mean, std_O=np.sqrt(moments.variance + 1e-8))
        observations_NO, actions_NA = policy.normalise(np.concatenate(read)), np.concatenate(intended)
        error = imitate(network, flat, torch.from_numpy(observations_NO), torch.from_numpy(actions_NA).float(), rng)
        layers = tuple((weight.numpy().copy(), bias.numpy().copy()) for weight, bias in network.layers)
        policy = policy.with_layers(layers, np.full(widths[-1], np.log(STD), np.float32))
        print(f"round {turn + 1} of {ROUNDS}: mean squared error {error:.4f}", file=sys.stderr)
    return policy


def main() -> None:
    """Distill what the command line names."""
    out, body, *texts = sys.argv[1:]
    torch.set_num_threads(1)
    parts = [Part.read(text) for text in texts]
    folder = open_run(out)
    distill(body, parts).save(folder)
    inputs = {part.expert: as_input(find_expert(part.expert)) for part in parts}
    command = f"python scripts/distill_teacher.py {' '.join(sys.argv[1:])}"
    write_provenance(folder, command=command, config={"parts": texts}, seeds={"seed": 0}, inputs=inputs)
    print(folder)


if __name__ == "__main__":
    main()
