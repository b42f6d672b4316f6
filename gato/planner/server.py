"""Any server that speaks OpenAI's chat completions as planner (llama.cpp, vLLM, Ollama, LM Studio, hosted ones).

In: its address, such as http://localhost:8080/v1, and the name of the model there. Out: a `Planner`. What the server
says must be one of the options; anything else is a failed decision, and the body goes on with what it did.
"""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from gato.language.text import short
from gato.planner.situation import Choice, Situation

KEY = "GATO_PLANNER_KEY"
"""Environment variable: the key that is sent to the server, where it is set. Never OpenAI's own by itself, which any
other server would get too."""
PATH = "/chat/completions"
MOST_BYTES = 1 << 20
"""Of an answer."""
MOST_TOKENS = 16
"""Of an answer: three words and a stop."""


class ServerPlanner:
    """Asks for the likeliest answer, at temperature 0."""

    def __init__(self, url: str, model: str = "", *, timeout: float = 5.0) -> None:
        """`timeout`: s for which it waits for anything from the server. ValueError for what is no web address."""
        found = urllib.parse.urlsplit(url)
        if found.scheme not in ("http", "https") or not found.hostname or found.username or found.query:
            raise ValueError(
                f"got {found.hostname or url}; a server's address is needed, such as http://localhost:8080/v1, and no "
                f"key in it: that comes from {KEY}"
            )
        self.name = f"{url.rstrip('/')}{f' ({model})' if model else ''}"
        self._address, self._model, self._timeout = url.rstrip("/").removesuffix(PATH) + PATH, model, timeout
        self._opener = urllib.request.build_opener(_NoRedirect)

    def decide(self, situation: Situation) -> Choice:
        """ValueError where the server answers with anything but an option, ConnectionError where it does not."""
        said = self.say(situation.text, MOST_TOKENS)
        words = said.strip().strip("\"'`*.!").strip().casefold()
        option = next((one for one in situation.options if one.casefold() == words), None)
        if option is None:
            raise ValueError(f"the server answered {short(ascii(said))}; allowed: {', '.join(situation.options)}")
        return Choice(option, said)

    def say(self, question: str, most_tokens: int) -> str:
        """Its answer, whatever that is; ValueError where it is no text, ConnectionError where there is none."""
        return _said(self._ask(question, most_tokens))

    def _ask(self, question: str, most_tokens: int) -> bytes:
        content: dict[str, Any] = {
            "messages": [{"role": "user", "content": question}],
            "temperature": 0,
            "max_tokens": most_tokens,
        }
        if self._model:
            content["model"] = self._model
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY, ""):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self._address, json.dumps(content).encode(), headers)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                answer: bytes = response.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            with error:
                told = short(ascii(error.read(MOST_BYTES).decode("utf-8", "replace")))
            raise ConnectionError(f"{self._address} refused: {error.code} {error.reason}, {told}") from error
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(f"{self._address}: {getattr(error, 'reason', error) or 'no answer'}") from error
        if len(answer) > MOST_BYTES:
            raise ValueError(f"the server's answer is longer than {MOST_BYTES} bytes")
        return answer


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key is for the server that was named, and for no other."""

    def redirect_request(self, *told: Any) -> None:
        """Nowhere: the redirection becomes an error that names it."""


def _said(answer: bytes) -> str:
    """The text in a server's JSON; ValueError where there is none."""
    try:
        said = json.loads(answer)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError) as error:
        shown = short(ascii(answer.decode("utf-8", "replace")))
        raise ValueError(f"the server's answer is no chat completion: {shown}") from error
    if not isinstance(said, str):
        raise ValueError(f"the server's answer holds no text but {short(ascii(said))}")
    return said
