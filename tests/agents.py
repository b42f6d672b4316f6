"""Makes agents as Stable-Baselines3 writes them, without it: zips with weights and JSON, and pickles of normalisers."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch


def write_agent(
    path: Path,
    weights: Mapping[str, Sequence[Any]],
    *,
    spaces: tuple[int, int, float] = (4, 1, 3.0),
    **facts: Any,
) -> Path:
    """A zip with these weights; `spaces`: observed numbers, actions, and their bound. By default of our pendulum."""
    observations, actions, bound = spaces
    data = {
        "observation_space": {":type:": "<class 'gym.spaces.box.Box'>", ":serialized:": "???", "shape": [observations]},
        "action_space": {
            ":type:": "<class 'gymnasium.spaces.box.Box'>",
            "_shape": [actions],
            "low": str(np.full(actions, -bound, np.float32)),
            "high": str(np.full(actions, bound, np.float32)),
        },
        "policy_kwargs": {},
        "_last_original_obs": None,
        **facts,
    }
    content = io.BytesIO()
    torch.save({name: torch.tensor(value, dtype=torch.float32) for name, value in weights.items()}, content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", json.dumps(data))
        archive.writestr("policy.pth", content.getvalue())
    return path


def on_policy(weight: float = 1.0, bias: float = 0.0) -> dict[str, Sequence[Any]]:
    """PPO or A2C on the pendulum: one hidden number, the third one observed; the action is `weight` times it."""
    return {
        "log_std": [0.0],
        "mlp_extractor.policy_net.0.weight": [[0.0, 0.0, 1.0, 0.0]],
        "mlp_extractor.policy_net.0.bias": [0.0],
        "mlp_extractor.value_net.0.weight": [[9.0, 9.0, 9.0, 9.0]],
        "mlp_extractor.value_net.0.bias": [9.0],
        "action_net.weight": [[weight]],
        "action_net.bias": [bias],
        "value_net.weight": [[9.0]],
        "value_net.bias": [9.0],
    }


def off_policy() -> dict[str, Sequence[Any]]:
    """SAC on the pendulum: ReLU of the third number observed, then half of it less one."""
    return {
        "actor.latent_pi.0.weight": [[0.0, 0.0, 1.0, 0.0]],
        "actor.latent_pi.0.bias": [0.0],
        "actor.mu.weight": [[0.5]],
        "actor.mu.bias": [-1.0],
        "actor.log_std.weight": [[0.0]],
        "actor.log_std.bias": [0.0],
        "critic.qf0.0.weight": [[9.0]],
    }


def write_normaliser(path: Path, mean: Sequence[float], variance: Sequence[float], **state: Any) -> Path:
    """A vecnormalize.pkl as gym and numpy 1 left it: protocol 3, the old names of their modules."""
    moments = pickled(
        "stable_baselines3.common.running_mean_std", "RunningMeanStd", mean=np.array(mean), var=np.array(variance)
    )
    space = pickled("gym.spaces.box", "Box", dtype=np.dtype("f8"), low=np.float32(-1), _np_random=None)
    kept = {"observation_space": space, "obs_rms": moments, "clip_obs": 5.0, "epsilon": 0.25, "norm_obs": True, **state}
    content = pickled("stable_baselines3.common.vec_env.vec_normalize", "VecNormalize", **kept)
    path.write_bytes(b"\x80\x03" + content.replace(b"numpy._core", b"numpy.core") + b".")
    return path


def pickled(module: str, name: str, **state: Any) -> bytes:
    """An object with this state, as a piece of a pickle; values may be such pieces."""
    pairs = b"".join(
        _piece(key) + (value if isinstance(value, bytes) else _piece(value)) for key, value in state.items()
    )
    return f"c{module}\n{name}\n".encode() + b")\x81}(" + pairs + b"ub"


def _piece(value: Any) -> bytes:
    return pickle.dumps(value, protocol=3)[2:-1]
