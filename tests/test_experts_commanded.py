"""Training a goal-conditioned teacher, recording it, and what others make of it."""

import dataclasses

import numpy as np
import pytest

from gato.data.cache import open_cache
from gato.data.minari_io import episodes, open_dataset
from gato.experts import imitate as imitate_module
from gato.experts.commanded import listening
from gato.experts.curriculum import CommandedStepper, Part
from gato.experts.policy import Policy
from gato.experts.ppo import PPOConfig
from gato.experts.shipped import shipped_policy
from gato.experts.train import train_expert
from gato.record import record_skill
from gato.recording.recipe import Recording
from gato.runs import read_provenance
from gato.skills.table import get_skill
from gato.specs import COMMANDS

SKILL = get_skill("hopper/command")
TINY = PPOConfig(hidden=(16,), num_envs=4, rollout_steps=32, minibatch_size=64, epochs=2)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return train_expert(SKILL.id, steps=500, seed=0, out=tmp_path_factory.mktemp("runs") / "a", config=TINY)


def test_a_teacher_reads_one_number_more(teacher):
    assert len(Policy.load(teacher / "best").mean_O) == 12


def test_a_teacher_kept_blind_learns_the_same_shape_from_zeros(tmp_path):
    run = train_expert(SKILL.id, steps=300, seed=0, out=tmp_path / "b", config=dataclasses.replace(TINY, blind=True))
    blind = Policy.load(run / "last")
    assert len(blind.mean_O) == 12 and blind.mean_O[-1] == 0
    config = dataclasses.replace(TINY, init_from=str(run))
    train_expert(SKILL.id, steps=300, seed=0, out=tmp_path / "c", config=config)


@pytest.mark.parametrize("skill", ["hopper/stand", "hopper/command"])
def test_a_teacher_or_a_plain_expert_can_be_gone_on_from(teacher, tmp_path, skill):
    start = "hopper/hop-forward" if skill == SKILL.id else str(teacher)
    hidden = tuple(len(bias) for _, bias in Policy.load(teacher / "best").layers[:-1])
    config = dataclasses.replace(TINY, init_from=start, hidden=(64, 64) if skill == SKILL.id else hidden)
    run = train_expert(skill, steps=300, seed=0, out=tmp_path / "d", config=config)
    assert len(Policy.load(run / "last").mean_O) == (12 if skill == SKILL.id else 11)


def test_what_is_told_grows_from_what_the_expert_does_by_itself(tmp_path, monkeypatch):
    told = []

    class Watched(CommandedStepper):
        def reset(self, ids, seeds):
            observations_BO = super().reset(ids, seeds)
            told.append(self.commands.parts_BKC[ids][..., 0])
            return observations_BO

    monkeypatch.setattr("gato.experts.curriculum.CommandedStepper", Watched)
    config = dataclasses.replace(TINY, hidden=(64, 64), init_from="hopper/hop-forward", widen=0.5)
    run = train_expert(SKILL.id, steps=2560, seed=0, out=tmp_path / "e", config=config)
    low, high = SKILL.command["forward_speed"]
    # Hop-forward does more than a teacher may be told: it begins at the most.
    assert (told[0] == high).all() and told[-1].min() < 1.0 and (told[-1] >= low).all()
    again = dataclasses.replace(config, init_from=str(run))
    with pytest.raises(ValueError, match="from an expert that is not"):
        train_expert(SKILL.id, steps=300, seed=0, out=tmp_path / "f", config=again)


def test_a_run_whose_commands_grow_is_resumed_where_it_was():
    stepper = CommandedStepper(SKILL, 2)
    stepper.commands.centre_C[0] = 1.5
    kept = stepper.snapshot()
    other = CommandedStepper(SKILL, 2)
    other.restore(kept)
    assert other.commands.centre_C[0] == 1.5


def test_a_teacher_can_begin_as_several_experts_where_each_is_right(tmp_path, monkeypatch):
    for name, value in {"ENVIRONMENTS": 64, "STEPS": 100, "ROUNDS": 4}.items():
        monkeypatch.setattr(imitate_module, name, value)
    ways = ("hopper/hop-backward@-1:-0.4", "hopper/hop-forward@0.4:2.5")
    parts = [Part.read(way) for way in ways]
    experts = [shipped_policy(part.expert) for part in parts]
    blank = listening(shipped_policy("hopper/hop-forward"), SKILL)
    learned = imitate_module.imitation(blank, parts, experts, seed=0)
    stepper = CommandedStepper(SKILL, 64)
    seen_BO = stepper.reset(np.arange(64), range(64))
    errors = {}
    for told in (-0.8, 2.0):
        seen_BO[:, -1] = told
        errors[told] = [float(np.abs(learned(seen_BO) - expert(seen_BO[:, :-1])).mean()) for expert in experts]
    assert errors[-0.8][0] < 0.5 * errors[-0.8][1] and errors[2.0][1] < 0.5 * errors[2.0][0]

    config = dataclasses.replace(TINY, imitate=ways, hidden=(16,))
    run = train_expert(SKILL.id, steps=300, seed=0, out=tmp_path / "f", config=config)
    assert set(read_provenance(run)["inputs"]) == {"hopper/hop-backward", "hopper/hop-forward"}
    ant = dataclasses.replace(TINY, imitate=("ant/run-forward@0:1",))
    with pytest.raises(ValueError, match="ant/command is told 3 numbers; leave out the range"):
        train_expert("ant/command", steps=300, seed=0, out=tmp_path / "g", config=ant)
    for told, far in (
        ("ant/walk-left is told nothing", ("ant/walk-left", "ant/stand")),
        ("is told -1 to 2.5 only", (SKILL.id, "hopper/hop-forward@5:9")),
    ):
        wrong = dataclasses.replace(TINY, imitate=(far[1],))
        with pytest.raises(ValueError, match=told):
            train_expert(far[0], steps=300, seed=0, out=tmp_path / "i", config=wrong)
    ant = dataclasses.replace(TINY, imitate=("ant/run-forward",))
    with pytest.raises(ValueError, match="ant/run-forward names no command that it is right for"):
        train_expert("ant/command", steps=300, seed=0, out=tmp_path / "h", config=ant)


def test_experts_of_commands_are_right_near_them_and_a_teacher_wherever_nobody_else_is():
    skill = get_skill("ant/command")
    ahead, turning, teacher = (
        imitate_module._bounds(
            Part.read(name), dataclasses.replace(shipped_policy("ant/run-forward"), skill=name), skill
        )
        for name in ("ant/walk-left", "ant/turn-right", "ant/command")
    )
    np.testing.assert_allclose(np.mean(ahead, axis=0), [0.7, 0, 0], atol=1e-12)
    np.testing.assert_allclose(np.mean(turning, axis=0), [0, 0, 1.0], atol=1e-12)
    lows_PC, highs_PC = np.array([ahead[0], turning[0], teacher[0]]), np.array([ahead[1], turning[1], teacher[1]])
    policies = [listening(shipped_policy("ant/run-forward"), skill)] * 3
    policies = [
        one.with_layers((*one.layers[:-1], (0 * one.layers[-1][0], np.full(8, 0.1 * i, np.float32))), one.log_std_A)
        for i, one in enumerate(policies)
    ]
    seen_BO = np.zeros((4, len(policies[0].mean_O)))
    seen_BO[:, -3:] = [[0.8, 0.1, -0.1], [0.1, 0, 0.9], [0.7, 0, 0.5], [0, 0, 0]]
    done_BA = imitate_module._right(policies, lows_PC, highs_PC, seen_BO)
    np.testing.assert_allclose(done_BA[:, 0], [0, 0.1, 0.2, 0.2], atol=1e-6)
    assert np.isnan(imitate_module._right(policies[:2], lows_PC[:2], highs_PC[:2], seen_BO)[3]).all()


@pytest.mark.parametrize("text", ["hopper/stand@", "hopper/stand@1", "hopper/stand@2:1", "@0:1", "c@a:b", ""])
def test_what_a_teacher_shall_imitate_must_be_readable(text):
    with pytest.raises(ValueError, match="EXPERT or EXPERT@LOWEST:HIGHEST is needed"):
        dataclasses.replace(TINY, imitate=(text,))
    with pytest.raises(ValueError, match="both are first weights"):
        dataclasses.replace(TINY, imitate=("a@0:1",), init_from="b")


def test_what_is_asked_for_comes_back_with_a_snapshot():
    """Bug: a teacher whose training was resumed was asked for something else than one that was left alone."""
    ids, actions_BA = np.arange(4), np.full((4, 3), 0.1, np.float32)
    first, second = (CommandedStepper(SKILL, 4) for _ in range(2))
    first.reset(ids, [0, 1, 2, 3])
    first.step(actions_BA)
    second.reset(ids, [4, 5, 6, 7])
    second.restore(first.snapshot())
    assert np.array_equal(first.command(), second.command(), equal_nan=True)
    one, two = first.step(actions_BA), second.step(actions_BA)
    assert np.array_equal(one.observations_BO, two.observations_BO) and np.array_equal(one.rewards_B, two.rewards_B)


def test_others_can_begin_where_a_teacher_leaves_the_body(teacher, tmp_path):
    config = dataclasses.replace(TINY, start_states=(str(teacher), "hopper/hop-forward"))
    train_expert("hopper/hop-backward", steps=300, seed=0, out=tmp_path / "e", config=config)


def test_a_recorded_teacher_is_plain_and_every_step_stands_under_its_words(teacher, minari_root):
    record_skill(Recording("hopper/command", episodes=3, expert=str(teacher)))
    dataset = open_dataset("gato/hopper/command-v0")
    assert dataset.skills == (SKILL.id,) * len(SKILL.cells)
    assert dataset.prompts == tuple(cell.phrases for cell in SKILL.cells)
    told = np.concatenate([np.unique(episode.readings["told_forward_speed"]) for episode in episodes(dataset)])
    assert len(set(told)) >= 3, "each episode is asked for something else"
    for episode in episodes(dataset):
        assert episode.observations.shape[1] == 11
        command_TC = np.full((len(episode.rewards), len(COMMANDS)), np.nan)
        command_TC[:, 0] = episode.readings["told_forward_speed"]
        assert (episode.prompt_ids == SKILL.cell_of(command_TC)).all()
    assert len(open_cache(dataset).prompt_ids_T) == dataset.num_steps


def test_named_commands_are_recorded_from_one_teacher(teacher, minari_root):
    with pytest.raises(ValueError, match="hop-forward names none; choose an expert of that skill"):
        record_skill(Recording("hopper/hop-forward", expert=str(teacher)))
    record_skill(Recording("hopper/stand", episodes=2, expert=str(teacher)))
    assert open_dataset("gato/hopper/stand-v0").skills == ("hopper/stand",)
