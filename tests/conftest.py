"""Fixtures of more than one test file."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toys
from browsing import chromium

from gato.skills.bodies import BODIES
from gato.skills.robots import known
from gato.skills.table import SKILLS
from gato.skills.wordings import WORDINGS

# A shell that starts the tests in the background has Ctrl-C ignored, also in the processes that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _robots_are_forgotten() -> Iterator[None]:
    """What one test makes known no other test meets."""
    before = [(table, dict(table)) for table in (BODIES, SKILLS, WORDINGS, known._typed)]
    yield
    for table, content in before:
        table.clear()
        table.update(content)  # type: ignore[arg-type]


@pytest.fixture
def minari_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Minari root and an empty cache of our own."""
    root = tmp_path / "minari"
    root.mkdir()
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(root))
    monkeypatch.setenv("GATO_CACHE", str(tmp_path / "cache"))
    return root


@pytest.fixture(scope="session")
def recorded_toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the datasets of `toys`, their caches and a config of a tiny run; not to be changed."""
    root = tmp_path_factory.mktemp("toys")
    (root / "minari").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(root / "minari"))
        toys.record_toys()
    (root / "toy.yaml").write_text(toys.CONFIG)
    return root


@pytest.fixture
def toy_config(recorded_toys: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The config of a tiny run, whose datasets are found."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(recorded_toys / "minari"))
    monkeypatch.setenv("GATO_CACHE", str(recorded_toys / "cache"))
    return recorded_toys / "toy.yaml"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Of one file only: while it is open, a loop runs here, and asyncio runs none beside it."""
    with chromium() as one:
        yield one
