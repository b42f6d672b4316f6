"""Training rate of our step against the same step around a transformers Llama trunk of equal shape; and of the loader.

    python benchmarks/training.py [--rounds 5] [--steps 6] [--threads 2]

The batches are those of configs/demo.yaml, on its recipe with ten episodes a dataset. All arms share data, embeddings,
heads, loss, clipping and fused AdamW, start from equal weights (their first losses are printed) and take turns in one
run; only the trunk differs: ours, or `LlamaModel` with eager attention or SDPA. Rates are medians over the rounds,
positions counted with their padding. Prints one table, writes benchmarks/results/training.json. Targets: 1.2 times the
faster Llama, loader 20 times the training rate.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel

from gato.model.config import TrunkConfig
from gato.model.gato import Gato
from gato.model.trunk import Place, llama_settings, load_llama
from gato.record import load_recipe, record_skill
from gato.specs import Rows
from gato.training.cli import make_cli

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "training.json"
TRUNKS = ("ours", "llama-eager", "llama-sdpa")
Batch = Sequence[Rows]


class LlamaTrunk(nn.Module):
    """`LlamaModel` with the interface of our trunk, sees what it sees."""

    def __init__(self, config: TrunkConfig, attention: str) -> None:
        super().__init__()
        self.config = config
        self.llama = LlamaModel(
            LlamaConfig(
                vocab_size=1,
                max_position_embeddings=2048,
                attn_implementation=attention,
                use_cache=False,
                **llama_settings(config),
            )
        )

    def forward(self, hidden_BSD: Tensor, place: Place) -> Tensor:
        assert place.visible_BSL is not None
        mask = place.visible_BSL[:, None]
        if self.llama.config._attn_implementation == "eager":
            lowest = torch.finfo(hidden_BSD.dtype).min
            mask = torch.zeros(mask.shape, dtype=hidden_BSD.dtype).masked_fill(~mask, lowest)
        out = self.llama(inputs_embeds=hidden_BSD, position_ids=place.rotary_BS, attention_mask=mask)
        return out.last_hidden_state


@dataclass
class Arm:
    """One trunk in one precision, with an optimiser of its own."""

    name: str
    model: Gato
    optimizer: torch.optim.Optimizer
    is_bf16: bool

    def update(self, batch: Batch) -> float:
        """Loss, backward, clipping, AdamW: what `gato fit` does for one batch."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.is_bf16):
            loss = self.model.loss(batch).total
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return float(loss.detach())


def make_arms(model: Gato) -> list[Arm]:
    """Ours and both Llamas, in fp32 and bf16, all with the same weights."""
    first = LlamaTrunk(model.config.trunk, "eager")
    state = {f"model.{name}": value for name, value in first.llama.state_dict().items()}
    load_llama(model.trunk, state)
    arms = []
    for is_bf16 in (False, True):
        for name in TRUNKS:
            chosen = copy.deepcopy(model)
            if name != "ours":
                trunk = LlamaTrunk(model.config.trunk, name.removeprefix("llama-"))
                trunk.load_state_dict(first.state_dict())
                chosen.trunk = trunk  # type: ignore[assignment]
                # A trunk that knows nothing of padding computes it.
                chosen.hidden_read = chosen.hidden  # type: ignore[method-assign]
            optimizer = torch.optim.AdamW(chosen.parameters(), lr=1e-4, betas=(0.9, 0.95), fused=True)
            arms.append(Arm(f"{name} {'bf16' if is_bf16 else 'fp32'}", chosen, optimizer, is_bf16))
    return arms


def measure(arms: list[Arm], batches: list[Batch], rounds: int) -> dict[str, float]:
    """Median seconds an update; the arms take turns, so that a busy machine is busy for all of them."""
    losses = {arm.name: arm.update(batches[0]) for arm in arms}
    print("first losses:", ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items()))
    seconds: dict[str, list[float]] = {arm.name: [] for arm in arms}
    for _ in range(rounds):
        for arm in arms:
            began = time.perf_counter()
            for batch in batches:
                arm.update(batch)
            seconds[arm.name].append((time.perf_counter() - began) / len(batches))
    return {name: statistics.median(values) for name, values in seconds.items()}


def loader_seconds(stream: Any, batches: int = 100) -> float:
    """Seconds a batch of the loader alone; the first ten fill the cache of text ids."""
    running = iter(stream)
    list(islice(running, 10))
    began = time.perf_counter()
    list(islice(running, batches))
    return (time.perf_counter() - began) / batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MINARI_DATASETS_PATH"], os.environ["GATO_CACHE"] = folder, str(Path(folder) / "cache")
        for recording in load_recipe("demo"):
            record_skill(replace(recording, episodes=10))
        cli = make_cli("fit", ["-c", str(ROOT / "configs" / "demo.yaml"), "--out", str(Path(folder) / "run")])
        data: Any = cli.datamodule
        data.prepare_data()
        data.setup()
        stream = data.train_dataloader()
        batches = list(islice(iter(stream), options.steps))
        model = Gato(cli.model.network, data.codec)
        seconds = measure(make_arms(model), batches, options.rounds)
        loader = loader_seconds(stream)
    positions = statistics.mean(sum(model.num_positions(rows) for rows in batch) for batch in batches)
    steps = statistics.mean(sum(int(rows.step_mask_BT.sum()) for rows in batch) for batch in batches)
    report(options, seconds, loader, positions, steps)


def report(
    options: argparse.Namespace, seconds: dict[str, float], loader: float, positions: float, steps: float
) -> None:
    """The table, and the same as JSON."""
    arms, speedup = {}, {}
    print(f"{'trunk':18}{'ms/update':>10}{'positions/s':>13}{'env steps/s':>13}{'ours is':>9}")
    for name, value in seconds.items():
        ours = seconds[f"ours {name[-4:]}"]
        arms[name] = {
            "seconds_per_update": value,
            "positions_per_second": positions / value,
            "env_steps_per_second": steps / value,
        }
        print(f"{name:18}{1e3 * value:10.0f}{positions / value:13,.0f}{steps / value:13,.0f}{value / ours:8.2f}x")
    for precision in ("fp32", "bf16"):
        fastest = min(seconds[f"{name} {precision}"] for name in TRUNKS[1:])
        speedup[precision] = fastest / seconds[f"ours {precision}"]
    ratio = min(seconds[f"ours {precision}"] for precision in ("fp32", "bf16")) / loader
    print(f"loader alone: {1e3 * loader:.1f} ms a batch, {ratio:.0f} times our fastest training")
    print(f"against the faster Llama: fp32 {speedup['fp32']:.2f}x, bf16 {speedup['bf16']:.2f}x (target 1.2x)")
    figures = {
        "settings": {"rounds": options.rounds, "steps": options.steps, "threads": options.threads},
        "arms": arms,
        "against_faster_llama": speedup,
        "loader_seconds_per_batch": loader,
        "loader_against_training": ratio,
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
