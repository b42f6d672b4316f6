"""Commands: drawn from the seed alone, the same in both steppers, told to teachers only, and called by words."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest

from gato.experts.commanded import Teacher, as_actor, axes, listening, obeying, teacher_mirror
from gato.experts.curriculum import CommandedStepper
from gato.experts.policy import Policy
from gato.experts.shipped import shipped_policy
from gato.experts.views import Views
from gato.skills.batch_stepper import BatchStepper
from gato.skills.bodies import get_body
from gato.skills.commands import Commands, checked_command, draw
from gato.skills.environment import make_env, skill_env_spec
from gato.skills.gym_stepper import GymStepper
from gato.skills.skill import TOLD
from gato.skills.stepper import find_env_spec, make_stepper
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


def test_who_would_fall_is_asked_to_go_there_little_by_little():
    commands, row = Commands(2, dt=0.5, max_steps=40), np.arange(2)
    commands.select(row, replace(get_skill("hopper/command"), command_rate=2.0))
    commands.parts_BKC[:, :3, 0] = [[2.0, -0.5, 0.25], [1.0, 1.5, 1.0]]
    commands.phase_B[1] = 6
    asked_TB, goal_TB = (
        np.array([of(row, np.full(2, t))[:, 0] for t in range(12)]) for of in (commands.now, commands.goal)
    )
    assert goal_TB[:, 0].tolist() == [2.0] * 8 + [-0.5] * 4
    assert asked_TB[:, 0].tolist() == [2.0] * 8 + [1.0, 0.0, -0.5, -0.5]
    assert asked_TB[:, 1].tolist() == goal_TB[:, 1].tolist() == [1.0] * 2 + [1.5] * 8 + [1.0] * 2
    assert np.isnan(commands.now(row, np.full(2, 9))[:, 1:]).all()
    commands.select(row[:1], get_skill("half-cheetah/command"))
    commands.parts_BKC[:, :3, 0] = [[2.0, -0.5, 0.25], [1.0, 5.0, 1.0]]
    assert [commands.now(row, np.array([8, 2]))[:, 0].tolist(), commands.rate_B.tolist()] == [
        [-0.5, 2.0],
        [np.inf, 2.0],
    ]


def test_who_begins_at_speed_is_asked_to_slow_down_little_by_little():
    stepper = make_stepper("hopper/command", 2)
    rows = np.arange(2)
    stepper.reset(rows, [3, 4])
    assert np.array_equal(stepper.command(), stepper.commands.goal(rows, np.zeros(2, int)), equal_nan=True), "at rest"
    qpos_BQ, qvel_BV = stepper.get_state(rows)
    qvel_BV[:, 0] = 2.0, -0.5
    stepper.set_state(rows, qpos_BQ, qvel_BV)
    stepper.commands.parts_BKC[:, :, 0] = 0.0
    assert stepper.command()[:, 0].tolist() == pytest.approx([2.0 - 0.016, -0.5 + 0.016])
    again = make_stepper("hopper/command", 2)
    again.restore(stepper.snapshot())
    assert again.command()[:, 0].tolist() == stepper.command()[:, 0].tolist()


def test_words_and_rules_are_about_the_goal_and_rewards_about_the_way_there():
    stepper = make_stepper("hopper/command", 1)
    row = np.arange(1)
    stepper.reset(row, [3])
    stepper.commands.phase_B[:] = stepper.commands.period - 1
    stepper.commands.parts_BKC[0, :2, 0] = [0.0, 2.0]
    for told, asked in ((0.0, 0.0), (2.0, 2 * 0.008), (2.0, 4 * 0.008)):
        assert stepper.command()[0, 0] == pytest.approx(asked)
        step = stepper.step(np.zeros((1, 3), np.float32))
        assert step.readings[TOLD + "forward_speed"].tolist() == [told]


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
    views = Views(ANT)
    assert np.array_equal(told_BO, np.concatenate(views.show(plain_BO, plain.command()), 1))
    actor = as_actor(teacher)
    assert isinstance(actor, Teacher)
    actor.watch(plain)
    actions_BA = actor(plain_BO)
    assert np.array_equal(actions_BA, views.undo(teacher(told_BO), plain.command()))
    blind_BO = CommandedStepper(ANT, 3, is_blind=True).reset(ids, [0, 1, 2])
    assert (blind_BO[:, -3:] == 0).all() and np.array_equal(blind_BO[:, :-3], told_BO[:, :-3])
    # What it does in training is what it does as an actor.
    moved_BO, there_BO = training.step(teacher(told_BO)).observations_BO, plain.step(actions_BA).observations_BO
    assert np.array_equal(moved_BO, np.concatenate(views.show(there_BO, plain.command()), 1))


@pytest.mark.parametrize("name", ["walker2d/walk-forward", "ant/walk-left", "ant/turn-right", "humanoid/turn-left"])
def test_a_teacher_told_once_acts_as_one_told_every_time(name):
    skill = get_skill(name)
    theirs = get_skill(f"{skill.body}/command")
    teacher, stepper = toy_teacher(theirs), make_stepper(skill.id, 4)
    observations_BO = stepper.reset(np.arange(4), range(4))
    actor, told_once = as_actor(teacher), as_actor(obeying(teacher, skill, theirs))
    actor.watch(stepper)
    np.testing.assert_allclose(told_once(observations_BO), actor(observations_BO), atol=1e-5)


def test_who_is_told_nothing_and_shown_nothing_else_acts_alone_and_can_be_sampled_from():
    stander = obeying(
        toy_teacher(get_skill("walker2d/command")), get_skill("walker2d/stand"), get_skill("walker2d/command")
    )
    assert as_actor(stander) is stander
    assert isinstance(as_actor(shipped_policy("humanoid/walk-forward")), Teacher)


def test_the_expert_of_one_command_does_not_know_where_in_the_world_it_looks():
    skill = get_skill("ant/walk-left")
    actor = as_actor(obeying(toy_teacher(ANT), skill, ANT))
    stepper = BatchStepper(skill.id, 2, env_spec=find_env_spec(skill.id))
    stepper.reset(np.arange(2), [0, 0])
    qpos_NQ, qvel_NV = stepper.get_state(np.arange(2))
    turned = 0.9
    qpos_NQ[1, 3:7] = [np.cos(turned / 2), 0, 0, np.sin(turned / 2)]
    qpos_NQ[0, 3:7] = [1, 0, 0, 0]
    x, y = qvel_NV[0, :2]
    qvel_NV[1, :2] = x * np.cos(turned) - y * np.sin(turned), x * np.sin(turned) + y * np.cos(turned)
    ahead_A, turned_A = actor(stepper.set_state(np.arange(2), qpos_NQ, qvel_NV))
    np.testing.assert_allclose(ahead_A, turned_A, atol=1e-5)


@pytest.mark.parametrize("kind", [BatchStepper, GymStepper])
def test_who_is_asked_for_what_it_does_goes_on_with_the_commands_that_were_drawn(kind):
    """Bug: recordings of teachers were asked for the middle of each range, in every step of every episode."""
    spec, ids = find_env_spec("half-cheetah/command"), np.arange(3)
    stepper = kind("half-cheetah/command", 3, env_spec=spec) if kind is BatchStepper else kind(spec, 3)
    stepper.reset(ids, [0, 1, 2])
    drawn_BC = stepper.command()
    assert len(np.unique(drawn_BC[:, 0])) == 3
    stepper.select_skill(ids[:2], "half-cheetah/command")
    np.testing.assert_array_equal(stepper.command(), drawn_BC)
    stepper.select_skill(ids[:1], "half-cheetah/stand")
    stepper.select_skill(ids[:1], "half-cheetah/command")
    assert stepper.command()[0, 0] == 1.0
    np.testing.assert_array_equal(stepper.command()[1:], drawn_BC[1:])


def test_a_plain_policy_becomes_a_teacher_that_does_not_care_yet():
    skill = get_skill("hopper/command")
    rng, plain = np.random.default_rng(0), shipped_policy("hopper/hop-forward")
    sensed_BO, told_B1 = rng.standard_normal((5, 11)), rng.uniform(-1, 2.5, (5, 1))
    teacher = listening(plain, skill)
    assert teacher.skill == skill.id
    np.testing.assert_array_equal(teacher(np.concatenate([sensed_BO, told_B1], 1)), plain(sensed_BO))


def test_in_the_mirror_a_walker_is_told_the_same():
    skill = get_skill("walker2d/command")
    stepper = CommandedStepper(skill, 1)
    mirror = teacher_mirror(stepper.body.mirror, skill)
    seen_BO = stepper.reset(np.arange(1), [0])
    image_BO = mirror.observation(seen_BO)
    assert image_BO[0, -1] == seen_BO[0, -1] and not np.array_equal(image_BO, seen_BO)
    assert np.array_equal(mirror.observation(image_BO), seen_BO)
    with pytest.raises(ValueError, match="ant/command is looked at so that it always turns left .*leave out symmetric"):
        teacher_mirror(get_body("ant").mirror, ANT)
    with pytest.raises(ValueError, match="ant/turn-left is looked at so that"):
        teacher_mirror(get_body("ant").mirror, get_skill("ant/turn-left"))


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


@pytest.mark.parametrize("body", ["ant", "humanoid", "half-cheetah"])
def test_a_teacher_is_shown_every_command_from_its_simplest_side(body):
    skill = get_skill(f"{body}/command")
    views, rng = Views(skill), np.random.default_rng(0)
    command_BC = np.nan_to_num(draw(skill, rng, 200))
    observations_BO = rng.standard_normal((200, len(get_body(body).spec.observation)))
    seen_BO, told_BC = views.show(observations_BO, command_BC)
    assert seen_BO.shape == observations_BO.shape
    np.testing.assert_allclose(np.abs(told_BC).sum(1), np.abs(command_BC).sum(1))
    if body != "half-cheetah":
        assert (told_BC[:, 2] >= 0).all()
    if body == "ant":
        assert (np.abs(told_BC[:, 1]) <= told_BC[:, 0] + 1e-9).all()
    # Shown again, nothing is left to be simplified, and what is done is done.
    again_BO, again_BC = views.show(seen_BO, told_BC)
    np.testing.assert_array_equal(again_BC, told_BC)
    np.testing.assert_allclose(again_BO, seen_BO, atol=1e-12)
    actions_BA = rng.standard_normal((200, len(get_body(body).spec.action))).astype(np.float32)
    np.testing.assert_array_equal(views.undo(actions_BA, told_BC), actions_BA)


def test_an_ant_told_to_go_left_goes_ahead_as_another_would_call_it():
    """One that raises its front left leg raises, told to go left, its back left one."""
    views = Views(get_skill("ant/command"))
    names = [element.name for element in get_body("ant").spec.action]
    lifts_A = np.array([name == "hip_1" for name in names], np.float32)[None]
    done_A = views.undo(lifts_A, np.array([[0.0, 0.8, 0.0]]))[0]
    assert {name: value for name, value in zip(names, done_A.tolist(), strict=True) if value} == {"hip_2": 1.0}
    mirrored_A = views.undo(lifts_A, np.array([[0.8, 0.0, -0.5]]))[0]
    assert {name: value for name, value in zip(names, mirrored_A.tolist(), strict=True) if value} == {"hip_4": -1.0}


def test_who_stands_does_not_do_as_it_is_told_on_average():
    """Bug: errors of a body asked to go ahead as often as back made up for each other, so standing was a success."""
    told_T = np.repeat([1.0, -1.0, 0.5], [80, 80, 40])
    late_T = np.concatenate([[0.0] * 30, told_T[:-30]])
    ones = {TOLD + axis: 0 * told_T for axis in COMMANDS} | dict.fromkeys(COMMANDS, 0 * told_T)
    asked = {**ones, TOLD + "forward_speed": told_T}
    assert ANT.success({**asked, "forward_speed": told_T + 0.2}, survived=True)
    assert ANT.success({**asked, "forward_speed": late_T}, survived=True), "it has half of the time to get there"
    assert not ANT.success({**asked, "forward_speed": 0 * told_T}, survived=True)
    assert not ANT.success({**asked, "yaw_rate": np.sign(told_T)}, survived=True)
    assert ANT.success(
        {name: values[:1] for name, values in asked.items()} | {"forward_speed": np.ones(1)}, survived=True
    )
