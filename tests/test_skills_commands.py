"""Commands: drawn from the seed alone, the same in both steppers, told to teachers only, and called by words."""

import gymnasium
import numpy as np
import pytest

from gato.experts.commanded import Teacher, as_actor, axes, listening, obeying, teacher_mirror
from gato.experts.curriculum import CommandedStepper
from gato.experts.policy import Policy
from gato.experts.shipped import shipped_policy
from gato.skills.commands import Commands, checked_command, draw
from gato.skills.environment import make_env, skill_env_spec
from gato.skills.skill import TOLD
from gato.skills.stepper import make_stepper
from gato.skills.table import SKILLS, get_skill
from gato.specs import COMMANDS
from gato.tokens.text import TextCodec

ANT = get_skill("ant/command")
TEXT = TextCodec.load()
COMMANDED = [skill for skill in SKILLS.values() if skill.is_commanded]


def toy_teacher(skill, seed=0) -> Policy:
    rng = np.random.default_rng(seed)
    spec = CommandedStepper(skill, 1).spec
    widths = (len(spec.observation), 8, len(spec.action))
    layers = tuple(
        (rng.standard_normal((one, two), np.float32), rng.standard_normal(two, np.float32))
        for one, two in zip(widths, widths[1:], strict=False)
    )
    return Policy(
        skill.id,
        mean_O=rng.standard_normal(widths[0]),
        std_O=rng.uniform(0.5, 2, widths[0]),
        layers=layers,
        log_std_A=np.zeros(widths[-1], np.float32),
        low_A=spec.action_low,
        high_A=spec.action_high,
    )


@pytest.mark.parametrize("skill", COMMANDED, ids=lambda skill: skill.id)
def test_both_steppers_ask_for_the_same_and_pay_the_same(skill):
    batch, env = make_stepper(skill.id, 2), make_env(skill_env_spec(skill.id))
    batch.reset(np.arange(2), [7, 8])
    env.reset(seed=8)
    rng, seen = np.random.default_rng(0), set()
    for _ in range(200):
        actions_BA = rng.uniform(-0.3, 0.3, (2, len(batch.spec.action))).astype(np.float32)
        assert np.array_equal(batch.command()[1], env.unwrapped.command(), equal_nan=True)
        step = batch.step(actions_BA)
        _, reward, terminated, _, info = env.step(actions_BA[1])
        assert step.rewards_B[1] == reward
        assert {name: values_B[1] for name, values_B in step.readings.items()} == info
        seen.add(info[TOLD + "forward_speed"])
        if step.terminated_B.any() or terminated:
            break
    assert len(seen) >= 1


def test_commands_change_within_an_episode_and_begin_anywhere_in_their_period():
    commands = Commands(50, dt=0.05, max_steps=1000)
    ids = np.arange(50)
    commands.begin(ids, [ANT] * 50, range(50))
    series = np.array([commands.now(ids, np.full(50, t)) for t in range(1000)])
    changes_TB = (np.diff(series, axis=0) != 0).any(-1)
    assert (changes_TB.sum(0) >= 10).all()
    assert len(set(changes_TB.argmax(0))) > 25
    again = Commands(50, dt=0.05, max_steps=1000)
    again.begin(ids[::-1], [ANT] * 50, list(range(50))[::-1])
    assert np.array_equal(again.parts_BKC, commands.parts_BKC)


def test_drawn_commands_fill_the_ranges_and_some_are_plain():
    drawn_NC = draw(ANT, np.random.default_rng(0), 4000)
    for index, name in enumerate(COMMANDS):
        low, high = ANT.command[name]
        assert low <= drawn_NC[:, index].min() < 0.95 * low < 0.95 * high < drawn_NC[:, index].max() <= high
    zeros_N = (drawn_NC == 0).sum(1)
    shares = [np.mean(zeros_N == count) for count in (0, 2, 3)]
    assert shares == pytest.approx([0.5, 0.35, 0.15], abs=0.03)


def test_a_skill_without_a_choice_is_asked_for_its_own_numbers():
    stepper = make_stepper("ant/turn-left", 2)
    stepper.reset(np.arange(2), [0, 1])
    assert stepper.command().tolist() == [[0.0, 0.0, 1.0]] * 2
    stepper.select_skill(np.array([1]), "ant/walk-forward")
    assert stepper.command().tolist() == [[0.0, 0.0, 1.0], [0.7, 0.0, 0.0]]
    assert TOLD + "yaw_rate" not in stepper.step(np.zeros((2, 8), np.float32)).readings
    assert np.isnan(make_stepper("ant/run-forward", 1).command()).all()


def test_a_command_can_be_given_at_the_beginning():
    env = gymnasium.make("gato/AntCommand-v0")
    env.reset(seed=0, options={"command": {"forward_speed": 1.0, "lateral_speed": 0.0, "yaw_rate": -0.5}})
    assert env.unwrapped.command().tolist() == [1.0, 0.0, -0.5]
    assert env.step(env.action_space.sample())[4]["told_yaw_rate"] == -0.5


@pytest.mark.parametrize(
    ("skill", "command", "hint"),
    [
        (
            "ant/command",
            {"forward_speed": 2.0, "lateral_speed": 0, "yaw_rate": 0},
            r"forward_speed=2.0 \(allowed: -1.5",
        ),
        ("ant/command", {"forward_speed": 1.0, "lateral_speed": 0}, "yaw_rate=None"),
        ("hopper/command", {"forward_sped": 1.0}, 'did you mean "forward_speed"'),
        ("ant/stand", {"forward_speed": 1.0}, "takes no command"),
    ],
)
def test_wrong_commands_are_refused(skill, command, hint):
    with pytest.raises(ValueError, match=hint):
        checked_command(get_skill(skill), command)


def test_a_teacher_reads_commands_that_nobody_else_sees():
    teacher = toy_teacher(ANT)
    training, plain = CommandedStepper(ANT, 3), make_stepper(ANT.id, 3)
    ids = np.arange(3)
    told_BO, plain_BO = training.reset(ids, [0, 1, 2]), plain.reset(ids, [0, 1, 2])
    assert np.array_equal(told_BO, np.concatenate([plain_BO, plain.command()], 1))
    actor = as_actor(teacher)
    assert isinstance(actor, Teacher)
    actor.watch(plain)
    assert np.array_equal(actor(plain_BO), teacher(told_BO))
    blind_BO = CommandedStepper(ANT, 3, is_blind=True).reset(ids, [0, 1, 2])
    assert (blind_BO[:, -3:] == 0).all() and np.array_equal(blind_BO[:, :-3], plain_BO)


def test_a_teacher_told_once_acts_as_one_told_every_time():
    teacher, skill = toy_teacher(ANT), get_skill("ant/walk-left")
    stepper = make_stepper(skill.id, 4)
    observations_BO = stepper.reset(np.arange(4), range(4))
    actor = as_actor(teacher)
    actor.watch(stepper)
    np.testing.assert_allclose(obeying(teacher, skill, ANT)(observations_BO), actor(observations_BO), atol=1e-5)


def test_a_plain_policy_becomes_a_teacher_that_does_not_care_yet():
    skill = get_skill("hopper/command")
    rng, plain = np.random.default_rng(0), shipped_policy("hopper/hop-forward")
    sensed_BO, told_B1 = rng.standard_normal((5, 11)), rng.uniform(-1, 2.5, (5, 1))
    teacher = listening(plain, skill)
    assert teacher.skill == skill.id
    np.testing.assert_array_equal(teacher(np.concatenate([sensed_BO, told_B1], 1)), plain(sensed_BO))


def test_in_the_mirror_left_is_right():
    stepper = CommandedStepper(ANT, 1)
    mirror = teacher_mirror(stepper.body.mirror, ANT)
    seen_BO = stepper.reset(np.arange(1), [0])
    image_BO = mirror.observation(seen_BO)
    assert image_BO[0, -3:].tolist() == (seen_BO[0, -3:] * [1, -1, -1]).tolist()
    assert np.array_equal(mirror.observation(image_BO), seen_BO)


@pytest.mark.parametrize("skill", COMMANDED, ids=lambda skill: skill.id)
def test_every_command_has_words_and_no_words_two_meanings(skill):
    found = skill.cells
    owners: dict[str, int] = {}
    for number, cell in enumerate(found):
        assert len(cell.phrases) >= 3 and len(set(cell.phrases)) == len(cell.phrases)
        for phrase in cell.phrases:
            assert len(TEXT.encode(phrase)) <= 10
            assert owners.setdefault(phrase, number) == number
    drawn_NC = draw(skill, np.random.default_rng(0), 20000)
    assert set(skill.cell_of(drawn_NC).tolist()) == set(range(len(found)))
    assert len(axes(skill)) == len(drawn_NC[0][np.isfinite(drawn_NC[0])]) - sum(
        low == high for low, high in skill.command.values()
    )


def test_commands_are_called_what_people_would_say():
    def words(skill_id, *command):
        skill = get_skill(skill_id)
        return skill.cells[int(skill.cell_of(np.array(command)))].phrases[0]

    assert words("ant/command", 0, 0, 0) == "stand still"
    assert words("ant/command", 0.5, 0, 0.5) == "walk forward slowly while bending gently left"
    assert words("ant/command", -1.4, 0, 0) == "walk backward briskly"
    assert words("ant/command", 0, -0.6, 0) == "walk right moderately"
    assert words("humanoid/command", 0, 0, -0.9) == "turn right briskly"
    assert words("hopper/command", 1.5, np.nan, np.nan) == "hop forward moderately"
