"""The page of `gato data view` in a real browser without a screen: what it shows is what stands at the cursor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import needs_chromium, opened, until
from test_data_minari_io import make_foreign
from test_data_view import content_of, unpacked

from gato.record import Recording, record_skill
from gato.reporting import pictures
from gato.reporting.dataset_view import write_view

COLOUR = "one => getComputedStyle(one).color"
RED_PLOTS = """rows => rows.filter((row) => {
  const canvas = row.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.some((red, at) => at % 4 === 0 && red > 150 && data[at + 2] < 80 && data[at + 3] === 255);
}).map((row) => row.querySelector(".name").textContent)"""
"""Names of the rows in whose plot something is red."""
pytestmark = needs_chromium


@pytest.fixture
def foreign(minari_root: Path, tmp_path: Path) -> Path:
    """Two episodes of 12 steps, 11 numbers observed and 3 done; the second has 5 as action[1] at step 7."""
    return write_view(make_foreign("cs285/hopper/expert-v0"), out=tmp_path / "view.html")


@pytest.fixture
def recorded(minari_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Episodes 0 and 2 of a random hopper, drawn as ever brighter pictures, one each two steps."""

    def shades(*_: Any, every: int, width: int, height: int) -> Iterator[np.ndarray]:
        for shade in (0, 120, 240):
            yield np.full((height, width, 3), shade, np.uint8)

    monkeypatch.setattr(pictures, "find_renderer", lambda: "egl")
    monkeypatch.setattr(pictures, "frames", shades)
    made = record_skill(Recording("hopper/hop-forward", episodes=3, expert="random"))
    return write_view(made, out=tmp_path / "view.html", num_episodes=2, every=2)


def tokens_at(view: Path, place: int, step: int) -> list[str]:
    """What stands in the file, a text a row: the last step has no action, rewards and readings have no tokens."""
    content = content_of(view)
    episode = content["episodes"][place]
    found: list[str] = []
    for kind in ("observation", "action"):
        ids = unpacked(episode[kind]["ids"], "<u2", len(content[kind]))
        found += [str(one) for one in ids[step]] if step < len(ids) else [""] * ids.shape[1]
    return found + [""] * (1 + len(episode["readings"]))


def tokens_shown(page: Any) -> list[str]:
    return page.locator("#plots .row .token").all_text_contents()


def becomes_step(page: Any, step: int) -> None:
    until(page, f"document.getElementById('step').value === '{step}'")


def test_keys_move_to_the_numbers_and_tokens_of_their_step(browser: Any, foreign: Path) -> None:
    with opened(browser, foreign.as_uri()) as page:
        assert tokens_shown(page) == tokens_at(foreign, 0, 0) and len(tokens_shown(page)) == 15
        for step in (1, 2, 3):
            page.locator("#step").press("ArrowRight")
            becomes_step(page, step)
        assert tokens_shown(page) == tokens_at(foreign, 0, 3) != tokens_at(foreign, 0, 0)
        values_TO = unpacked(content_of(foreign)["episodes"][0]["observation"]["values"], "<f4", 11)
        shown = page.locator("#plots .row .value").all_text_contents()
        assert [float(text) for text in shown[:11]] == pytest.approx(values_TO[3].tolist(), rel=1e-4)
        page.locator("#step").press("End")
        becomes_step(page, 12)
        assert tokens_shown(page) == tokens_at(foreign, 0, 12)
        assert page.locator("#plots .row .value").all_text_contents()[11:] == ["–"] * 4


def test_a_drag_over_a_plot_moves_the_cursor(browser: Any, foreign: Path) -> None:
    with opened(browser, foreign.as_uri()) as page:
        box = page.locator(".plot").first.bounding_box()
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] / 2, middle)
        page.mouse.down()
        becomes_step(page, 6)
        assert tokens_shown(page) == tokens_at(foreign, 0, 6)
        page.mouse.move(box["x"] + box["width"] / 4, middle)
        becomes_step(page, 3)
        page.mouse.up()
        assert tokens_shown(page) == tokens_at(foreign, 0, 3)


def test_it_plays_to_the_end(browser: Any, foreign: Path) -> None:
    with opened(browser, foreign.as_uri()) as page:
        page.locator("#play").click()
        becomes_step(page, 12)
        assert tokens_shown(page) == tokens_at(foreign, 0, 12)
        assert page.locator("#play").text_content() == "play"


def test_a_clipped_value_is_found_and_red(browser: Any, foreign: Path) -> None:
    with opened(browser, foreign.as_uri() + "#1:6") as page:
        assert not page.locator(".row.clipped").count()
        page.locator("button#clipped").click()
        becomes_step(page, 7)
        row = page.locator(".row.clipped")
        assert row.locator(".name").all_text_contents() == ["action[1]"]
        assert row.locator(".value").text_content() == "5"
        assert tokens_shown(page) == tokens_at(foreign, 1, 7)
        red = page.locator("p b.bad").evaluate(COLOUR)
        is_red = [row.locator(part).evaluate(COLOUR) == red for part in (".value", ".token", ".name")]
        assert is_red == [True, True, False]
        assert page.locator("#plots .row").evaluate_all(RED_PLOTS) == ["action[1]"]
        heading = page.locator("#plots h2", has_text="action")
        assert heading.text_content() == "action 1 of 36 values clipped"


def test_another_episode_is_chosen_at_the_same_step(browser: Any, foreign: Path) -> None:
    """The first, of which nothing is clipped."""
    with opened(browser, foreign.as_uri() + "#1:7") as page:
        assert page.locator(".row.clipped").count() == 1
        page.select_option("#episode", label="0")
        becomes_step(page, 7)
        assert tokens_shown(page) == tokens_at(foreign, 0, 7)
        assert not page.locator(".row.clipped").count() and page.locator("button#clipped").is_disabled()
        assert page.locator("#plots .row").evaluate_all(RED_PLOTS) == []


def test_a_link_opens_that_episode_of_the_dataset_at_that_step(browser: Any, recorded: Path) -> None:
    """Episode 2 is the second of the page."""
    with opened(browser, recorded.as_uri() + "#2:3") as page:
        assert page.locator("#episode option:checked").text_content() == "2"
        assert page.locator("#step").input_value() == "3"
        assert tokens_shown(page) == tokens_at(recorded, 1, 3) != tokens_at(recorded, 0, 3)
        names, texts = (page.locator(f"#facts {tag}").all_text_contents() for tag in ("dt", "dd"))
        facts = dict(zip(names, texts, strict=True))
        assert facts["step"].startswith("3 of ") and facts["words"] == "“hop forward”"
        drawn = content_of(recorded)["episodes"][1]["pictures"]
        assert page.locator("#picture").get_attribute("src") == "data:image/webp;base64," + drawn[1]
        until(page, f"document.getElementById('picture').naturalWidth === {pictures.WIDTH}")
