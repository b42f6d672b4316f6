"""Which model a name means: what is here first, then what ships, then the Hub. No test reaches the network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from making import make_model

import gato
from gato import cli, runs
from gato.lineage import lineage
from gato.model import find
from gato.model.config import ModelConfig
from gato.model.find import CONFIG, FILES, find_model
from gato.sharing.export import export_model
from gato.skills.bodies import BODIES

NAME = "somebody/gato-nano"


class FakeHub:
    """Stands in for `snapshot_download`: a cache, and a network that fills it. Remembers who asked for what."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.fill: Callable[[], object] | None = None
        """None: there is no network."""
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def download(self, repository: str, *, local_files_only: bool = False, **settings: Any) -> str:
        self.asked.append(("cache" if local_files_only else "network", {"repository": repository, **settings}))
        if not local_files_only and self.fill is not None:
            self.fill()
        elif not (local_files_only and self.cache.is_dir()):
            raise LocalEntryNotFoundError("cannot find the files\nand more lines")
        return str(self.cache)

    @property
    def places(self) -> list[str]:
        return [place for place, _ in self.asked]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub(tmp_path / "cache")
    monkeypatch.setattr("huggingface_hub.snapshot_download", fake.download)
    monkeypatch.chdir(tmp_path)
    return fake


def save(folder: Path) -> Path:
    make_model(ModelConfig(size="nano"), BODIES["hopper"].spec).save(folder, card={"skills": ["hopper/hop-forward"]})
    return folder


def test_a_model_of_the_hub_is_fetched_once_and_then_found_here(hub: FakeHub) -> None:
    hub.fill = lambda: save(hub.cache)
    assert find_model(NAME) == hub.cache
    assert hub.places == ["cache", "network"]
    wanted = {"repository": NAME, "allow_patterns": [CONFIG, *FILES, "provenance.json"]}
    assert [settings for _, settings in hub.asked] == [wanted, wanted]
    hub.fill = None
    assert tuple(gato.load(NAME).model.bodies) == ("hopper",)
    assert hub.places == ["cache", "network", "cache"]


def test_a_revision_is_asked_for_by_name(hub: FakeHub) -> None:
    save(hub.cache)
    assert find_model(f"{NAME}@v1.0") == hub.cache
    assert hub.asked[0][1]["revision"] == "v1.0" and hub.asked[0][1]["repository"] == NAME


def test_half_a_model_in_the_cache_is_completed(hub: FakeHub) -> None:
    save(hub.cache)
    (hub.cache / "codec.json").unlink()
    hub.fill = lambda: save(hub.cache)
    assert find_model(NAME) == hub.cache and hub.places == ["cache", "network"]


def test_what_is_here_and_what_ships_come_first(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "SHIPPED", tmp_path / "shipped")
    shipped = save(tmp_path / "shipped" / NAME)
    assert find_model(NAME) == shipped
    own = save(tmp_path / NAME)
    assert find_model(NAME).resolve() == own
    assert hub.asked == []


def test_a_mistyped_path_is_not_looked_for_on_the_hub(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    for name in ("workspace/fti", "nowhere", "a/b/c", "/a/b", "./b"):
        with pytest.raises(ValueError, match=f'no model "{name}", neither a folder here nor one that ships'):
            find_model(name)
    assert hub.asked == []


def test_without_a_network_or_the_package_one_line_says_so(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["eval", NAME]) == 1
    told = f'no model "{NAME}", neither a folder here nor one that ships; {NAME} could not be fetched from the Hugging'
    error = capsys.readouterr().err
    assert told in error and "(cannot find the files); check name and network" in error
    assert len(error.splitlines()) == 1
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r'the Hub needs huggingface_hub; pip install "gato-agent\[hub\]"'):
        find_model(NAME)


def test_damaged_and_foreign_models_of_the_hub_are_refused(hub: FakeHub) -> None:
    hub.fill = hub.cache.mkdir
    with pytest.raises(ValueError, match=f"{NAME} on the Hugging Face Hub is no model of Gato: it has no config.json"):
        find_model(NAME)
    hub.fill = lambda: (hub.cache / CONFIG).write_text('{"model_type": "gpt2"}')
    with pytest.raises(ValueError, match="has model format None"):
        gato.load(NAME)
    save(hub.cache)
    (hub.cache / "card.json").write_text("{}")
    with pytest.raises(ValueError, match=r"is damaged: card\.json was altered"):
        gato.load(NAME)


def test_who_fetches_a_model_has_its_lineage(hub: FakeHub, tmp_path: Path) -> None:
    """The card and the videos stay on the Hub, and the content hash is the same without them."""
    source = save(tmp_path / "fit")
    runs.write_provenance(source, command="gato fit -c x.yaml", config={}, seeds={}, inputs={})
    made = export_model(source, out=tmp_path / "shared")
    hub.cache.mkdir()
    for name in (CONFIG, *FILES, "provenance.json"):
        (made / name).rename(hub.cache / name)
    source.rename(tmp_path / "gone")
    found = lineage(find_model(NAME))
    assert (found.status, found.inputs[0].status, found.inputs[0].command) == ("ok", "remembered", "gato fit -c x.yaml")
