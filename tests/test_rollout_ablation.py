"""What the words are worth, and new words while the body moves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from making import make_model

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.rollout import switching as switching_module
from gato.rollout.ablation import ARMS, PHRASES, _arm, _Case, _cases, ablate
from gato.rollout.prompted import Batch, Conditions, Request, Rollout
from gato.rollout.suite import Reference
from gato.rollout.switching import Switching, Trial, judge, switching
from gato.skills.bodies import BODIES
from gato.skills.evaluate import Outcome
from gato.skills.table import get_skill, skills_of

FORWARD, BACKWARD = skills_of("half-cheetah")[:2]
DT = BODIES["half-cheetah"].dt
NOTHING_KNOWN = {skill.id: Reference(None, None) for skill in (FORWARD, BACKWARD)}


@pytest.fixture(scope="module")
def model() -> Gato:
    return make_model(ModelConfig(size="nano"), BODIES["half-cheetah"].spec, BODIES["inverted-pendulum"].spec)


def rollout(speed_T: np.ndarray, *, fell: bool = False, pitch_T: np.ndarray | None = None) -> Rollout:
    pitch_T = np.zeros_like(speed_T) if pitch_T is None else pitch_T
    readings = {"forward_speed": speed_T, "pitch": pitch_T, "height": np.ones_like(speed_T)}
    outcome = Outcome(0, float(speed_T.sum()), len(speed_T), fell, readings)
    return Rollout(Request("", FORWARD.id, 0), outcome, np.zeros((len(speed_T), 6)))


def test_each_arm_says_something_else_about_the_same_starts() -> None:
    cases = {arm: _cases(arm, (FORWARD, BACKWARD), Conditions(3, 1)) for arm in ARMS}
    seeds = [100_003, 100_004, 100_005] * 2
    assert all([case.request.seed for case in cases[arm]] == seeds for arm in ARMS)
    assert all([case.wanted for case in cases[arm]] == [FORWARD] * 3 + [BACKWARD] * 3 for arm in ARMS)
    said = {arm: [case.request.prompt for case in cases[arm]] for arm in ARMS}
    assert said["correct"] == ["run forward"] * 3 + ["run backward"] * 3
    assert said["wrong"] == ["run backward"] * 3 + ["run forward"] * 3
    assert said["empty"] == [""] * 6
    for arm, split in PHRASES.items():
        assert set(said[arm][:3]) <= set(FORWARD.phrases(split)) and set(said[arm][3:]) <= set(BACKWARD.phrases(split))
        assert len(set(said[arm])) == 6
    assert said["contradictory"] == ["run forward run backward"] * 3 + ["run backward run forward"] * 3
    assert not {"run forward", "run backward"} & set(said["typo"])


def test_a_wrong_prompt_that_is_obeyed_is_no_success() -> None:
    case = _Case(FORWARD, BACKWARD, Request("run backward", FORWARD.id, 0))
    arm = _arm([case, case], [rollout(np.full(5, -3.0)), rollout(np.full(5, 5.0))], NOTHING_KNOWN)
    assert (arm.success, arm.obeyed, arm.return_.mean) == (0.5, 0.5, 5.0)
    assert arm.success_ci95 == pytest.approx((0.0945, 0.9055), abs=1e-4)
    nothing_said = _arm([_Case(FORWARD, None, case.request)], [rollout(np.full(5, 5.0))], NOTHING_KNOWN)
    assert (nothing_said.success, nothing_said.obeyed, nothing_said.normalised) == (1.0, None, None)


def test_returns_are_normalised_by_the_skill_that_was_wanted() -> None:
    """Forward: 0 and 1 of an expert's 50; backward: 1.5 and 0.5 of one's -5 to 5, which weighs as much."""
    cases = [_Case(skill, None, Request("", skill.id, 0)) for skill in (FORWARD, FORWARD, BACKWARD, BACKWARD)]
    rollouts = [rollout(np.array([one])) for one in (0.0, 50.0, 10.0, 0.0)]
    known = {FORWARD.id: Reference(0.0, 50.0), BACKWARD.id: Reference(-5.0, 5.0)}
    found = _arm(cases, rollouts, known).normalised
    assert found is not None and found.mean == 0.75 and found.episodes == (0.0, 1.0, 1.5, 0.5)
    assert found.ci95 == (0.25, 1.25)
    half_known = _arm(cases, rollouts, {**known, FORWARD.id: Reference(0.0, None)}).normalised
    assert half_known is not None and half_known.episodes == (1.5, 0.5)


def test_every_arm_has_every_body_with_a_choice(model: Gato) -> None:
    skills = (FORWARD, BACKWARD, get_skill("inverted-pendulum/balance"))
    table = ablate(model, skills, Conditions(1, 0, 3, is_shown=False), expert=str)
    assert {arm: list(own) for arm, own in table.items()} == {arm: ["half-cheetah"] for arm in ARMS}
    told = table["wrong"]["half-cheetah"].json()
    assert set(told) == {"success", "success_ci95", "return", "normalised", "obeyed"}
    assert len(told["normalised"]["episodes"]) == 2


def test_a_switch_counts_from_when_the_moving_average_meets_the_rule() -> None:
    """Half a second is 10 steps: 8 steps of +5 and -3 from step 20; after n new steps the mean passes -2.5 at n=10."""
    speed_T = np.concatenate([np.full(20, 5.0), np.full(80, -3.0)])
    assert judge(BACKWARD, rollout(speed_T).outcome, 20, DT) == Trial(False, 10 * DT)


def test_a_body_that_gets_there_too_late_or_never_has_not_obeyed() -> None:
    late_T = np.concatenate([np.full(20, 5.0), np.zeros(60), np.full(40, -3.0)])
    assert judge(BACKWARD, rollout(late_T).outcome, 20, DT) == Trial(False, None)


def test_a_fall_within_three_seconds_is_no_obedience_and_a_later_one_does_not_count() -> None:
    speed_T = np.concatenate([np.full(20, 5.0), np.full(80, -3.0)])
    assert judge(BACKWARD, rollout(speed_T[:60], fell=True).outcome, 20, DT) == Trial(True, None)
    assert judge(BACKWARD, rollout(speed_T[:90], fell=True).outcome, 20, DT) == Trial(False, 10 * DT)
    upside_down_T = np.where(np.arange(100) > 40, 2.0, 0.0)
    assert judge(BACKWARD, rollout(speed_T, pitch_T=upside_down_T).outcome, 20, DT) == Trial(True, None)


def test_what_held_before_the_words_changed_is_told_apart() -> None:
    """Bug: it counted as obeyed at once. A fall before the switch holds nothing, nor does who lies on its back."""
    back_T = np.full(100, -3.0)
    assert judge(BACKWARD, rollout(back_T).outcome, 20, DT).held_before
    assert judge(BACKWARD, rollout(back_T[:60], fell=True).outcome, 20, DT) == Trial(True, None, held_before=True)
    assert judge(BACKWARD, rollout(back_T[:15], fell=True).outcome, 20, DT) == Trial(True, None)
    lying_T = np.where(np.arange(100) < 20, 2.0, 0.0)
    assert judge(BACKWARD, rollout(back_T, pitch_T=lying_T).outcome, 20, DT) == Trial(False, DT)
    only_at_first_T = np.concatenate([np.full(10, -3.0), np.full(90, 5.0)])
    assert judge(BACKWARD, rollout(only_at_first_T).outcome, 20, DT) == Trial(False, None)


def test_who_takes_over_from_a_flip_has_landed_when_it_obeys_and_counts_no_turns() -> None:
    """Bug: turns that a flip had made before the switch were held against whoever came after it."""
    speed_T = np.full(100, -3.0)
    turned_T = np.minimum(np.arange(100) * 0.5, 5 * 2 * np.pi)
    assert judge(BACKWARD, rollout(speed_T, pitch_T=turned_T).outcome, 20, DT) == Trial(False, pytest.approx(41 * DT))
    lying_T = np.minimum(turned_T, 5 * np.pi)
    assert judge(BACKWARD, rollout(speed_T, pitch_T=lying_T).outcome, 20, DT) == Trial(True, None)


def test_switching_is_repeatable_and_needs_two_skills(model: Gato, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switching_module, "EARLIEST", 2 * DT)
    monkeypatch.setattr(switching_module, "LATEST", 4 * DT)
    monkeypatch.setattr(switching_module, "REACTION", 4 * DT)
    found = [switching(model, (FORWARD, BACKWARD), Conditions(3, 0, is_shown=False)) for _ in range(2)]
    assert found[0] == found[1]
    assert set(found[0].json()) == {"rate", "falls", "median_seconds", "trials", "held_before"} and found[0].trials == 3
    with pytest.raises(ValueError, match="nothing to switch to"):
        switching(model, skills_of("inverted-pendulum"), Conditions(1))


def test_trials_that_held_before_count_for_falls_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """One obeys after 10 steps, one never does; one does the new thing already, as does one that falls later."""
    obeys_T = np.concatenate([np.full(20, 5.0), np.full(80, -3.0)])
    back_T, ahead_T = np.full(100, -3.0), np.full(60, 5.0)
    asked_back_then_ahead = [rollout(obeys_T), rollout(back_T), rollout(back_T), rollout(ahead_T, fell=True)]
    waiting = [asked_back_then_ahead, [rollout(back_T)]]

    def roll_out(model: Gato, body: str, requests: object, conditions: Conditions) -> Batch:
        return Batch(tuple(waiting.pop(0)), 1.0)

    monkeypatch.setattr(switching_module, "roll_out", roll_out)
    monkeypatch.setattr(switching_module, "EARLIEST", 20 * DT)
    monkeypatch.setattr(switching_module, "LATEST", 20 * DT)
    found = switching(None, (FORWARD, BACKWARD), Conditions(4))  # type: ignore[arg-type]
    nothing = switching(None, (FORWARD, BACKWARD), Conditions(1))  # type: ignore[arg-type]
    seconds = 10 * DT
    assert found == Switching(0.5, falls=1, median_seconds=seconds, trials=4, held_before=2, seconds=(seconds,))
    assert nothing == Switching(None, falls=0, median_seconds=None, trials=1, held_before=1)


def test_words_are_changed_in_the_conditions_that_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The return asked for was forgotten; only the length of an episode is of its own."""
    seen: list[Conditions] = []

    def stop(model: Gato, body: str, requests: object, conditions: Conditions) -> None:
        seen.append(conditions)
        raise KeyboardInterrupt

    monkeypatch.setattr(switching_module, "roll_out", stop)
    asked = Conditions(3, 7, sample=True, is_shown=False, return_to_go=0.8)
    with pytest.raises(KeyboardInterrupt):
        switching(None, (FORWARD, BACKWARD), asked)  # type: ignore[arg-type]
    assert dataclasses.replace(seen[0], steps=0) == asked and seen[0].steps > 0
