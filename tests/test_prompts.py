"""The words of every skill: enough of them, none in two places, and mistakes that stay readable."""

import itertools

import numpy as np
import pytest

from gato.skills.prompts import HELD_OUT, SPLITS, phrases, typo
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
    said = {split: normal(skill_id, split) for split in SPLITS}
    assert 300 <= len(said["train"]) <= 700
    assert all(len(said[split]) >= 40 for split in HELD_OUT)
    assert len({phrase for own in said.values() for phrase in own}) == sum(map(len, said.values()))


@pytest.mark.parametrize("skill_id", SKILLS)
def test_held_out_phrases_are_of_words_seen_in_training_but_where_words_are_held_out(skill_id):
    seen = {word for phrase in normal(skill_id, "train") for word in phrase.split()}
    for split in ("combinations", "phrasings"):
        assert {word for phrase in normal(skill_id, split) for word in phrase.split()} <= seen
    assert [phrase for phrase in normal(skill_id, "words") if {*phrase.split()} <= seen] == []


@pytest.mark.parametrize("skill_id", SKILLS)
def test_a_held_out_pair_of_verb_and_way_is_in_no_training_phrase(skill_id):
    """Were it there in a longer phrase, the combination would not be new."""
    wording, padded = WORDINGS[skill_id], [f" {phrase} " for phrase in normal(skill_id, "train")]
    bare = {TEXT.normalise(action.format(way)) for action in wording.actions for way in wording.ways}
    for pair in bare & {*normal(skill_id, "combinations")}:
        longer = [one for one in bare if pair != one and f" {pair} " in f" {one} "]
        inside = [phrase for phrase in padded if f" {pair} " in phrase and not any(one in phrase for one in longer)]
        assert inside == [], pair


def test_no_phrase_means_two_skills_of_one_body():
    for first, second in itertools.combinations(SKILLS, 2):
        if first.split("/")[0] == second.split("/")[0]:
            both = [{one for split in SPLITS for one in normal(skill_id, split)} for skill_id in (first, second)]
            assert both[0] & both[1] == set()


def test_phrases_are_the_same_in_every_call():
    assert phrases("hopper/hop-forward", "words") == phrases("hopper/hop-forward", "words")


def test_phrases_typed_by_hand_are_there():
    assert {"sprint ahead", "go backwards", "run in reverse"} & set(phrases("half-cheetah/run-forward")) == {
        "sprint ahead"
    }
    assert {"back up", "please hop backward"} <= set(phrases("hopper/hop-backward"))
    assert "keep it from falling" in phrases("inverted-pendulum/balance", "combinations")
    assert "would the ant turn left" in phrases("ant/turn-left", "phrasings")
    assert "hurry forward" in phrases("walker2d/run-forward", "words")


@pytest.mark.parametrize(
    ("skill_id", "split", "hint"), [("hopper/hop-forwrd", "train", "hopper/hop-forward"), (SKILLS[0], "word", "words")]
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
