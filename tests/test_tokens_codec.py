"""The codec: one id space, several bodies, loud errors, whole files."""

import copy
import json
import logging
from pathlib import Path

import numpy as np
import pytest

from gato.specs import BodySpec, Element
from gato.tokens.codec import Codec

ARM = BodySpec(
    "arm",
    (Element("mode", "discrete", 0, 2), Element("angle"), Element("speed")),
    (Element("grip", "discrete", 0, 1), Element("push", low=-0.4, high=0.4)),
)
CART = BodySpec(
    "cart", (Element("place"), Element("speed")), (Element("left", low=-1, high=1), Element("right", low=0, high=3))
)


@pytest.fixture
def codec() -> Codec:
    made = Codec()
    made.add_body(ARM, np.array([0, 1, 0]), np.array([0, 2, 0.5]))
    made.add_body(CART, np.zeros(2), np.ones(2))
    return made


def test_ranges_are_disjoint_text_numbers_discrete_specials(codec):
    ranges = codec.ranges
    starts = [ranges.number_start, ranges.discrete_start, ranges.special_start, ranges.separator]
    assert starts == [4096, 5120, 6144, 6144]
    assert ranges.vocabulary_size == 6145


def test_observation_ids_typed_by_hand(codec):
    ids = codec.encode_observation("arm", np.array([[0, 1, 0], [2, 9, -2]]))
    assert ids.dtype == np.int64
    # asinh(4) = 2.0947: 268 of 128 bins a unit away from the middle.
    assert ids.tolist() == [[5120, 4608, 4608], [5122, 4876, 4339]]


def test_action_ids_typed_by_hand(codec):
    """+1.0 is the last number id, never the first discrete one (NEKO, LAS1520, OrigamiDream)."""
    assert codec.encode_action("cart", np.array([[-1, 0], [0, 1.5], [1, 3]])).tolist() == [
        [4096, 4096],
        [4608, 4608],
        [5119, 5119],
    ]
    assert codec.encode_action("arm", np.float32([1, 0.4])).tolist() == [5121, 5119]
    assert codec.decode_action("cart", np.array([4096, 5119])).tolist() == [-1, 3]


def test_actions_of_every_id_lie_in_the_box(codec):
    ids = np.stack([np.arange(4096, 5120)] * 2, -1)
    actions = codec.decode_action("cart", ids)
    assert actions.dtype == np.float32
    assert (actions >= CART.action_low).all()
    assert (actions <= CART.action_high).all()
    assert np.array_equal(codec.encode_action("cart", actions), ids)


@pytest.mark.parametrize("wrong", [0, 4095, 5120, 6144, -1])
def test_decoding_any_other_id_is_an_error(codec, wrong):
    """JAT's gato branch samples over all ids and clamps; here no other id can become an action."""
    with pytest.raises(ValueError, match=r"cart action ids: .* allowed for a number: 4096..5119"):
        codec.decode_action("cart", np.array([wrong, 4100]))


def test_decoding_a_discrete_value_the_action_lacks_is_an_error(codec):
    with pytest.raises(ValueError, match="offset outside"):
        codec.decode_action("arm", np.array([5122, 4100]))


def test_observations_round_trip_within_half_a_bin(codec):
    observations = np.float32([[0, 0.3, -0.7], [2, 5.5, 1.1]])
    decoded = codec.decode_observation("arm", codec.encode_observation("arm", observations))
    deviations = (observations - [0, 1, 0]) / [1, 2, 0.5]
    half_bin = [0, 2, 0.5] * np.sqrt(1 + deviations**2) * 4 / 1024  # the slope of sinh widens it away from the mean
    assert (np.abs(decoded - observations) <= 1.01 * half_bin).all()


def test_an_action_outside_the_box_names_what_and_where(codec):
    with pytest.raises(ValueError, match=r"cart action in d-v0 episode 3: element 'right' is 3.5 at index \(1, 1\)"):
        codec.encode_action("cart", np.array([[0, 0], [0, 3.5]]), where="d-v0 episode 3")


def test_pads_outside_the_box_are_no_error(codec):
    actions = np.array([[[0.5, 1], [-5, 9]]])
    assert codec.encode_action("cart", actions, mask=np.array([[True, False]]))[0, 0].tolist() == [4864, 4437]
    with pytest.raises(ValueError, match="'left' is -5"):
        codec.encode_action("cart", actions, mask=np.array([[True, True]]))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e39])
def test_nan_and_infinity_are_refused(codec, wrong):
    with pytest.raises(
        ValueError, match=r"cart observation in step 7: element 'speed' is -?(nan|inf) at index \(0, 1\)"
    ):
        codec.encode_observation("cart", np.array([[0, wrong]]), where="step 7")


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros((2, 1)), np.float32(1), np.array(["a", "b"])])
def test_wrong_shapes_and_kinds_are_refused(codec, wrong):
    with pytest.raises(ValueError, match="cart observation: got .* need numbers"):
        codec.encode_observation("cart", wrong)


def test_a_discrete_element_out_of_range_is_refused_with_its_place(codec):
    with pytest.raises(ValueError, match="arm observation in here: discrete element 'mode' is 3"):
        codec.encode_observation("arm", np.array([3, 0, 0]), where="here")


def test_no_rows_are_no_ids(codec):
    assert codec.encode_observation("arm", np.zeros((4, 0, 3)), mask=np.zeros((4, 0), bool)).shape == (4, 0, 3)


def test_without_statistics_observations_are_mu_law():
    codec = Codec()
    codec.add_body(CART, None, None)
    assert codec.encode_observation("cart", np.array([0, 1])).tolist() == [4608, 4840]


def test_actions_without_bounds_need_statistics_and_take_four_deviations():
    open_spec = BodySpec(
        "open", (Element("x"),), (Element("pull"), Element("lift", low=0), Element("tilt", low=-1, high=1))
    )
    codec = Codec()
    with pytest.raises(ValueError, match=r"\['pull', 'lift'\] have no bounds; pass action_mean_A"):
        codec.add_body(open_spec, np.zeros(1), np.ones(1))
    codec.add_body(open_spec, np.zeros(1), np.ones(1), action_mean_A=np.ones(3), action_std_A=np.full(3, 0.5))
    ids = codec.encode_action("open", np.array([[1, 3, 1], [-1, 0, 0], [99, 99, -1]]))
    assert (ids - 4096).tolist() == [[512, 1023, 1023], [0, 0, 512], [1023, 1023, 0]]
    with pytest.raises(ValueError, match="'lift' is -1"):
        codec.encode_action("open", np.array([0, -1, 0]))


def test_command_ids_and_absence(codec):
    ids = codec.encode_command(np.array([[1.0, np.nan, 0.0], [np.nan, np.nan, -1.0]]))
    assert ids.tolist() == [[4840, -1, 4608], [-1, -1, 4375]]
    decoded = codec.decode_command(ids)
    assert np.isnan(decoded).tolist() == [[False, True, False], [True, True, False]]
    assert decoded[0, 0] == pytest.approx(1, abs=0.02)


def test_clipped_observations_are_counted_and_warned_of_once(codec, caplog):
    observations = np.zeros((5000, 2))
    observations[:75] = 28  # beyond sinh(4) = 27.3
    with caplog.at_level(logging.WARNING):
        codec.encode_observation("cart", observations[:10])
        assert caplog.records == []
        codec.encode_observation("cart", observations)
        codec.encode_observation("cart", observations)
    clips = codec.bodies["cart"].clips
    assert (clips.clipped, clips.seen) == (20 + 150 + 150, 20 + 10_000 + 10_000)
    assert len(caplog.records) == 1
    assert "1.7 % of 10020 observation numbers of cart" in caplog.text
    assert codec.bodies["arm"].clips.seen == 0


def test_adding_a_body_never_changes_an_old_one(codec):
    before = codec.encode_observation("cart", np.array([0.5, -1]))
    codec.add_body(CART, np.full(2, 50.0), np.full(2, 9.0))
    codec.add_body(BodySpec("new", (Element("x"),), (Element("y", low=0, high=1),)), np.zeros(1), np.ones(1))
    assert np.array_equal(codec.encode_observation("cart", np.array([0.5, -1])), before)
    assert list(codec.bodies) == ["arm", "cart", "new"]


def test_a_changed_body_under_an_old_name_is_refused_with_both_digests(codec):
    other = BodySpec("cart", (*CART.observation, Element("wind")), CART.action)
    for refuse in (codec.check_body, lambda spec: codec.add_body(spec, np.zeros(3), np.ones(3))):
        with pytest.raises(
            ValueError, match=f"got digest {other.digest} .3 observation.* the model's is {CART.digest}"
        ):
            refuse(other)
    codec.check_body(CART)


def test_an_unknown_body_gets_a_near_match(codec):
    with pytest.raises(ValueError, match='unknown body .crat.; did you mean "cart"'):
        codec.encode_action("crat", np.zeros(2))


@pytest.mark.parametrize(
    ("mean", "std"), [(np.zeros(3), np.ones(3)), (np.zeros(2), -np.ones(2)), ([np.nan, 0], [1, 1]), (np.zeros(2), None)]
)
def test_statistics_that_do_not_fit_are_refused(mean, std):
    with pytest.raises(ValueError, match="statistics of cart observation"):
        Codec().add_body(CART, mean, std)


def test_saved_and_loaded_is_the_same_codec(codec, tmp_path):
    observations = np.float32([[1, 0.123, 0.456]])
    codec.save(tmp_path / "model")
    loaded = Codec.load(tmp_path / "model")
    assert np.array_equal(loaded.encode_observation("arm", observations), codec.encode_observation("arm", observations))
    assert [body.spec for body in loaded.bodies.values()] == [ARM, CART]
    assert loaded.encode_text("run forward") == codec.encode_text("run forward")
    loaded.save(tmp_path / "again")
    for name in ("codec.json", "tokenizer.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["codec.json", "tokenizer.json"]


@pytest.mark.parametrize("name", ["codec.json", "tokenizer.json"])
def test_a_missing_altered_or_cut_file_fails_loudly(codec, tmp_path, name):
    codec.save(tmp_path)
    path: Path = tmp_path / name
    whole = path.read_text()
    path.write_text(whole.replace("5", "6", 1))
    with pytest.raises(ValueError, match=f"{name}.* was altered"):
        Codec.load(tmp_path)
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=name):
        Codec.load(tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match=f"lacks {name}"):
        Codec.load(tmp_path)


def test_codec_json_is_strict_json_without_infinities(codec, tmp_path):
    codec.save(tmp_path)
    content = json.loads((tmp_path / "codec.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    assert content["bodies"]["arm"]["observation"][1] == ["angle", "continuous", None, None]


def test_a_failed_save_leaves_the_old_codec_whole(codec, tmp_path, monkeypatch):
    codec.save(tmp_path)
    before = (tmp_path / "codec.json").read_bytes()
    codec.add_body(BodySpec("new", (Element("x"),), (Element("y", low=0, high=1),)), np.zeros(1), np.ones(1))

    def full_disk(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        codec.save(tmp_path)
    assert (tmp_path / "codec.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codec.json", "tokenizer.json"]
    assert list(Codec.load(tmp_path).bodies) == ["arm", "cart"]


def test_a_codec_travels_to_loader_workers(codec):
    copied = copy.deepcopy(codec)
    assert copied.encode_text("hop backward") == codec.encode_text("hop backward")
    assert np.array_equal(copied.encode_action("cart", np.zeros(2)), codec.encode_action("cart", np.zeros(2)))
