"""Evaluation: every seed once, finished rows left alone, figures as the episodes were."""

import numpy as np
import pytest

from gato.skills.bodies import BODIES, get_body
from gato.skills.environment import skill_env_spec
from gato.skills.evaluate import evaluate, evaluation_seeds, random_actor, run_episodes, zero_actor
from gato.skills.gym_stepper import GymStepper
from gato.skills.stepper import make_stepper
from gato.skills.table import skills_of
from gato.specs import BodySpec, Element

PENDULUM = get_body("inverted-pendulum").spec


class Watched:
    """Acts on the observation alone and notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[int]]] = []

    def __call__(self, observations_BO: np.ndarray) -> np.ndarray:
        return np.clip(observations_BO[:, 1:2] * 8.0 + observations_BO[:, 3:4], -3.0, 3.0).astype(np.float32)

    def reset(self, ids: np.ndarray) -> None:
        self.told.append(("reset", ids.tolist()))

    def retire(self, ids: np.ndarray) -> None:
        self.told.append(("retire", ids.tolist()))


def test_number_of_environments_changes_no_episode() -> None:
    """Rows that take new seeds, leave the stepping or never begin give what a single environment gives."""
    seeds = list(range(7))
    alone = run_episodes(zero_actor(PENDULUM), make_stepper("inverted-pendulum/balance", 1), seeds)
    assert len({one.length for one in alone}) > 1
    for num_envs in (3, 7, 9):
        together = run_episodes(zero_actor(PENDULUM), make_stepper("inverted-pendulum/balance", num_envs), seeds)
        for one, other in zip(alone, together, strict=True):
            assert (one.seed, one.return_, one.length, one.terminated) == (
                other.seed,
                other.return_,
                other.length,
                other.terminated,
            )
            assert (one.readings["angle"] == other.readings["angle"]).all()


def test_an_outcome_is_the_episode() -> None:
    env = GymStepper(skill_env_spec("inverted-pendulum/balance"), 1)
    (one,) = run_episodes(zero_actor(PENDULUM), make_stepper("inverted-pendulum/balance", 1), [5])
    env.reset(np.arange(1), [5])
    angles, rewards = [], []
    while True:
        step = env.step(np.zeros((1, 1), np.float32))
        angles.append(step.readings["angle"][0])
        rewards.append(step.rewards_B[0])
        if step.terminated_B[0]:
            break
    assert one.readings["angle"].tolist() == angles
    assert one.return_ == sum(rewards)
    assert one.length == len(angles)
    assert one.terminated


def test_actors_are_told_when_rows_begin_and_end_for_good() -> None:
    actor = Watched()
    outcomes = run_episodes(actor, make_stepper("inverted-pendulum/balance", 2), [0, 1, 2])
    assert len(outcomes) == 3
    begun = [row for what, rows in actor.told if what == "reset" for row in rows]
    ended = [row for what, rows in actor.told if what == "retire" for row in rows]
    assert actor.told[0] == ("reset", [0, 1])
    assert len(begun) == 3
    assert sorted(ended) == [0, 1]


@pytest.mark.parametrize("name", BODIES)
def test_zero_and_random_actions_fail_the_skills_of_every_body(name: str) -> None:
    """Who does nothing stands, where a body is stable."""
    spec, skill = get_body(name).spec, skills_of(name)[0]
    for actor in (zero_actor(spec), random_actor(spec, 0)):
        evaluation = evaluate(actor, skill.id, episodes=3, seed=0)
        met = {skill_id for skill_id, share in evaluation.behaviours.items() if share > 0}
        assert met <= {f"{name}/stand"}


def test_evaluation_reports_the_seeded_episodes() -> None:
    first = evaluate(random_actor(PENDULUM, 1), "inverted-pendulum/balance", episodes=4, seed=2)
    again = evaluate(random_actor(PENDULUM, 1), "inverted-pendulum/balance", episodes=4, seed=2)
    assert [one.seed for one in first.outcomes] == [200_006, 200_007, 200_008, 200_009]
    assert evaluation_seeds(0, 2) == (0, 1)
    assert first.json() == again.json()
    assert first.success == 0.0
    assert first.length == np.mean([one.length for one in first.outcomes])
    with pytest.raises(ValueError, match="at least 1"):
        evaluate(zero_actor(PENDULUM), "inverted-pendulum/balance", episodes=0, seed=0)


def test_random_actions_fill_the_box_and_whole_numbers_stay_whole() -> None:
    spec = BodySpec("x", (), (Element("a", low=-2.0, high=1.0), Element("b", "discrete", 1.0, 3.0), Element("c")))
    actions_BA = random_actor(spec, 0)(np.zeros((2000, 0)))
    assert -2.0 <= actions_BA[:, 0].min() < -1.9 < 0.9 < actions_BA[:, 0].max() <= 1.0
    assert set(actions_BA[:, 1].tolist()) == {1.0, 2.0, 3.0}
    assert actions_BA[:, 2].std() == pytest.approx(1.0, abs=0.1)
    assert zero_actor(spec)(np.zeros((1, 0))).tolist() == [[0.0, 1.0, 0.0]]
