"""The client's side: messages as bytes and back, hostile ones refused, and nothing heavy loaded for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from gato.client import pack, unpack
from gato.serve.messages import read_message


def test_the_client_loads_nothing_of_the_rest() -> None:
    """A robot's computer needs numpy, websockets and msgpack only."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'gymnasium', 'lightning', 'tokenizers')));"
        "import gato.client;"
        "rooms = {name for name in sys.modules if name.startswith('gato.')} - {'gato.client'};"
        "assert not rooms, rooms"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent, check=True, timeout=60)


@pytest.mark.parametrize("code", ["<f4", ">f8", "<i2", "|u1", "|b1", "<f2"])
def test_arrays_come_back_as_they_were(code: str) -> None:
    given = np.arange(6).reshape(2, 3).astype(code)
    message = unpack(pack({"observation": given.T, "reset": True, "scale": np.float32(0.5)}))
    assert message["observation"].tolist() == given.T.tolist() and message["observation"].dtype == np.dtype(code)
    assert (message["reset"], message["scale"]) == (True, 0.5)


def test_the_bytes_are_those_of_openpis_clients() -> None:
    given = np.array([1.5, 2.5], np.float32)
    assert unpack(pack(given)).tolist() == [1.5, 2.5]
    assert msgpack.unpackb(pack(given)) == {
        b"__ndarray__": True,
        b"data": b"\x00\x00\xc0\x3f\x00\x00\x20\x40",
        b"dtype": "<f4",
        b"shape": [2],
    }


@pytest.mark.parametrize("value", [np.array(["a"]), np.array([{}]), np.array([1j]), {1, 2}, object(), np.complex64(1)])
def test_what_is_no_number_is_not_sent(value: Any) -> None:
    with pytest.raises(ValueError, match="cannot send a"):
        pack({"observation": value})


def array(**changed: Any) -> bytes:
    whole = {b"__ndarray__": True, b"data": b"\0" * 8, b"dtype": "<f4", b"shape": [2]}
    return msgpack.packb({"observation": {**whole, **{key.encode(): value for key, value in changed.items()}}})


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (array(dtype="|O"), "dtype '|O'"),
        (array(dtype="<f4,<f4"), "dtype '<f4,<f4'"),
        (array(dtype="<f1"), "no message"),
        (array(dtype=[["a", "<f4"]]), "dtype"),
        (array(dtype="|V8"), "dtype '|V8'"),
        (array(data="text"), "as bytes"),
        (array(shape=[3]), "do not agree"),
        (array(shape=[-1]), "do not agree"),
        (array(shape=[2**40, 2**40]), "do not agree"),
        (array(shape=[1] * 100 + [2]), "do not agree"),
        (array(shape=[2.0]), "do not agree"),
        (array(shape=[True, 2]), "do not agree"),
        (array(shape=2), "do not agree"),
        (b"", "no message"),
        (b"\xc1", "no message"),
        (b"\x81\xa1", "no message"),
        (b"\xdd\xff\xff\xff\xff", "no message"),
        (b"\x91" * 5000, "no message"),
        (b"\x81\x01\x02", "no message"),
        (b"\x81\x90\x02", "no message"),
        (msgpack.packb({"observation": [1.0]}) + b"\x01", "extra data"),
    ],
)
def test_hostile_bytes_are_refused_before_numpy_sees_them(data: bytes, told: str) -> None:
    with pytest.raises(ValueError) as error:
        unpack(data)
    assert told in str(error.value) and "send a msgpack map" in str(error.value)


def test_any_bytes_are_a_message_or_a_value_error() -> None:
    rng, good = np.random.default_rng(0), bytearray(pack({"observation": np.zeros(3), "prompt": "run", "reset": True}))
    outcomes = set()
    for _ in range(3000):
        data = good.copy()
        for place in rng.integers(len(data), size=int(rng.integers(1, 4))):
            data[place] = int(rng.integers(256))
        for one in (bytes(data), rng.bytes(int(rng.integers(40)))):
            try:
                read_message(one)
                outcomes.add("read")
            except ValueError as error:
                assert "\n" not in str(error)
                outcomes.add("refused")
    assert outcomes == {"read", "refused"}
