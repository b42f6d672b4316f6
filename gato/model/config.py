"""Sizes of the transformer by one preset name, and the choices of embedding and head."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gato.sequences import Layout
from gato.specs import near_match


@dataclass(frozen=True)
class TrunkConfig:
    """Shape of a Llama-family decoder."""

    width: int
    layers: int
    heads: int
    hidden: int
    """Width of the gated MLP."""
    key_value_heads: int = 0
    """Heads of keys and values; 0 for as many as `heads`."""
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5


PRESETS = {
    "nano": TrunkConfig(width=128, layers=3, heads=4, hidden=352),
    "mini": TrunkConfig(width=192, layers=4, heads=6, hidden=512),
    "small": TrunkConfig(width=256, layers=4, heads=8, hidden=704),
    # Gato, table 5: 8 x 768 x 24, 12 x 1536 x 12, 24 x 2048 x 16; the gated MLP has 2/3 of the paper's hidden width.
    "79m": TrunkConfig(width=768, layers=8, heads=24, hidden=2048),
    "364m": TrunkConfig(width=1536, layers=12, heads=12, hidden=4096),
    "1.2b": TrunkConfig(width=2048, layers=24, heads=16, hidden=5440),
}


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes a model's parameters, beside its codec."""

    size: str = "small"
    """Preset of the trunk: nano, mini, small, 79m, 364m, 1.2b."""
    embedding: Literal["number", "free"] = "number"
    """Number tokens are read as the value of their bin, or through a free table (the paper's)."""
    head: Literal["logistic", "free"] = "logistic"
    """Action tokens are predicted by a discretised logistic, or by free logits (the paper's; needs group_size 1)."""
    mixtures: int = 1
    """M: logistic components of a group."""
    second_layer: Literal["shared", "own"] = "shared"
    """Whether the MLP after the slot vectors is shared by all bodies or each body's own."""
    layout: Layout = field(default_factory=Layout)
    return_to_go: bool = False
    """Whether a step may say what return is still to come (Decision Transformer, Chen et al. 2021)."""

    def __post_init__(self) -> None:
        if self.size not in PRESETS:
            raise ValueError(f'no model size "{self.size}"; {near_match(self.size, PRESETS)}')
        if self.head == "free" and self.layout.group_size != 1:
            raise ValueError(f"head: free needs group_size: 1, got {self.layout.group_size}; set both or use logistic")
        if self.mixtures < 1:
            raise ValueError(f"mixtures must be at least 1, got {self.mixtures}")

    @property
    def trunk(self) -> TrunkConfig:
        """The preset's shape."""
        return PRESETS[self.size]
