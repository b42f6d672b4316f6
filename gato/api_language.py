"""The verbs of `gato.api` about what people say; read there how verbs are written."""

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


def say(sentence: str, *, body: str, encoder: str = "", judge: str = "") -> dict[str, Any]:
    """Tell which skill of a body a sentence means, in any words; or that it means none.

    Needs gato-agent[language], or an encoder of your own. `gato eval MODEL --free-speech` hears a file of prompts so.

    Example:
        gato say "mind going round to the left?" --body ant

    Args:
        sentence: What somebody says.
        body: Who is told; a robot of your own by its FILE.yaml.
        encoder: Folder or Hub id of a sentence encoder, instead of the one of gato-agent[language].
        judge: Folder or Hub id of a causal language model that weighs the skills instead of an encoder.
    """
    from gato.language.listeners import make_listener
    from gato.skills.robots.known import named_body

    return make_listener(encoder=encoder, judge=judge).hear(named_body(body), sentence).json()
