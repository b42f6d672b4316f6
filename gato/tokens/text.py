"""Words to ids and back: a Hugging Face byte-level BPE, bundled as `tokenizer.json`, so nothing is downloaded.

The file holds the normalisation too: NFKC, lower case, punctuation and repeated spaces dropped, trimmed. So
"Run forward." and "run forward" are the same ids. Made by `scripts/train_tokenizer.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

TEXT_SIZE = 4096
"""Entries of the bundled tokenizer."""
_REMEMBERED = 4096
"""Texts whose ids are kept: a batch asks for the same few hundred phrases, at 30 us each."""
BUNDLED = Path(__file__).with_name("tokenizer.json")


class TextCodec:
    """Text <-> ids 0..size-1. `decode(encode(text)) == normalise(text)`, for any text."""

    def __init__(self, tokenizer_json: str) -> None:
        self._json = tokenizer_json
        self._tokenizer = Tokenizer.from_str(tokenizer_json)
        self._known: dict[str, list[int]] = {}
        self.size: int = self._tokenizer.get_vocab_size()

    @classmethod
    def load(cls, path: Path = BUNDLED) -> TextCodec:
        """From a tokenizer.json; the bundled one by default."""
        return cls(path.read_text(encoding="utf-8"))

    @property
    def json(self) -> str:
        """The whole tokenizer, as stored in tokenizer.json."""
        return self._json

    @property
    def digest(self) -> str:
        """sha256 of tokenizer.json."""
        return hashlib.sha256(self._json.encode()).hexdigest()

    def normalise(self, text: str) -> str:
        """What is left of the text before it becomes ids."""
        return self._tokenizer.normalizer.normalize_str(text)

    def encode(self, text: str) -> list[int]:
        """Ids of the normalised text; [] for one without a letter or digit. For any thread."""
        ids = self._known.get(text)
        if ids is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            ids = self._known[text] = self._tokenizer.encode(text).ids if self.normalise(text) else []
        return list(ids)

    def decode(self, ids: Iterable[int]) -> str:
        """The normalised text; ValueError for ids that are not text."""
        listed = [int(i) for i in ids]
        foreign = [i for i in listed if not 0 <= i < self.size]
        if foreign:
            raise ValueError(f"text ids: got {foreign}; allowed: 0..{self.size - 1}")
        return self._tokenizer.decode(listed).strip()


def train_text_codec(corpus: Iterable[str], *, size: int = TEXT_SIZE) -> TextCodec:
    """A byte-level BPE learned from lines of text; the same lines give the same tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex("['’`]"), ""),
            # A dot between digits is part of a number ("1.5"); all other signs only part words.
            normalizers.Replace(Regex(r"(?<!\d)\.|\.(?!\d)|[^\w\s.]|_"), " "),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, show_progress=False, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return TextCodec(tokenizer.to_str(pretty=False) + "\n")
