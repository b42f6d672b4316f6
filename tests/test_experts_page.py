"""The page of the experts: figures beside published ones, what is below its bar or missing, curves, frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gato.api import expert_eval
from gato.experts import measure, shipped
from gato.experts.logs import CURVE_ROWS, read_curve, ship_curve
from gato.experts.policy import Policy
from gato.experts.shipped import shipped_policy
from gato.reporting import charts, expert_page, expert_scores
from gato.reporting.expert_page import write_expert_page
from gato.runs import HISTORY, content_hash, write_json, write_provenance
from gato.skills.render import find_renderer
from gato.skills.table import SKILLS

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "benchmarks" / "published.json"
POLE, CHEETAH, BACK = "inverted-pendulum/balance", "half-cheetah/run-forward", "half-cheetah/run-backward"


def figures(mean: float, skill: str, **others: object) -> dict[str, object]:
    score = {"mean": mean, "ci95": [mean - 1, mean + 1]}
    told = {"return": score, "sampled_return": score, "random": score, "success": 1.0, "sampled_success": 0.5}
    training = {
        "steps": 2_000_000,
        "seconds": 90.0,
        "command": "gato expert train x",
        "earlier": [],
        "earlier_steps": 0,
    }
    return {"skill": skill, "length": 1000.0, "hash": "0", **told, **training, **others}


@pytest.fixture
def few_experts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One standard expert ships, a variant of it, and a history beside it."""
    folder = tmp_path / "shipped"
    for name in (POLE, f"{POLE}/gentle", f"{POLE}/{HISTORY}/00001000"):
        shipped_policy(POLE).save(folder / name)
        write_provenance(folder / name, command=f"gato expert train {name}", config={}, seeds={}, inputs={})
    for module in (shipped, expert_scores, expert_page):
        monkeypatch.setattr(module, "SHIPPED", folder)
    return folder


def test_a_page_is_written_of_what_ships(few_experts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, scores = tmp_path / "docs" / "experts.md", tmp_path / "scores.json"
    seen_there = tmp_path / "docs" / "skills" / "inverted-pendulum-balance.jpg"
    seen_there.parent.mkdir(parents=True)
    seen_there.write_bytes(b"")
    write_expert_page(page, scores=scores, published=PUBLISHED, episodes=2, seed=0)
    text, told = page.read_text(), json.loads(scores.read_text())
    assert list(told["experts"]) == [POLE, f"{POLE}/gentle"]
    assert len(told["missing"]) == 10 and "**No expert yet: half-cheetah/run-forward, hopper" in text
    assert "| [inverted-pendulum/balance](#inverted-pendulumbalance) | 1000 [1000, 1000] |" in text
    assert "| ant/run-forward | - | - | - | 5846 | 4993 | 7906 | 5850 | **missing** |" in text
    assert f"gato expert train {POLE}/gentle" in text
    drawn = {path.name for path in (tmp_path / "docs" / "experts").iterdir()}
    assert drawn == ({"inverted-pendulum-balance-gentle.jpg"} if find_renderer() else set())
    assert "seconds](skills/inverted-pendulum-balance.jpg)" in text, "the page of skills shows it already"
    before = page.read_bytes()
    monkeypatch.setattr(expert_scores, "measure_expert", lambda *_, **__: pytest.fail("measured again"))
    write_expert_page(page, scores=scores, published=PUBLISHED, episodes=2, seed=0)
    assert page.read_bytes() == before


def test_what_is_below_its_bar_is_told_and_a_variant_has_none(tmp_path: Path) -> None:
    published = json.loads(PUBLISHED.read_text())
    results = {"episodes": 100, "seed": 0, "missing": [], "experts": {CHEETAH: figures(6019, CHEETAH)}}
    text = expert_page._text(results, published, tmp_path)
    assert "0 of 11 standard tasks reach their bar. **Below it: half-cheetah/run-forward.**" in text
    assert "| 7440 | **below** |" in text and "**Below its bar**: 6019 of 7440." in text
    results["experts"] = {CHEETAH: figures(7500, CHEETAH), f"{CHEETAH}/steady": figures(6019, CHEETAH)}
    text = expert_page._text(results, published, tmp_path)
    assert "1 of 11 standard tasks reach their bar. **No expert yet" in text
    assert text.count("| 7440 | reached |") == 1 and "below" not in text.lower().replace("below it", "")
    assert f"| [{CHEETAH}/steady](#half-cheetahrun-forwardsteady) | 6019" in text


def test_an_expert_without_exploration_has_no_sampled_score(tmp_path: Path) -> None:
    published = json.loads(PUBLISHED.read_text())
    one = figures(8000, CHEETAH, sampled_return=None, sampled_success=None)
    text = expert_page._text({"episodes": 9, "seed": 0, "missing": [], "experts": {CHEETAH: one}}, published, tmp_path)
    assert "| 8000 [7999, 8001] | - | 8000 |" in text and "(- when sampled)" in text


def test_a_section_tells_steps_time_and_commands_oldest_first(tmp_path: Path) -> None:
    one = figures(1.0, BACK, earlier=["gato expert train a", "gato expert train b"], earlier_steps=3_000_000)
    text = expert_page._section(BACK, one, None, tmp_path)
    assert "2,000,000 steps in 1.5 minutes. It learned from 2 earlier runs of 3,000,000 steps in all" in text
    assert text.index("train x") < text.index("Earlier runs") < text.index("train a") < text.index("train b")


def test_earlier_commands_are_told_once_and_reach_back_to_the_beginning() -> None:
    told = expert_scores._training(BACK)
    assert told["command"] not in told["earlier"]
    assert len(set(told["earlier"])) == len(told["earlier"]) > 2
    assert told["earlier_steps"] > told["steps"]


def test_every_standard_task_has_a_bar_and_published_figures() -> None:
    tasks = json.loads(PUBLISHED.read_text())["tasks"]
    assert set(tasks) == {skill.id for skill in SKILLS.values() if skill.is_standard}
    assert all(one["bar"] is not None and one["jat_expert"] > one["jat_random"] for one in tasks.values())


def test_the_page_in_the_repository_tells_of_every_expert_that_ships() -> None:
    """`python scripts/experts_page.py` after shipping one."""
    scores = json.loads((ROOT / "benchmarks/results/shipped_experts.json").read_text())
    hashes = {name: expert_scores.what_counts(name, skill) for name, skill in expert_scores.shipped_experts().items()}
    now = {name: one["hash"] for name, one in scores["experts"].items()}
    assert now == hashes, "run python scripts/experts_page.py"
    text = (ROOT / "docs/experts.md").read_text()
    assert all(f"\n## {name}\n" in text for name in hashes)
    assert scores["episodes"] >= 100


def test_pictures_of_the_documents_are_small() -> None:
    pictures = [path for path in (ROOT / "docs").rglob("*") if path.suffix in (".png", ".jpg")]
    assert sum(path.stat().st_size for path in pictures) < 2_000_000


# Curves


def write_progress(run: Path, rows: int) -> None:
    """Figures of a run, an evaluation every tenth row."""
    lines = [f"{64 * n},{n},{n / 2},9,{n if n % 10 == 0 else ''},,,,,," for n in range(1, rows + 1)]
    (run / "logs").mkdir(parents=True)
    head = "step,seconds,return,length,evaluation,success,policy_loss,value_loss,divergence,clipped,std"
    (run / "logs" / "progress.csv").write_text("\n".join([head, *lines]) + "\n")


def test_a_shipped_curve_is_short_and_keeps_every_evaluation(tmp_path: Path) -> None:
    write_progress(tmp_path / "run", 500)
    (tmp_path / "expert").mkdir()
    ship_curve(tmp_path / "run", tmp_path / "expert")
    curve = read_curve(tmp_path / "expert")
    assert list(curve) == ["steps", "return", "evaluation", "seconds"]
    assert [value for value in curve["evaluation"] if value == value] == [float(n) for n in range(10, 501, 10)]
    assert CURVE_ROWS / 2 < len(curve["steps"]) <= CURVE_ROWS
    assert (curve["steps"][0], curve["steps"][-1]) == (64, 64 * 500)


def test_a_run_without_figures_ships_no_curve_and_an_old_one_goes(tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_text("steps\n")
    ship_curve(tmp_path / "run", tmp_path)
    assert read_curve(tmp_path) == {}


def test_curve_and_history_are_no_content_of_an_expert(tmp_path: Path) -> None:
    policy = shipped_policy(POLE)
    before = content_hash(policy.save(tmp_path))
    policy.save(tmp_path / HISTORY / "00001000")
    (tmp_path / "curve.csv").write_text("steps\n")
    assert content_hash(tmp_path) == before
    assert content_hash(tmp_path / HISTORY / "00001000") == before


def test_curves_of_experts_below_their_bar_say_so() -> None:
    curve = {"steps": [1.0, 2.0], "return": [0.0, 1.0], "evaluation": [float("nan"), 2.0]}
    panels = [charts.CurvePanel(f"skill {bar}", curve, bar=bar, score=3.0, note="") for bar in (2.0, 4.0, None)]
    figure = charts.learning_curves(panels)
    assert [axes.get_title() for axes in figure.axes] == ["skill 2.0", "skill 4.0 (below its bar)", "skill None"]


# With exploration


def test_experts_are_measured_with_their_exploration_too_and_seeds_repeat() -> None:
    first, second = (expert_eval(POLE, episodes=3, seed=1)["tasks"][POLE] for _ in range(2))
    assert first == second
    assert first["return"]["mean"] == 1000
    assert first["sampled_return"]["mean"] < 1000
    assert 0 <= first["sampled_success"] <= 1
    other = expert_eval(POLE, episodes=3, seed=2)["tasks"][POLE]
    assert other["sampled_return"] != first["sampled_return"]


def test_an_expert_without_a_distribution_is_measured_without_exploration_only(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\ndef make(env):\n    return lambda o: np.zeros((len(o), 1))\n"
    )
    told = measure.measure_expert(f"{tmp_path}/mine.py:make", POLE, episodes=1, seed=0)
    assert "return" in told and "sampled_return" not in told


def test_a_policy_that_keeps_no_deviation_is_measured_without_exploration_only(tmp_path: Path) -> None:
    """SAC's depends on what is observed: its log_std_A is -inf."""
    policy = shipped_policy(POLE)
    policy.with_layers(policy.layers, policy.log_std_A - np.inf).save(tmp_path / "sac")
    assert "sampled_return" not in measure.measure_expert(str(tmp_path / "sac"), POLE, episodes=1, seed=0)


def test_a_new_expert_is_measured_anew(few_experts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expert_scores, "_measure", lambda name, *_: {"measured": name})
    told = expert_scores.measure_shipped(tmp_path / "a.json", episodes=2, seed=0)
    assert [one["measured"] for one in told["experts"].values()] == [POLE, f"{POLE}/gentle"]
    write_json(tmp_path / "a.json", {**told, "experts": {POLE: {**told["experts"][POLE], "measured": "before"}}})
    policy = Policy.load(few_experts / POLE)
    told = expert_scores.measure_shipped(tmp_path / "a.json", episodes=2, seed=0)
    assert told["experts"][POLE]["measured"] == "before"
    policy.with_layers(policy.layers, policy.log_std_A - 1).save(few_experts / POLE)
    told = expert_scores.measure_shipped(tmp_path / "a.json", episodes=2, seed=0)
    assert told["experts"][POLE]["measured"] == POLE
