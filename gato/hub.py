"""The Hugging Face Hub, asked only where somebody names it; its package is optional (extra `hub`).

In: `owner/name`, or `owner/name@revision`; files. Out: a folder of the Hub's own cache; the address of what was sent.
Who is logged in is the package's matter (`hf auth login`, HF_TOKEN): no token passes through here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
"""owner/name"""
REVISION = re.compile(HUB_ID.pattern + r"(@[\w./-]+)?")
"""The same, maybe with a branch, a tag or a commit."""


def fetch(name: str, patterns: Sequence[str], *, whole: Sequence[str] = ()) -> Path:
    """The repository's files of these patterns, in a folder of the Hub's cache.

    Where the cache has all of `whole` already, the network is not asked. ValueError where they cannot be had.
    """
    repository, _, revision = name.partition("@")
    package, failures = _package(name)
    wanted: dict[str, Any] = {"allow_patterns": list(patterns)} | ({"revision": revision} if revision else {})
    if whole:
        try:
            folder = Path(package.snapshot_download(repository, local_files_only=True, **wanted))
        except failures:
            folder = None
        if folder is not None and all((folder / one).is_file() for one in whole):
            return folder
    try:
        return Path(package.snapshot_download(repository, **wanted))
    except failures as error:
        raise ValueError(
            f"{name} could not be fetched from the Hugging Face Hub ({first_line(error)}); check name and network"
        ) from error


def send(
    files: Mapping[str, Path | bytes],
    repository: str,
    *,
    kind: Literal["model", "dataset"],
    is_private: bool,
    message: str,
) -> str:
    """Upload in one commit, into a repository that is made where there is none; its address.

    ValueError where the Hub refuses, or where what shall be private would go into a public repository.
    """
    package, failures = _package(repository)
    api = package.HfApi()
    try:
        address = api.create_repo(repository, repo_type=kind, private=is_private, exist_ok=True)
        is_public = is_private and not api.repo_info(repository, repo_type=kind).private
        if not is_public:
            contents = {name: file if isinstance(file, bytes) else str(file) for name, file in files.items()}
            operations = [package.CommitOperationAdd(name, content) for name, content in contents.items()]
            api.create_commit(repository, operations, commit_message=message, repo_type=kind)
    except failures as error:
        raise ValueError(
            f"{repository} could not be sent to the Hugging Face Hub ({first_line(error)}); check name and network,"
            " and log in: hf auth login"
        ) from error
    if is_public:
        raise ValueError(f"{repository} is there and public, so nothing was sent; make it private, or choose another")
    return str(address)


def _package(name: str) -> tuple[ModuleType, tuple[type[Exception], ...]]:
    """The package, and what it raises."""
    try:
        import huggingface_hub
        from huggingface_hub.errors import HTTPError
    except ImportError as error:
        raise ValueError(f'{name}: the Hub needs huggingface_hub; pip install "gato-agent[hub]"') from error
    return huggingface_hub, (OSError, ValueError, HTTPError)


def first_line(error: Exception) -> str:
    """What of an error fits into one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
