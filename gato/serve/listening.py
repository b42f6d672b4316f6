"""How a server of Gato listens: its address, its token, and its patience with who is slow, or silent.

In: a host, a port, what to do with a connection. Out: a port that listens, one line of error where it cannot.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as open_server
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

PATIENCE = 5.0
"""Seconds for a client to ask for something, to close a connection, and to read once all buffers are full."""
MOST_WAITING = 100
"""Connections without a place; a browser opens some seven for the page. Beyond, the oldest is hung up on."""
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


class Caller(ServerConnection):
    """Somebody who came. Whoever asks for nothing, does not read, or has waited longest for a place where too many do,
    is hung up on."""

    def __init__(self, *given: Any, callers: dict[Caller, None], open_timeout: float, **settings: Any) -> None:
        """`callers`: all who are there, in the order in which they came."""
        super().__init__(*given, **settings)
        self.has_place = False
        self._callers, self._open_timeout = callers, open_timeout
        self._timers: list[asyncio.TimerHandle] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._timers.append(self.loop.call_later(PATIENCE, self._expect_request))
        self._callers[self] = None
        waiting = [one for one in self._callers if not one.has_place]
        for one in waiting[:-MOST_WAITING]:
            del self._callers[one]
            one.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._callers.pop(self, None)
        for timer in self._timers:
            timer.cancel()

    def pause_writing(self) -> None:
        """All buffers are full. websockets waits for room in them without end, its pings and closing too, and answers
        pings into them."""
        super().pause_writing()
        seconds = self._open_timeout if self.state is State.CONNECTING else PATIENCE
        self._timers.append(self.loop.call_later(seconds, self.transport.abort))

    def resume_writing(self) -> None:
        super().resume_writing()
        self._timers.pop().cancel()

    def _expect_request(self) -> None:
        if self.request is None:
            self.transport.abort()


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
    caller: Any = partial(Caller, callers={}, open_timeout=open_timeout)
    try:
        opened = await open_server(
            handle,
            host,
            port,
            compression=None,
            open_timeout=open_timeout,
            close_timeout=PATIENCE,
            create_connection=caller,
            logger=wire_log,
            **settings,
        )
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"cannot listen at {host}:{port} ({reason}); choose another --port or --host") from error
    async with opened:
        yield next(iter(opened.sockets)).getsockname()[1]


@contextmanager
def until_gone(connection: ServerConnection) -> Iterator[None]:
    """It has a place meanwhile: to go without a word, or to be hung up on, ends that and is no fault; all else is
    logged."""
    assert isinstance(connection, Caller)
    connection.has_place = True
    try:
        yield
    except ConnectionClosed:
        pass
    except Exception:
        log.exception("a connection failed")
        raise
    finally:
        connection.has_place = False


async def until_stopped(opened: AbstractAsyncContextManager[int], begun: Callable[[int], None]) -> None:
    """Listens until Ctrl-C or SIGTERM; `begun` is told the port."""
    stop = asyncio.Event()
    async with opened as port:
        for one in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(one) is not signal.SIG_IGN:  # as a shell leaves it in the background
                asyncio.get_running_loop().add_signal_handler(one, stop.set)
        begun(port)
        await stop.wait()
