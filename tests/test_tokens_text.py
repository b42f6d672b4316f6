"""Words to ids and back, by the bundled tokenizer."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from gato.skills.prompts import SPLITS, phrases
from gato.skills.wordings import WORDINGS
from gato.tokens.text import TextCodec, train_text_codec

TEXT = TextCodec.load()
# Words held out of training need no token of their own.
ALL_PHRASES = [p for skill in WORDINGS for split in SPLITS[:3] for p in phrases(skill, split)]


@pytest.mark.parametrize(
    "same", ["Run forward.", "run forward", "  RUN   forward!!", "run, forward", "ｒｕｎ forward", "run-forward\n"]
)
def test_punctuation_case_and_spaces_do_not_change_the_ids(same):
    """Users of openvla-oft and openpi found that a trailing dot broke the policy."""
    assert TEXT.encode(same) == TEXT.encode("run forward")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Don't fall!", "dont fall"),
        ("at 1.5 m/s.", "at 1.5 m s"),
        ("snake_case", "snake case"),
        ("Ärger  日本", "ärger 日本"),
        ("🙂...", ""),
        ("", ""),
    ],
)
def test_decoding_gives_the_normalised_text(text, normal):
    assert TEXT.normalise(text) == normal
    assert TEXT.decode(TEXT.encode(text)) == normal


def test_no_words_are_no_ids():
    assert TEXT.encode(" ... ") == []


def test_changing_returned_ids_does_not_change_later_ones():
    TEXT.encode("run forward").append(0)
    assert TEXT.encode("run forward") == [466, 316]


def test_threads_may_ask_at_once(monkeypatch):
    """What one thread had just looked up was forgotten by another: a KeyError where words came from many viewers."""
    monkeypatch.setattr("gato.tokens.text._REMEMBERED", 1)
    text = TextCodec.load()
    words = [f"run {place}" for place in range(40)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(text.encode, words * 100))
    assert found == [TEXT.encode(one) for one in words] * 100


def test_ids_of_the_canonical_prompts_do_not_move():
    """The bundled file is what saved prompts, caches and models were made with: a change must be meant."""
    assert TEXT.size == 4096
    assert TEXT.encode("run forward") == [466, 316]
    assert TEXT.encode("please hop backward") == [357, 481, 359]


def test_every_word_of_the_grammar_is_one_token():
    words = {word for phrase in ALL_PHRASES for word in phrase.split()}
    assert [word for word in sorted(words) if len(TEXT.encode(word)) != 1] == []


def test_every_phrase_is_at_most_ten_tokens():
    assert [phrase for phrase in ALL_PHRASES if not 1 <= len(TEXT.encode(phrase)) <= 10] == []


def test_every_phrase_round_trips():
    assert [phrase for phrase in ALL_PHRASES if TEXT.decode(TEXT.encode(phrase)) != phrase] == []


def test_ids_beyond_text_are_refused():
    with pytest.raises(ValueError, match=r"got \[4096\]; allowed: 0..4095"):
        TEXT.decode([1, 4096])


def test_training_twice_gives_the_same_tokenizer():
    corpus = ALL_PHRASES * 2
    assert train_text_codec(corpus, size=400).json == train_text_codec(corpus, size=400).json
