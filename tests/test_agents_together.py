"""Agents of several bodies that act together do what each does alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from serving import make_telling_model

from gato.model.config import ModelConfig
from gato.rollout.agent import Agent, act_together
from gato.sequences import Layout
from gato.skills.bodies import BODIES

LAYOUT = Layout(prompt_positions=6, window_steps=4, demonstration_steps=0)
PROMPTS = {"ant": ["turn left", "turn right", ""], "hopper": ["hop forward"], "swimmer": ["turn left", "turn left"]}
STEPS = 11


@pytest.mark.parametrize("layout", [LAYOUT, replace(LAYOUT, group_size=3)], ids=["one group", "groups"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_bodies_act_together_as_they_do_alone(
    layout: Layout, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over refills, at paces of their own, told other words on the way. In double precision to the last bit; in single
    through one pass, where no more than roundings differ: a bin at an edge."""
    model = make_telling_model(ModelConfig(size="nano", layout=layout), *(BODIES[body].spec for body in PROMPTS))
    model.to(dtype)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    together, alone = ({body: Agent(model, body, words) for body, words in PROMPTS.items()} for _ in range(2))
    rng = np.random.default_rng(0)
    for step in range(STEPS):
        if step == 5:
            for agents in (together, alone):
                agents["ant"].set_prompt(np.array([2]), ["turn left"])
        acting = [body for body in PROMPTS if body != "swimmer" or step % 2]
        ids = {body: np.arange(step % len(PROMPTS[body]), len(PROMPTS[body])) for body in acting}
        seen = {body: rng.standard_normal((len(ids[body]), len(BODIES[body].spec.observation))) for body in acting}
        found = act_together([(together[body], ids[body], seen[body]) for body in acting])
        for body, actions_BA in zip(acting, found, strict=True):
            expected_BA = alone[body].act(ids[body], seen[body])
            most = 0.0 if dtype == torch.float64 else 0.003 * (expected_BA.max() - expected_BA.min() + 1)
            assert np.abs(actions_BA - expected_BA).max() <= most
            together[body].rows.action_BTA[:] = alone[body].rows.action_BTA


def test_agents_of_different_models_or_the_same_one_twice_are_refused() -> None:
    config = ModelConfig(size="nano", layout=LAYOUT)
    agents = [Agent(make_telling_model(config, BODIES["hopper"].spec), "hopper", [""]) for _ in range(2)]
    asked = [(agent, np.array([0]), np.zeros((1, 11))) for agent in agents]
    with pytest.raises(AssertionError):
        act_together(asked)
    with pytest.raises(AssertionError):
        act_together([asked[0], asked[0]])


def test_of_a_step_that_failed_for_another_body_nothing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who had been decided on by then could not act again."""
    model = make_telling_model(ModelConfig(size="nano", layout=LAYOUT), *(BODIES[body].spec for body in PROMPTS))
    hopper, ant, alone = (Agent(model, body, [PROMPTS[body][0]]) for body in ("hopper", "ant", "hopper"))
    rng, row = np.random.default_rng(0), np.array([0])

    def unable(*_: object) -> None:
        raise MemoryError

    for step in range(STEPS):
        seen_BO, others_BO = (rng.standard_normal((1, len(BODIES[one].spec.observation))) for one in ("hopper", "ant"))
        if step in (0, 1, 6):
            with monkeypatch.context() as patch, pytest.raises(MemoryError):
                patch.setattr(ant, "_choose", unable)
                act_together([(hopper, row, seen_BO), (ant, row, others_BO)])
        assert np.array_equal(hopper.act(row, seen_BO), alone.act(row, seen_BO))
