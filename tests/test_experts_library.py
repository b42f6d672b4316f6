"""Many experts from one file: each from those before it, gone on with when killed, refused when wrong."""

from pathlib import Path

import pytest

from gato import api
from gato.experts import library
from gato.experts.library import load_library
from gato.experts.policy import Policy
from gato.experts.ppo import PPOConfig
from gato.experts.shipped import SHIPPED
from gato.runs import read_provenance

ROOT = Path(__file__).parent.parent
TINY = "steps: 64, hidden: [8], num_envs: 4, rollout_steps: 16, minibatch_size: 32, epochs: 1"
FILE = f"""experts:
  inverted-pendulum/balance/first: {{{TINY}}}
  inverted-pendulum/balance: {{{TINY}, seed: 2, init_from: inverted-pendulum/balance/first}}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "library.yaml").write_text(FILE)
    return str(tmp_path / "library.yaml")


def test_experts_are_trained_in_turn_from_those_before(file, tmp_path):
    out = api.expert_train(file, out=str(tmp_path / "out"))
    first, again = (out / "inverted-pendulum" / name for name in ("balance-first", "balance"))
    assert [Policy.load(one / "best").skill for one in (first, again)] == ["inverted-pendulum/balance"] * 2
    assert list(read_provenance(again)["inputs"]) == [str(first)]


def test_a_killed_library_goes_on_and_keeps_what_is_finished(file, tmp_path, monkeypatch):
    train, begun = library.train_expert, []

    def killed(*arguments, **settings):
        begun.append(settings["out"])
        if len(begun) == 2:
            raise KeyboardInterrupt
        return train(*arguments, **settings)

    monkeypatch.setattr(library, "train_expert", killed)
    with pytest.raises(KeyboardInterrupt):
        api.expert_train(file, out=str(tmp_path / "out"))
    first, again = (tmp_path / "out" / "inverted-pendulum" / name for name in ("balance-first", "balance"))
    written = (first / "provenance.json").read_bytes()
    api.expert_train(file, out=str(tmp_path / "out"))
    assert (first / "provenance.json").read_bytes() == written
    assert (again / "provenance.json").is_file()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("experts: {}", "names with their settings are needed"),
        ("experts: {hopper/hop: {steps: 5}}", 'unknown skill "hopper/hop"'),
        ("experts: {hopper/stand: {seed: 5}}", "a mapping with steps is needed"),
        ("experts: {hopper/stand: {steps: 5, epoch: 3}}", 'unknown key "epoch"; did you mean "epochs"'),
        ("experts: {hopper/stand: {steps: 5, init_from: hopper/hop-front}}", "none of the experts before it"),
        ("experts: {hopper/stand: {steps: 5, epochs: 0}}", "epochs=0"),
        ("experts: {hopper/stand: {steps: 0}}", "steps=0"),
        ("experts: {hopper/stand: {steps: 5, hidden: 64}}", "hidden"),
        ("experts: {hopper/stand: {steps: 5, randomise: [weight=1:2]}}", 'randomise: unknown "weight"'),
        ("experts: {hopper/stand/../../x: {steps: 5}}", "names are body/skill or body/skill/variant"),
        ("foo: 1\nexperts: {hopper/stand: {steps: 5}}", '"foo" at the top'),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_trained(content, told, tmp_path):
    (tmp_path / "library.yaml").write_text(content)
    with pytest.raises(ValueError, match=told):
        api.expert_train(str(tmp_path / "library.yaml"), out=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_flags_that_the_file_states_are_refused(file, tmp_path):
    with pytest.raises(ValueError, match="leave out all flags but --out"):
        api.expert_train(file, out=str(tmp_path / "out"), config=PPOConfig(epochs=3))
    with pytest.raises(ValueError, match="leave out all flags but --out"):
        api.expert_train(file, out=str(tmp_path / "out"), steps=5)


def test_experts_of_a_robot_of_ones_own(tmp_path):
    robot = ROOT / "docs" / "examples" / "quadruped.yaml"
    (tmp_path / "library.yaml").write_text(f"robots: [{robot}]\nexperts:\n  quadruped/trot-forward: {{{TINY}}}\n")
    out = api.expert_train(str(tmp_path / "library.yaml"), out=str(tmp_path / "out"))
    assert Policy.load(out / "quadruped" / "trot-forward" / "best").skill == "quadruped/trot-forward"


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "experts").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_files_are_right(path):
    assert load_library(path)


MISSING = {"humanoid/walk-forward", "walker2d/walk-backward"}
"""Experts whose past cannot be run any more: configs/experts/library.yaml says so."""


def test_every_expert_that_comes_with_gato_can_be_trained_anew():
    file = ROOT / "configs" / "experts" / "library.yaml"
    shipped = {str(folder.parent.relative_to(SHIPPED)) for folder in SHIPPED.glob("*/*/policy.json")}
    assert shipped - {entry.name for entry in load_library(file)} == MISSING
