"""What is tuned: a pretrained causal language model with low-rank updates, or a tiny one that is made here.

In: a folder, a Hub id, or `tiny`. Out: a `CausalModel`, whose weights that learn are marked, and its settings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from gato.language.causal import CausalModel
from gato.language.pretrained import language_folder
from gato.language.writing import plan_text, question
from gato.tuning.pairs import Pair

TINY = "tiny"
"""The name of the model that is made here and knows nothing."""
WIDTH, LAYERS, HEADS, POSITIONS, VOCABULARY = 128, 3, 4, 1024, 1200
"""Of the tiny one: 0.7 million weights, so that it learns the ant's plans in minutes on two cores."""
TINY_RATE, LORA_RATE = 3e-3, 2e-4
"""Peaks of the learning rate: all weights from nothing; low-rank updates of a pretrained model (Hu et al. 2021)."""
RANK = 16
"""Of the updates to every linear layer."""


@dataclass(frozen=True)
class Base:
    """A model that can learn."""

    model: CausalModel
    learning_rate: float
    folder: Path | None
    """Where it was read from; None for the tiny one."""

    @property
    def num_learned(self) -> int:
        """Weights that learn."""
        return sum(weight.numel() for weight in self.model.model.parameters() if weight.requires_grad)


def make_base(name: str, texts: Iterable[Pair], scratch: Path) -> Base:
    """The model of that name; `texts`, from which the tiny one's tokenizer is made, and `scratch`, an empty folder,
    are for that one only. Seeded by torch's generator.

    ValueError where the name is no causal language model, or the extra `tune` is missing.
    """
    if name == TINY:
        return Base(make_tiny(texts, scratch), TINY_RATE, None)
    peft = _peft()
    folder = language_folder(name)
    model = CausalModel(folder)
    settings = peft.LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=2 * RANK, target_modules="all-linear")
    # Low-rank updates are small: they would be lost in bf16, and products in it are slow where a CPU has none.
    model.model = peft.get_peft_model(model.model.float(), settings)
    return Base(model, LORA_RATE, folder)


def merged(base: Base) -> Any:
    """The whole network as transformers save it, low-rank updates added to its weights."""
    return base.model.model if base.folder is None else base.model.model.merge_and_unload()


def make_tiny(texts: Iterable[Pair], folder: Path) -> CausalModel:
    """A Llama of random weights, and a byte-pair tokenizer learned from the texts, in that folder."""
    tokenizer = Tokenizer(models.BPE())
    # Whole words, digits alone, and whatever else stands between two blanks: of a plan's JSON most is one token.
    words = pre_tokenizers.Split(Regex(r"\d| ?[^\s\d]+|\s+"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    read = (f"{question(one.plan.body, one.sentence)}\nAnswer: {plan_text(one.plan)}" for one in texts)
    tokenizer.train_from_iterator(read, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")
    fast.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        eos_token_id=0,
        bos_token_id=0,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).float().save_pretrained(folder)
    return CausalModel(folder)


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise ValueError(
            f'low-rank updates of a pretrained model need peft: pip install "gato-agent[tune]", or tune the base {TINY}'
        ) from error
    return peft
