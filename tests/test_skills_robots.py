"""Your own robot: a YAML file is a body with skills, stepped like any other, and kept whole by its datasets."""

import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import yaml

from gato import api
from gato.data.minari_io import open_dataset
from gato.recording.recipe import load_recipe
from gato.skills.bodies import BODIES, get_body
from gato.skills.environment import make_env
from gato.skills.robots import known
from gato.skills.robots.known import named_body, named_skill, typed
from gato.skills.robots.robot import load_robot
from gato.skills.stepper import find_env_spec, make_stepper
from gato.skills.table import SKILLS, get_skill

EXAMPLE = Path(__file__).parent.parent / "docs" / "examples" / "quadruped.yaml"
ARM = """<robot name="arm">
<link name="base"/>
<link name="upper"><inertial><origin xyz="0 0 0.15"/><mass value="0.5"/>
  <inertia ixx="0.01" iyy="0.01" izz="0.001" ixy="0" ixz="0" iyz="0"/></inertial>
  <collision><origin xyz="0 0 0.15"/><geometry><cylinder radius="0.02" length="0.3"/></geometry></collision></link>
<link name="lower"><inertial><origin xyz="0 0 0.1"/><mass value="0.3"/>
  <inertia ixx="0.003" iyy="0.003" izz="0.001" ixy="0" ixz="0" iyz="0"/></inertial></link>
<link name="tool"/>
<joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/><origin xyz="0 0 0.05"/>
  <axis xyz="0 1 0"/><limit lower="-2" upper="2" effort="10" velocity="5"/></joint>
<joint name="elbow" type="revolute"><parent link="upper"/><child link="lower"/><origin xyz="0 0 0.3"/>
  <axis xyz="0 1 0"/><limit lower="-2" upper="2" effort="10" velocity="5"/></joint>
<joint name="grip" type="fixed"><parent link="lower"/><child link="tool"/><origin xyz="0 0 0.2"/></joint>
</robot>"""
ARM_YAML = {
    "name": "arm",
    "model": "arm.urdf",
    "frame_skip": 10,
    "episode_steps": 50,
    "actuated": {"shoulder": 5.0, "elbow": 3},
    "observe": ["joints", "joint_velocities", {"position": "tool"}, {"between": ["upper", "tool"]}],
    "start_noise": 0.1,
    "readings": {"tip": {"height_of": "tool"}, "bend": {"joint": "elbow"}, "reach": {"distance": ["base", "tool"]}},
    "skills": {
        "hold-high": {
            "prompt": "hold the tool high",
            "phrases": ["lift the tool"],
            "reward": [{"term": "tip", "weight": 1}, {"term": "bend", "weight": 0.5, "width": 0.2}],
            "rule": {"tip": {"mean": [0.4, float("inf")]}},
        }
    },
}


def arm_file(folder: Path, **changes) -> Path:
    (folder / "arm.urdf").write_text(ARM)
    (folder / "arm.yaml").write_text(yaml.safe_dump({**ARM_YAML, **changes}, sort_keys=False))
    return folder / "arm.yaml"


@pytest.mark.parametrize("is_example", [True, False])
def test_a_robot_steps_to_the_bit_like_its_plain_environment_also_from_a_stored_spec(is_example, tmp_path):
    file = f"{EXAMPLE}:trot-forward" if is_example else str(arm_file(tmp_path))
    stepper = make_stepper(named_skill(file), 3)
    stored = type(stepper.env_spec).from_json(stepper.env_spec.to_json())
    env = make_env(stored)
    first_BO = stepper.reset(np.arange(3), [5, 6, 7])
    assert (env.reset(seed=6)[0] == first_BO[1]).all()
    rng = np.random.default_rng(0)
    for _ in range(30):
        actions_BA = rng.uniform(-1, 1, (3, len(stepper.spec.action))).astype(np.float32)
        step = stepper.step(actions_BA)
        observation_O, reward, has_fallen, _, info = env.step(actions_BA[1])
        assert (observation_O == step.observations_BO[1]).all()
        assert reward == step.rewards_B[1]
        assert has_fallen == step.terminated_B[1]
        assert info == {name: values_B[1] for name, values_B in step.readings.items()}
        if has_fallen:
            break
    assert len(stepper.spec.observation) == first_BO.shape[1]


def test_what_is_observed_and_read_is_what_mujoco_says(tmp_path):
    env = make_env(find_env_spec(named_skill(str(arm_file(tmp_path)))))
    env.reset(seed=1)
    action = np.array([0.3, -0.5], np.float32)
    observation_O, reward, *_, info = env.step(action)
    data = env.unwrapped.simulation.data
    assert (observation_O[:4] == [*data.qpos, *data.qvel]).all()
    assert (observation_O[4:7] == data.body("tool").xpos).all()
    assert (observation_O[7:] == data.body("tool").xpos - data.body("upper").xpos).all()
    assert info["tip"] == data.body("tool").xpos[2]
    assert info["bend"] == data.qpos[1]
    assert info["reach"] == pytest.approx(np.linalg.norm(data.body("tool").xpos - data.body("base").xpos))
    assert reward == pytest.approx(info["tip"] + 0.5 / (1 + (info["bend"] / 0.2) ** 2))
    assert data.qfrc_actuator == pytest.approx(action * [5, 3])
    assert [one.name for one in get_body("arm").spec.observation][:5] == [
        "shoulder",
        "elbow",
        "vel/shoulder",
        "vel/elbow",
        "tool_x",
    ]


def test_a_quadruped_sees_where_down_is_and_ends_when_it_lies(tmp_path):
    robot = load_robot(EXAMPLE)
    known.add(robot)
    stepper = make_stepper("quadruped/trot-forward", 2)
    stepper.reset(np.arange(2), [0, 1])
    qpos_BQ, qvel_BV = stepper.get_state(np.arange(2))
    qpos_BQ[0, 3:7], qpos_BQ[1, 3:7] = [1, 0, 0, 0], [0.5**0.5, 0, 0.5**0.5, 0]
    first_BO = stepper.set_state(np.arange(2), qpos_BQ, 0 * qvel_BV)
    names = [one.name for one in stepper.spec.observation]
    down_B3 = first_BO[:, [names.index(f"gravity_{axis}") for axis in "xyz"]]
    # Nose down by a right angle: ahead of the trunk is the floor.
    assert down_B3 == pytest.approx(np.array([[0, 0, -1], [1, 0, 0]]), abs=1e-12)
    step = stepper.step(np.zeros((2, 8), np.float32))
    assert step.readings["upright"] == pytest.approx([1, 0], abs=0.05)
    assert step.terminated_B.tolist() == [False, True]


def test_a_robot_is_trained_evaluated_and_recorded_and_the_dataset_needs_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    file = str(arm_file(tmp_path))
    out = api.expert_train(file, out=str(tmp_path / "run"), steps=128, config=_tiny_ppo())
    command = json.loads((out / "run.json").read_text())["command"]
    assert command.startswith(f"gato expert train {file}:hold-high --steps 128")
    figures = api.expert_eval(file, episodes=2, expert=str(out / "last"))
    assert figures["tasks"]["arm/hold-high"]["length"] == 50
    (made,) = api.record(file, episodes=3, noise=(0.0, 0.1), expert=(str(out / "last"),))
    assert made["dataset"] == "gato/arm/hold-high-v0"
    for path in (tmp_path / "arm.yaml", tmp_path / "arm.urdf"):
        path.unlink()
    code = "from gato import api; print(len(api.data_check('gato/arm/hold-high-v0', replay=-1)['problems']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
    dataset = open_dataset("gato/arm/hold-high-v0")
    assert dataset.spec == get_body("arm").spec
    assert "lift the tool" in dataset.prompts[0]


def test_a_recipe_names_robots(tmp_path):
    arm_file(tmp_path)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("robots: [arm.yaml]\ndatasets:\n  - {skill: arm/hold-high, expert: random, episodes: 2}\n")
    assert load_recipe(recipe)[0].skills == ("arm/hold-high",)
    assert not known.is_robot(str(recipe))


def test_skills_of_a_file_are_listed_and_told_apart():
    assert {one["skill"] for one in api.skills(str(EXAMPLE))} == {"quadruped/trot-forward", "quadruped/trot-backward"}
    assert named_body(str(EXAMPLE)) == "quadruped"
    assert named_skill(f"{EXAMPLE}:trot-backward") == "quadruped/trot-backward"
    assert typed("quadruped/trot-backward") == f"{EXAMPLE}:trot-backward"
    with pytest.raises(ValueError, match="has several skills; name one, such as .*quadruped.yaml:trot-forward"):
        named_skill(str(EXAMPLE))
    with pytest.raises(ValueError, match='no skill "trot-forwards" in .*did you mean "trot-forward"'):
        named_skill(f"{EXAMPLE}:trot-forwards")
    assert named_skill("ant/run-forward") == "ant/run-forward"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": "leg.urdf"}, "leg.urdf: no such file"),
        ({"name": "ant"}, 'a body "ant" comes with Gato'),
        ({"name": "My Arm"}, '"My Arm" is no name'),
        ({"actuated": {"shoulder": float("nan")}}, "a strength above 0 are needed"),
        ({"actuated": {"shoulder": "strong"}}, "actuated.shoulder is 'strong'"),
        ({"frame_skip": 10**30}, "frame_skip is 1000000000000000000000000000000; at most 1000"),
        ({"start_noise": float("inf")}, "start_noise is inf; at most 10"),
        ({"readings": {"alive": {"joint": "elbow"}}}, 'readings.alive: "alive" has a meaning already'),
        ({"observe": ["joints", "joints"]}, "observe: elbow, shoulder come twice"),
        ({"observe": [[1]]}, r"\[1\] is neither a name nor one name with a value"),
        ({"observe": [{"position": "tool", "between": []}]}, "is neither a name nor one name with a value"),
        ({"actuated": {"sholder": 5}}, 'actuated: unknown joint "sholder"; did you mean "shoulder"'),
        ({"observe": []}, "observe is empty"),
        ({"observe": ["joint"]}, "observe: 'joint' is unknown; did you mean \"joints\""),
        ({"observe": ["gravity"]}, '"gravity" is of a root that moves freely'),
        ({"observe": [{"joints": ["elbo"]}]}, 'unknown joint "elbo"; did you mean "elbow"'),
        ({"observe": [{"position": "tol"}]}, 'unknown part "tol"; did you mean "tool"'),
        ({"frame_skip": 0}, "frame_skip is 0; a positive whole number is needed"),
        ({"frame_skips": 2}, 'frame_skips: unknown key; did you mean "frame_skip"'),
        ({"keyframe": "home"}, 'unknown keyframe "home"'),
        ({"healthy": {"tip": [0.2]}}, r"healthy.tip is \[0.2\]; \[lowest, highest\] is needed"),
        ({"healthy": {"tipp": [0.2, 1]}}, '"tipp" is no reading of a posture; did you mean "tip"'),
        ({"readings": {"tip": {"hight_of": "tool"}}}, 'readings.tip: .*did you mean "height_of"'),
        ({"actuated": {}}, "no actuators; name its joints in actuated"),
        ({"skills": {}}, "skills is empty"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(changes, told, tmp_path):
    with pytest.raises((ValueError, FileNotFoundError), match=told) as error:
        named_skill(str(arm_file(tmp_path, **changes)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reward": [{"term": "tip"}]}, "such as {term: forward_speed, weight: 1.0} is needed"),
        ({"reward": [{"term": "tipp", "weight": 1}]}, 'unknown "tipp"; did you mean "tip"'),
        ({"reward": [{"term": "pitch_cost", "weight": 1}]}, 'unknown "pitch_cost"'),
        ({"reward": [{"term": "tip", "weight": "much"}]}, "weight is 'much'; a number is needed"),
        ({"reward": [{"term": "tip", "weight": float("nan")}]}, "weight is nan; a number is needed"),
        ({"reward": [{"term": "tip", "weight": 1, "width": 0}]}, "a width above 0 is needed"),
        ({"reward": []}, "at least one term of reward is needed"),
        ({"rule": {"tip": {"average": [0, 1]}}}, "rule.tip: allowed: max, mean, min, rms"),
        ({"rule": {"tip": {"mean": [1, 0]}}}, r"\[1, 0\]; \[lowest, highest\] is needed"),
        ({"rule": {"top": {"mean": [0, 1]}}}, 'rule: unknown "top"; did you mean "tip"'),
        ({"prompt": ""}, "words are needed"),
        ({"phrases": [3]}, "words are needed"),
        ({"command": {"forward_speed": [0, 1]}}, 'command: unknown "forward_speed"'),
        ({"promt": "lift"}, 'promt: unknown key; did you mean "prompt"'),
    ],
)
def test_what_is_wrong_with_a_skill_is_said_in_a_line(changes, told, tmp_path):
    skill = {**ARM_YAML["skills"]["hold-high"], **changes}
    with pytest.raises(ValueError, match=told) as error:
        named_skill(str(arm_file(tmp_path, skills={"hold-high": skill})))
    assert "\n" not in str(error.value)


def test_a_missing_mesh_is_named(tmp_path):
    mesh = '<collision><geometry><mesh filename="claw.stl"/></geometry></collision></link>\n<link name="tool"/>'
    (tmp_path / "arm.yaml").write_text(yaml.safe_dump(ARM_YAML))
    (tmp_path / "arm.urdf").write_text(ARM.replace('</link>\n<link name="tool"/>', mesh))
    with pytest.raises(ValueError, match=r"arm.urdf: no such file: .*claw.stl; put it there") as error:
        named_skill(str(tmp_path / "arm.yaml"))
    assert "\n" not in str(error.value)


def test_a_simulation_that_breaks_says_so(tmp_path):
    stepper = make_stepper(named_skill(str(arm_file(tmp_path))), 2)
    stepper.reset(np.arange(2), [0, 1])
    with pytest.raises(FloatingPointError, match=r"arm: action is not finite in environment\(s\) \[1\]"):
        stepper.step(np.array([[0, 0], [np.nan, 0]], np.float32))


def test_two_robots_of_one_name_are_refused(tmp_path):
    named_skill(str(arm_file(tmp_path)))
    named_skill(str(tmp_path / "arm.yaml"))
    with pytest.raises(ValueError, match=r'two different robots are called "arm" \(start_noise differ\)'):
        named_skill(str(arm_file(tmp_path, start_noise=0.2)))


@pytest.mark.parametrize(
    ("content", "told"),
    [("", "holds no names with values"), ("- 1", "holds no names with values"), ("a: [", "is not valid YAML")],
)
def test_a_file_that_is_none_says_so_itself(content, told, tmp_path):
    """Bug: it was taken for the name of a skill, and all skills were offered."""
    (tmp_path / "arm.yaml").write_text(content)
    for ask in (named_skill, named_body, api.skills):
        with pytest.raises(ValueError, match=told):
            ask(str(tmp_path / "arm.yaml"))
    with pytest.raises(FileNotFoundError, match="nowhere.yaml: no such file"):
        named_skill("nowhere.yaml:trot")


def _replace_robot(folder: Path, **changes) -> str:
    """The same file now says something else, to a process that does not know it yet."""
    file = str(arm_file(folder, **changes))
    for table in (BODIES, SKILLS):
        for name in [name for name in table if name.startswith("arm")]:
            del table[name]
    return file


def test_neither_a_training_nor_a_recording_goes_on_with_another_robot(tmp_path, monkeypatch):
    """Bug: half of a dataset was of one robot and half of another of its name, without a word."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    file, out = str(arm_file(tmp_path)), str(tmp_path / "run")
    api.expert_train(file, out=out, steps=64, config=_tiny_ppo())
    api.record(file, episodes=2, expert=("random",))
    _replace_robot(tmp_path, start_noise=0.2)
    with pytest.raises(ValueError, match="is another run .*robot was"):
        api.expert_train(file, out=out, steps=64, config=_tiny_ppo(), resume=True)
    with pytest.raises(FileExistsError, match="was recorded in another way .*robot was"):
        api.record(file, episodes=2, expert=("random",), resume=True)


def test_a_floating_urdf_falls_onto_its_ground(tmp_path):
    file = arm_file(tmp_path, name="crawler", floating=True, ground=True, observe=["height", "gravity", "joints"])
    (tmp_path / "arm.urdf").write_text(
        ARM.replace(
            '<link name="base"/>',
            '<link name="base"><inertial><mass value="1"/><inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" '
            'iyz="0"/></inertial><collision><geometry><sphere radius="0.05"/></geometry></collision></link>',
        )
    )
    env = make_env(find_env_spec(named_skill(str(file))))
    env.reset(seed=0)
    heights = [env.step(np.zeros(2, np.float32))[0][0] for _ in range(50)]
    assert heights[-1] == pytest.approx(0.05, abs=0.02)


def test_robots_of_installed_packages_are_known_and_broken_ones_left_out(tmp_path, monkeypatch, caplog):
    (tmp_path / "their_arm.py").write_text(f"ROBOT = {str(arm_file(tmp_path))!r}\nBROKEN = 'nowhere.yaml'\n")
    monkeypatch.syspath_prepend(tmp_path)
    entries = [EntryPoint(name, f"their_arm:{name}", known.GROUP) for name in ("BROKEN", "ROBOT")]
    monkeypatch.setattr(known, "entry_points", lambda group: entries if group == known.GROUP else [])
    known.add_installed()
    assert get_skill("arm/hold-high").body == "arm"
    assert "robot BROKEN of their_arm:BROKEN is left out" in caplog.text


def _tiny_ppo():
    from gato.experts.ppo import PPOConfig

    return PPOConfig(hidden=(8,), num_envs=4, rollout_steps=16, minibatch_size=32, epochs=1)
