"""The door of both servers: whoever does nothing there is hung up on, and keeps nobody out."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest
from waiting import SOON
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection

from gato.serve.listening import listening, until_gone

LOCAL = "127.0.0.1"
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
PING = b"\x89\xfd" + bytes(4) + b"p" * 125
"""The largest, from a client, whose mask changes nothing."""


async def echo(connection: ServerConnection) -> None:
    connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with until_gone(connection):
        async for data in connection:
            await connection.send(data)


async def refuse(connection: ServerConnection) -> None:
    """At once, and to its handler's mind the connection is over."""
    with until_gone(connection):
        return


def soon(doing: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(doing, SOON))


async def ends(reader: asyncio.StreamReader) -> None:
    """Once the server has hung up."""
    with suppress(ConnectionError):
        while await reader.read(1 << 16):
            pass


async def is_echoed(connection: Any) -> bool:
    await connection.send("here")
    return await connection.recv() == "here"


def test_who_asks_for_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sent headers byte by byte had the time in which a large file is fetched."""
    monkeypatch.setattr("gato.serve.listening.PATIENCE", 0.3)

    async def drip(writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)

    async def do_nothing() -> None:
        async with listening(echo, LOCAL, 0, open_timeout=3 * SOON) as port:
            for said in (b"", b"GET / HT", b"\0\xff" * 500, REQUEST[:-2] + b"More: "):
                reader, writer = await asyncio.open_connection(LOCAL, port)
                writer.write(said)
                dripping = asyncio.create_task(drip(writer))
                await ends(reader)
                dripping.cancel()

    soon(do_nothing())


def test_where_too_many_wait_the_next_is_served_and_the_first_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """There was room for as many as the process may have files."""
    monkeypatch.setattr("gato.serve.listening.PATIENCE", 2 * SOON)
    monkeypatch.setattr("gato.serve.listening.MOST_WAITING", 3)

    async def crowd() -> None:
        async with listening(echo, LOCAL, 0) as port, connect(f"ws://{LOCAL}:{port}", proxy=None) as early:
            assert await is_echoed(early)
            idle = [await asyncio.open_connection(LOCAL, port) for _ in range(3)]
            async with connect(f"ws://{LOCAL}:{port}", proxy=None) as late:
                assert await is_echoed(late)
                await ends(idle[0][0])
                assert await is_echoed(early) and await is_echoed(late)
            for reader, writer in idle[1:]:
                assert not reader.at_eof()
                writer.write(REQUEST)
                assert b"101" in await reader.readline()
                writer.transport.abort()

    soon(crowd())


def test_who_lost_its_place_and_does_not_go_waits_like_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gato.serve.listening.PATIENCE", 2 * SOON)
    monkeypatch.setattr("gato.serve.listening.MOST_WAITING", 3)

    async def stay() -> None:
        async with listening(refuse, LOCAL, 0) as port:
            stayed = []
            for _ in range(5):
                reader, writer = await asyncio.open_connection(LOCAL, port)
                writer.write(REQUEST)
                assert b"101" in await reader.readline()
                stayed.append((reader, writer))
            for reader, _ in stayed[:2]:
                await ends(reader)
            for _, writer in stayed:
                writer.transport.abort()

    soon(stay())


def test_who_floods_with_pings_and_reads_no_answers_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """websockets wrote the answers into memory for as long as there was some: nothing was sent that waited for room."""
    monkeypatch.setattr("gato.serve.listening.PATIENCE", 0.3)

    async def flood() -> None:
        async with listening(echo, LOCAL, 0) as port:
            narrow = socket.socket()
            narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            narrow.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(narrow, (LOCAL, port))
            await loop.sock_sendall(narrow, REQUEST)
            with pytest.raises(ConnectionError):
                while True:
                    await loop.sock_sendall(narrow, 20 * PING)
                    await asyncio.sleep(0.001)
            narrow.close()

    soon(flood())
