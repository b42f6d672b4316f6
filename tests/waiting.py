"""Waits for what a server's threads will have done soon."""

from __future__ import annotations

import time
from collections.abc import Callable

SOON = 20.0
"""s, on a busy machine."""


def becomes(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not is_so():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)
