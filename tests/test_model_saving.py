"""A model is one folder: what is saved comes back to the bit, and nothing damaged loads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from making import ARM, CART, PAPER, make_model, make_windows

from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.sequences import Layout, build_rows
from gato.specs import Element

CARD = {"trained_on": ["gato/cart/run-v0"], "steps": 12}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_model().save(tmp_path / "model", card=CARD)
    return tmp_path / "model"


def test_a_folder_holds_four_parts_and_the_codec(folder):
    names = ["card.json", "codec.json", "config.json", "model.safetensors", "tokenizer.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert json.loads((folder / "card.json").read_text()) == CARD


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(size="nano"),
        ModelConfig(size="nano", mixtures=3, second_layer="own", layout=Layout(group_size=2, window_steps=5)),
        ModelConfig(size="nano", **PAPER),
    ],
)
def test_saved_and_loaded_are_equal_to_the_bit(config, tmp_path):
    model = make_model(config)
    model.save(tmp_path, card=CARD)
    loaded = Gato.load(tmp_path)
    assert loaded.config == config
    assert not loaded.training
    saved = model.state_dict()
    assert loaded.state_dict().keys() == saved.keys()
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, saved[name]), name
    windows = make_windows(ARM, 2, 4)
    ours, theirs = (one.hidden([build_rows(one.codec, windows, one.layout)])[0] for one in (model, loaded))
    assert torch.equal(ours, theirs)
    assert all(weight.requires_grad for weight in loaded.parameters())


def test_saving_twice_gives_equal_bytes(folder, tmp_path):
    Gato.load(folder).save(tmp_path / "again", card=CARD)
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_loading_leaves_the_random_state_alone(folder):
    torch.manual_seed(5)
    before = torch.rand(3)
    torch.manual_seed(5)
    Gato.load(folder)
    assert torch.equal(torch.rand(3), before)


def test_bf16_halves_the_file_and_still_acts_alike(folder, tmp_path):
    model = make_model()
    model.save(tmp_path / "half", card=CARD, dtype=torch.bfloat16)
    sizes = [(place / "model.safetensors").stat().st_size for place in (tmp_path / "half", folder)]
    assert sizes[0] < 0.55 * sizes[1]
    rows = build_rows(model.codec, make_windows(ARM, 2, 4), model.layout)
    exact = model.hidden([rows])[0]
    for dtype in (torch.float32, torch.bfloat16):
        loaded = Gato.load(tmp_path / "half", dtype=dtype)
        assert {weight.dtype for weight in loaded.parameters()} == {dtype}
        hidden = loaded.hidden([rows])[0]
        assert (hidden.float() - exact).abs().max() < 0.1 * exact.abs().max()
        assert loaded.loss([rows]).total.dtype == torch.float32


@pytest.mark.parametrize("name", ["card.json", "codec.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_or_altered_file_is_named(folder, name):
    content = (folder / name).read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    (folder / name).write_bytes(flipped)
    with pytest.raises(ValueError, match=rf"is damaged: {name} was altered; copy it again"):
        Gato.load(folder)
    (folder / name).write_bytes(content[:-1])
    with pytest.raises(ValueError, match=rf"{name} was altered"):
        Gato.load(folder)
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"is damaged: {name} is missing; copy"):
        Gato.load(folder)


def test_an_altered_config_is_refused(folder):
    """Another window length would load, and act worse, without a word."""
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"window_steps": 16', '"window_steps": 32'))
    with pytest.raises(ValueError, match=r"config\.json was altered; copy it again"):
        Gato.load(folder)


def test_a_truncated_config_is_refused(folder):
    path = folder / "config.json"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"config\.json is not valid JSON"):
        Gato.load(folder)


@pytest.mark.parametrize("content", ['{"format": 99}', "[]"])
def test_another_format_is_refused(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"has model format (99|None), this version reads 1; train again"):
        Gato.load(folder)


def test_no_model_folder_is_said_to_be_none(tmp_path):
    with pytest.raises(ValueError, match=r"is no model folder: it has no config\.json"):
        Gato.load(tmp_path)


def test_a_body_of_another_shape_does_not_pass_for_the_one_trained_on(folder):
    """Statistics that do not fit the environment are silent elsewhere (lerobot#694, openvla#87)."""
    codec = Gato.load(folder).codec
    codec.check_body(CART)
    wider = replace(CART, observation=(*CART.observation, Element("wind")))
    with pytest.raises(ValueError, match=r"body 'cart' does not fit: got digest .* \(3 observation, 1 action"):
        codec.check_body(wider)
    renamed = replace(CART, observation=CART.observation[::-1])
    with pytest.raises(ValueError, match="body 'cart' does not fit"):
        codec.check_body(renamed)


def test_statistics_come_back_with_the_model(folder):
    ids = make_model().codec.encode_observation("cart", np.float32([[0.3, -2]]))
    assert Gato.load(folder).codec.encode_observation("cart", np.float32([[0.3, -2]])).tolist() == ids.tolist()
