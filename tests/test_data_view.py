"""The page of a dataset's episodes: every number, its token, what was clipped; pictures where they can be drawn."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making import make_model
from test_data_minari_io import make_foreign
from test_report import Page

from gato import cli
from gato.data.cache import know_body, open_cache
from gato.data.minari_io import episodes, open_dataset
from gato.model.config import ModelConfig
from gato.record import Recording, record_skill
from gato.reporting import pictures
from gato.reporting.dataset_view import outside_box, write_view
from gato.skills.bodies import BODIES
from gato.specs import BodySpec, Element
from gato.tokens.codec import Codec

FOREIGN = "cs285/hopper/expert-v0"


@pytest.fixture
def recorded(minari_root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Three noisy episodes of a random hopper, drawn as grey pictures."""

    def grey(*_: Any, every: int, width: int, height: int) -> Iterator[np.ndarray]:
        for shade in range(3):
            yield np.full((height * 2, width * 2, 3), 10 * shade, np.uint8)

    monkeypatch.setattr(pictures, "find_renderer", lambda: "egl")
    monkeypatch.setattr(pictures, "frames", grey)
    return record_skill(Recording("hopper/hop-forward", episodes=3, expert="random", noise=(0.0, 0.5)))


def content_of(page: Path) -> dict[str, Any]:
    """What the page's script reads."""
    found = re.search(r"id='data'>(.*?)</script>", page.read_text(), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def unpacked(text: str, dtype: type, width: int = 1) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype).reshape(-1, width)


def bits(text: str, shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape))
    return np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8))[:size].reshape(shape).astype(bool)


def test_every_number_of_the_episode_is_there_with_its_token(recorded: str, tmp_path: Path) -> None:
    dataset = open_dataset(recorded)
    content = content_of(write_view(recorded, out=tmp_path / "view.html", num_episodes=2))
    codec = Codec()
    know_body(codec, [open_cache(dataset)])
    assert [one["index"] for one in content["episodes"]] == [0, 2]
    for shown, episode in zip(content["episodes"], episodes(dataset, [0, 2]), strict=True):
        values, ids = (
            unpacked(shown["observation"][key], kind, 11) for key, kind in (("values", "<f4"), ("ids", "<u2"))
        )
        assert np.array_equal(values, episode.observations.astype(np.float32))
        assert np.array_equal(ids, codec.encode_observation("hopper", episode.observations))
        acted = unpacked(shown["action"]["ids"], "<u2", 3)
        assert np.array_equal(acted, codec.encode_action("hopper", episode.actions))
        assert np.array_equal(unpacked(shown["rewards"], "<f4")[:, 0], episode.rewards.astype(np.float32))
        assert set(shown["readings"]) == set(BODIES["hopper"].readings)
        assert (shown["seed"], shown["end"]) == (episode.seed, "terminated")
    assert content["observation"] == [element.name for element in BODIES["hopper"].spec.observation]
    assert content["prompts"] == [{"words": "hop forward", "ids": codec.encode_text("hop forward")}]
    assert content["dt"] == BODIES["hopper"].dt


def test_what_the_expert_meant_is_shown_where_it_is_not_what_was_done(recorded: str, tmp_path: Path) -> None:
    shown = content_of(write_view(recorded, out=tmp_path / "view.html", num_episodes=3))["episodes"]
    assert [one["noise"] for one in shown] == [0.0, 0.5, 0.0]
    assert [one["targets"] is None for one in shown] == [True, False, True]


def test_pictures_are_small_webp(recorded: str, tmp_path: Path) -> None:
    (shown,) = content_of(write_view(recorded, out=tmp_path / "view.html", num_episodes=1))["episodes"]
    images = [base64.b64decode(one) for one in shown["pictures"]]
    assert len(images) == 3 and all(one[:4] == b"RIFF" and one[8:12] == b"WEBP" for one in images)
    assert shown["note"] == ""


def test_a_replay_that_differs_is_told(recorded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "differences_of", lambda *_: iter(["step 3: the replayed observations differ"]))
    (shown,) = content_of(write_view(recorded, out=tmp_path / "view.html", num_episodes=1))["episodes"]
    assert "not as it was recorded, step 3" in shown["note"] and len(shown["pictures"]) == 3


def test_an_environment_that_fails_leaves_the_plots(
    recorded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Iterator[np.ndarray]:
        raise AssertionError("no such\nwindow")

    monkeypatch.setattr(pictures, "frames", broken)
    (shown,) = content_of(write_view(recorded, out=tmp_path / "view.html", num_episodes=1))["episodes"]
    assert shown["pictures"] == [] and shown["note"].endswith("cannot be drawn here (no such).")
    assert "AssertionError: no such" in caplog.text


def test_anybodys_dataset_has_plots_says_why_no_pictures_and_marks_what_is_outside_the_box(
    minari_root: Path, tmp_path: Path
) -> None:
    """Its second episode has an action of 5 at step 7, in the second element."""
    first, second = content_of(write_view(make_foreign(FOREIGN), out=tmp_path / "view.html"))["episodes"]
    assert first["note"] == second["note"] == "No pictures: the dataset stores no environment."
    assert not bits(first["action"]["clipped"], (12, 3)).any()
    assert np.argwhere(bits(second["action"]["clipped"], (12, 3))).tolist() == [[7, 1]]
    assert unpacked(second["action"]["values"], "<f4", 3)[7, 1] == 5.0
    ids = unpacked(second["action"]["ids"], "<u2", 3)
    assert ids[7, 1] == ids.max() == Codec().ranges.number_start + 1023


def test_an_episode_without_a_seed_is_not_drawn(minari_root: Path, tmp_path: Path) -> None:
    made = make_foreign(FOREIGN, env="Hopper-v5")
    shown = content_of(write_view(made, out=tmp_path / "view.html"))["episodes"][0]
    assert shown["note"].startswith("No pictures: the episode stores no seed")


def test_observations_are_clipped_by_the_statistics_of_the_model(minari_root: Path, tmp_path: Path) -> None:
    """A model that was made for mean 0 and deviation 0.1 clips what lies beyond 0.4."""
    make_foreign(FOREIGN, env="Hopper-v5")
    model = make_model(ModelConfig(size="nano"), BODIES["hopper"].spec)
    model.save(tmp_path / "model", card={})
    content = content_of(write_view(FOREIGN, out=tmp_path / "view.html", model=str(tmp_path / "model")))
    values = unpacked(content["episodes"][0]["observation"]["values"], "<f4", 11)
    assert np.array_equal(bits(content["episodes"][0]["observation"]["clipped"], (13, 11)), np.abs(values) > 4)


def test_an_element_without_bounds_is_clipped_by_its_bins() -> None:
    spec = BodySpec("cart", (Element("place"),), (Element("push", low=-1, high=1), Element("pull")))
    codec = Codec()
    one = np.ones(2)
    codec.add_body(spec, np.zeros(1), np.ones(1), action_mean_A=0 * one, action_std_A=one)
    actions = np.float32([[1, 3.9], [1.01, 4.1], [-1, -4.1]])
    assert outside_box(spec, codec.body("cart").action, actions).tolist() == [
        [False, False],
        [True, True],
        [False, True],
    ]


def test_nothing_comes_from_outside_and_words_cannot_write_html(
    recorded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = open_dataset(recorded).folder / "data" / "metadata.json"
    stored = json.loads(metadata.read_text())
    metadata.write_text(json.dumps({**stored, "prompts": [["</script><b>hop"]], "description": "<i>by me</i>"}))
    made = write_view(recorded, out=tmp_path / "view.html", num_episodes=1)
    page = Page(made.read_text())
    assert len(page.all("script")) == 3 and not page.all("link") and not page.all("i")
    assert not [attributes for _, attributes in page.tags if attributes.get("src") or attributes.get("href")]
    assert content_of(made)["prompts"][0]["words"] == "</script><b>hop"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((FOREIGN, "--out", "view"), "--out is view; it is the page to write, such as view.html"),
        ((FOREIGN, "--out", "v.html", "--episodes", "0"), "--episodes is 0 and --every 2; both are at least 1"),
        ((FOREIGN, "--out", "v.html", "--every", "-1"), "--every -1; both are at least 1"),
        (("cs285/hopper/export-v0", "--out", "v.html"), f'did you mean "{FOREIGN}"?'),
        ((FOREIGN, "--out", "v.html", "--model", "nobody"), 'no model "nobody", neither a folder here nor one that'),
        ((FOREIGN, "--out", "v.html", "--model", "gato-small"), "body 'hopper-"),
    ],
)
def test_bad_wishes_are_told_in_one_line(
    words: tuple[str, ...],
    told: str,
    minari_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    make_foreign(FOREIGN)
    assert cli.run(["data", "view", *words]) == 1
    error = capsys.readouterr().err
    assert told in error and len(error.splitlines()) == 1
    assert not list(tmp_path.glob("v*"))


def test_numbers_that_are_not_finite_are_named(minari_root: Path, tmp_path: Path) -> None:
    observations = np.zeros((13, 11))
    observations[4, 2] = np.nan
    with pytest.raises(ValueError, match=r"episode 0 step 4: observations\[2\] is nan"):
        write_view(make_foreign(FOREIGN, observations), out=tmp_path / "view.html")
