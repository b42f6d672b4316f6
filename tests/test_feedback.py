"""gato data judge: what was done is said in words and judged; what was mislabelled is left out, or relabelled."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gato import cli
from gato.data.check import check_dataset
from gato.data.minari_io import episodes, open_dataset
from gato.experts.shipped import find_expert
from gato.feedback import judge as judging
from gato.feedback.agreement import Agreement
from gato.feedback.judge import TOO_SHORT, Judged, Wishes, choose, judge_dataset, mending_plans
from gato.feedback.judges import CausalJudge, RuleJudge, ServerJudge, Verdict, find_judge, question
from gato.feedback.keep import Kept
from gato.feedback.mending import failures, kind_of, mend
from gato.feedback.segments import Segment
from gato.language.plans import parse_plan
from gato.record import Recording, record_skill, staging_folder
from gato.runs import read_provenance
from gato.skills.table import get_skill
from gato.tuning.base import make_tiny

FORWARD, BACKWARD = "half-cheetah/run-forward", "half-cheetah/run-backward"


class Failing:
    """Gives these answers; what is an exception is raised."""

    name = "failing"

    def __init__(self, *answers: Verdict | Exception) -> None:
        self.answers = iter(answers)

    def judge(self, segment: Segment) -> Verdict:
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def segment(*speeds: float, skill: str = FORWARD, survived: bool = True, is_whole: bool = True) -> Segment:
    """A half-cheetah of 0.05 s a step that was told to do that and ran at these speeds, level."""
    told = get_skill(skill)
    readings = {"forward_speed": np.array(speeds), "pitch": np.zeros(len(speeds)), "pitch_rate": np.zeros(len(speeds))}
    return Segment(0, 0, len(speeds), told, told.prompt, readings, survived, is_whole)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Minari root in which `run forward` is told to two experts in turn: its own, and that of running backward."""
    root = tmp_path_factory.mktemp("minari")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(root))
        experts = ("shipped", str(find_expert(BACKWARD)))
        record_skill(Recording(FORWARD, episodes=4, expert=experts, max_episode_steps=300, dataset_id="toy/mixed-v0"))
        yield root


# In words


def test_what_was_done_is_said_in_thirds() -> None:
    assert segment(0, 0, 1, 1, 4, 4).summary == (
        "In 0.3 s: At first: standing, pitch 0.00 rad, pitch rate 0.00 rad/s; then: speed 1.0 m/s forward, pitch 0.00 "
        "rad, pitch rate 0.00 rad/s; at last: speed 4.0 m/s forward, pitch 0.00 rad, pitch rate 0.00 rad/s. It did not "
        "fall."
    )
    assert segment(2.0, survived=False).summary.endswith("It fell.")


def test_the_rule_is_held_against_the_whole_episode_or_the_second_half_of_a_part() -> None:
    assert not segment(0, 0, 3, 3).is_followed and segment(0, 0, 3, 3, is_whole=False).is_followed
    assert not segment(3, 3, survived=False).is_followed
    assert segment(0, 0, 3, 3).figures[0] == "mean forward_speed >= 2.5 (it is 1.5)"
    assert RuleJudge().judge(segment(3, 3)).is_followed
    assert "it fell" in RuleJudge().judge(segment(3, 3, survived=False)).why


def test_whole_turns_before_a_part_count_for_nothing_in_it() -> None:
    """A half-cheetah that had made a flip ran on well, and counted as out of level, as no plan's part does."""
    flipped = segment(*[3.0] * 60, is_whole=False)
    flipped.readings["pitch"] += 2 * np.pi + 0.1
    assert flipped.is_followed and "pitch 0.10 rad" in flipped.summary
    assert not replace(flipped, is_whole=True).is_followed
    turning = replace(flipped, readings={**flipped.readings, "pitch": np.linspace(0, 4 * np.pi, 60)})
    assert not turning.is_followed, "it turned in the half that is judged"


def test_a_part_too_short_for_new_words_to_show_tells_nothing_but_a_fall() -> None:
    """3 s are 60 steps."""
    parts = [segment(*[0.0] * steps, is_whole=False) for steps in (59, 60)]
    assert [one.is_too_short for one in parts] == [True, False]
    assert not replace(parts[0], is_whole=True).is_too_short and not replace(parts[0], survived=False).is_too_short


def test_hindsight_names_what_was_done() -> None:
    assert segment(-3, -3).did is get_skill(BACKWARD)
    assert segment(2, 2).did is None and segment(-3, -3, survived=False).did is None
    kinds = [kind_of(one) for one in (segment(-3, -3), segment(2, 2), segment(2, 2, survived=False))]
    assert kinds == ["did: run backward", "not mean forward_speed >= 2.5", "fell"]


# Agreement


def test_kappa_is_cohens() -> None:
    """20 and 15 agreed on, 5 and 10 not, of 50: 0.7 agree, 0.5 would by chance, so kappa is 0.4."""
    told = Agreement(20, 5, 10, 15).json()
    assert told["agreement"]["mean"] == pytest.approx(0.7) and told["kappa"]["mean"] == pytest.approx(0.4)
    assert told["agreement"]["ci95"] == pytest.approx([0.562, 0.809], abs=1e-3)
    low, high = told["kappa"]["ci95"]
    assert 0.1 < low < 0.4 < high < 0.7
    assert Agreement.of([(True, True), (False, False)]).json()["kappa"]["mean"] == 1
    assert Agreement(5, 0, 0, 0).json()["kappa"] is None
    with pytest.raises(ValueError, match="decided nothing"):
        Agreement.of([])


# Mending


@pytest.mark.parametrize(
    ("failed", "sentence"),
    [
        (segment(*[-3.0] * 200), "stop for 2 seconds, then run forward for 10 seconds"),
        (segment(*[2.0] * 200), "run forward for 20 seconds"),
        (segment(2, 2), "run forward for 10 seconds"),
    ],
)
def test_a_plan_is_proposed_that_the_body_can_be_told(failed: Segment, sentence: str) -> None:
    plan = mend(failed)
    assert plan == parse_plan(sentence, "half-cheetah")
    assert plan is not None and parse_plan(plan.words, "half-cheetah") == plan


def test_failures_are_counted_by_kind() -> None:
    found = failures([segment(2, 2), segment(-3, -3), segment(-3, -3, -3)])
    assert [(one.kind, one.count) for one in found] == [("did: run backward", 2), ("not mean forward_speed >= 2.5", 1)]
    commanded = segment(2, 2, skill="half-cheetah/command")
    assert mend(commanded) is None


# Judges


def test_a_language_model_is_asked_about_the_words_and_answers_yes_or_no(tmp_path: Path) -> None:
    torch.manual_seed(0)
    make_tiny([], tmp_path)
    judge = find_judge(str(tmp_path))
    assert isinstance(judge, CausalJudge)
    one = segment(3, 3)
    told = judge.judge(one)
    assert told == judge.judge(one) and one.summary in told.why and told.why[:3].strip(" (") in ("yes", "no")
    assert told.is_followed == told.why.startswith("yes")
    assert 'was told: "run forward"\nIn 0.1 s: ' in question(one)
    assert one.summary not in question(one, is_shown=False)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("Yes, it ran forward.", Verdict(True, "it ran forward.")),
        ("**No**: it fell", Verdict(False, "it fell")),
        ("no", Verdict(False, "no")),
        ("Nothing is sure", Verdict(None, "it said neither yes nor no: Nothing is sure")),
    ],
)
def test_a_server_says_yes_or_no_and_why(said: str, verdict: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = find_judge("http://127.0.0.1:9/v1")
    assert isinstance(judge, ServerJudge)
    monkeypatch.setattr(judge._server, "say", lambda question: said)
    assert judge.judge(segment(3, 3)) == verdict


def test_a_server_is_asked_again_after_pauses_that_double(monkeypatch: pytest.MonkeyPatch) -> None:
    judge, slept = find_judge("http://127.0.0.1:9/v1"), []
    answers = iter(
        [ConnectionError("refused: 429"), ValueError("no text"), "yes, it ran", *[ConnectionError("gone")] * 4]
    )

    def say(question: str) -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert isinstance(judge, ServerJudge)
    monkeypatch.setattr(judge._server, "say", say)
    monkeypatch.setattr(time, "sleep", slept.append)
    assert judge.judge(segment(3, 3)) == Verdict(True, "it ran") and slept == [1, 2]
    with pytest.raises(ConnectionError, match="gone"):
        judge.judge(segment(3, 3))
    assert slept == [1, 2, 1, 2, 4]


@pytest.mark.parametrize(
    ("name", "model", "told"),
    [
        ("rul", "", "neither a folder nor a Hub id"),
        ("", "", "no language model is named"),
        ("rule", "x", "is for a server"),
        ("ftp://x/v1", "", "address"),
    ],
)
def test_what_is_no_judge_is_refused(name: str, model: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        find_judge(name, server_model=model)


# Datasets


def test_only_what_judge_and_reading_agree_on_is_kept() -> None:
    good, bad, lost = segment(3, 3), segment(-3, -3), segment(2, 2)
    said = [(good, True), (good, False), (bad, False), (bad, True), (lost, False), (good, None)]
    judged = [Judged(replace(one, episode=index), Verdict(says, "")) for index, (one, says) in enumerate(said)]
    assert choose(judged, relabel=False).episodes == (0,)
    kept = choose(judged, relabel=True)
    assert kept.chosen == (0,) and kept.relabelled == {2: {0: BACKWARD}}
    switched = [replace(one, begin=begin) for begin, one in ((0, good), (2, bad))]
    kept = choose([Judged(one, Verdict(one.is_followed, "")) for one in switched], relabel=True)
    assert kept.relabelled == {0: {0: FORWARD, 2: BACKWARD}}


def test_what_is_too_short_to_tell_keeps_its_name_and_decides_nothing() -> None:
    short = segment(0, 0, is_whole=False)
    good, bad = (segment(*[speed] * 60, is_whole=False) for speed in (3, -3))

    def episode(index: int, *parts: Segment) -> list[Judged]:
        starts = range(0, 100 * len(parts), 100)
        placed = zip(starts, parts, strict=True)
        own = [replace(one, episode=index, begin=begin, end=begin + one.steps) for begin, one in placed]
        return [Judged(one, TOO_SHORT if one.is_too_short else Verdict(one.is_followed, "")) for one in own]

    judged = [*episode(0, short, good), *episode(1, short, bad), *episode(2, short, short)]
    assert choose(judged, relabel=True) == Kept((0,), {1: {0: FORWARD, 100: BACKWARD}})
    told = judged[0].json()
    assert (told["judge"], told["reading"], told["failure"], told["did"]) == (None, None, None, None)


def test_answers_that_fail_cost_a_segment_and_not_the_others(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One refusal of a server lost all that had been judged."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(mixed))
    yes, gone = Verdict(True, "it ran"), ConnectionError("refused: 429")
    monkeypatch.setattr(judging, "find_judge", lambda name, server_model: Failing(yes, gone, yes, gone))
    told = judge_dataset("toy/mixed-v0", "any", Wishes(out=str(tmp_path / "some.json")))
    assert (told["segments"], told["undecided"], told["both"]) == (4, 2, 2)
    verdicts = json.loads((tmp_path / "some.json").read_text())["verdicts"]
    assert [(one["judge"], one["why"]) for one in verdicts[:2]] == [(True, "it ran"), (None, "no answer: refused: 429")]


def test_a_judge_that_is_gone_is_given_up_and_what_it_said_is_kept(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(mixed))
    monkeypatch.setattr(judging, "MOST_FAILURES", 2)
    gone = [ConnectionError("nobody there")] * 4
    judges = iter([Failing(Verdict(True, "it ran"), *gone), Failing(*[Verdict(None, "hm")] * 4)])
    monkeypatch.setattr(judging, "find_judge", lambda name, server_model: next(judges))
    out = tmp_path / "some.json"
    with pytest.raises(ValueError, match=r"failing was given up after 2 segments in a row \(no answer: nobody there\)"):
        judge_dataset("toy/mixed-v0", "any", Wishes(out=str(out)))
    assert [one["why"] for one in json.loads(out.read_text())["verdicts"]] == [
        "it ran",
        *["no answer: nobody there"] * 2,
    ]
    with pytest.raises(ValueError, match="the judge decided nothing"):
        judge_dataset("toy/mixed-v0", "any", Wishes(out=str(out), overwrite=True))
    assert [one["why"] for one in json.loads(out.read_text())["verdicts"]] == ["hm"] * 4


def test_a_mixed_dataset_is_judged_cleaned_and_relabelled(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every other episode runs backward: it is called so, paid so, and replays to the bit."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(mixed))
    out = tmp_path / "verdicts.json"
    words = ["data", "judge", "toy/mixed-v0", "--out", str(out), "--keep", "toy/judged-v0", "--relabel", "--json"]
    assert cli.run(words) == cli.DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["both"], told["neither"], told["agreement"]["mean"]) == (2, 2, 1.0)
    kept = told["kept"]
    assert (kept["followed"], kept["relabelled"], kept["left_out"], kept["mended"]) == (2, 2, 0, 0)
    (failure,) = told["failures"]
    assert (
        failure["kind"] == "did: run backward"
        and failure["plan"] == "stand still for 2.0 seconds, then run forward for 15.0 seconds"
    )
    verdicts = json.loads(out.read_text())["verdicts"]
    assert [one["did"] for one in verdicts] == [None, BACKWARD, None, BACKWARD]

    made = open_dataset("toy/judged-v0")
    assert made.skills == (FORWARD, BACKWARD) and made.prompts[1][0] == "run backward" and made.reference == {}
    assert check_dataset("toy/judged-v0", replay=-1).problems == ()
    source = list(episodes(open_dataset("toy/mixed-v0")))
    for before, after in zip(source, episodes(made), strict=True):
        assert np.array_equal(before.observations, after.observations) and before.seed == after.seed
    kept = list(episodes(made))
    assert [int(one.prompt_ids[0]) for one in kept] == [0, 1, 0, 1]
    assert np.array_equal(kept[0].rewards, source[0].rewards) and kept[1].rewards.mean() > 0 > source[1].rewards.mean()
    inputs = read_provenance(made.folder)["inputs"]
    assert inputs == {"dataset": {"id": "toy/mixed-v0", "hash": open_dataset("toy/mixed-v0").content_hash}}

    assert cli.run(words) == cli.FAILED and "exists; pass --overwrite" in capsys.readouterr().err
    assert cli.run([*words, "--overwrite"]) == cli.DONE


def test_without_relabelling_the_rest_is_left_out_and_scores_stay(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(mixed))
    told = judge_dataset("toy/mixed-v0", "rule", Wishes(keep="toy/clean-v0"))
    assert told["kept"]["left_out"] == 2
    made, source = open_dataset("toy/clean-v0"), open_dataset("toy/mixed-v0")
    assert (made.num_episodes, made.skills, made.reference) == (2, (FORWARD,), source.reference)


def test_what_failed_is_mended_from_where_it_began(
    mixed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two run backward; from their starts the experts stand still for 2 s, then run forward for 15 s."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(mixed))
    words = ["data", "judge", "toy/mixed-v0", "--keep", "toy/mended-v0", "--relabel", "--mend", "--json"]
    assert cli.run(words) == cli.DONE
    kept = json.loads(capsys.readouterr().out)["kept"]
    assert (kept["followed"], kept["relabelled"], kept["plans_carried_out"], kept["mended"]) == (2, 2, 2, 2)
    made = open_dataset("toy/mended-v0")
    assert made.skills == (FORWARD, BACKWARD, "half-cheetah/stand") and made.reference == {}
    *_, before, first, second = episodes(made)
    failed = [one.seed for one in list(episodes(open_dataset("toy/mixed-v0")))[1::2]]
    assert [first.seed, second.seed] == failed and before.seed == second.seed
    assert first.prompt_ids.tolist() == [2] * 40 + [0] * 300
    assert first.readings["forward_speed"][190:].mean() > 2.5 and abs(first.readings["forward_speed"][20:40].mean()) < 1
    assert check_dataset("toy/mended-v0", replay=-1).problems == ()
    assert {f"expert {FORWARD}", "expert half-cheetah/stand", "dataset"} == set(read_provenance(made.folder)["inputs"])


def test_only_what_both_call_not_followed_is_mended() -> None:
    good, bad = segment(*[3.0] * 60), segment(*[-3.0] * 60)
    said = [(good, False), (bad, True), (bad, None), (bad, False), (replace(bad, episode=7), False)]
    plans = mending_plans(Judged(one, Verdict(says, "")) for one, says in said)
    assert plans == {parse_plan("stop for 2 seconds, then run forward for 5 seconds", "half-cheetah"): [0, 7]}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["toy/mixd-v0"], 'did you mean "toy/mixed-v0"'),
        (["toy/mixed-v0", "--relabel"], "--relabel says what goes into a dataset; name it with --keep"),
        (["toy/mixed-v0", "--mend"], "--mend says what goes into a dataset; name it with --keep"),
        (["toy/mixed-v0", "--keep", "toy/mixed-v0"], "is the dataset that is judged"),
        (["toy/mixed-v0", "--keep", "no version"], "is not one of Minari's"),
        (["toy/mixed-v0", "--judge", "nobody"], "neither a folder nor a Hub id"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line(
    words: list[str], told: str, mixed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(mixed))
    assert cli.run(["data", "judge", *words]) == cli.FAILED
    shown = capsys.readouterr().err
    assert told in shown and len(shown.splitlines()) == 1


def test_half_a_recording_of_that_name_is_left_alone(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--keep` removed the finished blocks of a recording of the same id that had been interrupted."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(mixed))
    block = staging_folder("toy/half-v0") / "block-0000000.npz"
    block.parent.mkdir(parents=True)
    block.write_bytes(b"hours of work")
    with pytest.raises(FileExistsError, match="toy/half-v0 is half recorded"):
        judge_dataset("toy/mixed-v0", "rule", Wishes(keep="toy/half-v0"))
    assert block.read_bytes() == b"hours of work"
