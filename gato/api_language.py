"""The verb of `gato.api` that reads sentences; read there how verbs are written."""

from __future__ import annotations

from typing import Any


def plan(text: str, *, body: str) -> dict[str, Any]:
    """Read a sentence as a plan: which skill, for how long or until what, how often.

    Nothing is executed: gato eval MODEL --plan does that, with the sentence or with this JSON in a file.

    Example:
        gato plan "walk forward for three seconds, then turn left twice and stop" --body ant

    Args:
        text: The sentence, or FILE.json of a plan, which is checked.
        body: Who is to do it; of a robot of your own, its FILE.yaml.
    """
    from gato.language.plans import read_plan
    from gato.skills.robots.known import named_body

    return read_plan(text, named_body(body)).json()
