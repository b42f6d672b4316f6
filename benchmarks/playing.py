"""`gato play` in threads of this process, for benchmarks and tests."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

from gato.model.gato import Gato
from gato.play.server import MOST_SESSIONS, PlayServer, offered
from gato.play.steering import Pilot
from gato.play.words import Interpreter
from gato.play.world import World
from gato.serve.catalogue import Catalogue

STARTED = 60.0
"""Seconds in which it listens, on a busy machine."""


@dataclass(frozen=True)
class Played:
    """It listens."""

    port: int
    server: PlayServer
    world: World
    loop: asyncio.AbstractEventLoop

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def live(self) -> str:
        """Of the websocket."""
        return f"ws://127.0.0.1:{self.port}/live"

    @property
    def is_empty(self) -> bool:
        """Whether nobody is connected, and nothing is simulated."""
        return self.server.num_open == 0 and self.world.num_sessions() == 0

    def streaming(self) -> float:
        """CPU seconds of the thread that sends, so far."""
        told: Future[float] = Future()
        self.loop.call_soon_threadsafe(lambda: told.set_result(time.thread_time()))
        return told.result(STARTED)


@contextmanager
def played(
    model: Gato,
    taught: Sequence[str] = (),
    *,
    body: str = "",
    token: str = "",
    hear: Callable[[str, str], str | None] | None = None,
    pilot: Pilot | None = None,
) -> Iterator[Played]:
    """At a free port of this machine, as `gato play` does it."""
    catalogue = Catalogue(model, taught)
    bodies = offered(catalogue)
    ready: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def listen(server: PlayServer) -> None:
        stop = asyncio.Event()
        async with server.listen("127.0.0.1", 0) as port:
            ready.set_result((port, asyncio.get_running_loop(), stop))
            await stop.wait()

    with World(model, MOST_SESSIONS) as world:
        first = body or next(iter(bodies))
        interpreter = Interpreter(catalogue, hear)
        server = PlayServer(world, interpreter, bodies, model="tested", body=first, token=token, pilot=pilot)
        thread = threading.Thread(target=lambda: asyncio.run(listen(server)))
        thread.start()
        port, loop, stop = ready.result(STARTED)
        try:
            yield Played(port, server, world, loop)
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
