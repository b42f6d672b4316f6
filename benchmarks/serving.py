"""A policy server in a thread of this process, for benchmarks and tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

from gato.model.gato import Gato
from gato.serve.batcher import Batcher
from gato.serve.catalogue import Catalogue
from gato.serve.server import MOST_CONNECTIONS, PolicyServer

STARTED = 60.0
"""Seconds in which it listens, on a busy machine."""


@dataclass(frozen=True)
class Served:
    """It listens."""

    port: int
    server: PolicyServer
    batcher: Batcher

    @property
    def address(self) -> str:
        """For clients."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def is_empty(self) -> bool:
        """Whether nobody is connected, and no row is taken."""
        return self.server.num_open == 0 and self.batcher.num_sessions() == 0


@contextmanager
def served(
    model: Gato,
    taught: Sequence[str] = (),
    *,
    token: str = "",
    most: int = MOST_CONNECTIONS,
    kind: type[Batcher] = Batcher,
) -> Iterator[Served]:
    """At a free port of this machine, as `gato serve` does it."""
    catalogue = Catalogue(model, taught)
    ready: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def listen(server: PolicyServer) -> None:
        stop = asyncio.Event()
        async with server.listen("127.0.0.1", 0) as port:
            ready.set_result((port, asyncio.get_running_loop(), stop))
            await stop.wait()

    with kind(model, catalogue, most) as batcher:
        server = PolicyServer(batcher, catalogue.metadata(), token=token, most=most)
        thread = threading.Thread(target=lambda: asyncio.run(listen(server)))
        thread.start()
        port, loop, stop = ready.result(STARTED)
        try:
            yield Served(port, server, batcher)
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
