"""Spaces become flat vectors, and actions find their way back."""

import numpy as np
import pytest
from gymnasium import spaces

from gato.skills.spaces import body_spec, flatten_actions, flatten_observations, unflatten_action
from gato.specs import Element

BOX = spaces.Box(-1.0, 2.0, (2,), np.float32)
MIXED = spaces.Dict({"b": BOX, "a": spaces.Box(0, 1, (1,), np.float64), "c": spaces.Discrete(3, start=1)})


def test_a_dict_is_flattened_by_key_discrete_first() -> None:
    spec = body_spec("x", MIXED, spaces.MultiDiscrete([2, 4]))
    assert spec.observation == (
        Element("c", "discrete", 1.0, 3.0),
        Element("a[0]", "continuous", 0.0, 1.0),
        Element("b[0]", "continuous", -1.0, 2.0),
        Element("b[1]", "continuous", -1.0, 2.0),
    )
    assert spec.action == (Element("action[0]", "discrete", 0.0, 1.0), Element("action[1]", "discrete", 0.0, 3.0))
    values = {"b": np.array([[5.0, 6.0], [7.0, 8.0]]), "a": np.array([[4.0], [3.0]]), "c": np.array([2, 1])}
    assert flatten_observations(MIXED, values).tolist() == [[2.0, 4.0, 5.0, 6.0], [1.0, 3.0, 7.0, 8.0]]


def test_nested_keys_are_joined() -> None:
    space = spaces.Dict({"arm": spaces.Dict({"hand": BOX})})
    assert [one.name for one in body_spec("x", space, BOX).observation] == ["arm/hand[0]", "arm/hand[1]"]


@pytest.mark.parametrize(
    "space",
    [
        BOX,
        MIXED,
        spaces.Discrete(5),
        spaces.MultiDiscrete([3, 2]),
        spaces.MultiBinary(3),
        spaces.Box(0, 9, (2, 2), int),
    ],
    ids=str,
)
def test_flattening_an_action_can_be_undone(space: spaces.Space) -> None:
    space.seed(0)
    for _ in range(20):
        action = space.sample()
        again = unflatten_action(space, flatten_actions(space, action))
        assert space.contains(again)
        if isinstance(space, spaces.Dict):
            assert {key: np.asarray(value).tolist() for key, value in again.items()} == {
                key: np.asarray(value).tolist() for key, value in action.items()
            }
        else:
            assert np.array_equal(again, action)


def test_a_plain_box_keeps_its_dtype_and_leading_dimensions() -> None:
    flat = flatten_observations(spaces.Box(0, 1, (2, 2), np.float32), np.zeros((3, 7, 2, 2), np.float32))
    assert flat.shape == (3, 7, 4)
    assert flat.dtype == np.float32


def test_what_is_no_vector_of_numbers_is_named() -> None:
    with pytest.raises(ValueError, match="mission is Text"):
        body_spec("x", spaces.Dict({"mission": spaces.Text(5)}), BOX)
    with pytest.raises(ValueError, match="a picture of shape"):
        body_spec("x", spaces.Box(0, 255, (8, 8, 3), np.uint8), BOX)
    with pytest.raises(ValueError, match="lacks b"):
        flatten_observations(MIXED, {"a": np.zeros(1), "c": 1})
    with pytest.raises(ValueError, match="do not end in"):
        flatten_observations(BOX, np.zeros((4, 3)))
    with pytest.raises(ValueError, match="takes 2"):
        unflatten_action(BOX, np.zeros(3))
