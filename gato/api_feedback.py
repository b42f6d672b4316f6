"""The verbs of `gato.api` that judge what was done and tune who plans; read there how verbs are written."""

from __future__ import annotations

from typing import Any


def tune_lm(
    base: str,
    *,
    out: str,
    bodies: tuple[str, ...] = (),
    steps: int = 800,
    batch_size: int = 32,
    test_sentences: int = 100,
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Tune a small causal language model on sentences and plans of the grammar; gato plan --planner takes the result.

    Exact plans are counted before and after, on sentences kept out of training: skills in an order that it never has,
    and ways of putting it that it never has. Pretrained models get low-rank updates (gato-agent[tune]), which are
    merged when saved.

    Example:
        gato tune-lm tiny --bodies ant --out workspace/plans

    Args:
        base: Folder or Hub id of a causal language model, or tiny: one that is made here and learns from nothing.
        out: Folder to write.
        bodies: Whose sentences are learned; all that come with Gato where none is named.
        steps: Updates.
        batch_size: Sentences an update.
        test_sentences: Sentences of each kind that are tested before and after.
        seed: Of sentences and first weights.
        overwrite: Replace what --out holds.
    """
    from gato.skills.robots.known import named_body
    from gato.tuning.tune import Tuning, tune

    tuning = Tuning(tuple(map(named_body, bodies)), steps, batch_size, test_sentences, seed)
    return tune(base, tuning, out=out, overwrite=overwrite)


def data_judge(
    dataset: str,
    *,
    judge: str = "rule",
    server_model: str = "",
    out: str = "",
    keep: str = "",
    relabel: bool = False,
    mend: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Judge what a dataset's episodes did: was each instruction followed, and why.

    Tells how far the judge agrees with what was measured, what went wrong, and a plan that may mend it.

    Example:
        gato data judge gato/half-cheetah/run-forward-v0 --keep gato/half-cheetah/judged-v0 --relabel

    Args:
        dataset: Minari id of a dataset of skills.
        judge: rule (the skill's own rule on what was measured: the reference); folder or Hub id of a causal language
            model, which reads a summary in words; or http://HOST:PORT/v1 of a server that speaks OpenAI's chat
            completions (its key from GATO_PLANNER_KEY).
        server_model: What the server calls its model, where it has several.
        out: File for every verdict with its summary, as JSON.
        keep: Minari id of a new dataset, of the episodes that both judge and reading call followed.
        relabel: Also keep those that both call not followed, under the name and the rewards of what they did.
        mend: Also let the experts that come with Gato carry out the plans that may mend those, from the same starts,
            and keep what was followed then.
        overwrite: Replace what --out and --keep name.
    """
    from gato.feedback.judge import Wishes, judge_dataset

    return judge_dataset(dataset, judge, Wishes(out, keep, relabel, mend, overwrite), server_model=server_model)
