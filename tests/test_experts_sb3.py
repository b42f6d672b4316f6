"""Agents of Stable-Baselines3: what they do, that nothing of theirs is run, and what is said of wrong ones."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from agents import off_policy, on_policy, pickled, write_agent, write_normaliser

from gato import api
from gato.experts.adapters import load_expert, open_expert
from gato.experts.policy import Policy
from gato.experts.sb3_agent import find_agent
from gato.experts.vecnormalize import read_normaliser
from gato.skills.stepper import find_env_spec

PENDULUM = find_env_spec("inverted-pendulum/balance")
SEEN = np.array([[7.0, 7.0, 0.5, 7.0], [7.0, 7.0, -0.5, 7.0], [7.0, 7.0, 40.0, 7.0]])
"""Only the third number counts."""


def act(path: Path, normalizer: Path | None = None) -> np.ndarray:
    return np.asarray(load_expert(f"sb3:{path}", PENDULUM, str(normalizer or ""))(SEEN))


def test_ppo_acts_in_its_own_unit_and_is_cut_at_the_box(tmp_path: Path) -> None:
    path = write_agent(tmp_path / "ppo.zip", on_policy(4.0, 0.5))
    wanted = [[4 * np.tanh(0.5) + 0.5], [-4 * np.tanh(0.5) + 0.5], [3.0]]
    np.testing.assert_allclose(act(path), wanted, rtol=1e-6)


def test_ppo_may_have_relu_between_its_layers(tmp_path: Path) -> None:
    kwargs = {"activation_fn": "<class 'torch.nn.modules.activation.ReLU'>", ":serialized:": "never looked at"}
    path = write_agent(tmp_path / "ppo.zip", on_policy(2.0, 0.5), policy_kwargs=kwargs)
    np.testing.assert_allclose(act(path), [[1.5], [0.5], [3.0]], rtol=1e-6)


def test_layers_that_old_versions_shared_with_the_critic_come_first(tmp_path: Path) -> None:
    weights = on_policy()
    for part in ("weight", "bias"):
        weights[f"mlp_extractor.shared_net.0.{part}"] = weights.pop(f"mlp_extractor.policy_net.0.{part}")
    np.testing.assert_allclose(act(write_agent(tmp_path / "a.zip", weights))[0], np.tanh(0.5), rtol=1e-6)


def test_sac_squashes_into_the_box(tmp_path: Path) -> None:
    path = write_agent(tmp_path / "sac.zip", off_policy())
    np.testing.assert_allclose(act(path), 3 * np.tanh([[-0.75], [-1.0], [19.0]]), rtol=1e-6)


def test_td3_is_one_chain_of_layers(tmp_path: Path) -> None:
    names = {"actor.latent_pi.0": "actor.mu.0", "actor.mu": "actor.mu.2"}
    weights = {
        f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": value
        for name, value in off_policy().items()
        if name.rpartition(".")[0] in names
    }
    weights["actor_target.mu.0.weight"] = [[9.0]]
    path = write_agent(tmp_path / "td3.zip", weights)
    np.testing.assert_allclose(act(path), 3 * np.tanh([[-0.75], [-1.0], [19.0]]), rtol=1e-6)


def test_the_normaliser_is_inside_and_cuts_where_it_did(tmp_path: Path) -> None:
    """Mean 0.5 and deviation sqrt(3.75 + 0.25) = 2: 0.5 -> 0, -0.5 -> -0.5, 40 -> 19.75, cut at 5."""
    path = write_agent(tmp_path / "ppo.zip", on_policy(), _last_original_obs={":type:": "numpy"})
    statistics = write_normaliser(tmp_path / "vecnormalize.pkl", [0, 0, 0.5, 0], [1, 1, 3.75, 1])
    np.testing.assert_allclose(act(path, statistics), np.tanh([[0.0], [-0.5], [5.0]]), atol=1e-6)


def test_an_agent_becomes_a_policy_folder(tmp_path: Path) -> None:
    path = write_agent(tmp_path / "sac.zip", off_policy())
    policy = load_expert(f"sb3:{path}", PENDULUM)
    assert isinstance(policy, Policy) and policy.skill == "inverted-pendulum/balance"
    again = Policy.load(policy.save(tmp_path / "expert"))
    np.testing.assert_array_equal(again(SEEN), policy(SEEN))


def test_a_missing_normaliser_is_told(tmp_path: Path) -> None:
    path = write_agent(tmp_path / "ppo.zip", on_policy(), _last_original_obs={":type:": "numpy"})
    with pytest.raises(ValueError, match=r"was trained under VecNormalize.*pass --normalizer"):
        act(path)
    of_rewards = write_normaliser(tmp_path / "rewards.pkl", [0], [1], norm_obs=False)
    np.testing.assert_allclose(act(path, of_rewards)[0], np.tanh(0.5), rtol=1e-6)
    other = write_normaliser(tmp_path / "other.pkl", [0, 0], [1, 1])
    with pytest.raises(ValueError, match="reads 4 numbers, but its normaliser has 2"):
        act(path, other)


def test_a_normaliser_belongs_to_an_agent() -> None:
    with pytest.raises(ValueError, match=r"--normalizer x\.pkl belongs to an sb3: agent"):
        load_expert("inverted-pendulum/balance", PENDULUM, "x.pkl")
    with pytest.raises(ValueError, match=r"normalizer is x\.pkl, and belongs to an sb3: agent; expert is random"):
        api.record("inverted-pendulum/balance", expert="random", normalizer="x.pkl")


class Trap:
    """Pickled as a call of os.system."""

    def __init__(self, place: Path) -> None:
        self.command = f"touch {place}"

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def test_code_in_a_normaliser_is_named_and_not_run(tmp_path: Path) -> None:
    path = write_normaliser(tmp_path / "bad.pkl", [0], [1], more=Trap(tmp_path / "touched"))
    with pytest.raises(ValueError, match=r"bad\.pkl wants (posix|nt)\.system, which no normaliser needs"):
        read_normaliser(path)
    assert not (tmp_path / "touched").exists()


def test_objects_of_other_packages_are_refused_by_name(tmp_path: Path) -> None:
    path = write_normaliser(tmp_path / "bad.pkl", [0], [1], more=pickled("torch", "Generator"))
    with pytest.raises(ValueError, match=r"wants torch\.Generator"):
        read_normaliser(path)


def test_what_is_no_normaliser_is_told(tmp_path: Path) -> None:
    path = write_normaliser(tmp_path / "cut.pkl", [0], [1])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"cut\.pkl is not a readable pickle"):
        read_normaliser(path)
    path.write_bytes(b"\x80\x03" + pickled("gym.spaces.box", "Box", shape=3) + b".")
    with pytest.raises(ValueError, match="holds Box, not a VecNormalize"):
        read_normaliser(path)
    with pytest.raises(ValueError, match=r"none\.pkl: no such normaliser"):
        read_normaliser(tmp_path / "none.pkl")
    write_normaliser(path, [0], [1], obs_rms={"camera": 1})
    with pytest.raises(ValueError, match="no statistics of flat observations"):
        read_normaliser(path)


def test_code_among_the_weights_is_named_and_not_run(tmp_path: Path) -> None:
    import torch

    content = io.BytesIO()
    torch.save({"action_net.weight": Trap(tmp_path / "touched")}, content)
    path = write_agent(tmp_path / "good.zip", on_policy())
    with zipfile.ZipFile(path) as good, zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
        bad.writestr("data", good.read("data"))
        bad.writestr("policy.pth", content.getvalue())
    with pytest.raises(ValueError, match=r"policy\.pth in .*bad\.zip wants (posix|nt)\.system"):
        act(tmp_path / "bad.zip")
    assert not (tmp_path / "touched").exists()


def test_an_agent_of_another_body_is_refused_with_both_shapes(tmp_path: Path) -> None:
    path = write_agent(tmp_path / "a.zip", on_policy(), spaces=(17, 6, 1.0))
    with pytest.raises(ValueError, match=r"observes \(17,\) and acts \(6,\), but .* observes \(4,\) and acts \(1,\)"):
        act(path)
    path = write_agent(tmp_path / "b.zip", on_policy(), spaces=(4, 1, 1.0))
    with pytest.raises(ValueError, match=r"acts in \[-1\.0\] to \[1\.0\], but .* in \[-3\.0\] to \[3\.0\]"):
        act(path)
    discrete = {":type:": "<class 'gymnasium.spaces.discrete.Discrete'>", "n": "2"}
    path = write_agent(tmp_path / "c.zip", on_policy(), action_space=discrete)
    with pytest.raises(ValueError, match="acts in a Discrete space; only Box is read"):
        act(path)


def test_networks_that_a_policy_cannot_be_are_named(tmp_path: Path) -> None:
    seeing = {**on_policy(), "features_extractor.cnn.0.weight": [[1.0]]}
    with pytest.raises(ValueError, match=r"features_extractor\.cnn\.0\.weight: pictures.*module\.py:factory"):
        act(write_agent(tmp_path / "cnn.zip", seeing))
    with pytest.raises(ValueError, match="values of discrete actions"):
        act(write_agent(tmp_path / "dqn.zip", {"q_net.q_net.0.weight": [[1.0]]}))
    with pytest.raises(ValueError, match="state-dependent exploration"):
        act(write_agent(tmp_path / "sde.zip", {"actor.latent_pi.0.weight": [[1.0]], "actor.mu.0.weight": [[1.0]]}))
    kwargs = {"activation_fn": "<class 'torch.nn.modules.activation.GELU'>"}
    with pytest.raises(ValueError, match="has GELU between its layers; tanh and relu are read"):
        act(write_agent(tmp_path / "gelu.zip", on_policy(), policy_kwargs=kwargs))


def test_files_that_are_no_agents_are_told(tmp_path: Path) -> None:
    path = write_agent(tmp_path / "agent.zip", on_policy())
    with pytest.raises(ValueError, match=r'agnet\.zip: no such agent; did you mean "agent\.zip"'):
        act(tmp_path / "agnet.zip")
    (tmp_path / "text.zip").write_text("not a zip")
    with pytest.raises(ValueError, match=r"text\.zip is not a whole zip"):
        act(tmp_path / "text.zip")
    (tmp_path / "cut.zip").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"cut\.zip is no(t a)? whole"):
        act(tmp_path / "cut.zip")
    for members, told in (
        ({"parameters": "x", "data": "{}"}, "Stable Baselines 2"),
        ({"data": "{}"}, "is no whole agent"),
    ):
        with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        with pytest.raises(ValueError, match=told):
            act(tmp_path / "other.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("data", "{")
        archive.writestr("policy.pth", "x")
    with pytest.raises(ValueError, match="is damaged"):
        act(tmp_path / "other.zip")


def make_hub(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[list[str]]:
    """Stands in for the Hub; what was asked for."""
    asked: list[list[str]] = []

    def fetch(repository: str, allow_patterns: list[str]) -> str:
        asked.append([repository, *allow_patterns])
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    return asked


def test_an_agent_of_the_hub_comes_with_its_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_agent(tmp_path / "ppo-Pendulum.zip", on_policy())
    write_agent(tmp_path / "other.zip", off_policy())
    write_normaliser(tmp_path / "vec_normalize.pkl", [0] * 4, [1] * 4)
    (tmp_path / "results.json").write_text(json.dumps({"mean_reward": 987.5, "n_eval_episodes": 10}))
    asked = make_hub(monkeypatch, tmp_path)
    expert = open_expert("sb3:somebody/ppo-Pendulum", PENDULUM, "vec_normalize.pkl")
    assert asked == [["somebody/ppo-Pendulum", "*.zip", "results.json", "vec_normalize.pkl"]]
    assert (expert.place.name, expert.normaliser) == ("ppo-Pendulum.zip", tmp_path / "vec_normalize.pkl")
    assert expert.recorded is not None and expert.recorded.mean == 987.5


def test_the_hub_is_never_asked_for_pickles_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_agent(tmp_path / "one.zip", on_policy())
    asked = make_hub(monkeypatch, tmp_path)
    assert find_agent("sb3:somebody/ppo-Pendulum").archive.name == "one.zip"
    assert asked == [["somebody/ppo-Pendulum", "*.zip", "results.json"]]
    write_agent(tmp_path / "two.zip", on_policy())
    with pytest.raises(ValueError, match=r"no single agent: one\.zip, two\.zip"):
        find_agent("sb3:somebody/ppo-Pendulum")


def test_without_a_network_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    def fail(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("cannot find the files\nand more lines")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(ValueError, match=r"could not be fetched from the Hugging Face Hub \(cannot find the files\)"):
        find_agent("sb3:somebody/ppo-Pendulum")


def test_predictions_are_those_of_stable_baselines3(tmp_path: Path) -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    seen_BO = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32) * 4
    small = {"buffer_size": 100, "learning_starts": 8}
    kinds = {"PPO": {"n_steps": 8, "batch_size": 8}, "A2C": {}, "SAC": small, "TD3": small, "DDPG": small}
    for name, settings in kinds.items():
        model = getattr(sb3, name)("MlpPolicy", "Pendulum-v1", seed=0, device="cpu", **settings)
        model.learn(16)
        model.save(tmp_path / name)
        actions_BA = load_expert(f"sb3:{tmp_path / name}.zip", gymnasium.spec("Pendulum-v1"))(seen_BO)
        np.testing.assert_allclose(actions_BA, model.predict(seen_BO, deterministic=True)[0], atol=1e-5)


def test_normalised_observations_are_those_of_stable_baselines3(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    env = VecNormalize(DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")] * 3), clip_obs=2.0)
    env.reset()
    for _ in range(20):
        env.step(np.zeros((3, 1), np.float32))
    env.save(str(tmp_path / "vecnormalize.pkl"))
    found = read_normaliser(tmp_path / "vecnormalize.pkl")
    assert found is not None
    seen_BO = np.random.default_rng(0).normal(size=(64, 3)) * 4
    ours_BO = np.clip((seen_BO - found.mean_O) / found.std_O, -found.clip, found.clip).astype(np.float32)
    np.testing.assert_array_equal(ours_BO, env.normalize_obs(seen_BO))
