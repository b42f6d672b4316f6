"""`gato play` in a real browser without a screen: what is typed is done, what is done is seen."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import SOON, needs_chromium, opened, until
from PIL import Image
from playing import Played, played

from gato.model.find import find_model
from gato.model.gato import Gato
from gato.planner.situation import Choice, Situation
from gato.play.steering import Pilot
from gato.runs import read_json

TURNS = 0.3
"""rad/s, beyond what a body drifts that goes straight on or stands (`gato.skills.commanded.DRIFT`)."""
NUM_RATES = 20
"""Numbers shown, two seconds of them or more: the legs shake a single one across zero."""
RATE_SOON = 60.0
"""s for a body that turned to the other side, on a busy machine."""
CURVE = """(() => {
  const canvas = document.querySelector(".reading.told canvas");
  const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const isInked = (at) => data[at + 3] > 128 && data[at + 2] - data[at] > 40;
  const isCrossed = (row) => Array.from({ length: width }, (_, column) => 4 * (row * width + column)).some(isInked);
  return Array.from({ length: height }, (_, row) => row).filter(isCrossed).length / height;
})()"""
"""Share of the height of the told reading's plot that its curve crosses; the line at zero is grey."""
pytestmark = needs_chromium


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


@pytest.fixture
def page(browser: Any, place: Played) -> Iterator[Any]:
    """The page, once a frame was there."""
    with opened(browser, place.address, viewport={"width": 1100, "height": 700}) as page:
        until(page, "gato.frames > 3")
        yield page


def picture(page: Any, folder: Path) -> np.ndarray:
    page.locator("#picture").screenshot(path=folder / "picture.png")
    return np.asarray(Image.open(folder / "picture.png").convert("RGB")).astype(int)


def rate_becomes(page: Any, sign: int) -> None:
    """The newest numbers that the page shows as the yaw rate are, in the mean, beyond TURNS to that side."""
    rates: deque[float] = deque(maxlen=NUM_RATES)
    last, end = "", time.monotonic() + RATE_SOON
    while len(rates) < NUM_RATES or not sign * np.mean(rates) >= TURNS:
        assert time.monotonic() < end, f"the yaw rate did not come to {sign * TURNS} rad/s: {list(rates)}"
        shown = page.locator(".reading.told span").nth(1).inner_text()
        if shown != last:
            last = shown
            rates.append(float(shown.removesuffix(" rad/s")))
        page.wait_for_timeout(20)


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


def test_what_is_typed_turns_the_body_and_its_reading(page: Any) -> None:
    for words, sign in (("turn left", 1), ("turn right", -1)):
        page.keyboard.type(words)
        page.keyboard.press("Enter")
        until(page, f"gato.told?.skill === 'ant/{words.replace(' ', '-')}'")
        assert page.locator(".reading.told span").first.inner_text() == "yaw rate"
        rate_becomes(page, sign)


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
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Go on").wait_for()  # no other decision comes on top meanwhile
    page.locator("#decisions summary").first.click()
    page.locator("#decisions details[open] pre", has_text="Task: go home").wait_for()
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


def _unable(*_: object) -> None:
    raise MemoryError


def test_a_body_that_failed_can_be_chosen_again(browser: Any, place: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list showed it although it had not come, and to choose what is shown is no change.
    Record could be pressed, and broke."""
    failed = "the server failed (MemoryError, see its log)"
    monkeypatch.setattr(place.world, "prepare", _unable)
    with opened(browser, place.address) as page:
        page.locator("#answer.wrong", has_text=failed).wait_for()
        assert page.locator("#body").input_value() == ""
        assert page.locator("#tools button").count() == page.locator("#tools button:disabled").count() == 4
        monkeypatch.undo()
        page.locator("#body").press("ArrowDown")
        first = page.locator("#body").input_value()
        until(page, f"gato.told?.skill?.startsWith('{first}/')")
        assert not page.locator("#tools button:disabled").count()
        monkeypatch.setattr(place.world, "prepare", _unable)
        page.locator("#body").press("ArrowDown")
        page.locator("#answer.wrong", has_text=failed).wait_for()
        assert page.locator("#body").input_value() == first


def test_a_clip_is_recorded_in_the_browser(page: Any, tmp_path: Path) -> None:
    page.get_by_role("button", name="Record").click()
    until(page, "gato.recorded > 1000")
    with page.expect_download() as download:
        page.get_by_role("button", name="Stop").click()
    assert download.value.suggested_filename.startswith("gato-ant-")
    download.value.save_as(tmp_path / "clip")
    assert (tmp_path / "clip").stat().st_size > 1000


def test_a_clip_of_nothing_is_told_of_and_not_kept(page: Any) -> None:
    """Whoever stopped at once got an empty file."""
    page.evaluate("""() => {
        MediaRecorder.prototype.start = () => {};
        MediaRecorder.prototype.stop = function () { this.onstop(); };
    }""")
    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name="Stop").click()
    page.locator("#answer.wrong", has_text="the browser has recorded nothing yet").wait_for()
    page.get_by_role("button", name="Record").wait_for()


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
    until(page, f"{CURVE} > 0.5")
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
