"""Policies: a small network (tanh or ReLU) with its observation normaliser inside, in numpy alone.

In: observations (B, O) as the environment gives them. Out: actions (B, A) float32 inside the action box.
On disk: a folder with `policy.safetensors` (weights, normaliser, box) and `policy.json` (what it is for). Format 1 is a
tanh network as our PPO trains it; format 2 also says how another one acts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from gato.runs import write_atomic, write_json
from gato.skills.bodies import get_body
from gato.skills.table import SKILLS
from gato.specs import near_match

FORMATS = (1, 2)
"""That can be read. The first is written wherever it says enough, so that older versions read it too."""
OBSERVATION_CLIP = 10.0
"""Normalised observations beyond this many standard deviations are cut (as in Stable-Baselines3's VecNormalize)."""
Activation = Literal["tanh", "relu"]
ACTIVATIONS: dict[str, Callable[..., np.ndarray]] = {"tanh": np.tanh, "relu": partial(np.maximum, np.float32(0))}


@dataclass(frozen=True, repr=False)
class Policy:
    """Acts on raw observations; `layers` are (weight (in, out), bias (out,)) pairs, `activation` between them."""

    skill: str
    mean_O: np.ndarray
    """float64 mean of the observations seen in training."""
    std_O: np.ndarray
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    log_std_A: np.ndarray
    """Of the exploration noise, in units of half the action box; -inf where it depends on what is observed."""
    low_A: np.ndarray
    high_A: np.ndarray
    activation: Activation = "tanh"
    is_squashed: bool = False
    """Whether a last tanh keeps the means inside the box (SAC, TD3), instead of a cut."""
    observation_clip: float = OBSERVATION_CLIP
    """In standard deviations; inf for a network that was trained without a normaliser."""

    def __repr__(self) -> str:
        widths = [self.layers[0][0].shape[0], *(bias.shape[0] for _, bias in self.layers)]
        return f"Policy({self.skill!r}, {'-'.join(map(str, widths))})"

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        """The deterministic action (B, A), float32, inside the box."""
        return self.to_box(self.act(self.normalise(observations_BO)))

    def sample(self, observations_BO: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """An action drawn from the Gaussian the policy was trained with, clipped to the box."""
        mean_BA = self.act(self.normalise(observations_BO))
        noise_BA = rng.standard_normal(mean_BA.shape, np.float32)
        return self.to_box(mean_BA + np.exp(self.log_std_A) * noise_BA)

    def see(self, observations_BO: np.ndarray) -> np.ndarray:
        """Angles within half a turn: who takes over from a flip has never counted turns."""
        skill = SKILLS.get(self.skill)
        return observations_BO if skill is None else get_body(skill.body).as_it_looks(observations_BO)

    def normalise(self, observations_BO: np.ndarray) -> np.ndarray:
        """Standardised, clipped float32 observations: what the network reads."""
        scaled_BO = (self.see(observations_BO) - self.mean_O) / self.std_O
        return np.clip(scaled_BO, -self.observation_clip, self.observation_clip, out=scaled_BO).astype(np.float32)

    def act(self, normalised_BO: np.ndarray) -> np.ndarray:
        """The network alone: means (B, A) in units of half the box, unclipped."""
        hidden_BD, activate = normalised_BO, ACTIVATIONS[self.activation]
        for weight, bias in self.layers[:-1]:
            hidden_BD = hidden_BD @ weight
            hidden_BD += bias
            activate(hidden_BD, out=hidden_BD)
        weight, bias = self.layers[-1]
        mean_BA = hidden_BD @ weight + bias
        return np.tanh(mean_BA) if self.is_squashed else mean_BA

    def to_box(self, unit_BA: np.ndarray) -> np.ndarray:
        """-1..1 (clipped) to the action box."""
        centre_A, half_A = (self.high_A + self.low_A) / 2, (self.high_A - self.low_A) / 2
        return np.clip(centre_A + half_A * unit_BA, self.low_A, self.high_A).astype(np.float32)

    def save(self, folder: Path | str) -> Path:
        """Write the folder; each file appears whole or not at all."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: getattr(self, name) for name in ("mean_O", "std_O", "log_std_A", "low_A", "high_A")}
        for index, (weight, bias) in enumerate(self.layers):
            tensors |= {f"layer{index}.weight": weight, f"layer{index}.bias": bias}
        write_atomic(folder / "policy.safetensors", save({k: np.ascontiguousarray(v) for k, v in tensors.items()}))
        write_json(folder / "policy.json", self._facts())
        return folder

    def _facts(self) -> dict[str, Any]:
        """What `policy.json` says; no clip is null there."""
        facts = {"format": 1, "skill": self.skill, "layers": len(self.layers)}
        if (self.activation, self.is_squashed, self.observation_clip) == ("tanh", False, OBSERVATION_CLIP):
            return facts
        clip = self.observation_clip if math.isfinite(self.observation_clip) else None
        how = {"activation": self.activation, "is_squashed": self.is_squashed, "observation_clip": clip}
        return {**facts, "format": 2, **how}

    @classmethod
    def load(cls, folder: Path | str) -> Policy:
        """Read a folder written by `save`; ValueError names a missing, foreign or damaged file."""
        folder = Path(folder)
        for name in ("policy.json", "policy.safetensors"):
            if not (folder / name).is_file():
                raise ValueError(f"{folder} is not an expert: {name} is missing; train one with gato expert train")
        try:
            facts = json.loads((folder / "policy.json").read_text())
            tensors = load_file(folder / "policy.safetensors")
            if facts["format"] not in FORMATS:
                raise ValueError(f"format {facts['format']}, this version reads {' and '.join(map(str, FORMATS))}")
            layers = tuple((tensors[f"layer{i}.weight"], tensors[f"layer{i}.bias"]) for i in range(facts["layers"]))
            named: dict[str, Any] = {
                name: tensors[name] for name in ("mean_O", "std_O", "log_std_A", "low_A", "high_A")
            }
            return cls(skill=facts["skill"], layers=layers, **named, **_how(facts))
        except (SafetensorError, KeyError, ValueError) as error:
            raise ValueError(f"the expert in {folder} cannot be read ({error}); copy or train it again") from error

    def with_layers(self, layers: tuple[tuple[np.ndarray, np.ndarray], ...], log_std_A: np.ndarray) -> Policy:
        """The same policy with other weights."""
        return replace(self, layers=layers, log_std_A=log_std_A)


def _how(facts: dict[str, Any]) -> dict[str, Any]:
    """What format 2 says beyond format 1."""
    if facts["format"] == 1:
        return {}
    if facts["activation"] not in ACTIVATIONS:
        raise ValueError(f'activation "{facts["activation"]}"; {near_match(facts["activation"], ACTIVATIONS)}')
    clip = math.inf if facts["observation_clip"] is None else float(facts["observation_clip"])
    return {"activation": facts["activation"], "is_squashed": facts["is_squashed"], "observation_clip": clip}
