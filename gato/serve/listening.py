"""How a server of Gato listens: its address, its token, and its patience with who is slow.

In: a host, a port, what to do with a connection. Out: a port that listens, one line of error where it cannot.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as open_server
from websockets.exceptions import ConnectionClosed

PATIENCE = 5.0
"""Seconds for a client to open or to close a connection, and to read what is sent once all buffers are full."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""What stands for all addresses of this machine -> one at which it can be reached."""

log = logging.getLogger(__name__)
wire_log = logging.getLogger(f"{__name__}.wire")
wire_log.setLevel(logging.CRITICAL)  # websockets tells a traceback of every port scan


def check_door(host: str, token: str, harm: str) -> None:
    """Warns where others may do that `harm`; ValueError for a token that no header can carry."""
    if not token.isascii() or token != token.strip():
        raise ValueError("the token travels in an HTTP header: ASCII letters only, and no spaces around it")
    if host not in LOOPBACK and not token:
        log.warning("whoever reaches %s may %s; --token keeps others out", host, harm)


def is_token(brought: str, token: str) -> bool:
    """Whether that is the token, in a time that tells nothing of it; where there is none, anything is."""
    return not token or hmac.compare_digest(brought.encode(errors="replace"), token.encode())


def address(scheme: str, host: str, port: int) -> str:
    """Where somebody on this machine finds a server that listens at that host."""
    found = ANY.get(host, host)
    return f"{scheme}://{f'[{found}]' if ':' in found else found}:{port}"


@asynccontextmanager
async def listening(
    handle: Callable[[ServerConnection], Awaitable[None]],
    host: str,
    port: int,
    *,
    open_timeout: float = PATIENCE,
    **settings: Any,
) -> AsyncIterator[int]:
    """Serve meanwhile; the port, where 0 is any free one. ValueError where it cannot be had. `open_timeout`: s for a
    client to open a connection, or to fetch a file. `settings` are those of websockets."""
    try:
        opened = await open_server(
            handle,
            host,
            port,
            compression=None,
            open_timeout=open_timeout,
            close_timeout=PATIENCE,
            logger=wire_log,
            **settings,
        )
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"cannot listen at {host}:{port} ({reason}); choose another --port or --host") from error
    async with opened:
        yield next(iter(opened.sockets)).getsockname()[1]


@contextmanager
def until_gone() -> Iterator[None]:
    """A connection's life: to go without a word, or to be hung up on, ends it and is no fault; all else is logged."""
    try:
        yield
    except ConnectionClosed:
        pass
    except Exception:
        log.exception("a connection failed")
        raise


async def send(connection: ServerConnection, data: bytes | str) -> None:
    """Hangs up on who does not read: websockets waits for room in its buffer without end, its pings and closing too."""
    try:
        async with asyncio.timeout(PATIENCE):
            await connection.send(data)
    except TimeoutError:
        connection.transport.abort()


async def until_stopped(opened: AbstractAsyncContextManager[int], begun: Callable[[int], None]) -> None:
    """Listens until Ctrl-C or SIGTERM; `begun` is told the port."""
    stop = asyncio.Event()
    async with opened as port:
        for one in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(one) is not signal.SIG_IGN:  # as a shell leaves it in the background
                asyncio.get_running_loop().add_signal_handler(one, stop.set)
        begun(port)
        await stop.wait()
