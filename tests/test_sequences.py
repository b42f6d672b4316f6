"""Rows, positions and masks of three short episodes, every entry typed by hand."""

from dataclasses import replace

import numpy as np
import pytest
from making import ARM, CART, make_codec, make_windows

from gato.sequences import (
    Layout,
    build_rows,
    existing_positions,
    group_slices,
    rotary_positions,
    step_layout,
    visible,
)
from gato.specs import Rows, Windows

LAYOUT = Layout(prompt_positions=4, window_steps=3, demonstration_steps=2)


@pytest.fixture
def windows() -> Windows:
    """Three episodes: three steps and words; two steps, a command, a switch; one step, words, a show."""
    return Windows(
        body="cart",
        observations_BTO=np.float32([[[0, 1], [1, 0], [-1, 2]], [[2, 2], [1, 1], [0, 0]], [[-9, 9], [0, 0], [0, 0]]]),
        actions_BTA=np.float32([[[1], [-1], [0]], [[0.5], [0], [0]], [[-0.5], [0], [0]]]),
        targets_BTA=np.float32([[[0.5], [0], [1]], [[-1], [1], [0]], [[0], [0], [0]]]),
        step_mask_BT=np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0]], bool),
        loss_mask_BT=np.array([[1, 1, 1], [0, 1, 0], [1, 0, 0]], bool),
        prompts=("Run forward!", "", "run backward"),
        command_BC=np.float32([[np.nan] * 3, [1, np.nan, 0], [np.nan] * 3]),
        demonstration_BNO=np.float32([[[0, 0], [0, 0]], [[0, 0], [0, 0]], [[1, -1], [2, -2]]]),
        demonstration_BNA=np.float32([[[0], [0]], [[0], [0]], [[1], [-1]]]),
        demonstration_mask_BN=np.array([[0, 0], [0, 0], [1, 1]], bool),
        returns_BT=np.full((3, 3), np.nan, np.float32),
    )


@pytest.fixture
def rows(windows: Windows) -> Rows:
    return build_rows(make_codec(), windows, LAYOUT)


def drawn(mask: np.ndarray) -> list[str]:
    return ["".join("x" if entry else "." for entry in line) for line in mask]


def test_text_is_padded_with_minus_one(rows):
    assert rows.text_BP.tolist() == [[466, 316, -1, -1], [-1, -1, -1, -1], [466, 359, -1, -1]]


def test_command_ids_are_absent_where_nan(rows):
    assert rows.command_BC.tolist() == [[-1, -1, -1], [4840, -1, 4608], [-1, -1, -1]]


def test_step_ids_typed_by_hand(rows):
    assert rows.observation_BTO.tolist() == [
        [[4608, 4720], [4720, 4608], [4495, 4792]],
        [[4792, 4792], [4720, 4720], [4608, 4608]],
        [[4237, 4978], [4608, 4608], [4608, 4608]],
    ]
    assert rows.action_BTA[..., 0].tolist() == [[5119, 4096, 4608], [4864, 4608, 4608], [4352, 4608, 4608]]


def test_targets_are_the_intended_actions_of_the_same_step_the_last_included(rows):
    """NEKO drops the last transition; LAS1520 predicts an action from that same token."""
    assert rows.target_BTA[..., 0].tolist() == [[4864, 4608, 5119], [4096, 5119, 4608], [4608, 4608, 4608]]


def test_demonstration_ids_typed_by_hand(rows):
    assert rows.demonstration_BNO[2].tolist() == [[4720, 4495], [4792, 4423]]
    assert rows.demonstration_BNA[2].tolist() == [[5119], [4096]]
    assert rows.demonstration_mask_BN.tolist() == [[False, False], [False, False], [True, True]]


def test_loss_counts_only_after_the_newest_switch_and_never_on_a_pad(rows):
    assert drawn(rows.loss_mask_BT) == ["xxx", ".x.", "x.."]
    assert drawn(rows.step_mask_BT) == ["xxx", "xx.", "x.."]


def test_existing_positions_of_three_episodes(rows):
    """Text 4, command 1, demonstration 2 steps of 2, window 3 steps of 2."""
    assert drawn(existing_positions(rows, LAYOUT, CART)) == [
        "xx.." "." "...." "xxxxxx",
        "...." "x" "...." "xxxx..",
        "xx.." "." "xxxx" "xx....",
    ]  # fmt: skip


def test_every_region_has_its_own_rotary_range(rows):
    assert rotary_positions(rows, LAYOUT, CART).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]


def test_what_each_position_of_three_episodes_may_see(rows):
    """Octo shipped a wrong mask. Line = query, column = key; a missing query is never read and sees itself as well."""
    seen = visible(existing_positions(rows, LAYOUT, CART))
    assert drawn(seen[0]) == [
        "x..............",
        "xx.............",
        "xxx............",
        "xx.x...........",
        "xx..x..........",
        "xx...x.........",
        "xx....x........",
        "xx.....x.......",
        "xx......x......",
        "xx.......x.....",
        "xx.......xx....",
        "xx.......xxx...",
        "xx.......xxxx..",
        "xx.......xxxxx.",
        "xx.......xxxxxx",
    ]
    assert drawn(seen[1]) == [
        "x..............",
        ".x.............",
        "..x............",
        "...x...........",
        "....x..........",
        "....xx.........",
        "....x.x........",
        "....x..x.......",
        "....x...x......",
        "....x....x.....",
        "....x....xx....",
        "....x....xxx...",
        "....x....xxxx..",
        "....x....xxxxx.",
        "....x....xxxx.x",
    ]
    assert drawn(seen[2]) == [
        "x..............",
        "xx.............",
        "xxx............",
        "xx.x...........",
        "xx..x..........",
        "xx...x.........",
        "xx...xx........",
        "xx...xxx.......",
        "xx...xxxx......",
        "xx...xxxxx.....",
        "xx...xxxxxx....",
        "xx...xxxxxxx...",
        "xx...xxxxxx.x..",
        "xx...xxxxxx..x.",
        "xx...xxxxxx...x",
    ]


def test_regions_nobody_uses_have_no_columns_and_shift_no_step(windows):
    """NEKO's position ids moved with the padding."""
    plain = replace(
        windows,
        command_BC=np.full((3, 3), np.nan, np.float32),
        demonstration_mask_BN=np.zeros((3, 2), bool),
    )
    rows = build_rows(make_codec(), plain, LAYOUT)
    assert rows.command_BC.shape == (3, 0)
    assert rows.demonstration_BNO.shape == (3, 0, 2)
    assert rotary_positions(rows, LAYOUT, CART).tolist() == [0, 1, 2, 3, 9, 10, 11, 12, 13, 14]
    assert drawn(existing_positions(rows, LAYOUT, CART)) == ["xx..xxxxxx", "....xxxx..", "xx..xx...."]


def test_a_row_is_the_same_beside_other_rows(windows, rows):
    for row in range(3):
        one = replace(
            windows,
            **{name: value[row : row + 1] for name, value in vars(windows).items() if name != "body"},
        )
        alone = build_rows(make_codec(), one, LAYOUT)
        for name in ("text_BP", "observation_BTO", "action_BTA", "target_BTA"):
            assert getattr(alone, name).tolist() == getattr(rows, name)[row : row + 1].tolist()


def test_long_prompts_are_cut(windows):
    words = "hop forwards please now quickly"
    rows = build_rows(make_codec(), replace(windows, prompts=(words, words, "")), LAYOUT)
    assert rows.text_BP.tolist() == [[481, 461, 357, 358], [481, 461, 357, 358], [-1, -1, -1, -1]]


def test_pads_may_hold_what_no_space_allows(windows):
    """A pad is outside the box: no error, since it is no action."""
    actions = windows.actions_BTA.copy()
    actions[2, 2] = 7.0
    assert build_rows(make_codec(), replace(windows, actions_BTA=actions), LAYOUT).action_BTA.shape == (3, 3, 1)
    actions[2, 0] = 7.0
    with pytest.raises(ValueError, match="'push' is 7"):
        build_rows(make_codec(), replace(windows, actions_BTA=actions), LAYOUT)


def test_windows_longer_than_the_layout_are_refused():
    with pytest.raises(ValueError, match="hold 4 steps and 0 demonstration steps; the layout has room for 3 and 2"):
        build_rows(make_codec(), make_windows(CART, 1, 4), LAYOUT)
    with pytest.raises(ValueError, match="hold 3 steps and 3 demonstration steps"):
        build_rows(make_codec(), make_windows(CART, 1, 3, shown=3), LAYOUT)


@pytest.mark.parametrize(
    ("group_size", "slices"),
    [
        (0, [(0, 2), (2, 7)]),
        (1, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7)]),
        (4, [(0, 2), (2, 6), (6, 7)]),
    ],
)
def test_groups_hold_one_kind_each(group_size, slices):
    kinds = ["discrete"] * 2 + ["continuous"] * 5
    assert [(one.start, one.stop) for one in group_slices(kinds, group_size)] == slices


def test_groups_of_one_kind_only():
    assert group_slices(["continuous"] * 3, 0) == [slice(0, 3)]
    assert group_slices(["discrete"] * 3, 2) == [slice(0, 2), slice(2, 3)]


@pytest.mark.parametrize(
    ("layout", "positions", "readout"),
    [
        (Layout(), 4, 1),
        (Layout(separator=True), 5, 2),
        (Layout(group_size=1), 8, 3),
        (Layout(group_size=1, separator=True), 9, 4),
        (Layout(group_size=2), 5, 2),
    ],
)
def test_positions_of_a_step(layout, positions, readout):
    """Arm: one discrete and three continuous observations, two discrete and two continuous actions."""
    steps = step_layout(layout, ARM)
    assert (steps.positions, steps.readout) == (positions, readout)


def test_impossible_layouts_are_refused():
    with pytest.raises(ValueError, match="{'prompt_positions': 0, 'window_steps': 1}"):
        Layout(prompt_positions=0, window_steps=1)
