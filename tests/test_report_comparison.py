"""Several runs on one page: one table, curves and matrices side by side, videos as long as the page can be mailed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_report import Page, suite_results, task

from gato import cli
from gato.report import write_comparison, write_report
from gato.reporting import sections
from gato.reporting.charts import COLOURS, overlaid
from gato.runs import content_hash, write_json

PLAN = {
    "plan": "stand for 2 seconds, then turn left",
    "plan_success": {"mean": 0.5, "ci95": [0.0, 1.0], "episodes": [0.0, 1.0]},
    "plan_parts": [
        {
            "skill": "ant/stand",
            "seconds": 2.0,
            "until": None,
            "repeats": 1,
            "success": {"mean": 1.0, "ci95": [1.0, 1.0], "episodes": [1.0, 1.0]},
            "reached": 1.0,
            "falls": 0,
            "took": 2.0,
        },
        {
            "skill": "ant/turn-left",
            "seconds": 6.142,
            "until": {"reading": "yaw_rate", "statistic": "total", "relation": "at least", "value": 1.571},
            "repeats": 2,
            "success": {"mean": 0.5, "ci95": [0.0, 1.0], "episodes": [0.0, 1.0]},
            "reached": 0.75,
            "falls": 1,
            "took": None,
        },
    ],
}


def evaluation(folder: Path, forward: float, **changed: Any) -> Path:
    """A folder of `gato eval` in which hopping forward scores as told; two episodes a task."""
    results = suite_results()
    results["tasks"]["hopper/hop-forward"] = task("hop forward", forward)
    for one in results["tasks"].values():
        mean = one["return"]["mean"]
        one["return"]["episodes"] = [mean - 100, mean + 100]
    write_json(folder / "results.json", {**results, **changed})
    return folder


def training(folder: Path, loss: float) -> Path:
    """A folder of `gato fit` with two rows of figures."""
    (folder / "logs").mkdir(parents=True)
    rows = ["step,train/loss,val/loss,rollout/mean", f"10,{loss},,", f"20,{loss / 2},,", "20,,1.5,0.25"]
    (folder / "logs" / "metrics.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture
def compared(tmp_path: Path) -> Page:
    """Two evaluations, one of which followed a plan, and two trainings."""
    runs = [
        evaluation(tmp_path / "old", 500.0),
        evaluation(tmp_path / "new", 900.0, **PLAN),
        training(tmp_path / "short", 5.0),
        training(tmp_path / "long", 3.0),
    ]
    return Page(write_comparison(runs).read_text())


def test_all_runs_stand_in_one_table_with_intervals(compared: Page) -> None:
    """By hand: 0.5 and 0.8 of the expert; by episodes of +-0.1 the mean of both cannot leave 0.55..0.75."""
    assert "old, new, short and long, compared" in compared.words
    assert "mean of 2" in compared.words
    assert "0.650 [0.55, 0.75]" in compared.words and "0.850 [0.75, 0.95]" in compared.words
    assert "0.500 [0.48, 0.52]" in compared.words and "0.900 [0.88, 0.92]" in compared.words
    assert "50 episodes, seed 0" in compared.words


def test_curves_of_all_trainings_lie_over_each_other(compared: Page) -> None:
    told = [str(figure["aria-label"]) for figure in compared.all("figure")]
    assert [one for one in told if "against updates" in one] == [
        "loss (nats an action number) against updates: short 2.50 at update 20, long 1.50 at update 20.",
        "loss on held-out episodes against updates: short 1.50 at update 20, long 1.50 at update 20.",
        "normalised score (1 = expert) against updates: short 0.25 at update 20, long 0.25 at update 20.",
    ]


def test_matrices_stand_side_by_side_body_by_body(compared: Page) -> None:
    told = [str(figure["aria-label"]) for figure in compared.all("figure")]
    squares = [one.split(".")[0] for one in told if one.startswith("Prompt matrix")]
    assert squares == ["Prompt matrix of hopper old", "Prompt matrix of hopper new"]
    ids = [attributes["id"] for _, attributes in compared.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_plan_is_drawn_and_told_part_by_part(compared: Page, tmp_path: Path) -> None:
    for words in (
        "“stand for 2 seconds, then turn left”",
        "50% [0%, 100%] of 2 episodes did all of it",
        "turn-left, at most 6.14 s, until total yaw rate at least 1.57, 2 times",
        "stand, 2 s",
    ):
        assert words in compared.words, words
    drawn = "Share of episodes that did each part. new stand, 2 s: 1.00."
    assert any(str(figure["aria-label"]).startswith(drawn) for figure in compared.all("figure"))
    alone = Page(write_report(tmp_path / "new").read_text())
    assert "Plans, followed" in alone.words and "75%" in alone.words
    assert "Plans, followed" not in Page(write_report(tmp_path / "old").read_text()).words


def test_names_are_as_long_as_it_takes_to_tell_runs_apart(tmp_path: Path) -> None:
    runs = [evaluation(tmp_path / name / "eval", 500.0 + index) for index, name in enumerate("ab")]
    assert "a/eval and b/eval, compared" in Page(write_comparison(runs).read_text()).words


def test_the_mean_is_over_tasks_that_all_have(tmp_path: Path) -> None:
    fewer = suite_results()["tasks"]
    del fewer["hopper/hop-backward"]
    runs = [evaluation(tmp_path / "a", 500.0), evaluation(tmp_path / "b", 900.0, tasks=fewer)]
    words = Page(write_comparison(runs).read_text()).words
    assert "mean of 1" in words and "1 of 2 are not among them" in words


def test_videos_come_as_long_as_there_is_room_and_the_others_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [evaluation(tmp_path / name, 500.0 + index) for index, name in enumerate("ab")]
    for run in runs:
        (run / "videos").mkdir()
        (run / "videos" / "hopper-hop-forward-0.mp4").write_bytes(bytes(3_000))
        (run / "videos" / "hopper-hop-backward-0.mp4").write_bytes(bytes(300_000))
    monkeypatch.setattr(sections, "MOST_BYTES", 400_000)
    made = write_comparison(runs)
    page = Page(made.read_text())
    assert len(page.all("video")) == 2 and made.stat().st_size < 420_000
    assert f"2 more (0.6 MB) lie in {tmp_path / 'a' / 'videos'}, {tmp_path / 'b' / 'videos'}" in page.words
    alone = Page(write_report(runs[0]).read_text())
    assert len(alone.all("video")) == 1 and "1 more (0.3 MB)" in alone.words


def test_a_training_has_a_page_of_its_own(tmp_path: Path) -> None:
    page = Page(write_report(training(tmp_path / "fit", 5.0)).read_text())
    assert "The training of fit" in page.words and "Learning" in page.words and "Scores" not in page.words


def test_the_page_is_written_beside_the_first_run_and_is_no_content(tmp_path: Path) -> None:
    """A demo's training lies inside the demo, whose hash may not hang on who was compared with it."""
    runs = [training(tmp_path / "demo" / "fit", 5.0), evaluation(tmp_path / "eval", 500.0)]
    (tmp_path / "demo" / "results.json").write_text("{}")
    before = content_hash(tmp_path / "demo")
    assert write_comparison(runs) == tmp_path / "demo" / "comparison.html"
    assert content_hash(tmp_path / "demo") == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("a", "nowhere"), "nowhere: no run there, neither results.json (gato eval MODEL --out nowhere) nor logs/met"),
        (("a", "a"), "a and a are the same run; name each run once"),
        (("a", "copy"), "a and copy hold the same figures, to the last digit; name each run once"),
        (("a", "other"), "runs of different suites cannot be compared (a: demo; other: mujoco); gato eval MODEL"),
        (("a", "apart"), "runs without a task in common cannot be compared (a: hopper/hop-forward, hopper/hop-back"),
        (("a", "fit", "--picture", "x.png"), "--picture is of one run; got 2: a, fit"),
        (("a", "torn"), "torn/logs/metrics.csv is no table of a training run: a row has no step; gato fit writes it"),
    ],
)
def test_runs_that_cannot_be_compared_are_told_in_one_line(
    words: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    evaluation(Path("a"), 500.0)
    evaluation(Path("copy"), 500.0)
    evaluation(Path("other"), 600.0, suite="mujoco")
    evaluation(Path("apart"), 600.0, tasks={"hopper/stand": task("stand", 5.0)})
    training(Path("fit"), 5.0)
    training(Path("torn"), 5.0)
    Path("torn/logs/metrics.csv").write_text("loss\n5\n")
    assert cli.run(["report", *words]) == 1
    error = capsys.readouterr().err
    assert told in error and len(error.splitlines()) == 1
    assert not Path("comparison.html").exists()


def test_the_command_takes_one_run_or_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    evaluation(Path("a"), 500.0)
    training(Path("fit"), 5.0)
    assert cli.run(["report", "a"]) == 0 and cli.run(["report", "a", "fit", "--out", "both.html"]) == 0
    assert capsys.readouterr().out.split() == ["a/report.html", "both.html"]
    assert cli.run(["report"]) == 2
    assert "runs" in capsys.readouterr().err


def test_more_runs_than_colours_have_another_dash() -> None:
    figure = overlaid({0: ("a", ([1], [1])), len(COLOURS): ("b", ([1], [1]))}, "loss")
    first, second = figure.axes[0].lines
    assert first.get_color() == second.get_color() and first.get_linestyle() != second.get_linestyle()
    assert np.isfinite(first.get_ydata()).all()
