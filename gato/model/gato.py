"""The whole model: codec, slots, transformer, heads; rows of several bodies in one pass; saved as one folder.

In: a list of `specs.Rows`, one a body. Out: log-probabilities of the target actions, or distributions to act by.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from safetensors.torch import load_file, save
from torch import Tensor, nn

from gato import runs
from gato.model.balance import balanced
from gato.model.config import ModelConfig
from gato.model.few import FewPositions, lay_for_few
from gato.model.find import FILES, find_model
from gato.model.heads import ActionHead
from gato.model.slots import OptionalNumbers, SlotEmbedding, Tables
from gato.model.trunk import Kept, Place, Trunk
from gato.sequences import Layout, StepLayout, existing_positions, rotary_positions, step_layout, visible
from gato.specs import COMMANDS, BodySpec, Rows, near_match
from gato.tokens.codec import Codec
from gato.tokens.numbers import NUM_BINS

FORMAT = 1
SEGMENTS = ("text", "command", "demonstration")
STAGED_BYTES = 1 << 16
"""Copies up to that size never make the host wait for a GPU; larger ones do unless their memory is pinned."""
GPU_LENGTH_STEP = 8
"""On a GPU rows are padded to a multiple of it: fused attention takes masks aligned to 16 bytes of bf16."""
SIZE_STEP = 256
"""Positions computed in training are a multiple of it: oneDNN keeps code and memory for every size it has met."""


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(runs.to_json(content).encode()).hexdigest()


def rounded_up(chosen: np.ndarray, spare: np.ndarray) -> np.ndarray:
    """Sorted indices of the `chosen`, and as many of the `spare` as make a multiple of SIZE_STEP, if there are."""
    missing = -int(chosen.sum()) % SIZE_STEP
    extra = np.flatnonzero(spare & ~chosen)[:missing]
    return np.sort(np.concatenate([np.flatnonzero(chosen), extra]))


@dataclass(frozen=True)
class Losses:
    """Negative log-likelihood in nats an action element; `total` is the mean over rows."""

    total: Tensor
    bodies: dict[str, Tensor]
    modalities: dict[str, Tensor]
    """continuous, discrete: mean over the bodies that have such actions."""


class Body(nn.Module):
    """What one body adds to the model: its slots."""

    def __init__(self, config: ModelConfig, codec: Codec, spec: BodySpec) -> None:
        super().__init__()
        self.spec = spec
        self.steps: StepLayout = step_layout(config.layout, spec)
        self.observation = SlotEmbedding(config, spec.observation, codec.ranges)
        self.action = SlotEmbedding(config, spec.action, codec.ranges)
        self.head = ActionHead(config, spec.action, codec.ranges)


class Gato(nn.Module):
    """One transformer for every body its codec knows."""

    def __init__(self, config: ModelConfig, codec: Codec) -> None:
        super().__init__()
        self.config, self.codec = config, codec
        width = config.trunk.width
        self.trunk = Trunk(config.trunk)
        self.text = nn.Embedding(codec.text.size, width)
        self.segments = nn.Embedding(len(SEGMENTS), width)
        self.separator = nn.Parameter(torch.randn(width) * 0.5) if config.layout.separator else None
        self.tables = Tables(config)
        self.command = OptionalNumbers(config, codec.ranges, len(COMMANDS))
        self.returns = OptionalNumbers(config, codec.ranges, 1) if config.return_to_go else None
        self.free = nn.Linear(width, NUM_BINS, bias=False) if config.head == "free" else None
        self.bodies = nn.ModuleDict({name: Body(config, codec, body.spec) for name, body in codec.bodies.items()})
        nn.init.normal_(self.text.weight, std=0.5)
        nn.init.normal_(self.segments.weight, std=0.1)

    @property
    def layout(self) -> Layout:
        """How its rows are laid out."""
        return self.config.layout

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.text.weight.device

    def body(self, name: str) -> Body:
        """The slots of a body; ValueError with a near match for one it was not trained on."""
        if name not in self.bodies:
            raise ValueError(f'the model knows no body "{name}"; {near_match(name, self.bodies)}')
        found = self.bodies[name]
        assert isinstance(found, Body)
        return found

    def begin_from(self, parent: Gato) -> None:
        """Take over another model's weights; bodies it does not know keep theirs. ValueError for another network."""
        if parent.config != self.config:
            theirs, ours = dataclasses.asdict(parent.config), dataclasses.asdict(self.config)
            wrong = [f"{key} is {theirs[key]} there, {ours[key]} here" for key in ours if theirs[key] != ours[key]]
            raise ValueError(f"init_from is a model of another network: {'; '.join(wrong)}; use its --model.network")
        self.load_state_dict({**self.state_dict(), **parent.state_dict()})

    def tensor(self, array: np.ndarray) -> Tensor:
        """A numpy array on the model's device."""
        found = torch.from_numpy(np.ascontiguousarray(array))
        if self.device.type == "cuda" and array.nbytes > STAGED_BYTES:
            found = found.pin_memory()
        return found.to(self.device, non_blocking=True)

    def embed_prompt(self, rows: Rows) -> Tensor:
        """Text, command and demonstration positions of the rows, (B, S, D)."""
        text_BP = self.tensor(rows.text_BP)
        parts = [self.text(text_BP.clamp(min=0)) + self.segments.weight[0]]
        if rows.command_BC.shape[1]:
            parts.append(self.command(self.tensor(rows.command_BC))[:, None] + self.segments.weight[1])
        if rows.demonstration_mask_BN.shape[1]:
            steps = self.embed_steps(rows.body, rows.demonstration_BNO, rows.demonstration_BNA)
            parts.append(steps + self.segments.weight[2])
        return torch.cat(parts, 1)

    def embed_steps(
        self, name: str, observation_BTO: np.ndarray, action_BTA: np.ndarray, return_BT: np.ndarray | None = None
    ) -> Tensor:
        """Whole control steps, (B, T * positions of a step, D)."""
        body = self.body(name)
        parts = [self.embed_observation(name, observation_BTO, return_BT), self.embed_action(name, action_BTA)]
        return rearrange(torch.cat(parts, 2), "b t p d -> b (t p) d", p=body.steps.positions)

    def embed_observation(self, name: str, observation_BTO: np.ndarray, return_BT: np.ndarray | None = None) -> Tensor:
        """Observation groups and the separator, if any: (B, T, positions, D). The first one says the return to go."""
        groups = self.body(name).observation(self.tensor(observation_BTO), self.tables)
        if self.returns is not None and return_BT is not None and return_BT.size:
            told = self.returns(self.tensor(return_BT[..., None]))[:, :, None]
            groups = torch.cat([groups[:, :, :1] + told, groups[:, :, 1:]], 2)
        if self.separator is None:
            return groups
        return torch.cat([groups, self.separator.expand(*groups.shape[:2], 1, -1)], 2)

    def embed_action(self, name: str, action_BTA: np.ndarray) -> Tensor:
        """Action groups: (B, T, groups, D)."""
        return self.body(name).action(self.tensor(action_BTA), self.tables)

    def hidden(self, batch: Sequence[Rows]) -> list[Tensor]:
        """The trunk's output for each part of the batch, (B, S, D), all parts in one pass."""
        hidden_BSD, place, _ = self._embed(batch)
        return list(self.trunk(hidden_BSD, place).split([len(rows.text_BP) for rows in batch]))

    def hidden_read(self, batch: Sequence[Rows]) -> list[Tensor]:
        """`hidden` where an action that counts is read, all that a loss needs; elsewhere zeros, or `hidden` too."""
        hidden_BSD, place, existing_BS = self._embed(batch)
        length = existing_BS.shape[1]
        read = [np.pad(self._read_positions(rows), ((0, 0), (0, length)))[:, :length] for rows in batch]
        existing_N = rounded_up(existing_BS.ravel(), np.ones(existing_BS.size, bool))
        is_computed = np.zeros(existing_BS.size, bool)
        is_computed[existing_N] = True
        read_R = rounded_up(np.concatenate(read).ravel(), is_computed)
        kept = Kept(*map(self.tensor, (existing_N, read_R, np.searchsorted(existing_N, read_R))))
        out_RD = self.trunk.forward_kept(hidden_BSD, place, kept)
        whole = out_RD.new_zeros(existing_BS.size, out_RD.shape[1]).index_copy_(0, kept.read_R, out_RD)
        return list(rearrange(whole, "(b s) d -> b s d", s=length).split([len(rows.text_BP) for rows in batch]))

    def _read_positions(self, rows: Rows) -> np.ndarray:
        """(B, S) bool: where an action that counts is predicted."""
        steps, first = self.body(rows.body).steps, self._first_step(rows)
        counts_BT = rows.loss_mask_BT & rows.step_mask_BT
        read_BTP = np.zeros((*counts_BT.shape, steps.positions), bool)
        read_BTP[:, :, steps.readout : steps.readout + steps.action_groups] = counts_BT[:, :, None]
        return np.pad(rearrange(read_BTP, "b t p -> b (t p)"), ((0, 0), (first, 0)))

    def _embed(self, batch: Sequence[Rows]) -> tuple[Tensor, Place, np.ndarray]:
        """The trunk's input (B, S, D), all parts padded to one length; where it sits; which positions exist."""
        embedded = [
            torch.cat(
                [
                    self.embed_prompt(rows),
                    self.embed_steps(rows.body, rows.observation_BTO, rows.action_BTA, rows.return_BT),
                ],
                1,
            )
            for rows in batch
        ]
        longest = max(part.shape[1] for part in embedded)
        if self.device.type == "cuda":
            longest += -longest % GPU_LENGTH_STEP
        existing, rotary = [], []
        for rows in batch:
            spec = self.body(rows.body).spec
            existing_BS, rotary_S = (
                existing_positions(rows, self.layout, spec),
                rotary_positions(rows, self.layout, spec),
            )
            short = longest - len(rotary_S)
            existing.append(np.pad(existing_BS, ((0, 0), (0, short))))
            rotary.append(np.tile(np.pad(rotary_S, (0, short)), (len(existing_BS), 1)))
        hidden_BSD = torch.cat([nn.functional.pad(part, (0, 0, 0, longest - part.shape[1])) for part in embedded])
        existing_BS = np.concatenate(existing)
        place = Place(self.tensor(np.concatenate(rotary)), self.tensor(visible(existing_BS)))
        return hidden_BSD, place, existing_BS

    def log_prob(self, rows: Rows, hidden_BSD: Tensor) -> dict[str, Tensor]:
        """Log-probability of the target action of each step, nats, (B, T) a modality: continuous, discrete."""
        body = self.body(rows.body)
        num_steps, positions = rows.step_mask_BT.shape[1], body.steps.positions
        first = self._first_step(rows)
        steps = hidden_BSD[:, first : first + num_steps * positions]
        steps_BTPD = rearrange(steps, "b (t p) d -> b t p d", p=positions)
        target_BTA = self.tensor(rows.target_BTA)
        totals: dict[str, Tensor] = {}
        for index, group in enumerate(body.head.groups):
            distribution = body.head(steps_BTPD[:, :, body.steps.readout + index], index, self.free)
            log_prob_BT = distribution.log_prob(target_BTA[..., group])
            modality = "discrete" if body.head.is_discrete[index] else "continuous"
            totals[modality] = totals.get(modality, 0) + log_prob_BT
        return totals

    def _first_step(self, rows: Rows) -> int:
        positions = self.body(rows.body).steps.positions
        shown = rows.demonstration_mask_BN.shape[1] * positions
        return self.layout.prompt_positions + min(rows.command_BC.shape[1], 1) + shown

    def loss(self, batch: Sequence[Rows], *, is_balanced: bool = False) -> Losses:
        """Mean over action elements, then a body's steps, then rows: a mixture's weights are what they say.

        `is_balanced`: the trunk is moved by each body as its rows say, however steep its likelihood (`balance`).
        """
        bodies: dict[str, Tensor] = {}
        modalities: dict[str, list[Tensor]] = {}
        hidden = self.hidden_read(batch)
        if is_balanced and torch.is_grad_enabled():
            hidden = balanced(hidden, [len(rows.text_BP) ** 0.5 for rows in batch])
        for rows, hidden_BSD in zip(batch, hidden, strict=True):
            mask_BT = self.tensor(rows.loss_mask_BT & rows.step_mask_BT)
            num_steps, num_discrete = mask_BT.sum().clamp(min=1), self.body(rows.body).head.num_discrete
            sums = {
                modality: -(log_prob_BT * mask_BT).sum() / num_steps
                for modality, log_prob_BT in self.log_prob(rows, hidden_BSD).items()
            }
            bodies[rows.body] = torch.stack(list(sums.values())).sum() / rows.target_BTA.shape[2]
            for modality, value in sums.items():
                elements = num_discrete if modality == "discrete" else rows.target_BTA.shape[2] - num_discrete
                modalities.setdefault(modality, []).append(value / elements)
        means = {modality: torch.stack(values).mean() for modality, values in modalities.items()}
        share_B = self.tensor(np.array([len(rows.text_BP) for rows in batch], np.float32))
        total = (torch.stack(list(bodies.values())) * share_B).sum() / share_B.sum()
        return Losses(total, bodies, means)

    def save(self, folder: str | Path, *, card: Mapping[str, Any], dtype: torch.dtype = torch.float32) -> None:
        """Write weights, config, codec and card; the hashes of all of them stand in config.json, written last."""
        place = Path(folder)
        weights = {name: value.detach().to("cpu", dtype).contiguous() for name, value in self.state_dict().items()}
        runs.write_atomic(place / "model.safetensors", save(weights))
        self.codec.save(place)
        runs.write_json(place / "card.json", card)
        files = {name: runs.content_hash(place / name) for name in FILES}
        content = {"format": FORMAT, "model": dataclasses.asdict(self.config), "files": files}
        runs.write_json(place / "config.json", {**content, "sha256": _digest(content)})

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Gato:
        """The model saved in `folder`. ValueError names every missing or altered file."""
        place = Path(folder)
        if not (place / "config.json").is_file():
            raise ValueError(
                f"{place} is no model folder: it has no config.json; give the folder that `gato fit` wrote"
            )
        stored = runs.read_json(place / "config.json")
        found_format = stored.get("format") if isinstance(stored, dict) else None
        if found_format != FORMAT:
            raise ValueError(f"{place} has model format {found_format}, this version reads {FORMAT}; train again")
        if stored.pop("sha256", None) != _digest(stored):
            raise ValueError(f"model folder {place} is damaged: config.json was altered; copy it again")
        found = {name: runs.content_hash(place / name) for name in FILES if (place / name).is_file()}
        missing = [name for name in FILES if name not in found]
        altered = [name for name, digest in found.items() if digest != stored["files"][name]]
        if missing or altered:
            wrong = [f"{name} is missing" for name in missing] + [f"{name} was altered" for name in altered]
            raise ValueError(f"model folder {place} is damaged: {', '.join(wrong)}; copy it again")
        settings = dict(stored["model"])
        config = ModelConfig(**{**settings, "layout": Layout(**settings["layout"])})
        # On the meta device nothing is drawn, so that loading a model leaves the random state alone.
        with torch.device("meta"):
            model = cls(config, Codec.load(place))
        model.load_state_dict(load_file(place / "model.safetensors"), assign=True)
        model.to(device=device, dtype=dtype).eval()
        if FewPositions.can_run(model.trunk):
            lay_for_few(model.trunk)
        return model

    @classmethod
    def from_pretrained(cls, name: str | Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Gato:
        """The model that `find_model` finds: a folder, a training run, one that ships with the package, or a Hub id."""
        return cls.load(find_model(name), device=device, dtype=dtype)

    def num_positions(self, rows: Rows) -> int:
        """Positions the transformer reads for these rows, pads included."""
        num_rows, num_steps = rows.step_mask_BT.shape
        return num_rows * (self._first_step(rows) + num_steps * self.body(rows.body).steps.positions)

    def num_parameters(self) -> int:
        """Trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())
