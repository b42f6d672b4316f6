"""A robot's or simulator's side of `gato serve`: `Client`, and the bytes that both sides send.

In: observations and words. Out: actions. Needs numpy, websockets and msgpack; nothing else of Gato is loaded.
A message is a msgpack map. An array in it is the map of openpi's `msgpack_numpy`: the binary keys `__ndarray__` (true),
`data` (its bytes, row by row), `dtype` (numpy's code, such as `<f4`) and `shape`.
"""

from __future__ import annotations

import math
import re
from contextlib import ExitStack
from typing import Any

import msgpack
import numpy as np
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

PROTOCOL = 1
"""Of the messages; who speaks another one would misread them."""
NUMBER = re.compile("[<>|][fiub][1248]")
"""Codes of the dtypes that are sent: floats, whole numbers and bools."""
MOST_DIMENSIONS = 8
SECONDS = 10.0
"""For which a client waits for the server, by default."""


class ServerError(ValueError):
    """What the server said, in one line, instead of doing what it was asked. Nothing has changed there; only where the
    server itself failed may the next message begin an episode, under the same words."""


class Client:
    """A connection for one body. Every reply stands in `reply`, with the server's timings in milliseconds."""

    def __init__(
        self,
        address: str = "ws://127.0.0.1:8000",
        *,
        body: str = "",
        prompt: str | None = None,
        token: str = "",
        timeout: float = SECONDS,
    ) -> None:
        """`body` may be left out where the model knows one only; `prompt` is for the first action, "" for no words.

        `timeout`: seconds to wait for a reply; then TimeoutError. Raises OSError where nobody listens, ServerError
        where the server refuses.
        """
        self._timeout = timeout
        self._body, self._prompt = body, prompt
        """Sent with every message, since a server that has failed remembers neither; said again they change nothing."""
        self.reply: dict[str, Any] = {}
        self._opened = ExitStack()
        headers = {"Authorization": f"Bearer {token}"} if token else None
        try:
            opened = connect(
                address,
                additional_headers=headers,
                compression=None,
                max_size=None,
                proxy=None,
                open_timeout=timeout,
            )
        except InvalidStatus as error:
            raise ServerError(f"{address}: {error.response.body.decode(errors='replace').strip()}") from error
        self._socket = self._opened.enter_context(opened)
        try:
            self.metadata: dict[str, Any] = self._received()
            """What the model can do: `bodies`, each with its spaces, statistics and skills."""
            if (spoken := self.metadata.get("protocol")) != PROTOCOL:
                raise ServerError(f"{address} speaks protocol {spoken}, and this is {PROTOCOL}; install its gato-agent")
        except Exception:  # also what no server of Gato would send
            self.close()
            raise

    def act(self, observation_O: Any, *, prompt: str | None = None, reset: bool = False) -> np.ndarray:
        """The action (A,) float32 for the newest observation (O,), both in the order that `metadata` tells.

        `prompt`: from now on it does that. `reset`: an episode begins; what was seen before is forgotten, the prompt is
        not. ServerError where the server refuses the message, or fails; the connection can be used all the same.
        """
        told = self._prompt if prompt is None else prompt
        message: dict[str, Any] = {"observation": np.asarray(observation_O), "body": self._body}
        message |= {"prompt": told} if told is not None else {}
        message |= {"reset": True} if reset else {}
        try:
            self._socket.send(pack(message))
        except ConnectionClosed as error:
            raise ConnectionError(f"the server has closed the connection ({error})") from error
        self.reply = self._received()
        self._prompt = told
        return self.reply["action"]

    def close(self) -> None:
        """The server forgets this connection."""
        self._opened.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _received(self) -> dict[str, Any]:
        try:
            reply = unpack(self._socket.recv(timeout=self._timeout))
        except ConnectionClosed as error:
            raise ConnectionError(f"the server has closed the connection ({error})") from error
        except TimeoutError as error:
            self.close()  # else its late reply would be taken for that to the next message
            raise TimeoutError(f"the server did not reply within {self._timeout:g} s; connect anew") from error
        if "error" in reply:
            raise ServerError(reply["error"])
        return reply


def pack(message: Any) -> bytes:
    """The bytes of a message of plain values and arrays of numbers. ValueError for anything else."""
    return msgpack.packb(message, default=_to_map)


def unpack(data: bytes | str) -> Any:
    """The message of these bytes. ValueError where they are none; nothing is ever run or unpickled."""
    if isinstance(data, str):
        raise ValueError("got text; send a msgpack map as a binary message")
    try:
        return msgpack.unpackb(data, object_hook=_to_array)
    except (ValueError, TypeError, OverflowError) as error:
        reason = str(error) or type(error).__name__
        raise ValueError(f"got {len(data)} bytes that are no message ({reason}); send a msgpack map") from error


def _to_map(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray) and NUMBER.fullmatch(value.dtype.str):
        return {b"__ndarray__": True, b"data": value.tobytes(), b"dtype": value.dtype.str, b"shape": value.shape}
    if isinstance(value, bool | int | float | str):
        return value
    what = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
    raise ValueError(f"cannot send {what}; allowed: arrays of numbers or bools, numbers, text")


def _to_array(given: dict[Any, Any]) -> Any:
    """The array that a map stands for; another map is itself. What it says is checked before numpy sees it."""
    if b"__ndarray__" not in given:
        return given
    data, code, shape = (given.get(key) for key in (b"data", b"dtype", b"shape"))
    if not (isinstance(code, str) and NUMBER.fullmatch(code) and isinstance(data, bytes)):
        raise ValueError(f"array of dtype {str(code)[:20]!r}; allowed: floats, whole numbers and bools, as bytes")
    sizes = shape if isinstance(shape, list) and len(shape) <= MOST_DIMENSIONS else [-1]
    dtype = np.dtype(code)
    if any(type(size) is not int or size < 0 for size in sizes) or math.prod(sizes) * dtype.itemsize != len(data):
        raise ValueError(f"array of {len(data)} bytes, dtype {code} and shape {str(shape)[:60]}: these do not agree")
    return np.frombuffer(data, dtype).reshape(sizes)
