"""The arms of benchmarks/peers.py: exact small oracles of each, and a tiny run of all of them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import peers
import pytest
import torch
from making import CART, make_codec, make_windows
from peer_arms import nearest
from peer_arms.arm import Setup
from peer_arms.decision import CONTEXT, DecisionActor, DecisionTransformer
from peer_arms.fitting import Learner, fit, rate
from peer_arms.jat import JatArm, TwoEmbeddings, cyclic
from peer_arms.results import Store, interquartile_mean, pool, tables
from peer_arms.scaling import Scale
from peer_arms.squared import FloatCodec, Mean, SquaredGato
from peer_arms.tasks import TaskSteps
from toys import SKILLS

from gato.data.mixture import Source
from gato.model.config import PRESETS, ModelConfig
from gato.rollout.agent import Agent
from gato.rollout.prompted import Conditions
from gato.sequences import Layout
from gato.specs import Windows

NETWORK = ModelConfig(size="nano", layout=Layout(window_steps=4, prompt_positions=6, demonstration_steps=2))
BRIEF = Conditions(episodes=1, steps=4, is_shown=False)


@pytest.fixture
def setup(toy_config: Path) -> Setup:
    """Two skills of the hopper."""
    sources = tuple(Source(f"gato/{skill}-v0") for skill in SKILLS)
    return Setup(sources, SKILLS, NETWORK, seed=0, batch_size=8)


def make_task(steps: int = 3) -> TaskSteps:
    """One episode of the cart, a reward of 1 each step; a whole return of `steps`."""
    scale = Scale.of(CART, np.zeros(2), np.ones(2))
    rng = np.random.default_rng(0)
    actions_TA = rng.uniform(-1, 1, (steps, 1)).astype(np.float32)
    return TaskSteps(
        scale,
        rng.standard_normal((steps, 2), np.float32),
        actions_TA,
        actions_TA,
        np.arange(steps, 0, -1, np.float32),
        np.array([0, steps]),
    )


def test_the_rate_rises_in_a_line_and_ends_with_the_time() -> None:
    shares = (0.0, 0.05, 0.1, 0.55, 1.0)
    assert [rate(share, 0.1) for share in shares] == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0])


def test_training_ends_when_the_seconds_are_over() -> None:
    ticks = iter(range(100))
    weight, rates = torch.nn.Parameter(torch.ones(1)), []
    optimizer = torch.optim.SGD([weight], lr=2.0)

    def loss(batch: int) -> torch.Tensor:
        rates.append(optimizer.param_groups[0]["lr"])
        return weight.sum() * batch

    learner = Learner(lambda number: number, loss, lambda batch: 10, optimizer, warmup=0.5)
    trained = fit(learner, 4, clock=lambda: next(ticks))
    # One tick a look at the clock: updates begin when 1, 2 and 3 of the 4 seconds are over.
    assert (trained.updates, trained.steps, trained.seconds) == (3, 30, 4)
    assert rates == pytest.approx([1.0, 2.0, 1.0])


def test_the_nearest_row_is_found_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "CHUNK", 2)
    index = nearest.Index(np.float32([[0, 0], [5, 5], [1, 0], [0, 3], [5, 5]]))
    queries = np.float32([[0.9, 0.2], [0.1, -0.1], [6, 4], [0, 2]])
    assert index.nearest(queries).tolist() == [2, 0, 1, 3]


def test_what_was_intended_at_the_nearest_step_is_played_in_the_box() -> None:
    scale = Scale(np.float32([10, 0]), np.float32([2, 1]), np.float32([-2]), np.float32([4]))
    seen_TO, targets_TA = np.float32([[0, 0], [3, 0]]), np.float32([[-1.0], [0.5]])
    task = TaskSteps(scale, seen_TO, np.zeros_like(targets_TA), targets_TA, np.zeros(2), np.array([0, 2]))
    played_BA = nearest.play(task, nearest.Index(task.observations_TO), np.array([[15.0, 0.0], [10.5, 0.0]]))
    assert played_BA.tolist() == [[2.5], [-2.0]]


def test_a_readout_of_the_jat_style_model_sees_nothing_later() -> None:
    torch.manual_seed(0)
    model = TwoEmbeddings(PRESETS["nano"], 3, 2).eval()
    observation_BTO, action_BTA, mask_BT = torch.randn(2, 4, 3), torch.randn(2, 4, 2), np.ones((2, 4), bool)
    with torch.inference_mode():
        before = model(observation_BTO, action_BTA, mask_BT)
        # The action of step 1 comes after what is read at step 1; the observation of step 2 comes later still.
        action_BTA[:, 1:] += 1.0
        observation_BTO[:, 2:] += 1.0
        after = model(observation_BTO, action_BTA, mask_BT)
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.isclose(before[:, 2:], after[:, 2:]).any()


def test_shorter_bodies_repeat_their_numbers_from_the_beginning() -> None:
    assert cyclic(np.array([[1, 2, 3]]), 5).tolist() == [[1, 2, 3, 1, 2]]


def test_the_jat_style_model_sees_the_reward_before_each_observation(setup: Setup) -> None:
    arm, steps = JatArm(setup), NETWORK.layout.window_steps
    drawn = arm.mixture.draw(0)[0]
    told = {**vars(drawn), "returns_BT": np.tile(np.float32([10, 7, 5, 5]), (len(drawn.prompts), 1))}
    rewards_BT = arm.part(Windows(**told)).observation_BTO[:, :, arm.num_observed - 1]
    assert rewards_BT.tolist() == [[0, 3, 2, 0]] * len(drawn.prompts) and steps == 4
    assert np.isfinite(drawn.returns_BT).all() and set(drawn.prompts) == {""}


def test_the_jat_style_actor_acts_as_its_training_rows_read(setup: Setup) -> None:
    """Padded in front in rollouts, behind in training: the same numbers."""
    arm = JatArm(setup)
    rng, steps, shape = np.random.default_rng(0), 3, (2, NETWORK.layout.window_steps)
    actor = arm.actor(SKILLS[0], ["", ""])
    actor.reset(np.arange(2))
    seen_TBO = rng.standard_normal((steps, 2, arm.num_observed - 1)).astype(np.float32)
    rewards_TB = rng.standard_normal((steps, 2)).astype(np.float32)
    acted_TBA = np.empty((steps, 2, arm.num_acted), np.float32)
    for step in range(steps):
        acted_TBA[step] = actor(seen_TBO[step])
        actor.earn(rewards_TB[step])
    scale = arm.scales["hopper"]
    observation_BTO = np.zeros((*shape, arm.num_observed), np.float32)
    observation_BTO[:, :steps, :-1] = scale.standardised(seen_TBO).swapaxes(0, 1)
    observation_BTO[:, 1:steps, -1] = rewards_TB[:-1].T
    action_BTA = np.zeros((*shape, arm.num_acted), np.float32)
    action_BTA[:, :steps] = acted_TBA.swapaxes(0, 1)
    with torch.inference_mode():
        read_BTA = arm.predict(observation_BTO, action_BTA, np.tile(np.arange(4) < steps, (2, 1))).numpy()
    np.testing.assert_allclose(acted_TBA.swapaxes(0, 1), np.clip(read_BTA[:, :steps], -1, 1), atol=1e-5)


def test_the_return_to_go_counts_down_and_begins_anew() -> None:
    taught = DecisionTransformer(make_task(steps=8), seed=0)
    actor = DecisionActor(taught, 2)
    actor.reset(np.arange(2))
    shown = []
    for rewards in ([2.0, 1.0], [np.nan, 3.0]):
        assert actor(np.zeros((2, 2))).shape == (2, 1)
        shown.append(actor.history.newest()["returns_to_go"][:, -1, 0].tolist())
        actor.earn(np.array(rewards))
    # In shares of the best return, 8; an environment that does not step earns nothing.
    assert shown == [[1.0, 1.0], [0.75, 0.875]]
    assert actor.to_go_B.tolist() == [0.75, 0.5] and actor.time_B.tolist() == [2, 2]
    actor.reset(np.array([1]))
    assert actor.to_go_B.tolist() == [0.75, 1.0] and actor.time_B.tolist() == [2, 0]
    assert actor.history.exists().sum(1).tolist() == [2, 0]


def test_windows_of_a_decision_transformer_end_with_their_episode() -> None:
    task = make_task(steps=3)
    batch = DecisionTransformer(task, seed=0).draw(0)
    lengths = batch["attention_mask"].sum(1)
    assert set(lengths) == {1, 2, 3} and batch["attention_mask"][:, CONTEXT - 1].all()
    whole = int(np.flatnonzero(lengths == 2)[0])
    assert batch["attention_mask"][whole].tolist() == [False] * 18 + [True] * 2
    assert batch["timesteps"][whole, -2:].tolist() == [1, 2]
    np.testing.assert_allclose(batch["returns_to_go"][whole, -2:, 0], [2 / 3, 1 / 3], rtol=1e-6)
    np.testing.assert_array_equal(batch["states"][whole, -2:], task.observations_TO[1:])


def test_a_decision_transformer_does_not_see_what_is_missing() -> None:
    taught = DecisionTransformer(make_task(steps=3), seed=0)
    taught.model.eval()
    batch = taught.draw(0)
    row = int(np.flatnonzero(batch["attention_mask"].sum(1) == 2)[0])
    padded, bare = ({name: value[[row], -steps:] for name, value in batch.items()} for steps in (CONTEXT, 2))
    with torch.inference_mode():
        torch.testing.assert_close(taught.predict(padded)[:, -2:], taught.predict(bare))


def test_squared_error_stands_in_the_place_of_nats() -> None:
    mean = Mean(torch.tensor([[0.5, -3.0]]))
    assert mean.log_prob(torch.tensor([[0.0, -1.0]])).tolist() == [-4.25]
    assert mean.central().tolist() == [[0.5, -1.0]]


def float_codec() -> FloatCodec:
    codec = FloatCodec(make_codec(CART).text)
    codec.add_body(CART, np.array([1.0, 0.0]), np.array([0.5, 2.0]))
    return codec


def test_floats_are_neither_clipped_nor_cut_into_bins() -> None:
    codec = float_codec()
    # 4 deviations are 1: the place of the outermost bins.
    assert codec.encode_observation("cart", np.float32([[3.0, 0.0], [1.0, 24.0]])).tolist() == [[1, 0], [0, 3]]
    assert codec.decode_action("cart", codec.encode_action("cart", np.float32([[0.125 / 64]]))) == 0.125 / 64


def test_the_float_model_acts_as_its_training_rows_read() -> None:
    torch.manual_seed(0)
    model, windows = SquaredGato(NETWORK, float_codec()).eval(), make_windows(CART, 2, 4)
    agent = Agent(model, "cart", list(windows.prompts))
    acted_BTA = np.stack([agent(windows.observations_BTO[:, step]) for step in range(3)], 1)
    with torch.inference_mode():
        hidden_BSD = model.hidden([agent.rows])[0]
        first, body = (
            NETWORK.layout.prompt_positions + 1,
            model.body("cart"),
        )  # the numbers' place, though nothing is told
        read_BTA = body.head(hidden_BSD[:, first : first + 6 : 2], 0, None).central().numpy()
    np.testing.assert_allclose(acted_BTA, read_BTA, atol=1e-5)


@pytest.mark.parametrize("name", peers.TASKS)
def test_every_arm_learns_and_acts(name: str, setup: Setup) -> None:
    run = peers.run_tasks(peers.TASKS[name], setup, 0.1, BRIEF)
    assert list(run["tasks"]) == list(SKILLS) and np.isfinite(run["mean_normalised"])
    assert (run["updates"] > 0 and run["steps"] > 0 and run["parameters"] > 0) == (name != "nearest")
    assert len(run["ci95_normalised"]) == 2 and len(run["recordings"]) == 16
    assert json.loads(json.dumps(run)) == run


@pytest.mark.parametrize("name", peers.BIMODAL)
def test_every_arm_that_is_told_nothing_learns_and_acts(name: str, setup: Setup) -> None:
    entry, told = peers.BIMODAL[name], peers.untold(setup, SKILLS)
    assert [source.prompts for source in told.sources] == [{"none": 1.0}] * 2
    run = peers.run_bimodal(entry, told, 0.1, BRIEF)
    assert tuple(run["decodings"]) == entry.decodings
    for found in run["decodings"].values():
        assert list(found["each"]) == list(SKILLS) and 0 <= found["either"] <= 1 and found["speed"]["mean"] >= 0


def test_scores_are_pooled_over_seeds_and_tasks() -> None:
    assert interquartile_mean(np.array([9.0, 1.0, 2.0, -7.0, 3.0])) == 2.0
    # Two seeds, two tasks, one episode: means 0.5 and 1; the seeds differ, so the interval spans them.
    pooled = pool(np.array([[[0.0], [1.0]], [[1.0], [1.0]]]))
    assert (pooled.mean, pooled.mean_ci95) == (0.75, (0.5, 1.0))
    assert pool(np.ones((1, 7, 3))).iqm_ci95 == (1.0, 1.0)


def fake_run(name: str) -> dict[str, Any]:
    """What `run_one` gives, typed by hand."""
    learned = {"updates": 5, "steps": 50, "seconds": 2.0, "parameters": 1000, "recordings": "a" * 16}
    score = {"mean": 3.0, "episodes": [2.0, 4.0]}
    if name in peers.BIMODAL:
        found = {"either": 0.5, "each": {SKILLS[0]: 0.5, SKILLS[1]: 0.0}, "speed": score}
        return {**learned, "decodings": dict.fromkeys(peers.BIMODAL[name].decodings, found)}
    task = {"return": score, "random": 1.0, "expert": 5.0, "steps_per_second": 70.0}
    return {**learned, "mean_normalised": 0.5, "tasks": {SKILLS[0]: task}}


def test_runs_are_added_to_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []

    def run_one(name: str, seed: int, given: argparse.Namespace) -> dict[str, Any]:
        ran.append((name, seed))
        return fake_run(name)

    monkeypatch.setattr(peers, "run_one", run_one)
    monkeypatch.setattr(peers, "check_recorded", lambda sources: None)
    store = Store(tmp_path / "peers.json", {"seconds": 2.0})
    given = argparse.Namespace(arms=["nearest", "bimodal-ours"], seeds=[0, 1], overwrite=False)
    peers.run_all(given, store)
    assert ran == [("nearest", 0), ("bimodal-ours", 0), ("bimodal-ours", 1)]
    given.arms = ["bimodal-ours", "ours"]
    peers.run_all(given, store)
    assert ran[3:] == [("ours", 0), ("ours", 1)]
    text = tables(store.read(), {name: entry.title for name, entry in peers.ENTRIES.items()})
    assert "| ours | 2 | 0.500 [0.250, 0.750] | 0.500 [0.250, 0.750] | 25 | 5 | 70 | 1,000 |" in text
    assert "| hopper/hop-forward | 1 | 5 | 3 | 3 |" in text
    assert "| ours, drawn | 2 | 50% | 50%, 0% | 3.00 |" in text and "Beware" not in text
    with pytest.raises(ValueError, match=r"holds runs with seconds 2.0, not 9.0; ask for the same"):
        Store(store.path, {"seconds": 9.0}).read()


def test_missing_recordings_are_named_with_what_makes_them(minari_root: Path) -> None:
    with pytest.raises(SystemExit, match=r"not recorded: gato/x-v0; make them with: gato record datasets/demo.yaml"):
        peers.check_recorded([Source("gato/x-v0")])


def test_the_shared_setup_is_that_of_the_demo() -> None:
    setup = Setup.read(peers.CONFIG, SKILLS, 3)
    assert len(setup.sources) == 10 and setup.sources[-1].id == "gato/inverted-pendulum/balance-v0"
    assert (setup.network.size, setup.network.layout.window_steps, setup.batch_size) == ("mini", 12, 128)
    assert (setup.learning_rate, setup.seed) == (3e-3, 3)
