"""The verbs of `gato.api` by which models and datasets reach others and their robots; how verbs are written: there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal


def export(
    model: str,
    *,
    out: str,
    dtype: Literal["bf16", "fp32"] = "bf16",
    results: str = "",
    datasets: tuple[str, ...] = (),
    overwrite: bool = False,
) -> Path:
    """Make a model ready to be shared: weights in half the bytes, a model card with its scores, its lineage.

    The folder loads like any other model's, and `gato push` sends it.

    Example:
        gato export workspace/fit/model --results workspace/eval --out workspace/gato-small

    Args:
        model: Model folder, training run, name of a shipped model, or Hub id.
        out: Folder to write.
        dtype: Of the weights; bf16 takes half the bytes of fp32 and is computed with as fp32.
        results: Folder (or results.json) of `gato eval` of this model: scores, and videos if it has some.
        datasets: Hub ids of the datasets it was trained on, if they are there: links of the card.
        overwrite: Replace what --out holds.
    """
    from gato.sharing.export import export_model

    return export_model(model, out=out, dtype=dtype, results=results, datasets=datasets, overwrite=overwrite)


def push(what: str, repository: str, *, private: bool = False, yes: bool = False) -> dict[str, Any]:
    """Send an exported model, or a dataset with its card, to the Hugging Face Hub; without --yes only show what.

    Needs gato-agent[hub], and that you are logged in there: hf auth login.

    Example:
        gato push workspace/gato-small somebody/gato-small --private --yes

    Args:
        what: Folder of `gato export`, or Minari id of a dataset that Gato recorded.
        repository: Where to, owner/name; made if it is not there.
        private: Only for its owner to see.
        yes: Send it.
    """
    from gato.sharing.push import push as push_parcel

    return push_parcel(what, repository, is_private=private, is_sent=yes)


def serve(
    model: str, *, host: str = "127.0.0.1", port: int = 8000, token: str = "", robots: tuple[str, ...] = ()
) -> None:
    """Act for other people's robots and simulators over websockets, told in words, until Ctrl-C.

    Needs gato-agent[serve]. What is sent is in docs/serve.md, and the other side in Python is gato.client.

    Example:
        gato serve workspace/demo/model --port 8000

    Args:
        model: Model folder, training run, name of a shipped model, or Hub id.
        host: Address to listen at; 0.0.0.0 for all of this machine, and then better with --token.
        port: Port to listen at; 0 for any free one, which is told.
        token: What clients must bring to be served; a --config file keeps it out of the list of processes.
        robots: FILE.yaml of each robot of your own that the model was taught, so that its skills are known.
    """
    try:
        from gato.serve.server import serve_model
    except ModuleNotFoundError as error:
        raise ValueError(f'gato serve needs {error.name}; pip install "gato-agent[serve]"') from error
    from gato.skills.robots.known import named_body

    for robot in robots:
        named_body(robot)
    serve_model(model, host=host, port=port, token=token)


def play(
    model: str,
    *,
    body: str = "",
    host: str = "127.0.0.1",
    port: int = 8080,
    token: str = "",
    open: bool = False,
    free_speech: bool = False,
    planner: str = "",
    server_model: str = "",
    timeout: float = 5.0,
) -> None:
    """Show a model in the browser: type what the body shall do and watch it, until Ctrl-C.

    Every viewer has a simulation of their own. Needs gato-agent[serve]; the page needs nothing else. See docs/play.md.

    Example:
        gato play gato-small --body ant

    Args:
        model: Model folder, training run, name of a shipped model, or Hub id.
        body: The one that viewers meet first; of a robot of your own, its FILE.yaml.
        host: Address to listen at; 0.0.0.0 for all of this machine, and then better with --token.
        port: Port to listen at; 0 for any free one, which is told.
        token: What viewers must bring to play; the page asks for it, and takes it from /#token=....
        open: Open the page in this machine's browser.
        free_speech: Hear sentences in any words, as gato say does; needs gato-agent[language].
        planner: Who steers when asked to: http://HOST:PORT/v1 of a server that speaks OpenAI's chat completions (its
            key from GATO_PLANNER_KEY), or folder or Hub id of a causal language model.
        server_model: What the planner's server calls its model, where it has several.
        timeout: Seconds after which a question to the planner counts as failed.
    """
    try:
        from gato.play.server import Helpers, play_model
    except ModuleNotFoundError as error:
        raise ValueError(f'gato play needs {error.name}; pip install "gato-agent[serve]"') from error
    from gato.language.listeners import heard_by, make_listener
    from gato.planner.find import SCRIPTED, find_planner
    from gato.play.steering import Pilot
    from gato.skills.robots.known import named_body

    if server_model and not planner:
        raise ValueError(f"server_model {server_model} is for a planner's server; name it with --planner URL")
    if planner == SCRIPTED:
        raise ValueError("the scripted planner goes to waypoints, and the page has none; name a language model")

    def find_helpers() -> Helpers:
        hear = heard_by(make_listener()) if free_speech else None
        found = find_planner(planner, server_model=server_model, timeout=timeout) if planner else None
        return Helpers(hear, Pilot(found, timeout) if found else None)

    body = named_body(body)
    play_model(model, body=body, host=host, port=port, token=token, is_opened=open, find_helpers=find_helpers)
