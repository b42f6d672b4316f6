"""A viewer of `gato play` without a browser."""

from __future__ import annotations

import json
import struct
import time

import numpy as np
from playing import Played
from waiting import SOON
from websockets.sync.client import ClientConnection, connect

from gato.play.room import Room


def tick(room: Room) -> None:
    """A control step of everybody in it."""
    agent, rows, observations_BO = room.asks()
    room.step(agent.act(rows, observations_BO))


class Viewer:
    """A page without a browser."""

    def __init__(self, place: Played, **options: object) -> None:
        self.socket: ClientConnection = connect(
            place.live, compression=None, proxy=None, max_size=None, legacy=True, **options
        )

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, wish: object) -> None:
        self.socket.send(wish if isinstance(wish, str | bytes) else json.dumps(wish))

    def event(self, kind: str) -> dict:
        """The next of that kind."""
        end = time.monotonic() + SOON
        while time.monotonic() < end:
            item = self.socket.recv(timeout=SOON)
            if isinstance(item, str) and (told := json.loads(item))["event"] == kind:
                return told
        raise AssertionError(f"no {kind} came")

    def frame(self) -> tuple[float, int, np.ndarray]:
        """The next one: its time, its moments, all its numbers."""
        while isinstance(item := self.socket.recv(timeout=SOON), str):
            pass
        moment, count, _ = struct.unpack_from("<3d", item)
        return moment, int(count), np.frombuffer(item, "<f4", offset=24)
