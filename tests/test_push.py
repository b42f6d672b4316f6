"""`gato push`: what would be sent is shown, what is sent is that and nothing else. No test reaches the network."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import minari
import pytest
import yaml
from huggingface_hub import CommitOperationAdd
from huggingface_hub.errors import LocalTokenNotFoundError
from making import make_model
from test_data_minari_io import make_foreign

from gato import cli, runs
from gato.ancestry import unfold
from gato.data.minari_io import open_dataset
from gato.lineage import lineage
from gato.model.config import ModelConfig
from gato.model.find import CONFIG, FILES
from gato.record import Recording, record_skill
from gato.sharing.export import export_model
from gato.sharing.push import push
from gato.skills.bodies import BODIES

HOPPER = "gato/hopper/hop-forward-v0"


class FakeHub:
    """Stands in for `HfApi`; remembers what it was told."""

    is_private = False
    refusal: Exception | None = None

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}

    def create_repo(self, repository: str, *, repo_type: str, private: bool, exist_ok: bool) -> str:
        if self.refusal:
            raise self.refusal
        self.made = {"repository": repository, "kind": repo_type, "private": private, "exist_ok": exist_ok}
        return f"https://hub/{repository}"

    def repo_info(self, repository: str, *, repo_type: str) -> SimpleNamespace:
        return SimpleNamespace(private=self.is_private)

    def create_commit(
        self, repository: str, operations: list[CommitOperationAdd], *, commit_message: str, repo_type: str
    ) -> None:
        assert (repository, repo_type) == (self.made["repository"], self.made["kind"])
        for operation in operations:
            with operation.as_file() as file:
                self.files[operation.path_in_repo] = file.read()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub()
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: fake)
    return fake


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """An exported model, made from one whose place only this machine has."""
    source = tmp_path / "fit" / "model"
    card = {"skills": ["hopper/hop-forward"], "licence": "MIT"}
    make_model(ModelConfig(size="nano"), BODIES["hopper"].spec).save(source, card=card)
    command = "gato fit -c /home/somebody/configs/x.yaml --out /home/somebody/fit"
    runs.write_provenance(source, command=command, config={}, seeds={}, inputs={})
    return export_model(source, out=tmp_path / "shared")


@pytest.fixture
def dataset(minari_root: Path) -> str:
    return record_skill(Recording("hopper/hop-forward", episodes=2, noise=(0.0, 0.2)))


def test_nothing_is_sent_unless_it_is_asked_for(shared: Path, hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["push", str(shared), "somebody/gato-nano", "--private", "--json"]) == 0
    printed = capsys.readouterr()
    shown = json.loads(printed.out)
    names = sorted([CONFIG, *FILES, "README.md", "provenance.json"])
    assert sorted(one["file"] for one in shown["files"]) == names
    assert (shown["repository"], shown["kind"], shown["visibility"]) == ("somebody/gato-nano", "model", "private")
    assert shown["sent"] is None and shown["bytes"] == sum(one["bytes"] for one in shown["files"]) > 100_000
    assert "nothing was sent; --yes sends it" in printed.err
    assert hub.made == {} and hub.files == {}


def test_what_is_shown_is_sent_and_nothing_else(shared: Path, hub: FakeHub, caplog: pytest.LogCaptureFixture) -> None:
    (shared / "notes.txt").write_text("mine")
    told = push(str(shared), "somebody/gato-nano", is_sent=True)
    assert hub.made == {"repository": "somebody/gato-nano", "kind": "model", "private": False, "exist_ok": True}
    assert {one["file"]: one["bytes"] for one in told["files"]} == {name: len(file) for name, file in hub.files.items()}
    assert told["sent"] == "https://hub/somebody/gato-nano" and told["visibility"] == "public"
    assert "notes.txt" not in hub.files and "left out, since no export wrote it: notes.txt" in caplog.text
    for name in (CONFIG, *FILES):
        assert hub.files[name] == (shared / name).read_bytes()
    assert b'gato.load("somebody/gato-nano")' in hub.files["README.md"]


def test_folders_of_this_machine_stay_here(shared: Path, hub: FakeHub, tmp_path: Path) -> None:
    push(str(shared), "somebody/gato-nano", is_sent=True)
    sent = hub.files["provenance.json"].decode()
    assert "/home/" not in sent and str(tmp_path) not in sent
    source = unfold(json.loads(sent))["inputs"]["model"]
    assert source["command"] == "gato fit -c configs/x.yaml --out somebody/fit"
    assert source["hash"] == runs.read_provenance(shared)["inputs"]["model"]["hash"]


def test_a_dataset_goes_with_its_card(dataset: str, hub: FakeHub, minari_root: Path) -> None:
    told = push(dataset, "somebody/hopper", is_sent=True)
    assert hub.made["kind"] == told["kind"] == "dataset"
    assert sorted(hub.files) == ["README.md", "data/main_data.hdf5", "data/metadata.json", "provenance.json"]
    text, opened = hub.files["README.md"].decode(), open_dataset(dataset)
    front = yaml.safe_load(text.split("---")[1])
    assert front["license"] == "mit" and front["task_categories"] == ["reinforcement-learning"]
    assert "hopper" in front["tags"]
    for line in (
        f"# {HOPPER}",
        f"2 episodes, {opened.num_steps} control steps",
        f"| content hash | `{opened.content_hash}` |",
        "| who acted, or taught | shipped:hopper/hop-forward (`",
        f"| mean return of the expert | {opened.reference['expert']:,.1f} |",
        "| noise on actions | 0, 0.2 |",
        "| recorded by | `gato record hopper/hop-forward --episodes 2",
        "| 0 | hopper/hop-forward | “hop forward” |",
        "MIT. Everything in it comes from a simulator.",
    ):
        assert line in text, line


def test_the_lines_of_a_datasets_card_bring_it_back(
    dataset: str, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(dataset, "somebody/hopper", is_sent=True)
    before = open_dataset(dataset)

    def download(repository: str, *, repo_type: str, local_dir: Path) -> None:
        assert (repository, repo_type) == ("somebody/hopper", "dataset")
        for name, content in hub.files.items():
            runs.write_atomic(Path(local_dir) / name, content)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()
    known: dict[str, Any] = {}
    exec(hub.files["README.md"].decode().split("```python\n")[1].split("```")[0], known)
    assert isinstance(known["dataset"], minari.MinariDataset) and known["dataset"].total_episodes == 2
    after = open_dataset(dataset)
    assert after.folder != before.folder and after.content_hash == before.content_hash
    assert lineage(after.folder).status == "ok"


def test_what_is_private_never_goes_into_a_public_repository(shared: Path, hub: FakeHub) -> None:
    with pytest.raises(ValueError, match="is there and public, so nothing was sent; make it private, or"):
        push(str(shared), "somebody/gato-nano", is_private=True, is_sent=True)
    assert hub.files == {}
    hub.is_private = True
    push(str(shared), "somebody/gato-nano", is_private=True, is_sent=True)
    assert CONFIG in hub.files


def test_a_refusal_is_told_in_one_line_without_a_token(
    shared: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.refusal = LocalTokenNotFoundError("Token is required\nand more lines")
    assert cli.run(["push", str(shared), "somebody/gato-nano", "--yes"]) == 1
    error = capsys.readouterr().err
    assert "could not be sent to the Hugging Face Hub (Token is required); check name and network, and log in" in error
    assert len(error.splitlines()) == 1 and "hf_secret" not in error


def test_without_the_package_the_extra_is_named(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert push(str(shared), "somebody/gato-nano")["sent"] is None
    with pytest.raises(ValueError, match=r'needs huggingface_hub; pip install "gato-agent\[hub\]"'):
        push(str(shared), "somebody/gato-nano", is_sent=True)


def test_damaged_unready_and_foreign_things_are_not_sent(shared: Path, tmp_path: Path, minari_root: Path) -> None:
    with pytest.raises(ValueError, match=r"fit/model has no card; make it ready first: gato export .*fit/model"):
        push(str(tmp_path / "fit" / "model"), "somebody/gato-nano")
    (shared / "card.json").write_text("{}")
    with pytest.raises(ValueError, match=r"is damaged: card\.json was altered"):
        push(str(shared), "somebody/gato-nano")
    with pytest.raises(ValueError, match=r"other/hopper-v0 was not recorded by gato: its licence is not ours to give"):
        push(make_foreign("other/hopper-v0"), "somebody/hopper")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere", "somebody/gato-nano"), '"nowhere" is neither a folder of gato export nor a Minari id like'),
        (("gato/hopper/hop-v0", "somebody/hopper"), 'no Minari dataset "gato/hopper/hop-v0"'),
        (
            ("nowhere", "gato-nano"),
            '"gato-nano" is no id of a repository; it is owner/name, such as',
        ),
        (("nowhere", "a/b/c"), '"a/b/c" is no id of a repository'),
    ],
)
def test_bad_names_are_told_in_one_line(
    words: tuple[str, str], told: str, minari_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["push", *words]) == 1
    error = capsys.readouterr().err
    assert told in error and len(error.splitlines()) == 1
