"""`gato play` in a real browser without a screen: what is typed is done, what is done is seen."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playing import Played, played

from gato.model.find import find_model
from gato.model.gato import Gato
from gato.planner.situation import Choice, Situation
from gato.play.steering import Pilot
from gato.runs import read_json

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SOFTWARE = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SOON = 30_000
"""ms within which something happens, on a busy machine."""
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; Debian: apt install chromium")


class AlwaysRight:
    """A planner with one idea."""

    name = "a test"

    def decide(self, situation: Situation) -> Choice:
        return Choice("turn right", "to the right")


@pytest.fixture(scope="module")
def place() -> Iterator[Played]:
    folder = find_model("gato-small")
    with played(
        Gato.load(folder), read_json(folder / "card.json")["skills"], body="ant", pilot=Pilot(AlwaysRight())
    ) as one:
        yield one


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, place: Played) -> Iterator[Any]:
    """The page, once a frame was there; an error in it is a failure."""
    faults: list[str] = []
    page = browser.new_page(viewport={"width": 1100, "height": 700})
    page.set_default_timeout(SOON)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda one: faults.append(one.text) if one.type == "error" else None)
    page.goto(place.address)
    until(page, "gato.frames > 3")
    yield page
    page.close()
    assert not faults, faults


def until(page: Any, expression: str) -> None:
    """Playwright's own waiting is against the page's rules: it makes code of text."""
    end = time.monotonic() + SOON / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"it did not come to {expression}"
        page.wait_for_timeout(20)


def picture(page: Any, folder: Path) -> np.ndarray:
    page.locator("#picture").screenshot(path=folder / "picture.png")
    return np.asarray(Image.open(folder / "picture.png").convert("RGB")).astype(int)


def test_what_is_typed_is_done_and_seen(page: Any, tmp_path: Path) -> None:
    assert page.evaluate("document.activeElement.id") == "words"
    page.keyboard.type("turn left")
    page.keyboard.press("Enter")
    until(page, "gato.told?.skill === 'ant/turn-left'")
    assert page.locator("#prompt").inner_text() == "“turn left”"
    assert page.locator("#skills button[aria-pressed=true]").inner_text() == "turn left"
    assert page.locator(".reading.told span").first.inner_text() == "yaw rate"
    before_HW3 = picture(page, tmp_path)
    until(page, f"gato.time > {page.evaluate('gato.time')} + 0.5")
    after_HW3 = picture(page, tmp_path)
    assert before_HW3.std() > 5 and (np.abs(after_HW3 - before_HW3).sum(2) > 30).mean() > 0.005


def test_buttons_do_what_they_say(page: Any) -> None:
    page.get_by_role("button", name="turn right").click()
    until(page, "gato.told?.skill === 'ant/turn-right'")
    page.get_by_role("button", name="Push").click()
    until(page, "gato.events.includes('pushed')")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Go on").wait_for()
    stood = page.evaluate("gato.time")
    page.wait_for_timeout(300)
    assert page.evaluate("gato.time") == stood
    page.get_by_role("button", name="Reset").click()
    until(page, "gato.time === 0")
    page.get_by_role("button", name="Go on").click()
    until(page, "gato.time > 0.1")
    page.select_option("#body", "hopper")
    until(page, "gato.told?.skill === 'hopper/stand'")
    assert "hop in place" in page.locator("#skills").inner_text()


def test_a_plan_is_listed_and_what_was_mistyped_is_offered(page: Any) -> None:
    page.fill("#words", "turn left for 0.3 seconds, then turn right for 1 minute")
    page.keyboard.press("Enter")
    page.locator("#plan li.now", has_text="turn right for 60.0 seconds").wait_for()
    page.fill("#words", "trun lfet")
    page.keyboard.press("Enter")
    page.locator("#answer button", has_text="turn left").click()
    until(page, "gato.told?.skill === 'ant/turn-left'")
    until(page, "document.getElementById('planned').hidden")


def test_a_planner_steers_and_its_decisions_are_listed(page: Any, tmp_path: Path) -> None:
    page.fill("#words", "go home")
    page.get_by_role("button", name="Ask planner").click()
    page.locator("#goal", has_text="go home").wait_for()
    page.locator("#decisions summary", has_text="turn right").first.wait_for()
    until(page, "gato.told?.skill === 'ant/turn-right'")
    page.locator("#decisions summary").first.click()
    page.locator("#decisions pre", has_text="Task: go home").first.wait_for()
    page.screenshot(path=tmp_path / "planner.png")
    page.get_by_role("button", name="Take over").click()
    page.locator("#planner.over").wait_for()
    page.get_by_role("button", name="Ask planner").wait_for()


def test_another_body_has_not_the_plan_of_the_one_before(page: Any) -> None:
    page.fill("#words", "turn left for 1 minute, then turn right")
    page.keyboard.press("Enter")
    page.locator("#plan li.now", has_text="turn left").wait_for()
    page.select_option("#body", "hopper")
    until(page, "gato.told?.skill === 'hopper/stand'")
    assert page.locator("#planned").is_hidden() and not page.locator("#plan li").count()


def test_a_clip_is_recorded_in_the_browser(page: Any, tmp_path: Path) -> None:
    page.get_by_role("button", name="Record").click()
    page.wait_for_timeout(1500)
    with page.expect_download() as download:
        page.get_by_role("button", name="Stop").click()
    assert download.value.suggested_filename.startswith("gato-ant-")
    download.value.save_as(tmp_path / "clip")
    assert (tmp_path / "clip").stat().st_size > 1000


def test_without_webgl_words_and_readings_work(browser: Any, place: Played) -> None:
    page = browser.new_page()
    page.set_default_timeout(SOON)
    page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
        " return kind.startsWith('webgl') ? null : get.call(this, kind, ...more); }"
    )
    page.goto(place.address)
    page.locator("#blind", has_text="This browser has no WebGL").wait_for()
    page.fill("#words", "turn left")
    page.keyboard.press("Enter")
    until(page, "gato.told?.skill === 'ant/turn-left'")
    until(page, "/-?\\d+\\.\\d\\d rad\\/s/.test(document.getElementById('readings').innerText)")
    assert page.locator("#record").is_disabled()
    page.close()


def test_it_fits_a_phone_and_asks_for_the_token(browser: Any, place: Played) -> None:
    place.server._token = "sesame"
    try:
        page = browser.new_page(viewport={"width": 375, "height": 720})
        page.set_default_timeout(SOON)
        page.goto(place.address)
        page.locator("#answer", has_text="wrong token or none").wait_for()
        page.fill("#token", "sesame")
        page.keyboard.press("Enter")
        until(page, "gato.frames > 3")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        page.goto(place.address + "/#token=sesame")
        page.reload()
        until(page, "gato.frames > 3")
        page.close()
    finally:
        place.server._token = ""
