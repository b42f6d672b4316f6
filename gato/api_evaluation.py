"""The verbs of `gato.api` that measure a model and show what was measured; read there how verbs are written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def evaluate(
    model: str,
    *,
    suite: str = "",
    body: str = "",
    prompt: str | None = None,
    prompts: str = "",
    plan: str | None = None,
    free_speech: bool = False,
    dataset: str = "",
    episodes: int = 50,
    seed: int = 0,
    steps: int = 0,
    sample: bool = False,
    return_to_go: float | None = None,
    ablate: bool = False,
    video: int = 0,
    experts: str = "",
    out: str = "",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Measure a model by what it does when told: returns against the experts, and which words were obeyed.

    Example:
        gato eval workspace/demo --suite demo --episodes 50 --seed 0 --json

    Args:
        model: Model folder, training run, name of a shipped model, or Hub id owner/name[@revision].
        suite: Skills to measure; demo, where nothing else is asked for.
        body: The body told with --prompt, or the only one of the suite; of a robot of your own, its FILE.yaml.
        prompt: One prompt, to --body: words, or numbers such as "forward_speed=1 yaw_rate=-0.5" (m/s, rad/s).
        prompts: File of lines body<TAB>prompt<TAB>skill.
        plan: A sentence of several parts, to --body, or what gato plan --json printed, as FILE.json.
        free_speech: Hear prompts in any words, as gato say does; the skill of a prompt that means none is "none".
        dataset: Minari id, whose environment and reference scores are used.
        episodes: Episodes a prompt.
        seed: Episode i starts from seed * 100003 + i.
        steps: Control steps after which an episode ends; 0: as long as the environment lets it. A plan's ends with it.
        sample: Draw actions from the model's distributions instead of taking their middle.
        return_to_go: Return to ask for, as a share of the best in training; for models that were told returns.
        ablate: Also wrong, empty, held-out, misspelt and contradictory words, and prompts changed while the body moves.
        video: Episodes a prompt to draw, as mp4.
        experts: Folder EXPERTS/BODY/SKILL to compare with, instead of the shipped experts.
        out: Folder for results.json and videos.
        overwrite: Replace what --out holds.
    """
    from gato.language.plans import read_plan
    from gato.rollout.evaluate import Wishes, evaluate_model
    from gato.rollout.prompted import Conditions
    from gato.skills.robots.known import named_body

    body = named_body(body)
    parts = None if plan is None else read_plan(plan, body)
    wishes = Wishes(suite, prompt, body, prompts, dataset, ablate, video, experts, parts, free_speech)
    conditions = Conditions(episodes, seed, steps, sample, return_to_go=return_to_go)
    return evaluate_model(
        model, wishes, conditions, out=out, overwrite=overwrite, hear=_hearing() if free_speech else None
    ).json()


def _hearing() -> Callable[[str, str], str | None]:
    from gato.language.listeners import heard_by, make_listener

    return heard_by(make_listener())


def report(runs: tuple[str, ...], *, out: str = "", picture: str = "") -> Path:
    """Write one page of a run, or one that compares several: scores, prompt matrices, plans, learning curves, videos.

    A run is a folder of gato eval or of gato fit. The page needs nothing from outside and is small enough to mail.

    Example:
        gato report workspace/demo

    Args:
        runs: Folders of gato eval (or their results.json) and of gato fit; evaluations of one suite.
        out: Page to write; by default report.html in the run, comparison.html beside the first of several.
        picture: Also write the prompt matrix of the one run there, as a PNG.
    """
    from gato.report import write_comparison, write_report

    if len(runs) == 1:
        return write_report(runs[0], out=out, picture=picture)
    if picture:
        raise ValueError(f"--picture is of one run; got {len(runs)}: {', '.join(runs)}")
    return write_comparison(runs, out=out)
