"""benchmarks/gpu.py where there is no GPU: its count of operations, one tiny run of each part, a part that fails."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from gato.model.config import TrunkConfig
from gato.model.trunk import Kept, Place, Trunk

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
ABSENT = ("gymnasium", "mujoco", "minari", "lightning", "h5py", "jsonargparse", "imageio", "stable_baselines3")
"""What a machine with a GPU may lack."""


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    """The benchmark's files, by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield {name: import_module(name) for name in ("flops", "gpu_training", "gpu_rollout", "gpu", "random_rows")}
    logging.disable(logging.NOTSET)  # The benchmark is quiet; who comes after it listens.


def test_operations_of_one_layer_are_those_counted_by_hand(modules: dict[str, ModuleType]) -> None:
    """Width 4, one head, MLP of 8: 48 weights before attention, 16 + 96 after it."""
    flops = modules["flops"]
    config = TrunkConfig(width=4, layers=1, heads=1, hidden=8)
    work = flops.Computed(rows=2, length=5, positions=7, read=3)
    assert flops.training_flops(config, work) == 6 * (48 * 7 + 112 * 3) + 12 * 2 * 5 * 5 * 4


def test_operations_are_those_that_torch_counts(modules: dict[str, ModuleType]) -> None:
    config = TrunkConfig(width=32, layers=3, heads=4, hidden=40, key_value_heads=2)
    rows, length = 3, 8
    existing, read = np.array([0, 1, 2, 5, 8, 9, 17, 20]), np.array([2, 5, 20])
    kept = Kept(*(torch.from_numpy(one) for one in (existing, read, np.searchsorted(existing, read))))
    visible_BSL = torch.ones(length, length).tril().bool().expand(rows, -1, -1)
    hidden_BSD = torch.randn(rows, length, 32, requires_grad=True)
    trunk = Trunk(config)
    # Attention with grouped heads is one kernel on a CPU; it is counted by its formula.
    with FlopCounterMode(display=False) as counter:
        trunk.forward_kept(hidden_BSD, Place(torch.arange(length).expand(rows, -1), visible_BSL), kept).sum().backward()
    counted = {str(name): value for name, value in counter.get_flop_counts()["Global"].items()}
    work = modules["flops"].Computed(rows, length, len(existing), len(read))
    attention = 12 * 3 * rows * length**2 * 32
    assert counted["aten.mm"] == modules["flops"].training_flops(config, work) - attention


def test_what_is_computed_is_no_less_than_what_is_needed(modules: dict[str, ModuleType]) -> None:
    training = modules["gpu_training"]
    model = training.make_model("nano", torch.device("cpu"))
    batch = training.make_batches(model, 22)[0]
    found, least = modules["flops"].computed(model, batch), training.least(model, batch)
    whole = modules["flops"].whole(model, batch)
    assert least.read <= found.read <= found.positions <= whole.positions
    assert least.positions <= found.positions
    assert modules["random_rows"].num_tokens(batch) > least.positions
    assert "forward_kept" not in vars(model.trunk)


def test_each_part_gives_figures(modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    training, rollout = modules["gpu_training"], modules["gpu_rollout"]
    monkeypatch.setitem(training.ROWS, "nano", 11)
    monkeypatch.setattr(training, "BATCHES", 1)
    for name, value in (("ENVS", (2,)), ("ACTIONS", {2: 2}), ("WARM", 2)):
        monkeypatch.setattr(rollout, name, value)
    for name, value in (("UPDATES", 6), ("SMOKE_ROWS", 11), ("SMOKE_ENVS", 2), ("SMOKE_STEPS", 20)):
        monkeypatch.setattr(rollout, name, value)
    bench = training.Bench(torch.device("cpu"), is_compiled=False, rounds=1, peak=1e11)
    arms = {arm.name: training.measure_arm("nano", arm, bench) for arm in training.ARMS}
    assert all(arm["tokens_per_second"] > arm["positions_per_second"] > 0 for arm in arms.values())
    assert arms["ours, adamw"]["loss"] == pytest.approx(arms["ours whole, adamw"]["loss"], abs=1e-4)
    assert training.against_llama({"nano": arms}).keys() == {"nano"}
    ways = {way.name: rollout.measure_way("nano", way, bench) for way in rollout.WAYS}
    assert ways["eager"]["2 environments"]["p99_ms"] > 0 and "skipped" in ways["graph"]
    smoke = rollout.smoke("nano", bench)
    assert smoke["loss_falls"] and smoke["largest_difference_cached_from_encoded_anew"]["fp32"] < 1e-4


def test_a_part_that_fails_leaves_the_others(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    report = modules["gpu"].Report(tmp_path / "gpu.json", minutes=1)
    report.part("acting", "small", "eager", work=lambda: {"1 environment": {"p99_ms": 4.0}})
    report.part("acting", "small", "graph", work=lambda: 1 / 0)
    report.part("training", "1.2b", "ours", work=lambda: {"rows": 8, "utilisation_of_measured_peak": 0.4})
    report.minutes = 0
    report.part("training", "1.2b", "llama", work=dict)
    told = json.loads((tmp_path / "gpu.json").read_text())
    assert told["acting"]["small"]["graph"] == {"error": "ZeroDivisionError: division by zero"}
    assert "skipped" in told["training"]["1.2b"]["llama"]
    goals = {name: one["is_met"] for name, one in told["goals"].items()}
    assert goals == {"p99 of an action of small, ms": True, "utilisation of 1.2b": False}


def test_it_needs_neither_simulator_nor_datasets(tmp_path: Path) -> None:
    """Machines with a GPU may lack both: then random rows are all, and the file says so."""
    words = ["gpu.py", "--device", "cpu", "--sizes", "nano", "--minutes", "0", "--out", str(tmp_path)]
    code = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({ABSENT})); sys.path.insert(0, {str(BENCHMARKS)!r}); "
        f"sys.argv = {words}; runpy.run_path({str(BENCHMARKS / 'gpu.py')!r}, run_name='__main__')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=BENCHMARKS.parent, check=True, timeout=120)
    told = json.loads((tmp_path / "gpu.json").read_text())
    assert "gymnasium" in told["machine"]["public_path"] and told["peak"]["measured"]["best"] > 0
    assert "skipped" in told["smoke"]["nano"]["random rows"]
