"""The words of every skill: enough of them, none in two places, and mistakes that stay readable."""

import itertools

import numpy as np
import pytest

from gato.skills.prompts import phrases, typo
from gato.skills.table import SKILLS as TABLE
from gato.skills.wordings import WORDINGS
from gato.tokens.text import TextCodec

TEXT = TextCodec.load()
SKILLS = list(WORDINGS)


def normal(skill_id: str, split: str) -> list[str]:
    return [TEXT.normalise(phrase) for phrase in phrases(skill_id, split)]


def test_first_training_phrases_are_the_canonical_prompts():
    told_by_numbers = {skill.id for skill in TABLE.values() if skill.is_commanded}
    assert {skill_id: phrases(skill_id)[0] for skill_id in SKILLS} == {
        skill.id: skill.prompt for skill in TABLE.values() if skill.id not in told_by_numbers
    }


@pytest.mark.parametrize("skill_id", SKILLS)
def test_there_are_enough_phrases_and_none_twice(skill_id):
    train, test = normal(skill_id, "train"), normal(skill_id, "test")
    assert 40 <= len(train) <= 180
    assert len(test) >= 20
    assert len({*train, *test}) == len(train) + len(test)


@pytest.mark.parametrize("skill_id", SKILLS)
def test_test_phrases_are_new_combinations_of_words_seen_in_training(skill_id):
    seen = {word for phrase in normal(skill_id, "train") for word in phrase.split()}
    assert {word for phrase in normal(skill_id, "test") for word in phrase.split()} <= seen


def test_no_phrase_means_two_skills_of_one_body():
    for first, second in itertools.combinations(SKILLS, 2):
        if first.split("/")[0] == second.split("/")[0]:
            both = [{*normal(skill_id, "train"), *normal(skill_id, "test")} for skill_id in (first, second)]
            assert both[0] & both[1] == set()


def test_phrases_are_the_same_in_every_call():
    assert phrases("hopper/hop-forward", "test") == phrases("hopper/hop-forward", "test")


def test_phrases_typed_by_hand_are_there():
    assert {"sprint ahead", "go backwards", "run in reverse"} & set(phrases("half-cheetah/run-forward")) == {
        "sprint ahead"
    }
    assert {"back up", "please hop backward"} <= set(phrases("hopper/hop-backward"))
    assert "keep it from falling" in phrases("inverted-pendulum/balance", "test")


@pytest.mark.parametrize(
    ("skill_id", "split", "hint"), [("hopper/hop-forwrd", "train", "hopper/hop-forward"), (SKILLS[0], "tests", "test")]
)
def test_unknown_skill_or_split_gets_a_near_match(skill_id, split, hint):
    with pytest.raises(ValueError, match=f'did you mean "{hint}"'):
        phrases(skill_id, split)


def test_a_typo_changes_one_letter_a_case_or_the_end():
    rng = np.random.default_rng(0)
    made = {typo("run forward", rng) for _ in range(400)}
    assert {"run forward.", "RUN FORWARD", "run froward", "run forwrd", "run forwaard"} <= made
    assert "run forward" not in made
    for text in made - {"run forward.", "RUN FORWARD"}:
        first, second = text.split(" ")
        assert first == "run"
        assert second[0] == "f"
        assert 6 <= len(second) <= 8
        assert set(second) <= set("forward")


def test_a_typo_of_short_words_only_ends_them_with_a_dot():
    assert typo("go up", np.random.default_rng(0)) == "go up."


def test_typos_repeat_with_the_seed():
    made = [[typo("hop backward", rng) for _ in range(20)] for rng in map(np.random.default_rng, (5, 5))]
    assert made[0] == made[1]


def test_no_typo_turns_one_skill_into_another():
    rng = np.random.default_rng(0)
    backward = set(normal("hopper/hop-backward", "train"))
    assert {
        TEXT.normalise(typo(phrase, rng)) for phrase in phrases("hopper/hop-forward") for _ in range(20)
    } & backward == set()
