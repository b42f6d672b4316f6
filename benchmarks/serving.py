"""A policy server in a thread of this process, for benchmarks and tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from gato.model.config import ModelConfig
from gato.model.gato import Body, Gato
from gato.serve.batcher import Batcher
from gato.serve.catalogue import Catalogue
from gato.serve.server import MOST_CONNECTIONS, PolicyServer
from gato.specs import BodySpec
from gato.tokens.codec import Codec

NARROW = -6.0
"""Logarithm of the scale of the actions' distributions: so narrow that a drawn one is the middle."""
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


def make_telling_model(config: ModelConfig, *specs: BodySpec) -> Gato:
    """Random weights in double precision whose actions tell histories apart: each step moves them, and they lie inside
    the box, where there are a thousand of them, not two at its ends."""
    codec = Codec()
    for spec in specs:
        codec.add_body(spec, np.zeros(len(spec.observation)), np.ones(len(spec.observation)))
    torch.manual_seed(0)
    model = Gato(config, codec)
    with torch.no_grad():
        for name, weight in model.trunk.named_parameters():
            weight.mul_(4 if "qkv" in name else 8 if name.endswith(("out.weight", "down.weight")) else 1)
        for body in model.bodies.values():
            assert isinstance(body, Body) and body.head.read is not None
            half = body.head.read.weight.new_tensor([0.5, 0.0]).repeat(len(body.head.read.weight) // 2)
            body.head.read.weight.mul_(half[:, None])  # means that stay small, scales that do not move
            body.head.read.bias.copy_((half == 0) * NARROW)
    return model.eval().double()


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
