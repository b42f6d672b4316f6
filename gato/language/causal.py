"""A causal language model of `transformers`, asked how likely it is to go on with each of several texts.

In: a folder. Out: log-likelihoods. What comes before is read once and shared by all that may follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from gato.language.pretrained import read_pretrained

KIND = "causal language model"


class CausalModel:
    """Model and tokenizer of one folder."""

    def __init__(self, folder: Path) -> None:
        """ValueError where the folder holds none, one without all its weights, or an encoder."""
        self.tokenizer, self.model = read_pretrained(AutoModelForCausalLM, folder, KIND)
        _check_causal(self.model, folder)
        self.most_tokens = int(getattr(self.model.config, "max_position_embeddings", 0) or 0)
        """That it can read; 0 where it does not say."""

    def likelihoods(self, beginning: str, options: Sequence[str]) -> np.ndarray:
        """(C,) log-likelihood of each option as the words that follow `beginning`."""
        begun = self.tokenizer(beginning)["input_ids"]
        return self._after(begun, [f" {option}" for option in options])

    def answers(self, question: str, options: Sequence[str]) -> np.ndarray:
        """(C,) log-likelihood of each option as the answer: in the model's chat template, where it has one."""
        return self._after(self.asked(question), [self.as_answer(option) for option in options])

    def asked(self, question: str) -> list[int]:
        """Ids of a question, up to where its answer begins."""
        if not self.tokenizer.chat_template:
            return list(self.tokenizer(f"{question}\nAnswer:")["input_ids"])
        told = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
        )
        # The template has written the special tokens already.
        return list(self.tokenizer(told, add_special_tokens=False)["input_ids"])

    def as_answer(self, text: str) -> str:
        """The text as it stands behind a question."""
        return text if self.tokenizer.chat_template else f" {text}"

    @torch.inference_mode()
    def next(self, ids: Sequence[int], memory: Any = None) -> tuple[torch.Tensor, Any]:
        """(V,) logits of what follows these ids, and the memory of all that was read, for the next call.

        ValueError where that is more than the model reads.
        """
        length = len(ids) + (0 if memory is None else memory.get_seq_length())
        if 0 < self.most_tokens < length:
            raise ValueError(f"the question and its answer have {length} tokens; the model reads {self.most_tokens}")
        read = self.model(input_ids=torch.tensor([list(ids)]), past_key_values=memory, use_cache=True)
        return read.logits[0, -1].float(), read.past_key_values

    @torch.inference_mode()
    def _after(self, begun: list[int], options: Sequence[str]) -> np.ndarray:
        ends = [self.tokenizer(option, add_special_tokens=False)["input_ids"] for option in options]
        longest = max(map(len, ends))
        if 0 < self.most_tokens < len(begun) + longest:
            raise ValueError(
                f"the question and an answer have {len(begun) + longest} tokens, but the model reads {self.most_tokens}"
            )
        ids_CP = torch.zeros(len(ends), longest, dtype=torch.long)
        is_end_CP = torch.zeros_like(ids_CP, dtype=torch.bool)
        for row, end in enumerate(ends):
            ids_CP[row, : len(end)] = torch.tensor(end)
            is_end_CP[row, : len(end)] = True
        # Rows are filled up on the right, where a causal model does not look.
        read = self.model(input_ids=torch.tensor([begun]), use_cache=True)
        first_C1V = read.logits[:, -1:].expand(len(ends), -1, -1)
        read.past_key_values.batch_repeat_interleave(len(ends))
        rest_CPV = self.model(input_ids=ids_CP, past_key_values=read.past_key_values).logits[:, :-1]
        logits_CPV = torch.cat([first_C1V, rest_CPV], 1).float().log_softmax(-1)
        likely_CP = logits_CPV.gather(-1, ids_CP[..., None])[..., 0]
        return np.asarray((likely_CP * is_end_CP).sum(1).double().numpy())


@torch.inference_mode()
def _check_causal(model: torch.nn.Module, folder: Path) -> None:
    """An encoder is loaded as a causal model with no more than a warning; it looks both ways and keeps nothing."""
    read = model(input_ids=torch.tensor([[0]]), use_cache=True)
    if not hasattr(read.get("past_key_values"), "batch_repeat_interleave"):
        raise ValueError(
            f"{folder} holds no {KIND} (it keeps no keys and values of what it read); name one that writes text"
        )
