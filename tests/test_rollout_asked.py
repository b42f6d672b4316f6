"""Any words: one prompt, or a file of them, whose bad lines are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from making import make_model

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.rollout.asked import HEADER, Question, ask, question_of, read_questions
from gato.rollout.prompted import Conditions
from gato.skills.bodies import BODIES
from gato.skills.table import SKILLS, skills_of


@pytest.fixture(scope="module")
def model() -> Gato:
    return make_model(ModelConfig(size="nano"), BODIES["half-cheetah"].spec, BODIES["inverted-pendulum"].spec)


def test_answers_come_in_the_order_of_the_questions_with_every_reading(model: Gato) -> None:
    questions = (
        Question("half-cheetah", "go", "half-cheetah/run-forward", "go"),
        Question("inverted-pendulum", "", None, ""),
        Question("half-cheetah", "do not go", "half-cheetah/run-backward", "do not go"),
    )
    answers, rollouts = ask(model, questions, Conditions(2, 0, 4, is_shown=False))
    assert [answer.question for answer in answers] == list(questions)
    assert {body: len(own) for body, own in rollouts.items()} == {"half-cheetah": 4, "inverted-pendulum": 2}
    first, unknown = answers[0].json(), answers[1].json()
    assert list(first) == ["body", "prompt", "told", "skill", "success", "measured", "behaviours", "return"]
    assert set(first["measured"]) == {"forward_speed", "pitch", "height", "pitch_rate", "vertical_speed"}
    assert {"half-cheetah/run-forward", "half-cheetah/run-backward", "half-cheetah/stand"} < set(first["behaviours"])
    assert "half-cheetah/command" not in first["behaviours"]
    assert first["success"] == first["behaviours"]["half-cheetah/run-forward"]
    assert (unknown["skill"], unknown["success"], unknown["return"]) == (None, None, None)


def test_a_known_phrase_means_its_skill_whatever_its_case(model: Gato) -> None:
    assert question_of(model, "half-cheetah", "Please run backward").skill == "half-cheetah/run-backward"
    assert question_of(model, "half-cheetah", "sing me a song").skill is None


def test_a_body_may_be_told_in_numbers_which_free_speech_does_not_hear(model: Gato) -> None:
    slow, fast = (
        question_of(model, "half-cheetah", f"forward_speed={speed}", lambda body, words: None) for speed in (1, 5)
    )
    assert (slow.skill, slow.told) == (None, "forward_speed=1")
    answers, _ = ask(model, (slow, fast), Conditions(1, 0, 4, is_shown=False))
    assert answers[0].measured != answers[1].measured
    with pytest.raises(ValueError, match="half-cheetah is not asked for .*; allowed: forward_speed -4 to 6"):
        question_of(model, "half-cheetah", "forward_speed=9")


def test_free_speech_hears_what_only_looks_like_numbers(model: Gato, tmp_path: Path) -> None:
    """Bug: one line with "=" refused a whole file of prompts."""
    path, heard = tmp_path / "prompts.tsv", []
    path.write_text("half-cheetah\twhat is 2+2=?\tnone\nhalf-cheetah\tforward_speed=1\tnone\n")

    def hear(body: str, words: str) -> None:
        heard.append(words)

    assert [question.told for question in read_questions(path, model, hear)] == [None, "forward_speed=1"]
    assert heard == ["what is 2+2=?"]
    with pytest.raises(ValueError, match="line 1: got .*allowed in numbers"):
        read_questions(path, model)
    with pytest.raises(ValueError, match="half-cheetah is not asked for"):
        question_of(model, "half-cheetah", "forward_speed=9", hear)


def test_a_body_that_is_told_in_numbers_only_answers_too(model: Gato) -> None:
    """Bug: StopIteration, for want of a skill that is told in words. What its own skill draws was told to nobody."""
    for skill in [one for one in skills_of("half-cheetah") if not one.is_commanded]:
        del SKILLS[skill.id]
    asked = question_of(model, "half-cheetah", "forward_speed=1")
    (answer,), rollouts = ask(model, (asked,), Conditions(1, 0, 4, is_shown=False))
    assert rollouts["half-cheetah"][0].request.skill == "half-cheetah/command"
    assert (answer.success, answer.return_) == (None, None)
    assert "forward_speed" in answer.measured and "told_forward_speed" not in answer.measured


def test_free_speech_changes_what_a_body_is_told_and_may_decline(model: Gato, tmp_path: Path) -> None:
    """Who declines what was meant is as wrong as who does what nobody meant."""
    heard = {"gallop off": "run forward", "dance": None, "mumble": None, "sing": "run forward"}
    path = tmp_path / "prompts.tsv"
    meant = {"gallop off": "run-forward", "dance": "none", "mumble": "run-backward", "sing": "none"}
    path.write_text("".join(f"half-cheetah\t{words}\t{skill}\n" for words, skill in meant.items()))
    questions = read_questions(path, model, lambda body, words: heard[words])
    assert [question.told for question in questions] == list(heard.values())
    answers, rollouts = ask(model, questions, Conditions(2, 0, 4, is_shown=False))
    assert [rollout.request.prompt for rollout in rollouts["half-cheetah"]] == ["run forward"] * 4
    assert [answer.success for answer in answers[1:]] == [1.0, 0.0, 0.0]
    assert answers[0].success == answers[0].behaviours["half-cheetah/run-forward"]
    assert question_of(model, "half-cheetah", "gallop off", lambda body, words: heard[words]).skill == (
        "half-cheetah/run-forward"
    )
    with pytest.raises(ValueError, match="line 2"):
        read_questions(path, model)


def test_a_file_may_have_a_header_blank_lines_short_names_and_empty_prompts(model: Gato, tmp_path: Path) -> None:
    path = tmp_path / "prompts.tsv"
    lines = [
        "\ufeff" + HEADER,
        "",
        "half-cheetah\tgo on\thalf-cheetah/run-forward",
        "half-cheetah\t\trun-backward",
        "",
    ]
    path.write_text("\r\n".join(lines))
    assert read_questions(path, model) == (
        Question("half-cheetah", "go on", "half-cheetah/run-forward", "go on"),
        Question("half-cheetah", "", "half-cheetah/run-backward", ""),
    )


def test_every_bad_line_is_named(model: Gato, tmp_path: Path) -> None:
    path = tmp_path / "prompts.tsv"
    path.write_text(
        "half-cheetah run\nhalf-cheeta\trun\trun-forward\nhalf-cheetah\trun\trun-forwrd\n"
        "half-cheetah\trun\thopper/hop-forward\nhopper\thop\thop-forward\nhalf-cheetah\tgo\tcommand\n"
    )
    with pytest.raises(ValueError) as caught:
        read_questions(path, model)
    told = str(caught.value)
    assert "line 1: got 1 field(s), need body<TAB>prompt<TAB>skill" in told
    assert 'line 2: unknown body "half-cheeta"; did you mean "half-cheetah"?' in told
    assert 'line 3: unknown skill "half-cheetah/run-forwrd"; did you mean "half-cheetah/run-forward"?' in told
    assert "line 4: hopper/hop-forward is no skill of half-cheetah" in told
    assert 'line 5: the model knows no body "hopper"' in told
    assert "line 6: half-cheetah/command is told numbers, not words; allowed: half-cheetah/run-forward" in told
    assert told.count("half-cheetah/command") == 1, "nor is it among what one may name instead"


def test_a_file_without_prompts_or_text_is_refused(model: Gato, tmp_path: Path) -> None:
    path = tmp_path / "prompts.tsv"
    path.write_text(HEADER + "\n")
    with pytest.raises(ValueError, match="holds no prompts"):
        read_questions(path, model)
    path.write_bytes(b"half-cheetah\t\xff\xfe\t")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_questions(path, model)
