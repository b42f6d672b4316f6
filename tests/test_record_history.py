"""Medium and replay data: checkpoints act, in turn and with their own exploration, and metadata says which of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import minari
import numpy as np
import pytest

from gato.api import record
from gato.data.check import check_dataset
from gato.data.minari_io import episodes, open_dataset
from gato.experts.policy import Policy
from gato.experts.shipped import SHIPPED, find_expert
from gato.lineage import lineage
from gato.record import Recording, find_recipe, load_recipe, record_recipe, record_skill
from gato.runs import HISTORY, content_hash, read_provenance
from gato.skills.bodies import get_body
from gato.skills.table import SKILLS, get_skill

SKILL = "half-cheetah/run-forward"
EARLY, LATE = (f"{SKILL}/{HISTORY}/{name}" for name in ("00073728", "01503232"))
REPLAY = Recording(
    SKILL,
    episodes=4,
    seed=5,
    expert=(EARLY, LATE),
    sample=True,
    reference="shipped",
    dataset_id="gato/{skill}/replay-v0",
)
MEDIUM = [one for one in load_recipe("medium") if one.id.endswith("medium-v0")]
REPLAYS = [one for one in load_recipe("medium") if one.id.endswith("replay-v0")]


def test_checkpoints_take_turns_and_each_episode_says_whose_it_is(minari_root: Path) -> None:
    dataset = open_dataset(record_skill(REPLAY))
    assert dataset.id == "gato/half-cheetah/run-forward/replay-v0"
    names = [one["expert"] for one in minari.load_dataset(dataset.id).storage.get_episode_metadata(range(4))]
    assert names == [f"shipped:{EARLY}", f"shipped:{LATE}"] * 2
    for index, episode in enumerate(episodes(dataset)):
        policy = Policy.load(find_expert((EARLY, LATE)[index % 2]))
        np.testing.assert_allclose(episode.expert_actions, policy(episode.observations[:-1]), atol=1e-5)


def test_sampled_episodes_replay_to_the_bit(minari_root: Path) -> None:
    report = check_dataset(record_skill(REPLAY), replay=-1)
    assert (report.problems, report.replayed) == ((), 4)


def test_executed_actions_are_drawn_from_the_policys_own_gaussian(minari_root: Path) -> None:
    """Around its unclipped mean, with its own deviations, clipped only then: as `Policy.sample` draws."""
    policy = Policy.load(find_expert(LATE))
    for episode in episodes(open_dataset(record_skill(dataclasses.replace(REPLAY, expert=LATE, episodes=2)))):
        assert episode.seed is not None
        drawn_TA = np.random.default_rng([episode.seed, 1]).standard_normal((1000, 6), np.float32)
        mean_TA = policy.act(policy.normalise(episode.observations[:-1]))
        wanted_TA = np.clip(mean_TA + np.exp(policy.log_std_A) * drawn_TA, -1, 1)
        np.testing.assert_allclose(episode.actions, wanted_TA, atol=1e-5)
        assert 0.05 < np.abs(episode.actions - episode.expert_actions).mean() < 0.5


def test_an_episode_is_the_same_however_many_are_recorded(minari_root: Path) -> None:
    few = open_dataset(record_skill(dataclasses.replace(REPLAY, episodes=2, dataset_id="gato/half-cheetah/few-v0")))
    many = open_dataset(record_skill(REPLAY))
    for one, other in zip(episodes(few), episodes(many, [0, 1]), strict=True):
        np.testing.assert_allclose(one.actions[:20], other.actions[:20], atol=1e-4)


def test_the_reference_is_the_full_expert_and_provenance_names_everyone(minari_root: Path) -> None:
    dataset = open_dataset(record_skill(REPLAY))
    score = read_provenance(SHIPPED / SKILL)["result"]["score"]["mean"]
    assert dataset.reference["expert"] == pytest.approx(score, rel=0.05)
    assert dataset.reference["random"] < 0
    inputs = read_provenance(dataset.folder)["inputs"]
    assert {entry["id"] for entry in inputs.values()} == {f"shipped:{one}" for one in (EARLY, LATE, SKILL)}
    told = lineage(dataset.id)
    assert told.changed() == []
    assert all("gato expert train" in one.command for one in told.inputs)


def test_the_command_of_the_provenance_makes_the_dataset_again(minari_root: Path) -> None:
    first = open_dataset(record_skill(REPLAY))
    words = read_provenance(first.folder)["command"]
    assert words == (
        f"gato record {SKILL} --episodes 4 --seed 5 --noise 0 --expert {EARLY} {LATE} --sample --reference shipped"
        " --dataset-id gato/half-cheetah/run-forward/replay-v0"
    )
    before = first.content_hash
    record(
        SKILL,
        episodes=4,
        seed=5,
        expert=(EARLY, LATE),
        sample=True,
        reference="shipped",
        dataset_id=first.id,
        resume=True,
    )
    assert open_dataset(first.id).content_hash == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"expert": (EARLY, "random")}, r"\['random'\] cannot take turns"),
        ({"expert": ()}, "at least one is needed"),
        ({"expert": "random", "sample": True}, "sample needs a policy"),
        ({"sample": True, "noise": (0.1,)}, "with sample it is the policy's own"),
        ({"reference": "random"}, "it names an expert of a skill"),
        ({"env": "Hopper-v5", "expert": "random", "reference": "shipped"}, "it names an expert of a skill"),
        ({"sample": True, "student": "model"}, "sample does not go with student"),
        ({"expert": (EARLY, LATE), "student": "model"}, "student needs one expert a skill"),
        (
            {"env": "half-cheetah", "switch": (SKILL, "half-cheetah/run-backward"), "expert": (EARLY, LATE)},
            "switch needs one expert a skill",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recording(**{"env": SKILL, **settings})  # type: ignore[arg-type]


def test_an_expert_without_a_distribution_cannot_be_sampled(minari_root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\ndef make(env):\n    return lambda o: np.zeros((len(o), 6))\n"
    )
    with pytest.raises(ValueError, match="no distribution of their own to sample from; leave out sample"):
        record_skill(Recording(SKILL, expert=f"{tmp_path}/mine.py:make", sample=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{skill: hopper/hop-forward, sample: 3}", "sample is 3; true or false is needed"),
        ("{skill: hopper/hop-forward, expert: {a: b}}", "expert is .*; list is needed"),
        ("{skill: hopper/hop-forward, episodes: true}", "episodes is True; int is needed"),
    ],
)
def test_a_wrong_recipe_says_what_is_needed(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "wrong.yaml").write_text(f"datasets: [{text}]")
    with pytest.raises(ValueError, match=message):
        load_recipe(tmp_path / "wrong.yaml")


# What ships


def test_medium_and_replay_are_recorded_of_three_bodies() -> None:
    bodies = {"half-cheetah/run-forward", "hopper/hop-forward", "walker2d/run-forward"}
    assert {one.id for one in MEDIUM} == {f"gato/{skill}/medium-v0" for skill in bodies}
    assert {one.id for one in REPLAYS} == {f"gato/{skill}/replay-v0" for skill in bodies}
    assert all(one.sample and one.reference == "shipped" and one.seed >= 1000 for one in (*MEDIUM, *REPLAYS))


@pytest.mark.parametrize("recording", MEDIUM, ids=lambda one: one.env)
def test_medium_is_the_shipped_policy_nearest_to_a_third_of_the_expert(recording: Recording) -> None:
    """By the scores in the history's provenance; against an expert that is shipped later, still about a third."""
    result = read_provenance(SHIPPED / recording.env / HISTORY)["result"]
    assert recording.experts == (f"{{skill}}/{HISTORY}/{result['medium']}",)
    assert min(result["normalised"], key=lambda name: abs(result["normalised"][name] - 1 / 3)) == result["medium"]
    expert = read_provenance(SHIPPED / recording.env)["result"]
    sampled, random = result["sampled_returns"][result["medium"]], expert["random"]
    assert (sampled - random) / (expert["score"]["mean"] - random) == pytest.approx(1 / 3, abs=0.1)


@pytest.mark.parametrize("recording", REPLAYS, ids=lambda one: one.env)
def test_replay_is_the_whole_history_that_ships(recording: Recording) -> None:
    folder = SHIPPED / recording.env / HISTORY
    kept = sorted(path.name for path in folder.iterdir() if path.is_dir())
    assert recording.experts == tuple(f"{{skill}}/{HISTORY}/{name}" for name in kept)
    assert list(read_provenance(folder)["result"]["normalised"]) == kept
    assert content_hash(folder) == read_provenance(folder)["content_hash"]
    assert recording.episodes % len(kept) == 0


def test_the_recipe_of_medium_data_is_recorded_as_a_user_would(minari_root: Path, tmp_path: Path) -> None:
    text = find_recipe("medium").read_text()
    for number in ("200", "225", "400", "450", "600", "900"):
        text = text.replace(f"episodes: {number}", "episodes: 2")
    (tmp_path / "medium.yaml").write_text(text)
    for dataset_id in record_recipe(tmp_path / "medium.yaml"):
        report = check_dataset(dataset_id, replay=1)
        assert (report.problems, report.episodes) == ((), 2)


def test_the_mujoco_recipe_is_the_eleven_standard_tasks_100_000_steps_each() -> None:
    recordings = load_recipe("mujoco")
    assert {one.env for one in recordings} == {skill.id for skill in SKILLS.values() if skill.is_standard}
    assert len(recordings) == 11
    for one in recordings:
        body = get_body(get_skill(one.env).body)
        assert one.expert == "shipped" and one.seed >= 1000
        assert one.noise[0] == 0 and len(one.noise) >= 3
        assert one.episodes * body.max_episode_steps >= 100_000
        half_A = (body.spec.action_high - body.spec.action_low) / 2
        assert max(one.noise) <= 0.5 * half_A.min(), "noise is in the unit of the actions"


def test_the_mujoco_recipe_records_every_task(minari_root: Path, tmp_path: Path) -> None:
    """Random actions stand in for experts that are not shipped yet."""
    lines = [line for line in find_recipe("mujoco").read_text().splitlines() if "episodes:" not in line]
    recipe = "\n".join(lines).replace("defaults:", "defaults:\n  expert: random\n  episodes: 3")
    (tmp_path / "mujoco.yaml").write_text(recipe)
    made = record_recipe(tmp_path / "mujoco.yaml")
    assert len(made) == 11
    for dataset_id in made:
        assert check_dataset(dataset_id, replay=1).problems == ()


def test_all_shipped_experts_together_are_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 3_000_000
