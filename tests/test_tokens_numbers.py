"""Numbers and discrete values against ids typed by hand, and as inverse pairs."""

import numpy as np
import pytest

from gato.specs import Element
from gato.tokens.discrete import DiscreteCodec
from gato.tokens.numbers import AsinhCodec, MuLawCodec, NumberCodec, inverse_mu_law, mu_law, number_value

BOX = NumberCodec(np.array([-1.0]), np.array([1.0]), exact_ends=True)


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


def test_standardised_numbers_fall_into_bins_of_a_128th_deviation():
    codec = NumberCodec.standardised(np.array([10.0]), np.array([2.0]))
    ids, num_clipped = codec.encode(column(10, 10.015, 10.016, 12, 2, 18, 2.015), start=100)
    assert ids[:, 0].tolist() == [612, 612, 613, 740, 100, 1123, 100]
    assert num_clipped == 0


def test_values_beyond_four_deviations_are_clipped_and_counted():
    codec = NumberCodec.standardised(np.array([0.0]), np.array([1.0]))
    ids, num_clipped = codec.encode(column(-4.1, -4, 4, 4.1, 1e30))
    assert ids[:, 0].tolist() == [0, 0, 1023, 1023, 1023]
    assert num_clipped == 3


def test_masked_rows_are_not_counted():
    codec = NumberCodec.standardised(np.zeros(2), np.ones(2))
    values = np.array([[[9, 9], [9, 0]]], np.float32)
    assert codec.encode(values, mask=np.array([[True, False]]))[1] == 2
    assert codec.encode(values, mask=np.array([[False, True]]))[1] == 1


def test_a_constant_element_counts_as_deviation_one():
    codec = NumberCodec.standardised(np.array([3.0]), np.array([1e-9]))
    assert codec.encode(column(3, 4, 7))[0][:, 0].tolist() == [512, 640, 1023]


def test_action_bounds_are_the_two_end_bins_and_decode_exactly():
    """Defect of NEKO, LAS1520 and OrigamiDream: +1.0 became the next range's id, and edges biased every action."""
    bins, num_outside = BOX.encode(column(-1, -0.9981, 0, 0.5, 0.9979, 1))
    assert bins[:, 0].tolist() == [0, 0, 512, 768, 1022, 1023]
    assert num_outside == 0
    assert BOX.decode(column(0, 512, 768, 1023).astype(int))[:, 0].tolist() == [-1.0, 0.0009765625, 0.5009765625, 1.0]


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (-0.4, 0.4), (-3, 3), (0, 1e-3), (1000, 1001), (-2, 7)])
def test_all_bins_round_trip_without_bias(low, high):
    """Defect of JAT's gato branch: mu-law on actions used 466 of the 1024 bins."""
    codec = NumberCodec(np.float32([low]), np.float32([high]), exact_ends=True)
    bins = np.arange(1024)[:, None]
    values = codec.decode(bins)
    assert values.dtype == np.float32
    assert values[0] == np.float32(low)
    assert values[-1] == np.float32(high)
    assert codec.encode(values)[0].tolist() == bins.tolist()
    assert abs(values.astype(float).mean() - (low + high) / 2) < 1e-4 * (high - low)


def test_decoding_is_within_half_a_bin():
    values = np.random.default_rng(0).uniform(-1, 1, (1000, 1)).astype(np.float32)
    error = np.abs(BOX.decode(BOX.encode(values)[0]) - values)
    assert error.max() <= 1 / 512
    assert np.sort(error[:, 0])[990] <= 1.001 / 1024


def test_chunks_do_not_show():
    rng = np.random.default_rng(0)
    codec = NumberCodec.standardised(rng.normal(size=17), rng.uniform(0.1, 3, 17))
    values = rng.normal(size=(3000, 17)).astype(np.float32) * 4
    whole, num_clipped = codec.encode(values)
    alone = [codec.encode(row[None]) for row in values]
    assert np.array_equal(whole, np.concatenate([ids for ids, _ in alone]))
    assert num_clipped == sum(count for _, count in alone) > 0


def test_encode_leaves_its_input_alone():
    values = column(-3, 0.1, 5)
    before = values.copy()
    BOX.encode(values)
    MuLawCodec().encode(values)
    assert np.array_equal(values, before)


def test_number_value_is_the_bin_centre():
    assert number_value(np.array([0, 511, 512, 1023])).tolist() == [-1023 / 1024, -1 / 1024, 1 / 1024, 1023 / 1024]
    assert number_value(np.array([3])).dtype == np.float32


def test_mu_law_is_gatos():
    """log(100 |x| + 1) / log(100 * 256 + 1): 1 becomes 4.61512 / 10.15042."""
    assert mu_law(np.array([0, 1, -1, 256])) == pytest.approx([0, 0.454673, -0.454673, 1], abs=2e-6)
    assert inverse_mu_law(mu_law(np.array([0.3, -7, 200]))) == pytest.approx([0.3, -7, 200], rel=1e-5)
    assert MuLawCodec().encode(column(0, 1, -1, 256, 300), start=7)[0][:, 0].tolist() == [519, 751, 286, 1030, 1030]
    assert MuLawCodec().encode(column(0, 1, -1, 256, 300))[1] == 1


def test_mu_law_bins_round_trip():
    bins = np.arange(1024)[:, None]
    assert MuLawCodec().encode(MuLawCodec().decode(bins))[0].tolist() == bins.tolist()


def test_discrete_values_count_from_their_low():
    codec = DiscreteCodec((Element("gear", "discrete", -1, 2), Element("door", "discrete", 0, 1023)))
    ids = codec.encode(np.array([[-1, 0], [2, 1023]], np.float32), start=5000)
    assert ids.tolist() == [[5000, 5000], [5003, 6023]]
    assert codec.decode(ids - 5000).tolist() == [[-1, 0], [2, 1023]]


@pytest.mark.parametrize(
    ("value", "message"), [(3, "'gear' is 3; allowed: whole -1..2"), (0.5, "'gear' is 0.5"), (-2, "'gear' is -2")]
)
def test_discrete_values_out_of_range_or_broken_are_refused(value, message):
    codec = DiscreteCodec((Element("gear", "discrete", -1, 2),))
    with pytest.raises(ValueError, match=message):
        codec.encode(np.array([[value]], np.float32))


def test_more_than_1024_discrete_values_are_refused():
    with pytest.raises(ValueError, match="at most 1024 values, got key 0..1024"):
        DiscreteCodec((Element("key", "discrete", 0, 1024),))


def test_what_is_outside_is_told_number_by_number():
    codec = NumberCodec.standardised(np.array([10.0]), np.array([2.0]))
    assert codec.outside(column(2, 18, 1.9, 18.1, 10))[:, 0].tolist() == [False, False, True, True, False]
    assert MuLawCodec().outside(column(-256, 256, -257, 300))[:, 0].tolist() == [False, False, True, True]


def test_asinh_bins_are_nearly_linear_within_a_deviation_and_reach_27_of_them():
    """asinh of 0, 0.5211 (sinh of a half), 27, 28 and -27 is 0, 0.5, 3.9893, 4.0257 and -3.9893; a bin is 1/128."""
    codec = AsinhCodec(np.array([10.0]), np.array([2.0]))
    ids, num_outside = codec.encode(column(10, 11.0423, 64, 66, -44), start=7)
    assert (ids[:, 0].tolist(), num_outside) == ([519, 583, 1029, 1030, 8], 1)
    assert codec.outside(column(64, 66, -44, -46))[:, 0].tolist() == [False, True, False, True]


def test_asinh_bins_decode_to_their_centres():
    codec = AsinhCodec(np.array([0.0, 1e3]), np.array([1.0, 1e-9]))
    bins = np.arange(1024)[:, None].repeat(2, 1)
    assert np.array_equal(codec.encode(codec.decode(bins))[0][:, 0], bins[:, 0])
    middle = codec.decode(np.array([[512, 512]]))[0]
    assert middle == pytest.approx([1 / 256, 1e3 + 1 / 256], abs=1e-4)


def test_padded_rows_are_not_counted_by_asinh_bins():
    codec = AsinhCodec(np.zeros(2), np.ones(2))
    values = np.array([[100, 0], [100, 100]], np.float32)
    assert codec.encode(values, mask=np.array([True, False]))[1] == 1


@pytest.mark.parametrize(
    "codec",
    [
        NumberCodec.standardised(np.array([1.0, -3.0]), np.array([0.1, 2.0])),
        AsinhCodec(np.array([1.0, -3.0]), np.array([0.1, 2.0])),
        MuLawCodec(),
    ],
)
def test_as_many_are_outside_as_encoding_counts(codec):
    values = np.random.default_rng(0).normal(scale=200, size=(5000, 2)).astype(np.float32)
    assert codec.outside(values).sum() == codec.encode(values)[1] > 0
