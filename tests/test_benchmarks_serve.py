"""A minute of the soak that benchmarks/serve_soak.py runs for an hour; batches against one at a time, in small."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import serve
from serve_soak import soak

from gato.rollout.agent import Agent


def test_clients_that_come_go_stall_and_send_rubbish_harm_nobody() -> None:
    figures = soak(60)
    assert min(figures[name] for name in ("actions", "together", "visits", "refusals", "rude")) > 0
    assert figures["served_actions"] >= figures["actions"]


def test_the_soak_would_notice_a_history_that_is_not_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget_nothing(self: Agent, ids: np.ndarray) -> None:
        """The next session of a row sees the last one's steps."""

    monkeypatch.setattr(Agent, "reset", forget_nothing)
    with pytest.raises(AssertionError, match="alone"):
        soak(10)


def test_batches_are_compared_with_one_at_a_time(tmp_path: Path) -> None:
    serve.main(f"--seconds 0.3 --repeats 1 --size nano --clients 1 4 --out {tmp_path / 'serve.json'}".split())
    found = json.loads((tmp_path / "serve.json").read_text())
    assert set(found["batched"]) == set(found["one at a time"]) == set(found["speedup"]) == {"1", "4"}
    assert found["one at a time"]["4"]["rows"] == 1 < found["batched"]["4"]["rows"]
