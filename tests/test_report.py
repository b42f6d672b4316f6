"""The page of results: complete, readable by everyone, nothing from outside."""

from __future__ import annotations

import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from gato.report import write_report
from gato.runs import write_json


def task(prompt: str, mean: float, *, expert: float | None = 1000.0) -> dict[str, Any]:
    """A task with an interval of 20 on either side, between random 0 and the expert."""
    return {
        "prompt": prompt,
        "return": {"mean": mean, "ci95": [mean - 20, mean + 20], "episodes": [mean]},
        "random": 0.0,
        "expert": expert,
        "normalised": None if expert is None else mean / expert,
        "success": 0.98,
        "steps_per_second": 1.0,
    }


def suite_results() -> dict[str, Any]:
    """As `gato eval --suite demo --ablate` writes them."""
    skills = ["hopper/hop-forward", "hopper/hop-backward"]
    arm = {
        "hopper": {
            "success": 0.5,
            "success_ci95": [0.1, 0.9],
            "obeyed": 0.75,
            "return": {"mean": 1.0, "ci95": [0.0, 2.0], "episodes": [1.0]},
            "normalised": {"mean": 0.62, "ci95": [0.57, 0.68], "episodes": [0.62]},
        }
    }
    nothing_said = {**arm["hopper"], "obeyed": None, "normalised": None}
    return {
        "model": "",
        "suite": "demo",
        "seed": 0,
        "episodes": 50,
        "tasks": {skills[0]: task("hop forward", 950.0), skills[1]: task("hop backward", 800.0)},
        "mean_normalised": 0.875,
        "iqm_normalised": 0.875,
        "prompt_matrix": {
            "hopper": {"prompts": ["hop forward", "hop backward"], "behaviours": skills, "rate": [[1, 0], [0.1, 0.9]]},
            "inverted-pendulum": {"prompts": ["balance"], "behaviours": ["inverted-pendulum/balance"], "rate": [[1.0]]},
        },
        "ablation": {"correct": arm, "wrong": arm, "empty": {"hopper": nothing_said}},
        "switching": {"hopper": {"rate": 0.94, "falls": 2, "median_seconds": None, "trials": 50, "held_before": 7}},
    }  # fmt: skip


class Page(HTMLParser):
    """What tests ask about a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def make_page(folder: Path, results: dict[str, Any]) -> Page:
    write_json(folder / "results.json", results)
    return Page(write_report(folder).read_text())


@pytest.fixture(scope="module")
def demo_page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Of a demo's folder: model, metrics, stages, videos."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "videos").mkdir()
    (folder / "videos" / "hopper-hop-backward-0.mp4").write_bytes(b"second")
    (folder / "videos" / "hopper-hop-forward-0.mp4").write_bytes(b"first")
    write_json(folder / "model" / "card.json", {"parameters": 3_400_000, "updates": 1500})
    (folder / "fit" / "logs").mkdir(parents=True)
    rows = ["step,train/loss,rollout/hopper/hop-forward,rollout/mean", "10,5.0,,", "20,3.0,,", "20,,0.5,0.25"]
    (folder / "fit" / "logs" / "metrics.csv").write_text("\n".join(rows))
    done = {"seconds": 61.0, "peak_bytes": 2**30, "content_hash": "1"}
    write_json(folder / "logs" / "stages.json", {"training": done, "evaluation": {"seconds": 5.0, "peak_bytes": 0}})
    return make_page(folder, suite_results())


def test_nothing_comes_from_outside(demo_page: Page) -> None:
    for tag, attributes in demo_page.tags:
        for name in ("src", "href", "xlink:href", "data", "poster", "action"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")), (tag, value)
    assert not demo_page.all("link")


def test_every_part_of_the_demo_is_there(demo_page: Page) -> None:
    for heading in (
        "Told, and done",
        "Scores",
        "The prompt matrix",
        "What the words are worth",
        "New words on the way",
        "Learning",
        "Time and memory",
        "Where it comes from",
        "Again",
    ):
        assert heading in demo_page.words
    assert "One transformer, 1 body, 2 skills" in demo_page.words


def test_scores_carry_their_intervals(demo_page: Page) -> None:
    """Typed by hand: 950 of 0..1000 with +-20 is 0.95 with +-0.02."""
    assert "950 [930, 970]" in demo_page.words
    assert "0.950 [0.93, 0.97]" in demo_page.words
    assert "0.800 [0.78, 0.82]" in demo_page.words


def test_who_does_not_see_the_pictures_is_told_what_they_show(demo_page: Page) -> None:
    figures = demo_page.all("figure")
    assert len(figures) == 4
    told = " ".join(str(figure["aria-label"]) for figure in figures)
    assert all(figure["role"] == "img" for figure in figures)
    assert "Told “hop backward”: hop-forward 0.10, hop-backward 0.90." in told
    assert "wrong: hopper 0.50" in told
    assert "5.00 at update 10, 3.00 at update 20" in told
    assert "0.25 at update 20" in told
    assert "inverted-pendulum" not in told
    assert all(video["aria-label"] for video in demo_page.all("video"))


def test_tables_have_captions_and_headers(demo_page: Page) -> None:
    tables = demo_page.all("table")
    assert len(tables) == len(demo_page.all("caption")) == 5
    assert {str(head.get("scope")) for head in demo_page.all("th")} == {"col", "row"}


def test_ids_of_the_pictures_do_not_meet(demo_page: Page) -> None:
    ids = Counter(attributes["id"] for _, attributes in demo_page.tags if "id" in attributes)
    assert not [name for name, count in ids.items() if count > 1]
    names = set(ids)
    used = {str(attributes["xlink:href"])[1:] for attributes in demo_page.all("use")}
    assert used and used <= names


def test_pictures_take_the_colour_of_the_page(demo_page: Page) -> None:
    styles = " ".join(str(attributes.get("style")) for _, attributes in demo_page.tags)
    assert "currentColor" in styles and "#010203" not in styles


def test_videos_come_in_the_order_of_the_scores_and_are_quiet(demo_page: Page) -> None:
    videos = demo_page.all("video")
    assert [video["aria-label"] for video in videos] == ["Video: hopper hop forward", "Video: hopper hop backward"]
    assert all({"muted", "loop", "autoplay", "playsinline"} <= set(video) for video in videos)


def test_only_finished_stages_count(demo_page: Page) -> None:
    assert "1:01" in demo_page.words and "1:06" not in demo_page.words


def test_trials_that_held_before_are_told_also_where_nobody_counted_them(demo_page: Page, tmp_path: Path) -> None:
    def told(page: Page) -> str:
        return page.words.split("held beforetrials")[1].split()[0]

    assert told(demo_page) == "hopper94%–2750"
    before = {"rate": None, "falls": 2, "median_seconds": 1.5, "trials": 50}
    assert told(make_page(tmp_path, {**suite_results(), "switching": {"hopper": before}})) == "hopper–1.52–50"


def test_what_words_are_worth_is_told_by_returns_too(demo_page: Page) -> None:
    returns = demo_page.words.split("Normalised return by the reward of what was wanted")[1]
    assert "correct0.62 [0.57, 0.68]" in returns and "empty–" in returns


def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    results = {**suite_results(), "ablation": {"correct": {}, "wrong": {}}, "switching": {}, "prompt_matrix": {}}
    page = make_page(tmp_path, results)
    assert "Scores" in page.words and "Again" in page.words
    for heading in ("Told, and done", "The prompt matrix", "What the words", "New words", "Learning", "Time and"):
        assert heading not in page.words


def test_unknown_references_are_dashes(tmp_path: Path) -> None:
    tasks = {"gato/foreign-v0": task("", 5.0, expert=None)}
    results = {**suite_results(), "tasks": tasks, "mean_normalised": None, "iqm_normalised": None}
    assert "–" in make_page(tmp_path, results).words


def test_answers_to_any_words_are_shown_and_cannot_write_html(tmp_path: Path) -> None:
    prompt = "<script>alert(1)</script>"
    one = {"body": "hopper", "prompt": prompt, "skill": None, "success": None, "measured": {"forward_speed": 1.234}}
    results = {"model": "", "suite": None, "seed": 0, "episodes": 1, "tasks": {}, "prompts": [one]}
    page = make_page(tmp_path, results)
    assert len(page.all("script")) == 1
    assert f"“{prompt}”" in page.words and "forward speed 1.23" in page.words


def test_the_page_may_lie_elsewhere_and_the_matrix_is_a_picture_too(tmp_path: Path) -> None:
    write_json(tmp_path / "results.json", suite_results())
    page = write_report(tmp_path / "results.json", out=tmp_path / "page.html", picture=tmp_path / "docs" / "matrix.png")
    assert page == tmp_path / "page.html"
    assert not (tmp_path / "report.html").exists()
    assert (tmp_path / "docs" / "matrix.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_results_give_the_same_page(tmp_path: Path) -> None:
    write_json(tmp_path / "results.json", suite_results())
    assert write_report(tmp_path).read_bytes() == write_report(tmp_path).read_bytes()


def test_wrong_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gato eval MODEL --out"):
        write_report(tmp_path)
    (tmp_path / "results.json").write_text('{"half": ')
    with pytest.raises(ValueError, match=r"results\.json is not valid JSON"):
        write_report(tmp_path)
    (tmp_path / "results.json").write_text(json.dumps({"accuracy": 1}))
    with pytest.raises(ValueError, match="is no result of gato eval"):
        write_report(tmp_path)
    write_json(tmp_path / "results.json", {**suite_results(), "prompt_matrix": {}})
    with pytest.raises(ValueError, match="holds no prompt matrix"):
        write_report(tmp_path, picture=tmp_path / "matrix.png")
