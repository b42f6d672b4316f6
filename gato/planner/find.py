"""A planner by its name.

In: what a command was given. Out: a `Planner`.
"""

from __future__ import annotations

from gato.planner.local import LocalPlanner
from gato.planner.scripted import Scripted
from gato.planner.server import ServerPlanner
from gato.planner.situation import Planner

SCRIPTED = "scripted"
"""The word that stands for the planner written by hand."""


def find_planner(name: str, *, server_model: str = "", timeout: float = 5.0) -> Planner:
    """ "scripted", a server's address, or a folder or Hub id of a causal language model; ValueError for anything else.

    `server_model`: what the server calls its model, where it has several. `timeout`: s that a server has to answer.
    """
    is_server = "://" in name
    if server_model and not is_server:
        raise ValueError(f"server_model {server_model} is for a server; got the planner {name}: leave it out")
    if is_server:
        return ServerPlanner(name, server_model, timeout=timeout)
    return Scripted() if name == SCRIPTED else LocalPlanner(name)
