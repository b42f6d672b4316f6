"""Any server that speaks OpenAI's chat completions (llama.cpp, vLLM, Ollama, LM Studio, hosted ones).

In: its address, such as http://localhost:8080/v1, the name of the model there, a question. Out: what it says.
"""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from gato.language.text import short

KEY = "GATO_PLANNER_KEY"
"""Environment variable: the key that is sent to the server, where it is set. Never OpenAI's own by itself, which any
other server would get too."""
PATH = "/chat/completions"
MOST_BYTES = 1 << 20
"""Of an answer."""
MOST_TOKENS = 512
"""Of an answer: a sentence, and what some models think before it."""
THOUGHT = "</think>"
"""Where reasoning models begin with what they think, it ends so (DeepSeek-R1, arXiv 2501.12948); some servers leave out
its beginning."""
WISHES: dict[str, Any] = {"temperature": 0, "max_tokens": MOST_TOKENS}
"""Fields of a question that some hosted models refuse: its likeliest answer, and no endless one."""
BAD_REQUEST = 400


class ChatServer:
    """Is asked for the likeliest answer, at temperature 0."""

    def __init__(self, url: str, model: str = "", *, timeout: float) -> None:
        """`timeout`: s for which it waits for anything from the server, and after which an answer that still arrives is
        given up. ValueError for what is no web address, and for a key that no header can hold."""
        found = urllib.parse.urlsplit(url)
        is_web = found.scheme in ("http", "https") and found.hostname and _has_port(found)
        if not is_web or found.username or found.query:
            raise ValueError(
                f"got {found.netloc.rpartition('@')[2] or url}; a server's address is needed, such as "
                f"http://localhost:8080/v1, and no key in it: that comes from {KEY}"
            )
        self.name = f"{url.rstrip('/')}{f' ({model})' if model else ''}"
        self._address, self._timeout = url.rstrip("/").removesuffix(PATH) + PATH, timeout
        self._headers = {"Content-Type": "application/json"}
        if key := _key():
            self._headers["Authorization"] = f"Bearer {key}"
        self._fields = {**WISHES, **({"model": model} if model else {})}
        self._opener = urllib.request.build_opener(_NoRedirect)

    def say(self, question: str) -> str:
        """Its answer, without what it thought before; ValueError where it is no text, ConnectionError where there is
        none. A server that refuses one of `WISHES` by name is asked again without it, then and from then on."""
        fields = dict(self._fields)
        while True:
            try:
                refusal, answer = self._post(question, fields)
            except (OSError, http.client.HTTPException) as error:
                raise ConnectionError(f"{self._address}: {getattr(error, 'reason', error) or 'no answer'}") from error
            if not refusal:
                return _said(answer)
            told = answer.decode("utf-8", "replace")
            is_wish = refusal.startswith(f"{BAD_REQUEST} ")
            unwanted = [name for name in fields if is_wish and name in WISHES and name in told]
            if not unwanted:
                raise ConnectionError(f"{self._address} refused: {refusal}, {short(ascii(told))}")
            for name in unwanted:
                del fields[name]
                self._fields.pop(name, None)

    def _post(self, question: str, fields: Mapping[str, Any]) -> tuple[str, bytes]:
        """Why it refuses, "" where it does not; and what it answers."""
        content = {"messages": [{"role": "user", "content": question}], **fields}
        request = urllib.request.Request(self._address, json.dumps(content).encode(), self._headers)
        deadline = time.monotonic() + self._timeout
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return "", _read(response, MOST_BYTES + 1, deadline)
        except urllib.error.HTTPError as error:
            with error:
                return f"{error.code} {error.reason}", _read(error, MOST_BYTES, deadline)


def _has_port(found: urllib.parse.SplitResult) -> bool:
    """Whether its port, if it names one, is a port: that is read only here."""
    try:
        return found.port is None or found.port > 0
    except ValueError:
        return False


def _read(response: Any, most: int, deadline: float) -> bytes:
    """At most that many bytes of an answer; TimeoutError where they still arrive at the deadline, by the monotonic
    clock. The socket's own timeout is for each of them anew."""
    answer = bytearray()
    while len(answer) < most and (arrived := response.read1(most - len(answer))):
        answer += arrived
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
    return bytes(answer)


def _key() -> str:
    """What stands in `KEY`; ValueError, which does not show it, where a header cannot hold that."""
    key = os.environ.get(KEY, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ValueError(
            f"{KEY} holds a line break or another character that no key has; set it again to the key alone"
        )
    return key


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key is for the server that was named, and for no other."""

    def redirect_request(self, *told: Any) -> None:
        """Nowhere: the redirection becomes an error that names it."""


def _said(answer: bytes) -> str:
    """The text in a server's JSON; ValueError where there is none, or no end of it."""
    if len(answer) > MOST_BYTES:
        raise ValueError(f"the server's answer is longer than {MOST_BYTES} bytes")
    try:
        said = json.loads(answer)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        shown = short(ascii(answer.decode("utf-8", "replace")))
        raise ValueError(f"the server's answer is no chat completion: {shown}") from error
    if not isinstance(said, str):
        raise ValueError(f"the server's answer holds no text but {short(ascii(said))}")
    return said.rpartition(THOUGHT)[2]
