"""A real browser without a screen, for the tests of pages."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SOFTWARE = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SOON = 30_000
"""ms within which something happens, on a busy machine."""
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; Debian: apt install chromium")


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser, drawing in software."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, address: str, **options: Any) -> Iterator[Any]:
    """The page at that address, once it is loaded; an error in it is a failure."""
    faults: list[str] = []
    page = browser.new_page(**options)
    try:
        page.set_default_timeout(SOON)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda one: faults.append(one.text) if one.type == "error" else None)
        page.goto(address)
        yield page
    finally:
        page.close()
    assert not faults, faults


def until(page: Any, expression: str) -> None:
    """Playwright's own waiting is against the rules of the page of `gato play`: it makes code of text."""
    end = time.monotonic() + SOON / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"it did not come to {expression}"
        page.wait_for_timeout(20)
