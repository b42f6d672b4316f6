"""How far a long command is: a bar on a terminal, lines in a log; and how the log is written.

In: units of work done and figures. Out: standard error, as text or as JSON lines.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time

BAR_SECONDS = 0.1
"""Between redraws of the bar: a person reads no faster."""
LINE_SECONDS = 30.0
"""Between lines of a log file, unless a tenth of the work is done earlier."""

log = logging.getLogger("gato")


class Progress:
    """`with Progress(total, "steps", "train") as progress: progress.update(n, loss=0.1)`.

    On a terminal a bar on standard error; elsewhere a log line every tenth of the work or 30 s. `done` is where a
    resumed run begins.
    """

    def __init__(self, total: int, unit: str, label: str, *, done: int = 0) -> None:
        self.total, self.unit, self.label, self.done, self._start = total, unit, label, done, done
        self._figures: dict[str, float | str] = {}
        self._is_terminal = sys.stderr.isatty() and os.environ.get("GATO_LOG") != "json"
        self._began = self._shown_at = time.monotonic()
        self._shown_done = done

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._show()
        if self._is_terminal:
            sys.stderr.write("\n")

    def update(self, n: int = 1, **figures: float | str) -> None:
        """`n` more units are done; `figures` are shown until replaced."""
        self.done += n
        self._figures.update(figures)
        waited = time.monotonic() - self._shown_at
        is_due = waited >= BAR_SECONDS
        if not self._is_terminal:
            is_due = waited >= LINE_SECONDS or (self.done - self._shown_done) * 10 >= self.total
        if is_due and self.done < self.total:
            self._show()

    def _show(self) -> None:
        self._shown_at, self._shown_done = time.monotonic(), self.done
        rate = (self.done - self._start) / max(self._shown_at - self._began, 1e-9)
        share = self.done / max(self.total, 1)
        left = _clock((self.total - self.done) / rate) if rate > 0 else "?"
        figures = "".join(
            f"  {name} {value if isinstance(value, str) else format(value, '.4g')}"
            for name, value in self._figures.items()
        )
        line = f"{self.done}/{self.total} {self.unit}  {rate:,.0f}/s  {left} left{figures}"
        if self._is_terminal:
            filled = "#" * int(20 * min(share, 1.0))
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write("\r\033[K" + f"{self.label} [{filled:20}] {line}"[:width])
            sys.stderr.flush()
            return
        extra = {"done": self.done, "total": self.total, "rate": rate, **self._figures}
        log.info("%s %3.0f %%  %s", self.label, 100 * share, line, extra={"figures": extra})


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "figures", {}),
        }
        return json.dumps(line, default=str)


def setup_logging() -> None:
    """Log to standard error. GATO_LOG=text|json and GATO_LOG_LEVEL=debug|info|warning|error choose how and how much."""
    form, level = os.environ.get("GATO_LOG", "text"), os.environ.get("GATO_LOG_LEVEL", "info").upper()
    if form not in ("text", "json"):
        raise ValueError(f"GATO_LOG={form}; allowed: text, json")
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError(f"GATO_LOG_LEVEL={level.lower()}; allowed: debug, info, warning, error")
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
    handler.setFormatter(_JsonLines() if form == "json" else text)
    log.handlers, log.propagate = [handler], False
    log.setLevel(level)
