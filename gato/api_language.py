"""The verbs of `gato.api` about what people say; read there how verbs are written."""

from __future__ import annotations

from typing import Any


def plan(text: str, *, body: str, planner: str = "") -> dict[str, Any]:
    """Read a sentence as a plan: which skill, for how long or until what, how often.

    Nothing is executed: gato eval MODEL --plan does that, with the sentence or with this JSON in a file.

    Example:
        gato plan "walk forward for three seconds, then turn left twice and stop" --body ant

    Args:
        text: The sentence, or FILE.json of a plan, which is checked.
        body: Who is to do it; of a robot of your own, its FILE.yaml.
        planner: Folder or Hub id of a causal language model that writes the plan instead of the grammar; gato tune-lm
            makes one.
    """
    from gato.language.plans import read_plan
    from gato.skills.robots.known import named_body

    body = named_body(body)
    if not planner:
        return read_plan(text, body).json()
    from gato.language.causal import CausalModel
    from gato.language.pretrained import language_folder
    from gato.language.writing import PlanWriter

    return PlanWriter(CausalModel(language_folder(planner))).write(text, body).json()


def say(sentence: str, *, body: str, encoder: str = "", judge: str = "") -> dict[str, Any]:
    """Tell which skill of a body a sentence means, in any words; or that it means none.

    Needs gato-agent[language], or an encoder of your own. `gato eval MODEL --free-speech` hears a file of prompts so.

    Example:
        gato say "mind swinging round to the left?" --body ant

    Args:
        sentence: What somebody says.
        body: Who is told; a robot of your own by its FILE.yaml.
        encoder: Folder or Hub id of a sentence encoder, instead of the one of gato-agent[language].
        judge: Folder or Hub id of a causal language model that weighs the skills instead of an encoder.
    """
    from gato.language.listeners import make_listener
    from gato.skills.robots.known import named_body

    return make_listener(encoder=encoder, judge=judge).hear(named_body(body), sentence).json()


def act(
    model: str,
    *,
    task: str = "reach",
    planner: str = "scripted",
    body: str = "ant",
    instruct: tuple[str, ...] = (),
    episodes: int = 10,
    seed: int = 0,
    every: float = 0.5,
    timeout: float = 5.0,
    latency: float = 0.0,
    real_time: bool = False,
    server_model: str = "",
    video: int = 0,
    out: str = "",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Let a planner steer a body through a task: what it sees is said in words, and a skill is chosen, again and again.

    A planner that is slow, fails or talks nonsense never stops the body, which goes on with what it did.

    Example:
        gato act experts --task avoid --planner scripted --episodes 10 --out workspace/avoid

    Args:
        model: Who acts: a model as gato eval takes it, or experts, those that come with Gato.
        task: reach (a waypoint), patrol (a square) or avoid (a ball on the way, after an instruction).
        planner: Who decides: scripted; http://HOST:PORT/v1 of a server that speaks OpenAI's chat completions (its key
            from GATO_PLANNER_KEY); or folder or Hub id of a causal language model.
        body: Who is steered.
        instruct: What somebody says in the middle, SECONDS:WORDS, such as "12:avoid the ball!".
        episodes: Episodes, each with a waypoint in another direction.
        seed: Episode i starts from seed * 100003 + i.
        every: Seconds from one question to the next.
        timeout: Seconds after which a question counts as failed.
        latency: Seconds of simulated time after which an answer arrives, however long it took.
        real_time: The body moves by the clock on the wall, an episode after the other; answers arrive when they do.
        server_model: What the server calls its model, where it has several.
        video: Episodes to draw, as mp4.
        out: Folder for results.json, courses.png, decisions, trajectories and videos.
        overwrite: Replace what --out holds.
    """
    from gato.planner.act import act as run_task
    from gato.planner.deliberation import Timing
    from gato.planner.loop import Setting
    from gato.planner.tasks import get_task, parse_instructions
    from gato.skills.robots.known import named_body

    chosen = get_task(task)
    said = parse_instructions(instruct, chosen) or chosen.instructions
    timing = Timing(every, timeout, latency, real_time)
    setting = Setting(chosen, said, named_body(body), episodes, seed, timing)
    return run_task(model, planner, setting, server_model=server_model, video=video, out=out, overwrite=overwrite)
