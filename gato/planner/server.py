"""A language model on a server as planner.

In: its address, and the name of the model there. Out: a `Planner`. What the server says must be one of the options;
anything else is a failed decision, and the body goes on with what it did.
"""

from __future__ import annotations

from gato.language.chat import ChatServer
from gato.language.text import short
from gato.planner.situation import Choice, Situation


class ServerPlanner:
    """Asks for one of the options."""

    def __init__(self, url: str, model: str = "", *, timeout: float = 5.0) -> None:
        """`timeout`: s for which it waits for anything from the server. ValueError as `ChatServer` raises it."""
        self._server = ChatServer(url, model, timeout=timeout)
        self.name = self._server.name

    def decide(self, situation: Situation) -> Choice:
        """ValueError where the server answers with anything but an option, ConnectionError where it does not."""
        said = self._server.say(situation.text)
        words = said.strip().strip("\"'`*.!").strip().casefold()
        option = next((one for one in situation.options if one.casefold() == words), None)
        if option is None:
            raise ValueError(f"the server answered {short(ascii(said))}; allowed: {', '.join(situation.options)}")
        return Choice(option, said)
