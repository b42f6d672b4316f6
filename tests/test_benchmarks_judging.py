"""benchmarks/judging.py: what its arms learn from."""

from __future__ import annotations

from typing import Any

import judging
import pytest


def test_each_arm_learns_from_datasets_of_its_own_and_the_last_from_all_that_was_mended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No arm learned from the plans that were proposed."""
    asked: list[dict[str, Any]] = []

    def data_judge(dataset: str, **wished: Any) -> dict[str, Any]:
        asked.append({"dataset": dataset, **wished})
        return asked[-1]

    monkeypatch.setattr(judging.api, "data_judge", data_judge)
    named, said = judging.arms(["toy/a-v0", "toy/b-v0"], "rule")
    mended = ["toy/a-kept-relabelled-and-mended-v0", "toy/b-kept-relabelled-and-mended-v0"]
    assert list(named) == ["as labelled", *judging.KEPT] and named["kept, relabelled and mended"] == mended
    assert len({dataset for own in named.values() for dataset in own}) == 2 * len(named)
    assert said == asked[-2:]
    assert said[0] == {"dataset": "toy/a-v0", "judge": "rule", "keep": mended[0], "relabel": True, "mend": True}
