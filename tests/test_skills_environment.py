"""Every skill is a proper Gymnasium environment that a fresh process can make again from what Minari stores."""

import signal
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

from gato.skills.bodies import get_body
from gato.skills.environment import SkillEnv, make_simulation, skill_env_spec
from gato.skills.table import SKILLS

RECOVER = """
import sys, gymnasium
from gymnasium.envs.registration import EnvSpec
for stored in sys.argv[1:]:
    env = gymnasium.make(EnvSpec.from_json(stored))
    print(env.reset(seed=4)[0].tolist(), env.unwrapped.skill.id)
"""


@pytest.mark.parametrize("skill_id", SKILLS)
@pytest.mark.filterwarnings("ignore:.*infinity", "ignore:.*symmetric and normalized")
def test_skill_passes_gymnasiums_checker(skill_id: str) -> None:
    check_env(gymnasium.make(SKILLS[skill_id].env_id).unwrapped, skip_render_check=True)


def test_gymnasiums_own_syntax_finds_a_skill_without_any_import() -> None:
    command = (
        "import gymnasium; print(gymnasium.make('gato.skills.environment:gato/HopperHopForward-v0').spec.to_json())"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, timeout=60)
    assert EnvSpec.from_json(done.stdout) == skill_env_spec("hopper/hop-forward"), done.stderr


@pytest.mark.parametrize("skill_id", SKILLS)
def test_spec_survives_json(skill_id: str) -> None:
    spec = gymnasium.make(skill_env_spec(skill_id)).spec
    assert spec is not None
    assert EnvSpec.from_json(spec.to_json()) == spec
    assert spec == skill_env_spec(skill_id)
    assert spec == gymnasium.spec(SKILLS[skill_id].env_id)


def test_stored_specs_recover_in_a_fresh_process_that_writes_nothing(tmp_path: Path) -> None:
    """MuJoCo used to print a deprecation and leave MUJOCO_LOG.TXT in the folder where the command ran."""
    specs = [skill_env_spec(skill_id) for skill_id in SKILLS]
    command = [sys.executable, "-c", RECOVER, *(spec.to_json() for spec in specs)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    expected = [f"{gymnasium.make(spec).reset(seed=4)[0].tolist()} {spec.kwargs['skill']}" for spec in specs]
    assert done.stdout.splitlines() == expected, done.stderr
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_the_other_skill_changes_the_reward_and_nothing_else() -> None:
    kept, switched = SkillEnv("walker2d/run-forward"), SkillEnv("walker2d/run-forward")
    kept.reset(seed=0)
    switched.reset(seed=0)
    action_A = np.full(6, 0.1, np.float32)
    assert kept.step(action_A)[1] == switched.step(action_A)[1]
    switched.select_skill("walker2d/walk-backward")
    observation_O, reward, *_, info = kept.step(action_A)
    other_O, other_reward, *_, other_info = switched.step(action_A)
    assert (observation_O == other_O).all()
    assert info == other_info
    assert info["forward_speed"] != 0.0
    assert reward != other_reward


def test_skills_of_another_body_are_refused() -> None:
    with pytest.raises(ValueError, match="is not one of hopper"):
        SkillEnv("hopper/hop-forward").select_skill("walker2d/run-forward")


def test_an_action_that_is_no_number_is_named() -> None:
    env = SkillEnv("inverted-pendulum/balance")
    env.reset(seed=0)
    with pytest.raises(FloatingPointError, match="inverted-pendulum: action is not finite"):
        env.step(np.array([np.nan], np.float32))


def test_ctrl_c_comes_when_mujoco_has_loaded_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is raised in a callback from MuJoCo ended the process with "libc++abi: terminating"."""
    loaded = []
    make = gymnasium.make

    def interrupted(*arguments, **settings):
        signal.raise_signal(signal.SIGINT)
        loaded.append(make(*arguments, **settings))
        return loaded[0]

    monkeypatch.setattr(gymnasium, "make", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        make_simulation(get_body("half-cheetah"))
    assert len(loaded) == 1
    assert signal.getsignal(signal.SIGINT) is handler
