"""The page of the skills: who does what by whose rule, measured once, and what still waits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gato.experts import shipped
from gato.experts.shipped import shipped_policy
from gato.reporting import skill_page, skill_scores
from gato.reporting.charts import rate_matrix
from gato.reporting.skill_page import write_skill_page
from gato.skills.render import find_renderer
from gato.skills.table import SKILLS

ROOT = Path(__file__).parent.parent
POLE, FORWARD, BACKWARD = "inverted-pendulum/balance", "hopper/hop-forward", "hopper/hop-backward"


@pytest.fixture
def few_experts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (POLE, FORWARD, BACKWARD):
        shipped_policy(name).save(tmp_path / "shipped" / name)
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path / "shipped")


@pytest.mark.usefixtures("few_experts")
def test_a_page_is_written_of_what_can_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, scores = tmp_path / "docs" / "skills.md", tmp_path / "scores.json"
    write_skill_page(page, scores=scores, episodes=2, seed=0)
    text, told = page.read_text(), json.loads(scores.read_text())
    assert "3 skills can be asked for." in text
    assert f'| {POLE} | "balance the pole" | max angle <= 0.2; min angle >= -0.2 | angle' in text
    assert "**No expert yet: half-cheetah/run-forward, " in text and "ant/turn-left" in text
    assert told["actors"][FORWARD]["behaviours"][FORWARD] == told["actors"][BACKWARD]["behaviours"][BACKWARD] == 1
    assert told["actors"][FORWARD]["behaviours"][BACKWARD] == told["actors"]["zero hopper"]["behaviours"][FORWARD] == 0
    drawn = {path.name for path in (tmp_path / "docs" / "skills").iterdir()}
    strips = {f"{one}.jpg" for one in ("inverted-pendulum-balance", "hopper-hop-forward", "hopper-hop-backward")}
    assert drawn == {"hopper.png"} | (strips if find_renderer() else set())
    before = page.read_bytes()
    monkeypatch.setattr(skill_scores, "evaluate", lambda *_, **__: pytest.fail("measured again"))
    write_skill_page(page, scores=scores, episodes=2, seed=0)
    assert page.read_bytes() == before


@pytest.mark.usefixtures("few_experts")
def test_a_matrix_has_who_acts_by_whose_rule() -> None:
    behaviours = {FORWARD: 1.0, BACKWARD: 0.0}
    actors = {name: {"behaviours": behaviours} for name in (FORWARD, BACKWARD, "random hopper", "zero hopper")}
    matrix = skill_page._matrix("hopper", actors)
    assert matrix is not None
    assert matrix["rows"] == ["hop-forward", "hop-backward", "random", "zero"]
    assert matrix["rate"] == [[1.0, 0.0]] * 4
    figure = rate_matrix({"hopper": matrix}, rows="who acts", columns="rule")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == matrix["rows"]
    assert skill_page._matrix("inverted-pendulum", actors) is None


def test_the_page_in_the_repository_is_of_now() -> None:
    """`python scripts/skills_page.py` after shipping an expert or changing a rule."""
    told = json.loads((ROOT / "benchmarks/results/skills.json").read_text())
    assert told["rules"] == {skill.id: [str(condition) for condition in skill.rule] for skill in SKILLS.values()}
    done = {skill.id for body in skill_scores.BODIES for skill in skill_scores.done_skills(body)}
    assert done == {name for name in told["actors"] if "/" in name}, "run python scripts/skills_page.py"
    text = (ROOT / "docs/skills.md").read_text()
    assert all(f"| {name} |" in text for name in done)
    assert told["episodes"] >= 100
