"""Videos: small, in simulated time, with the words in the picture and the body in its middle."""

from __future__ import annotations

import logging
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest

from gato.experts.shipped import shipped_policy
from gato.rollout import video
from gato.rollout.prompted import Request, Rollout
from gato.rollout.video import write_videos
from gato.skills.evaluate import Outcome
from gato.skills.render import find_renderer, frames
from gato.skills.stepper import find_env_spec, make_stepper

SKILL = "half-cheetah/run-forward"
needs_renderer = pytest.mark.skipif(find_renderer() is None, reason="no offscreen renderer on this machine")


def rollout(prompt: str, *, seed: int = 0, steps: int = 6, skill: str = SKILL) -> Rollout:
    readings = {"forward_speed": np.linspace(0, 1, steps), "pitch": np.zeros(steps), "height": np.ones(steps)}
    actions = 6 if skill == SKILL else 3
    return Rollout(Request(prompt, skill, seed), Outcome(seed, 0.0, steps, False, readings), np.zeros((steps, actions)))


@needs_renderer
def test_a_file_for_each_prompt_and_episode_in_simulated_time(tmp_path: Path) -> None:
    own = [rollout("run forward"), rollout("run forward", seed=1), rollout("run forward", seed=2), rollout("Run!")]
    written = write_videos({"half-cheetah": own}, tmp_path, 2)
    names = ["half-cheetah-run-forward-0.mp4", "half-cheetah-run-forward-1.mp4", "half-cheetah-run-0.mp4"]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names), "nothing half-written is left"
    with imageio.get_reader(written[0]) as film:
        assert film.get_meta_data()["fps"] == 20.0, "half-cheetah steps 20 times a second"
        assert sum(1 for _ in film) == 7, "the start and six steps"


@needs_renderer
def test_fast_bodies_are_shown_with_frames_left_out(tmp_path: Path) -> None:
    hops = rollout("hop", steps=16, skill="hopper/hop-forward")
    (path,) = write_videos({"hopper": [hops]}, tmp_path, 1)
    with imageio.get_reader(path) as film:
        assert film.get_meta_data()["fps"] == pytest.approx(31.25), "every fourth of 125 steps a second"
        assert sum(1 for _ in film) == 5


@needs_renderer
def test_the_camera_goes_with_the_body() -> None:
    """Gymnasium 1.4 forced a free camera: the half-cheetah had left the picture after four seconds."""
    stepper, expert = make_stepper(SKILL, 1), shipped_policy(SKILL)
    observations_BO, actions = stepper.reset(np.array([0]), [0]), []
    distance = 0.0
    for _ in range(60):
        actions.append(expert(observations_BO)[0])
        step = stepper.step(actions[-1][None])
        observations_BO, distance = step.observations_BO, distance + step.readings["forward_speed"][0] * 0.05
    assert distance > 6.0
    last = list(frames(find_env_spec(SKILL), 0, np.array(actions), every=60))[-1].astype(int)
    is_body = last[..., 0] - last[..., 2] > 40
    columns = np.flatnonzero(is_body.any(0))
    assert 80 < columns.mean() < 240


def test_without_a_renderer_there_is_a_word_and_no_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(video, "find_renderer", lambda: None)
    monkeypatch.setattr(logging.getLogger("gato"), "propagate", True)
    with caplog.at_level(logging.WARNING, logger="gato"):
        assert write_videos({"half-cheetah": [rollout("run")]}, tmp_path / "videos", 1) == ()
    assert "libosmesa6" in caplog.text and not (tmp_path / "videos").exists()
