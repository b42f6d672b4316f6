"""The agent: cached equals from scratch, a batch equals its members, rows of rollout equal rows of training."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from making import ARM, CART, PAPER, draw, make_codec, make_model
from torch import Tensor

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.model.heads import Distribution
from gato.rollout.agent import Agent
from gato.sequences import Layout, build_rows
from gato.specs import BodySpec, Rows, Windows

SHORT = Layout(prompt_positions=4, window_steps=5, demonstration_steps=2)
CONFIGS = {
    "whole": ModelConfig(size="nano", layout=SHORT),
    "grouped": ModelConfig(size="nano", layout=replace(SHORT, group_size=2), mixtures=3, second_layer="own"),
    "separated": ModelConfig(size="nano", layout=replace(SHORT, group_size=4, separator=True), mixtures=3),
    "paper": ModelConfig(size="nano", **{**PAPER, "layout": replace(SHORT, group_size=1, separator=True)}),
}
WORDS = ("run forward", "run backward", "")
TOLD = ("forward_speed=1, yaw_rate=0.5", "run backward", "lateral_speed=0 forward_speed=-1 yaw_rate=0")
NUMBERS = {TOLD[0]: [1, np.nan, 0.5], TOLD[2]: [-1, 0, 0]}


class Heard(Agent):
    """An agent that keeps the distributions it acted by."""

    def __init__(self, *args, **keywords) -> None:
        super().__init__(*args, **keywords)
        self.distributions: list[Distribution] = []

    def _distribution(self, index: int, hidden_BD: torch.Tensor) -> Distribution:
        self.distributions.append(super()._distribution(index, hidden_BD))
        return self.distributions[-1]


@dataclass
class History:
    """What one environment has seen and done, raw, and the rule of forgetting, written out once more."""

    spec: BodySpec
    observations: list[np.ndarray] = field(default_factory=list)
    actions: list[np.ndarray] = field(default_factory=list)

    def forget(self, window: int, *, prompt_changed: bool = False) -> None:
        if len(self.observations) == window or prompt_changed:
            self.observations = self.observations[-(window // 2) :]
            self.actions = self.actions[-(window // 2) :]

    def rows(self, agent: Agent, env: int, observation_O: np.ndarray, action_A: np.ndarray) -> Rows:
        """The row training would make of it, the step being decided included."""
        actions = np.array([*self.actions, action_A], np.float32)[None]
        exists = np.ones(actions.shape[:2], bool)
        prompt = agent.prompts[env]
        shows = SHOWS if agent.rows.demonstration_mask_BN.shape[1] else nothing_shown(self.spec)
        return build_rows(
            agent.model.codec,
            Windows(
                body=self.spec.name,
                observations_BTO=np.array([*self.observations, observation_O], np.float32)[None],
                actions_BTA=actions,
                targets_BTA=actions,
                step_mask_BT=exists,
                loss_mask_BT=exists,
                prompts=("" if prompt in NUMBERS else prompt,),
                command_BC=np.float32([NUMBERS.get(prompt, [np.nan] * 3)]),
                demonstration_BNO=shows[0][env : env + 1],
                demonstration_BNA=shows[1][env : env + 1],
                demonstration_mask_BN=np.ones((1, shows[0].shape[1]), bool),
                returns_BT=np.full(exists.shape, np.nan),
            ),
            agent.model.layout,
        )


def nothing_shown(spec: BodySpec) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((3, 0, len(spec.observation)), np.float32), np.zeros((3, 0, len(spec.action)), np.float32)


def shown(spec: BodySpec) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(9)
    return draw(spec.observation, (3, 2), rng), draw(spec.action, (3, 2), rng)


SHOWS = shown(ARM)


def from_scratch(model: Gato, rows: Rows) -> list[Distribution]:
    """All groups of the last step, without any cache."""
    body = model.body(rows.body)
    hidden_BSD = model.hidden([rows])[0]
    last = hidden_BSD.shape[1] - body.steps.positions
    groups = range(len(body.head.groups))
    return [body.head(hidden_BSD[:, last + body.steps.readout + index], index, model.free) for index in groups]


def distance(one: Distribution, row: int, other: Distribution) -> float:
    """Largest difference of any parameter of two distributions."""
    pairs = [(value[row], getattr(other, name)[0]) for name, value in vars(one).items() if isinstance(value, Tensor)]
    return max((ours - theirs).nan_to_num(0.0, 0.0, 0.0).abs().max().item() for ours, theirs in pairs)


def same_tokens(agent: Agent, env: int, rows: Rows) -> None:
    """The agent's context is the training row, token by token."""
    length = rows.step_mask_BT.shape[1]
    assert agent.rows.step_mask_BT[env].tolist() == [step < length for step in range(agent.model.layout.window_steps)]
    for name in ("observation_BTO", "action_BTA"):
        assert getattr(agent.rows, name)[env, :length].tolist() == getattr(rows, name)[0].tolist()
    assert agent.rows.text_BP[env].tolist() == rows.text_BP[0].tolist()
    if rows.command_BC.shape[1]:
        assert agent.rows.command_BC[env].tolist() == rows.command_BC[0].tolist()
    if rows.demonstration_mask_BN.shape[1]:
        assert agent.rows.demonstration_BNO[env].tolist() == rows.demonstration_BNO[0].tolist()
        assert agent.rows.demonstration_BNA[env].tolist() == rows.demonstration_BNA[0].tolist()


@torch.no_grad()
def worst_difference(agent: Heard, steps: int) -> float:
    """Act for `steps`, with a new prompt, a reset, a retirement and other actions done than decided on the way; compare
    each step with no cache."""
    spec, rng, window = agent.body.spec, np.random.default_rng(1), agent.model.layout.window_steps
    histories, alive, worst = [History(spec) for _ in range(3)], [0, 1, 2], 0.0
    for step in range(steps):
        if step == 7:
            agent.set_prompt(np.array([1]), ["hop now"])
            histories[1].forget(window, prompt_changed=True)
        if step == 9:
            agent.reset(np.array([2]))
            histories[2] = History(spec)
        if step == 13:
            agent.retire(np.array([0]))
            alive = [1, 2]
        observation_BO = draw(spec.observation, (3,), rng)
        agent.distributions.clear()
        action_BA = agent(observation_BO)
        for place, env in enumerate(alive):
            histories[env].forget(window)
            rows = histories[env].rows(agent, env, observation_BO[env], action_BA[env])
            same_tokens(agent, env, rows)
            for cached, plain in zip(agent.distributions, from_scratch(agent.model, rows), strict=True):
                worst = max(worst, distance(cached, place, plain))
        if step in (2, 10):
            action_BA[1:] = draw(spec.action, (2,), rng)
            agent.did(np.array([1, 2]), action_BA[1:])
        for env in alive:
            histories[env].observations.append(observation_BO[env])
            histories[env].actions.append(action_BA[env])
    return worst


@pytest.mark.parametrize("has_prompts", [False, True])
@pytest.mark.parametrize("config", CONFIGS)
def test_cached_equals_from_scratch_over_refills_prompts_resets_and_retirement(config, has_prompts):
    """JAT's sliding cache stops matching re-encoding after 128 steps, by 8 % of scale."""
    model = make_model(CONFIGS[config], ARM).double()
    agent = Heard(model, "arm", TOLD, demonstrations=SHOWS) if has_prompts else Heard(model, "arm", WORDS)
    assert worst_difference(agent, 16) <= 1e-9


@pytest.mark.parametrize("steps", [2, 3, 8])
def test_cached_equals_from_scratch_for_other_windows(steps):
    config = ModelConfig(size="nano", layout=replace(SHORT, window_steps=steps))
    assert worst_difference(Heard(make_model(config, CART).double(), "cart", WORDS), 18) <= 1e-9


def test_cached_equals_from_scratch_in_fp32_and_nearly_in_bf16():
    model = make_model(CONFIGS["whole"], ARM)
    assert worst_difference(Heard(model, "arm", WORDS, demonstrations=SHOWS), 18) <= 1e-4
    low = worst_difference(Heard(model.bfloat16(), "arm", WORDS, demonstrations=SHOWS), 18)
    assert 1e-4 < low < 0.5


class Wide(Heard):
    """Looks at all entries of the cache, as on a GPU."""

    def _num_keys(self, entries_BS: np.ndarray) -> int:
        return len(self._rotary_S)


def test_entries_that_are_not_filled_change_nothing():
    model = make_model(CONFIGS["grouped"], ARM).double()
    assert worst_difference(Wide(model, "arm", WORDS, demonstrations=SHOWS), 16) <= 1e-9


class Sliding(Heard):
    """JAT's defect: the steps move, their keys and values stay as they were."""

    def _keep_newest_half(self, ids: np.ndarray) -> None:
        super()._keep_newest_half(ids)
        self._cached_B[ids] = self._num_prompt + self.rows.step_mask_BT[ids].sum(1) * self.body.steps.positions


def test_a_sliding_cache_would_be_noticed():
    assert worst_difference(Sliding(make_model(CONFIGS["whole"], ARM).double(), "arm", WORDS), 8) > 1e-3


@pytest.mark.parametrize("config", CONFIGS)
def test_each_environment_of_a_batch_acts_as_it_does_alone(config):
    """Others' prompts, resets, ends and refills change nothing."""
    model = make_model(CONFIGS[config], ARM).double()
    together = Agent(model, "arm", TOLD, demonstrations=SHOWS)
    alone = [
        Agent(
            model,
            "arm",
            [TOLD[env]],
            demonstrations=(SHOWS[0][env : env + 1], SHOWS[1][env : env + 1]),
        )
        for env in range(3)
    ]
    rng, alive = np.random.default_rng(2), [0, 1, 2]
    for step in range(16):
        if step in (3, 11):
            together.reset(np.array([2]))
            alone[2].reset(np.array([0]))
        if step == 6:
            together.set_prompt(np.array([0, 1]), ["stop", "hop"])
            alone[0].set_prompt(np.array([0]), ["stop"])
            alone[1].set_prompt(np.array([0]), ["hop"])
        if step == 9:
            together.retire(np.array([1]))
            alive = [0, 2]
        observation_BO = draw(ARM.observation, (3,), rng)
        action_BA = together(observation_BO)
        for env in alive:
            assert action_BA[env].tolist() == alone[env](observation_BO[env : env + 1])[0].tolist()


def test_ended_environments_get_zeros_and_their_observations_are_not_looked_at():
    agent = Agent(make_model(CONFIGS["whole"], CART), "cart", ["run"] * 3)
    agent(np.zeros((3, 2)))
    agent.retire(np.array([0, 2]))
    action_BA = agent(np.array([[np.nan, 0], [1, 1], [np.inf, 0]]))
    assert action_BA.dtype == np.float32
    assert action_BA[[0, 2]].tolist() == [[0], [0]]
    agent.retire(np.array([1]))
    assert agent(np.full((3, 2), np.nan)).tolist() == [[0], [0], [0]]


def test_environments_that_come_back_begin_anew():
    model = make_model(CONFIGS["whole"], CART).double()
    agent, fresh = (Agent(model, "cart", ["run", "hop", "stop"]) for _ in range(2))
    rng = np.random.default_rng(0)
    for _ in range(3):
        agent(draw(CART.observation, (3,), rng))
    agent.retire(np.array([0, 1]))
    agent(draw(CART.observation, (3,), rng))
    agent.reset(np.array([0, 2]))
    for _ in range(7):
        observation_BO = draw(CART.observation, (3,), rng)
        assert agent(observation_BO)[[0, 2]].tolist() == fresh(observation_BO)[[0, 2]].tolist()
        assert agent.rows.step_mask_BT[1].sum() == 3


def test_actions_lie_in_the_box_and_discrete_ones_are_whole():
    agent = Agent(make_model(CONFIGS["grouped"], ARM), "arm", ["run"] * 20, sample=True)
    for _ in range(7):
        action_BA = agent(draw(ARM.observation, (20,), np.random.default_rng(0)))
        assert (action_BA >= ARM.action_low).all()
        assert (action_BA <= ARM.action_high).all()
        assert (action_BA[:, :2] == np.rint(action_BA[:, :2])).all()


def test_sampled_actions_repeat_with_the_seed():
    model = make_model(CONFIGS["whole"], ARM)
    observations = [draw(ARM.observation, (4,), np.random.default_rng(step)) for step in range(7)]

    def act(**options) -> list:
        agent = Agent(model, "arm", ["run"] * 4, **options)
        return [agent(one).tolist() for one in observations]

    assert act(sample=True, seed=3) == act(sample=True, seed=3)
    assert act(sample=True, seed=3) != act(sample=True, seed=4)
    assert act() == act(seed=4)


def test_acting_leaves_the_random_state_and_the_model_alone():
    model = make_model(CONFIGS["whole"], ARM)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(0)
    first = torch.rand(1)
    torch.manual_seed(0)
    Agent(model, "arm", ["run"], sample=True)(np.zeros((1, 4)))
    assert torch.equal(torch.rand(1), first)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_words_choose_what_it_does():
    agent = Heard(make_model(CONFIGS["whole"], CART), "cart", ["run forward", "run backward", "run forward"])
    agent(np.zeros((3, 2)))
    agent.set_prompt(np.array([2]), ["run backward"])
    agent.reset(np.arange(3))
    agent(np.zeros((3, 2)))
    before, after = (one.mean_GM[:, 0, 0].tolist() for one in agent.distributions)
    assert before[0] == pytest.approx(before[2], abs=1e-6)
    assert before[0] != pytest.approx(before[1], abs=1e-3)
    assert after == pytest.approx([before[0], before[1], before[1]], abs=1e-6)


def test_bad_input_is_named():
    model = make_model(CONFIGS["whole"], CART)
    with pytest.raises(ValueError, match='the model knows no body "cat"; did you mean "cart"?'):
        Agent(model, "cat", ["run"])
    agent = Agent(model, "cart", ["run", "run"])
    with pytest.raises(ValueError, match="zip"):
        agent.set_prompt(np.array([0, 1]), ["stop"])
    with pytest.raises(ValueError, match="cart observation"):
        agent(np.array([[0, np.nan], [0, 0]]))
    with pytest.raises(ValueError, match="hold 5 steps and 3 demonstration steps"):
        Agent(model, "cart", ["run"], demonstrations=(np.zeros((1, 3, 2)), np.zeros((1, 3, 1))))


def test_statistics_are_counted_once_a_step():
    codec = make_codec(CART)
    model = make_model(CONFIGS["whole"], CART)
    assert model.codec.bodies.keys() == codec.bodies.keys()
    agent = Agent(model, "cart", ["run"] * 2)
    for _ in range(6):
        agent(np.array([[99.0, 0], [0, 0]]))
    clips = model.codec.body("cart").clips
    assert (clips.seen, clips.clipped) == (24, 6)


@pytest.mark.parametrize("config", CONFIGS)
def test_environments_that_go_at_their_own_pace_act_as_each_does_alone(config):
    """Rows of one cache stand at different positions, and are reset and told while others are in mid-window."""
    model = make_model(CONFIGS[config], ARM).double()
    together, alone = Heard(model, "arm", WORDS), [Heard(model, "arm", [words]) for words in WORDS]
    rng, lengths = np.random.default_rng(4), set()
    for step in range(40):
        ids = np.flatnonzero(rng.random(3) < 0.6)
        if step % 7 == 3:
            ended = int(rng.integers(3))
            together.reset(np.array([ended]))
            alone[ended].reset(np.array([0]))
        if step % 5 == 2:
            told = int(rng.integers(3))
            together.set_prompt(np.array([told]), [f"hop {step}"])
            alone[told].set_prompt(np.array([0]), [f"hop {step}"])
        if len(ids) == 0:
            continue
        observation_BO = draw(ARM.observation, (len(ids),), rng)
        together.distributions.clear()
        action_BA = together.act(ids, observation_BO)
        for place, env in enumerate(ids):
            alone[env].distributions.clear()
            assert action_BA[place].tolist() == alone[env](observation_BO[place : place + 1])[0].tolist()
            for one, other in zip(together.distributions, alone[env].distributions, strict=True):
                assert distance(one, place, other) <= 1e-9
        lengths.add(tuple(together.rows.step_mask_BT.sum(1)))
    assert len({length for length in lengths if len(set(length)) == 3}) > 3
