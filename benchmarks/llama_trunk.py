"""transformers' Llama in the place of our trunk, for comparisons in which everything else is equal."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel

from gato.model.config import TrunkConfig
from gato.model.trunk import Place, llama_settings


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
            mask = torch.zeros(mask.shape, dtype=hidden_BSD.dtype, device=mask.device).masked_fill(~mask, lowest)
        out = self.llama(inputs_embeds=hidden_BSD, position_ids=place.rotary_BS, attention_mask=mask)
        return out.last_hidden_state
