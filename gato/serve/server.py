"""A model as a policy server: websockets with msgpack messages, and /healthz.

In: a model. Out: for each connection first what the model can do, then an action for each observation. A connection has
one message in work at a time; while it is, TCP holds back what that client sends. Nobody waits for another's slowness.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AbstractAsyncContextManager, suppress
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

import gato
from gato.client import pack
from gato.runs import content_hash
from gato.serve.batcher import Batcher, Session
from gato.serve.catalogue import load_catalogue
from gato.serve.listening import address, check_door, is_token, listening, until_gone, until_stopped
from gato.serve.messages import MOST_BYTES, read_message

MOST_CONNECTIONS = 64
"""Each has a row in the agent of its body, with keys and values of its own."""
MOST_READ = 16 * MOST_BYTES
"""Bytes of a message that are read at all, so that one that is too large can be told so; beyond, it is hung up on."""

log = logging.getLogger(__name__)


class PolicyServer:
    """Serves the sessions of a batcher."""

    def __init__(self, batcher: Batcher, metadata: dict[str, Any], *, token: str = "", most: int) -> None:
        """`metadata`: what clients are told first. `token`: what they must bring; "" for nothing. `most`: connections
        at a time, the sessions of the batcher."""
        self._batcher, self._metadata, self._token, self._most = batcher, pack(metadata), token, most
        self.num_open = 0
        self.num_connections = 0
        self.num_actions = 0

    def listen(self, host: str, port: int) -> AbstractAsyncContextManager[int]:
        """Serve meanwhile; the port, where 0 is any free one. ValueError where it cannot be had."""
        return listening(
            self._serve,
            host,
            port,
            process_request=self._admit,
            origins=[None],  # else any web page in a browser on this machine could move the robot
            max_size=MOST_READ,
            max_queue=1,
        )

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path == "/healthz":
            return connection.respond(HTTPStatus.OK, "OK\n")
        headers = request.headers.get_all("Authorization")
        brought = headers[0].partition(" ")[2] if len(headers) == 1 else ""  # after Bearer, or openpi's Api-Key
        if not is_token(brought, self._token):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "wrong token or none; bring the one of --token\n")
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        if self.num_open >= self._most:
            with suppress(ConnectionClosed):
                await connection.send(pack({"error": f"all {self._most} connections are taken; try again later"}))
            await connection.close(CloseCode.TRY_AGAIN_LATER)
            return
        session = Session()
        self.num_open += 1
        self.num_connections += 1
        try:
            with until_gone(connection):
                await connection.send(self._metadata)
                async for data in connection:
                    await connection.send(pack(await self._reply(session, data)))
        finally:
            self.num_open -= 1
            self._batcher.leave(session)

    async def _reply(self, session: Session, data: bytes | str) -> dict[str, Any]:
        """An action or an error, with the time since the message was there, ms."""
        began, reply, timing = time.perf_counter(), dict[str, Any](), dict[str, float]()
        try:
            answer = await asyncio.wrap_future(self._batcher.ask(session, read_message(data)))
        except (ValueError, RuntimeError) as error:
            reply["error"] = " ".join(str(error).split())
        else:
            self.num_actions += 1
            reply = {"action": answer.action_A, "skill": answer.skill}
            timing = {"wait_ms": 1e3 * answer.waited, "infer_ms": 1e3 * answer.inferred, "rows": answer.rows}
        return {**reply, "server_timing": {**timing, "total_ms": 1e3 * (time.perf_counter() - began)}}


def serve_model(name: str, *, host: str, port: int, token: str) -> None:
    """Serve until Ctrl-C, which is a KeyboardInterrupt with a sentence, or SIGTERM, which is the same.

    `name` is what `find_model` takes. ValueError where there is no such model, or the port is taken.
    """
    check_door(host, token, "have the model act")
    place, model, catalogue = load_catalogue(name)
    about = {"model": name, "model_hash": content_hash(place), "version": gato.__version__, **catalogue.metadata()}
    with Batcher(model, catalogue, MOST_CONNECTIONS) as batcher:
        server = PolicyServer(batcher, about, token=token, most=MOST_CONNECTIONS)
        asyncio.run(
            until_stopped(
                server.listen(host, port),
                lambda bound: log.info("serving at %s; Ctrl-C stops", address("ws", host, bound)),
            )
        )
    raise KeyboardInterrupt(f"{server.num_connections} connections got {server.num_actions} actions")
