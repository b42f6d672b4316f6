"""`gato play`: a page in the browser, and over a websocket a simulation of its own for every viewer.

In: a model. Out: at / the page, at /live events as JSON and frames as bytes, as docs/play.md has them. A connection has
one wish in work at a time; while it is, TCP holds back what that viewer sends. Nobody waits for another's slowness.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import webbrowser
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import torch
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.protocol import State

import gato
from gato.play.messages import MOST_BYTES, Wish, read_wish
from gato.play.session import Session
from gato.play.steering import Pilot
from gato.play.words import Interpreter, sayable
from gato.play.world import World
from gato.serve import listening
from gato.serve.catalogue import Catalogue, load_catalogue
from gato.serve.listening import LOOPBACK, address, check_door, is_token, until_gone, until_stopped
from gato.skills.bodies import BODIES
from gato.skills.table import get_skill
from gato.specs import near_match

MOST_SESSIONS = 8
"""What two cores simulate in real time."""
MOST_READ = 8 * MOST_BYTES
"""Bytes of a message that are read at all, so that one that is too large can be told so; beyond, it is hung up on."""
BREATH = 0.02
"""s between two wishes of a viewer: whoever sends them without end takes no more of the others' time than that."""
ASKED = 0.25
"""s between two words for a planner: each is a question at once."""
MOST_FRAMES = 32
"""That wait for a viewer who reads slowly; beyond, the oldest are left out."""
MOST_EVENTS = 512
"""Likewise; beyond, since none of them may be left out, the viewer is hung up on."""
MOST_UNSENT = 1 << 16
"""Bytes on their way beyond those: what waits there cannot be left out any more, and answers wait behind it."""
FETCHED = 30.0
"""s for the largest file of the page, 380 kB, to come over."""
PAGE = Path(__file__).parent / "page"
KINDS = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".LICENSE": "text/plain"}
SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

log = logging.getLogger(__name__)


class Waiting:
    """What is on its way to one viewer."""

    def __init__(self) -> None:
        self._items: deque[dict[str, object] | bytes] = deque()
        self._num_events = self._num_frames = 0
        """Of the items; an event counts until it has been sent."""
        self._is_there, self._is_sent = asyncio.Event(), asyncio.Event()
        self._is_sent.set()
        self._is_over = False
        self._loop = asyncio.get_running_loop()

    def put(self, item: dict[str, object] | bytes) -> None:
        """From any thread. Where many frames wait, the oldest is left out."""
        with suppress(RuntimeError):  # the loop is closed: the server has stopped
            self._loop.call_soon_threadsafe(self._put, item)

    def _put(self, item: dict[str, object] | bytes) -> None:
        if self._is_over:
            return
        if isinstance(item, dict):
            self._num_events += 1
            self._is_sent.clear()
            self._is_over = self._num_events > MOST_EVENTS
        elif self._num_frames < MOST_FRAMES:
            self._num_frames += 1
        else:
            self._items.remove(next(one for one in self._items if isinstance(one, bytes)))
        self._items.append(item)
        self._is_there.set()

    async def sent(self) -> None:
        """Until all events that waited have been sent, or nothing can be any more. Frames may wait without end."""
        await self._is_sent.wait()

    async def send_on(self, connection: ServerConnection) -> None:
        """Sends all that comes, until the connection is closed."""
        try:
            while not self._is_over:
                await self._is_there.wait()
                while self._items and not self._is_over:
                    await self._send(connection, self._items.popleft())
                self._is_there.clear()
            await connection.close(CloseCode.POLICY_VIOLATION, f"too slow: {MOST_EVENTS} events wait unread")
        except ConnectionClosed:
            pass  # gone, or hung up on
        finally:
            self._is_over = True
            self._is_sent.set()

    async def _send(self, connection: ServerConnection, item: dict[str, object] | bytes) -> None:
        if isinstance(item, bytes):
            self._num_frames -= 1
            await connection.send(item)
            return
        await connection.send(json.dumps(item))
        self._num_events -= 1
        if not self._num_events:
            self._is_sent.set()


class PlayServer:
    """Shows a world to viewers."""

    def __init__(
        self,
        world: World,
        interpreter: Interpreter,
        bodies: dict[str, dict[str, str]],
        *,
        model: str,
        body: str,
        token: str,
        pilot: Pilot | None = None,
    ) -> None:
        """`bodies`: name -> skills that it is offered, id -> words. `body`: the one that viewers meet first. `token`:
        what they must bring; "" for nothing. `pilot`: who may be asked to steer."""
        self._world, self._interpreter, self._bodies, self._pilot = world, interpreter, bodies, pilot
        self._about: dict[str, object] = {
            "event": "hello",
            "model": model,
            "version": gato.__version__,
            "bodies": bodies,
            "has_planner": pilot is not None,
        }
        self._body, self._token, self._host = body, token, LOOPBACK[0]
        self._files = {f"/{path.name}": path for path in PAGE.iterdir()} | {"/": PAGE / "index.html"}
        self.num_open = 0
        self.num_viewers = 0

    def listen(self, host: str, port: int) -> AbstractAsyncContextManager[int]:
        """Serve meanwhile; the port, where 0 is any free one. ValueError where it cannot be had."""
        self._host = host.lower()  # as browsers tell it
        return listening.listening(
            self._serve,
            host,
            port,
            open_timeout=FETCHED,
            process_request=self._admit,
            max_size=MOST_READ,
            max_queue=4,
        )

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Pages of other places must not drive it: neither by a websocket of their own, nor under a name of theirs that
        they have made to lead here."""
        path, hosts, origins = request.path.partition("?")[0], _told(request, "Host"), _told(request, "Origin")
        if path == "/healthz":
            return connection.respond(HTTPStatus.OK, "OK\n")
        if len(hosts) != 1 or not (self._token or self._is_known(_name(hosts[0]))):
            told = f"this is {' or '.join(LOOPBACK)}" if self._host in LOOPBACK else "come by this machine's address"
            return connection.respond(HTTPStatus.FORBIDDEN, f"{told}, under no other name\n")
        if path == "/live":
            if any(origin.partition("://")[2] != hosts[0] for origin in origins):
                return connection.respond(HTTPStatus.FORBIDDEN, "only this server's own page may drive it\n")
            return None
        if path in self._files:
            return _file(self._files[path])
        return connection.respond(HTTPStatus.NOT_FOUND, "nothing is here; the page is at /\n")

    def _is_known(self, name: str | None) -> bool:
        """Whether a page under that name is ours: any other's name can be made to lead here, an address cannot."""
        return name in (*LOOPBACK, self._host) or (self._host not in LOOPBACK and _is_address(name))

    async def _serve(self, connection: ServerConnection) -> None:
        told, code = "", CloseCode.NORMAL_CLOSURE
        with suppress(ConnectionClosed):
            if not await self._is_welcome(connection):
                told, code = "wrong token or none; bring the one of --token", CloseCode.POLICY_VIOLATION
            elif self.num_open >= MOST_SESSIONS:
                told, code = f"all {MOST_SESSIONS} sessions are taken; try again later", CloseCode.TRY_AGAIN_LATER
            else:
                await self._play(connection)
            if told:
                is_token_wrong = code == CloseCode.POLICY_VIOLATION
                refused = {"event": "refused", "error": told, "is_token_wrong": is_token_wrong}
                await connection.send(json.dumps(refused))
        await connection.close(code)

    async def _is_welcome(self, connection: ServerConnection) -> bool:
        """Whether the first message brings the token, where there is one."""
        if not self._token:
            return True
        try:
            async with asyncio.timeout(listening.PATIENCE):
                wish = read_wish(await connection.recv())
        except (TimeoutError, ValueError):
            return False
        return wish.kind == "token" and is_token(wish.text, self._token)

    async def _play(self, connection: ServerConnection) -> None:
        connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST_UNSENT)
        waiting = Waiting()
        session = Session(waiting.put)
        self.num_open += 1
        self.num_viewers += 1
        waiting.put(self._about)
        sending = asyncio.create_task(waiting.send_on(connection))
        try:
            with until_gone(connection):
                body = await self._answer(waiting, session, self._body, json.dumps({"body": self._body}))
                async for data in connection:
                    if connection.state is not State.OPEN:
                        break  # what was read before it closed would keep the place taken
                    body = await self._answer(waiting, session, body, data)
                    await waiting.sent()  # who reads slowly is not to pile up answers
                    await asyncio.sleep(BREATH)
        finally:
            self.num_open -= 1
            self._world.leave(session)
            sending.cancel()

    async def _answer(self, waiting: Waiting, session: Session, body: str, data: str | bytes) -> str:
        """What is wished is done, or told in one line why not; the body that the session has from then on."""
        try:
            return await self._do(session, body, read_wish(data))
        except ValueError as error:
            told = " ".join(str(error).split())
        except Exception as error:  # the border: the viewer, who may go on, is told
            log.exception("a wish failed")
            told = f"the server failed ({type(error).__name__}, see its log)"
        waiting.put({"event": "error", "error": told})
        return body

    async def _do(self, session: Session, body: str, wish: Wish) -> str:
        """The body that the session has from then on."""
        match wish.kind:
            case "say":  # in another thread, as what takes its time the first time: others are not to wait
                meaning = await asyncio.to_thread(self._interpreter.understand, body, wish.text)
                self._world.say(session, body, meaning)
            case "ask":
                if self._pilot is None:
                    raise ValueError("no planner is here; start the page with gato play MODEL --planner NAME")
                self._world.ask(session, body, self._pilot, self._bodies[body], sayable(wish.text))
                await asyncio.sleep(ASKED)
            case "body":
                if wish.text not in self._bodies:
                    raise ValueError(f'no body "{wish.text}" to play; {near_match(wish.text, self._bodies)}')
                return await asyncio.to_thread(self._enter, session, wish.text)
            case "pause":
                self._world.pause(session, wish.is_on)
            case "reset":
                self._world.reset(session)
            case "push":
                self._world.push(session)
        return body

    def _enter(self, session: Session, body: str) -> str:
        self._world.enter(session, body, self._interpreter.understand(body, first_skill(self._bodies[body])))
        return body


@dataclass(frozen=True)
class Helpers:
    """Language models beside the generalist."""

    hear: Callable[[str, str], str | None] | None = None
    """(body, sentence) -> what to tell the body, None where nothing that it can do."""
    pilot: Pilot | None = None


def offered(catalogue: Catalogue) -> dict[str, dict[str, str]]:
    """Bodies that can be simulated here -> what they can be told in words, skill id -> canonical prompt."""
    found = {}
    for name, about in catalogue.metadata()["bodies"].items():
        told = {one: words for one, words in about["skills"].items() if not get_skill(one).is_commanded}
        if about["environment"] is not None and told:
            found[name] = told
    return found


def first_skill(skills: dict[str, str]) -> str:
    """To stand, from which others are best taken up; else the standard one, else any, of what was taught."""
    stands = [one for one in skills if one.endswith("/stand")]
    return next(iter(stands + [one for one in skills if get_skill(one).is_standard] + [*skills]))


def play_model(
    name: str,
    *,
    body: str,
    host: str,
    port: int,
    token: str,
    is_opened: bool,
    find_helpers: Callable[[], Helpers],
) -> None:
    """Show the model until Ctrl-C, which is a KeyboardInterrupt with a sentence, or SIGTERM, which is the same.

    `name` is what `find_model` takes. `body`: "" for the first. `is_opened`: a browser, too. `find_helpers` is called
    once the rest is known to fit, since it may take long. ValueError where there is
    no such model or body, or the port is taken.
    """
    check_door(host, token, "use up this machine's time")
    _, model, catalogue = load_catalogue(name)
    bodies = offered(catalogue)
    if not bodies:
        raise ValueError(
            f"{name} knows none of the bodies that can be simulated here: {', '.join(BODIES)}; a robot of your own is "
            "known by --body FILE.yaml"
        )
    if body not in ("", *bodies):
        raise ValueError(f'{name} knows no body "{body}" that can be simulated here; {near_match(body, bodies)}')
    helpers = find_helpers()
    torch.set_num_threads(1)  # products are small; another thread would be taken from the browser and the physics

    def begun(bound: int) -> None:
        page = address("http", host, bound)
        log.info("playing at %s%s; Ctrl-C stops", page, "/#token=... of --token" if token else "")
        if is_opened:  # in a thread, since some browsers return once they are closed
            page += f"/#token={quote(token)}" if token else ""
            threading.Thread(target=_open_browser, args=(page,), daemon=True).start()

    with World(model, MOST_SESSIONS) as world:
        first = body or next(iter(bodies))
        interpreter = Interpreter(catalogue, helpers.hear)
        server = PlayServer(world, interpreter, bodies, model=name, body=first, token=token, pilot=helpers.pilot)
        asyncio.run(until_stopped(server.listen(host, port), begun))
    raise KeyboardInterrupt(f"{server.num_viewers} viewers saw {world.spent.steps} control steps")


def _open_browser(page: str) -> None:
    if not webbrowser.open(page):
        log.warning("no browser could be opened; the page is there for any other")


def _told(request: Request, header: str) -> list[str]:
    return request.headers.get_all(header)


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_address(name: str | None) -> bool:
    try:
        ip_address(name or "")
    except ValueError:
        return False
    return True


def _file(path: Path) -> Response:
    content: Any = path.read_bytes()
    about = {"Content-Type": KINDS[path.suffix], "Content-Length": str(len(content)), "Connection": "close", **SAFE}
    return Response(HTTPStatus.OK, HTTPStatus.OK.phrase, Headers(about), content)
