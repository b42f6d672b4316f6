"""Which skill a sentence means: the sentence encoder, a causal language model, and what neither takes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from gato.language import classifier, pretrained
from gato.language.classifier import SentenceClassifier
from gato.language.encoder import SentenceEncoder
from gato.language.likelihood import HEARD, NONE, UNHEARD, LikelihoodJudge
from gato.language.pretrained import language_folder
from gato.language.sayings import examples
from gato.language.speech import MOST_CHARACTERS, Heard, Listener, offered
from gato.skills.bodies import BODIES
from gato.skills.table import SKILLS, Skill, skills_of

ANT = offered("ant")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder.load()


@pytest.fixture
def listener(encoder: SentenceEncoder, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Listener:
    monkeypatch.setenv("GATO_CACHE", str(cache))
    return Listener(SentenceClassifier(encoder))


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model that knows nothing, made here."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("causal")
    words = " ".join((HEARD, UNHEARD, NONE, "spin the other way", *(skill.prompt for skill in ANT))).split()
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(sorted({"?", *words}))}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?").save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=tokenizer.get_vocab_size(), n_positions=64, n_embd=16, n_layer=2, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("sentence", "skill"),
    [
        ("kindly revolve anticlockwise where you are", "turn-left"),
        ("pivot clockwise", "turn-right"),
        ("back up a few steps", "walk-backward"),
        ("someone walks a loop to the right", "circle-right"),
        ("crab walk to the left hand side", "walk-left"),
        ("Hold your position!", "stand"),
        ("take a few steps ahead", "walk-forward"),
    ],
)
def test_sentences_that_nobody_foresaw_find_their_skill(listener: Listener, sentence: str, skill: str) -> None:
    assert sentence not in {text for text, _ in examples(ANT)}
    heard = listener.hear("ant", sentence)
    assert heard.skill == f"ant/{skill}" and heard.prompt == SKILLS[heard.skill].prompt and not heard.reason
    assert [skill for skill, _ in heard.ranked] != [skill.id for skill in ANT]
    assert sorted((p for _, p in heard.ranked), reverse=True) == [p for _, p in heard.ranked]


@pytest.mark.parametrize(
    "sentence",
    [
        "water the tulips",
        "what is two plus two",
        "perform a somersault backwards",
        "climb the ladder",
        "asdf qwer zxcv",
    ],
)
def test_what_no_skill_does_is_declined_with_what_there_is_instead(listener: Listener, sentence: str) -> None:
    heard = listener.hear("ant", sentence)
    assert heard.skill is None and heard.prompt is None
    assert '"turn left"' in heard.reason and "none of ant's skills" in heard.reason


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("", "nothing was said"),
        (" \n\t ", "nothing was said"),
        ("\x00\x1b[2J", "none of ant's skills"),
        ("🙂🙂", "nothing was said"),
        ("walk forward " * 8000, f"longer than {MOST_CHARACTERS} characters"),
        ("вода в реке холодная", "none of ant's skills"),
    ],
)
def test_what_cannot_be_heard_is_declined(listener: Listener, sentence: str, reason: str) -> None:
    assert listener.hear("ant", sentence).reason.startswith(reason)


def test_what_may_mean_two_skills_is_asked_about(listener: Listener) -> None:
    heard = listener.hear("ant", "circle")
    assert (heard.skill, heard.ranked[0][1] > 0.4) == (None, True)
    assert heard.reason.startswith("not clear which is meant: ")
    assert '"walk in a left circle"' in heard.reason and '"walk in a right circle"' in heard.reason


def test_a_body_is_heard_by_its_own_skills(listener: Listener) -> None:
    assert listener.hear("hopper", "bounce ahead like a kangaroo").skill == "hopper/hop-forward"
    with pytest.raises(ValueError, match='did you mean "hopper"'):
        listener.hear("hoper", "bounce ahead")


def test_a_body_that_is_told_in_numbers_only_hears_no_words() -> None:
    """Bug: IndexError, after a layer was learned for it."""

    class Learning:
        def chances(self, skills: Sequence[Skill], text: str) -> np.ndarray:
            raise AssertionError("a layer is learned for nothing")

    for skill in [one for one in skills_of("hopper") if not one.is_commanded]:
        del SKILLS[skill.id]
    told = 'hopper is told in numbers only, such as "forward_speed=2.5"; got "hop on"'
    with pytest.raises(ValueError, match=f"^{told}$"):
        Listener(Learning()).hear("hopper", "hop\non")


def test_where_nothing_was_heard_nothing_is_clear() -> None:
    """Bug: IndexError."""
    assert not Heard("ant", "", (), None, "nothing was said").is_clear


def test_a_layer_is_learned_once(
    listener: Listener, encoder: SentenceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "SHIPPED", tmp_path)
    monkeypatch.setattr(classifier, "examples", lambda skills: examples(skills)[::9])
    first = listener.hear("ant", "spin round to the left")
    assert first.skill == "ant/turn-left"
    monkeypatch.setattr(classifier, "_learn", None)
    assert Listener(SentenceClassifier(encoder)).hear("ant", "spin round to the left") == first


def test_the_layers_of_every_body_come_with_gato(encoder: SentenceEncoder) -> None:
    """Where this fails, `python benchmarks/speech.py --layers` writes them anew."""
    wanted = {classifier.layer_name(encoder, examples(offered(body))) for body in BODIES}
    assert {path.name for path in classifier.SHIPPED.iterdir()} == wanted


def test_a_sentence_is_the_same_alone_and_in_a_batch(encoder: SentenceEncoder) -> None:
    texts = ["turn left", "a much longer sentence about turning to the left hand side", "stop"]
    together = encoder.encode(texts)
    assert together.shape == (3, 768)
    assert np.allclose(np.square(together).sum(1), 2, atol=1e-5)
    assert np.allclose(together, np.stack([encoder.encode([text])[0] for text in texts]), atol=1e-5)


def test_likelihoods_of_a_batch_are_those_of_each_sentence_alone(causal: Path) -> None:
    judge = LikelihoodJudge(causal)
    text = "spin the other way"
    chance = judge.chances(ANT, text)
    assert chance.shape == (len(ANT) + 1,) and chance.sum() == pytest.approx(1)

    def alone(beginning: str, option: str) -> float:
        begun, end = judge.model.tokenizer(beginning)["input_ids"], judge.model.tokenizer(option)["input_ids"]
        with torch.inference_mode():
            logits = judge.model.model(torch.tensor([begun + end])).logits[0].log_softmax(-1)
        return float(sum(logits[len(begun) + at - 1, token] for at, token in enumerate(end)))

    options = [*(skill.prompt for skill in ANT), NONE]
    gain = np.array([alone(HEARD.format(text), one) - alone(UNHEARD, one) for one in options])
    assert np.allclose(chance, classifier.softmax(gain), atol=1e-5)


def test_a_folder_without_a_language_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds no sentence encoder"):
        SentenceEncoder.load(str(tmp_path))
    with pytest.raises(ValueError, match="holds no causal language model"):
        LikelihoodJudge(tmp_path)
    with pytest.raises(ValueError, match="neither a folder nor a Hub id"):
        SentenceEncoder.load("no such/thing at all")


def test_damaged_weights_are_refused_in_one_line(causal: Path, tmp_path: Path) -> None:
    """Weights cut short, and those of another size than the config says, raised errors that nobody expected."""
    cut, other = (Path(shutil.copytree(causal, tmp_path / name)) for name in ("cut", "other"))
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-64])
    config = other / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"n_embd": 32}))
    for folder in (cut, other):
        with pytest.raises(ValueError, match=f"{folder.name} holds no causal language model") as found:
            LikelihoodJudge(folder)
        assert len(str(found.value).splitlines()) == 1


def test_a_mistyped_path_is_not_looked_for_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not be fetched, and the name and the network were to be checked."""
    asked: list[str] = []

    def fetch(name: str, *_: object, **__: object) -> Path:
        asked.append(name)
        return tmp_path

    monkeypatch.setattr(pretrained, "fetch", fetch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "workspace").mkdir()
    with pytest.raises(ValueError, match="workspace/typo is neither a folder nor a Hub id"):
        language_folder("workspace/typo")
    assert language_folder("somebody/typo") == tmp_path and asked == ["somebody/typo"]


def test_an_empty_name_is_no_language_model() -> None:
    """It was the sentence encoder, which "holds no causal language model"."""
    with pytest.raises(ValueError, match="no language model is named; name a folder or a Hub id"):
        language_folder("")
