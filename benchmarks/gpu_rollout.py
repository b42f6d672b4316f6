"""Part of benchmarks/gpu.py: actions of one size on a device, one by one and 256 at a time, and whether they are right.

In: a size. Out: for each way to run the trunk actions/s and the latency of an action, from the observation in numpy to
the action in numpy: tokens, copies to the device and back, and Python are in it. No physics.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from flops import wait
from gpu_training import Bench, Update, forget, make_batches, make_model, make_optimizer
from random_rows import make_codec
from torch import Tensor

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.model.trunk import Piece
from gato.rollout.agent import Agent

BODY = "half-cheetah"
ENVS = (1, 256)
ACTIONS = {1: 256, 256: 64}
"""Actions that are timed, for that many environments; a context is encoded anew every 8."""
WARM = 48
"""Actions before: three times a context, so that every shape has been met."""
UPDATES, SMOKE_ROWS, SMOKE_ENVS, SMOKE_STEPS = 20, 66, 8, 40


@dataclass(frozen=True)
class Way:
    """How the trunk is run."""

    name: str
    is_compiled: bool = False
    is_graph: bool = False


WAYS = (Way("eager"), Way("graph", is_graph=True), Way("compiled", True), Way("compiled graph", True, True))


class GraphAgent(Agent):
    """The trunk is recorded once a shape as a CUDA graph and replayed: one launch instead of hundreds."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._recorded: dict[Any, tuple[torch.cuda.CUDAGraph, Piece, Tensor]] = {}
        self._of: Any = None

    def _run_trunk(self, piece: Piece) -> Tensor:
        if self._of is not self._cache:
            self._recorded.clear()
            self._of = self._cache
        key = (piece.hidden_BSD.shape, len(self._alive))
        if key not in self._recorded:
            self._recorded[key] = self._record(
                replace(piece, hidden_BSD=piece.hidden_BSD.clone(), place=replace(piece.place))
            )
        graph, at, out = self._recorded[key]
        at.hidden_BSD.copy_(piece.hidden_BSD)
        for name in ("rotary_BS", "visible_BSL", "rows_B", "entries_BS"):
            getattr(at.place, name).copy_(getattr(piece.place, name))
        graph.replay()
        return out.clone()

    def _record(self, piece: Piece) -> tuple[torch.cuda.CUDAGraph, Piece, Tensor]:
        """To write keys and values twice is to write them once, so that the rehearsals do no harm."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):
                super()._run_trunk(piece)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = super()._run_trunk(piece)
        return graph, piece, out


def observations(envs: int, steps: int) -> np.ndarray:
    """Standard normal, (T, B, O)."""
    count = len(make_codec([BODY]).body(BODY).spec.observation)
    return np.random.default_rng(0).standard_normal((steps, envs, count), np.float32)


def measure_acting(model: Gato, envs: int, way: Way, bench: Bench) -> dict[str, float]:
    """Of one number of environments."""
    kind = GraphAgent if way.is_graph else Agent
    agent = kind(model, BODY, ["run forward"] * envs)
    seen_TBO = observations(envs, WARM + ACTIONS[envs])
    for observation_BO in seen_TBO[:WARM]:
        agent(observation_BO)
    wait(bench.device)
    ends = [time.perf_counter()]
    for observation_BO in seen_TBO[WARM:]:
        agent(observation_BO)
        ends.append(time.perf_counter())
    milliseconds = 1e3 * np.diff(ends)
    return {
        "actions_per_second": envs * len(milliseconds) / (ends[-1] - ends[0]),
        "p50_ms": float(np.median(milliseconds)),
        "p99_ms": float(np.percentile(milliseconds, 99)),
        "most_ms": float(milliseconds.max()),
    }


def actor(size: str, bench: Bench) -> Gato:
    """One body; in bf16 where that is fast."""
    torch.manual_seed(0)
    with torch.device(bench.device):
        model = Gato(ModelConfig(size=size), make_codec([BODY])).eval()
    return model.to(torch.bfloat16) if bench.is_bf16 else model


def measure_way(size: str, way: Way, bench: Bench) -> dict[str, Any]:
    """The figures of one way, for each number of environments."""
    if way.is_graph and bench.device.type != "cuda":
        return {"skipped": "CUDA graphs are for GPUs"}
    if way.is_compiled and not bench.is_compiled:
        return {"skipped": "nothing is compiled"}
    forget(bench.device)
    model = actor(size, bench)
    if way.is_compiled:
        for block in model.trunk.blocks:
            block.compile(dynamic=False)
    return {f"{envs} environment{'s' * (envs > 1)}": measure_acting(model, envs, way, bench) for envs in ENVS}


class ReEncoding(Agent):
    """The same contexts without a cache: whatever was encoded is encoded again."""

    def _pieces(self, index: int) -> list[Piece]:
        self._cached_B[:] = 0
        return super()._pieces(index)


def smoke(size: str, bench: Bench) -> dict[str, Any]:
    """Build, train on one batch, act: by random rows. The loss must fall, actions be finite, the cache be right."""
    forget(bench.device)
    model = make_model(size, bench.device)
    batches = make_batches(model, SMOKE_ROWS)[:1]
    update = Update(model, make_optimizer("muon", model), batches, bench)
    losses = []
    for _ in range(UPDATES):
        update()
        losses.append(update.loss.detach())
    losses = [float(loss) for loss in losses]
    update = None  # type: ignore[assignment]
    model.eval().zero_grad()
    distances = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        model.to(dtype)
        distances[name] = _distance(model)
    return {
        "parameters": model.num_parameters(),
        "updates": UPDATES,
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "loss_falls": losses[-1] < losses[0],
        "largest_difference_cached_from_encoded_anew": distances,
        "steps": SMOKE_STEPS,
    }


def _distance(model: Gato) -> float:
    """Largest difference of a predicted mean, in units of the action's box, between cached and encoded anew."""
    cached, anew = (kind(model, BODY, ["run forward"] * SMOKE_ENVS) for kind in (_Heard, _HeardAnew))
    largest = 0.0
    for observation_BO in observations(SMOKE_ENVS, SMOKE_STEPS):
        actions_BA = cached(observation_BO)
        anew(observation_BO)
        if not np.isfinite(actions_BA).all():
            raise ValueError(f"actions are {actions_BA}")
        largest = max(largest, float((cached.mean - anew.mean).abs().max()))
        # Both go on with one history: a bin's difference must not grow into another one.
        anew.rows.action_BTA[:] = cached.rows.action_BTA
    return largest


class _Heard(Agent):
    mean: Tensor

    def _distribution(self, index: int, hidden_BD: Tensor) -> Any:
        found = super()._distribution(index, hidden_BD)
        self.mean = found.mean_GM  # type: ignore[attr-defined]
        return found


class _HeardAnew(_Heard, ReEncoding):
    pass
