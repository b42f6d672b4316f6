"""Networks of Stable-Baselines3's MlpPolicy as a Policy of ours: PPO, A2C, SAC, TD3, DDPG and TQC act alike.

In: the weights by name (a `state_dict`) and the few settings that they do not tell. Out: a `Policy`.
Nothing of Stable-Baselines3 is needed: the actor is linear layers with tanh or ReLU between them, and a tanh at the end
where it is squashed. What is not of that kind (pictures, memory, discrete actions) is refused by its name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from gato.experts.policy import ACTIVATIONS, Activation, Policy
from gato.experts.vecnormalize import Normaliser

NOT_ACTING = ("actor_target.", "critic", "value_net.", "mlp_extractor.value_net.", "vf_features_extractor.")
"""Beginnings of the names of weights that the deterministic action does not depend on."""
NOISE = ("log_std", "actor.log_std")
Layers = tuple[tuple[np.ndarray, np.ndarray], ...]


@dataclass(frozen=True)
class Settings:
    """What the weights do not tell."""

    source: str
    """Named in errors."""
    skill: str
    low_A: np.ndarray
    high_A: np.ndarray
    activation: str = ""
    """Class name, like ReLU; "" for the algorithm's own."""
    squash_output: bool = False
    """PPO and A2C only; SAC and TD3 always do."""


def make_policy(weights: Mapping[str, Tensor], settings: Settings, normaliser: Normaliser | None) -> Policy:
    """The actor among these weights, with its normaliser inside; ValueError where a Policy cannot act like it."""
    chain, is_on_policy = _chain(weights, settings.source)
    _refuse_leftovers(weights, chain, settings.source)
    layers = tuple(_layer(weights, name, settings.source) for name in chain)
    num_observations, num_actions = layers[0][0].shape[0], layers[-1][0].shape[1]
    is_squashed = settings.squash_output or not is_on_policy
    half_A = (settings.high_A - settings.low_A) / 2
    log_std_A = np.full(num_actions, -np.inf, np.float32)
    if is_on_policy and not is_squashed:
        # Its means are in the unit of the action itself, ours in halves of the box.
        weight, bias = layers[-1]
        centre_A = (settings.high_A + settings.low_A) / 2
        layers = (*layers[:-1], (weight / half_A, (bias - centre_A) / half_A))
        noise = weights.get("log_std")
        if noise is not None and noise.ndim == 1:
            log_std_A = (noise.numpy() - np.log(half_A)).astype(np.float32)
    if normaliser is None:
        normaliser = Normaliser(np.zeros(num_observations), np.ones(num_observations), math.inf)
    elif len(normaliser.mean_O) != num_observations:
        raise ValueError(
            f"{settings.source} reads {num_observations} numbers, but its normaliser has {len(normaliser.mean_O)};"
            " pass the one that was saved with it"
        )
    return Policy(
        settings.skill,
        mean_O=normaliser.mean_O,
        std_O=normaliser.std_O,
        layers=layers,
        log_std_A=log_std_A,
        low_A=settings.low_A,
        high_A=settings.high_A,
        activation=_activation(settings, "tanh" if is_on_policy else "relu"),
        is_squashed=is_squashed,
        observation_clip=normaliser.clip,
    )


def _chain(weights: Mapping[str, Tensor], source: str) -> tuple[list[str], bool]:
    """Names of the actor's layers in order, and whether the algorithm is PPO or A2C."""

    def numbered(prefix: str) -> list[str]:
        found = [re.fullmatch(re.escape(prefix) + r"\.(\d+)\.weight", name) for name in weights]
        return [f"{prefix}.{number}" for number in sorted(int(one[1]) for one in found if one)]

    if "action_net.weight" in weights:
        hidden = numbered("mlp_extractor.shared_net") + numbered("mlp_extractor.policy_net")
        return [*hidden, "action_net"], True
    if "actor.mu.weight" in weights:
        return [*numbered("actor.latent_pi"), "actor.mu"], False
    if numbered("actor.mu") and not numbered("actor.latent_pi"):
        return numbered("actor.mu"), False
    if numbered("actor.mu"):
        raise ValueError(f"{source} is SAC with state-dependent exploration, whose means are cut; {_otherwise(source)}")
    kind = "acts by values of discrete actions (DQN)" if any("q_net" in name for name in weights) else "has no actor"
    raise ValueError(f"{source} {kind}; PPO, A2C, SAC, TD3, DDPG and TQC of the kind MlpPolicy are read")


def _refuse_leftovers(weights: Mapping[str, Tensor], chain: list[str], source: str) -> None:
    used = {f"{name}.{part}" for name in chain for part in ("weight", "bias")}
    left = [name for name in weights if name not in used and not name.startswith(NOT_ACTING + NOISE)]
    if left:
        raise ValueError(
            f"{source} has weights that an MlpPolicy has not ({', '.join(left[:3])}: pictures, memory or normalising"
            f" layers); {_otherwise(source)}"
        )


def _layer(weights: Mapping[str, Tensor], name: str, source: str) -> tuple[np.ndarray, np.ndarray]:
    """(weight (in, out), bias (out,)), float32; torch keeps weights the other way round."""
    weight, bias = weights[f"{name}.weight"], weights.get(f"{name}.bias")
    if weight.ndim != 2 or bias is None:
        raise ValueError(f"{source}: {name} is no linear layer (shape {tuple(weight.shape)}); {_otherwise(source)}")
    return np.ascontiguousarray(weight.float().numpy().T), bias.float().numpy().copy()


def _activation(settings: Settings, usual: Activation) -> Activation:
    name = settings.activation.lower() or usual
    if name not in ACTIVATIONS:
        allowed = " and ".join(ACTIVATIONS)
        told = f"{settings.source} has {settings.activation} between its layers; {allowed} are read"
        raise ValueError(f"{told}; {_otherwise(settings.source)}")
    return name  # type: ignore[return-value]


def _otherwise(source: str) -> str:
    return f"let a Python file of yours load {Path(source).name} and pass --expert module.py:factory"
