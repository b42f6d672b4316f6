"""Pictures where a renderer works, and a clear word where none does."""

import numpy as np
import pytest

from gato.skills import render
from gato.skills.environment import skill_env_spec
from gato.skills.render import find_renderer, frames

WALK = skill_env_spec("walker2d/run-forward")


def test_an_episode_is_replayed_into_pictures() -> None:
    if find_renderer() is None:
        pytest.skip("no offscreen renderer on this machine")
    pictures = list(frames(WALK, 0, np.zeros((5, 6), np.float32), every=2, width=64, height=48))
    assert [picture.shape for picture in pictures] == [(48, 64, 3)] * 3
    assert all(picture.dtype == np.uint8 for picture in pictures)
    assert pictures[0].std() > 0


def test_a_machine_without_renderer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "find_renderer", lambda: None)
    with pytest.raises(RuntimeError, match="no offscreen renderer works here"):
        next(frames(WALK, 0, np.zeros((1, 6), np.float32)))


def test_a_renderer_that_is_not_there_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    assert find_renderer.__wrapped__() is None
