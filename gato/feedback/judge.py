"""The whole of `gato data judge`: every segment of a dataset judged, compared with what was measured, and what follows.

In: a dataset id, a judge. Out: agreement, failures with plans that may mend them; in files the verdicts, and a dataset
without what was not followed.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from gato.data.minari_io import Dataset, episodes, open_dataset
from gato.feedback.agreement import Agreement
from gato.feedback.carrying_out import carry_out
from gato.feedback.judges import Judge, Verdict, find_judge
from gato.feedback.keep import Kept, refuse, write_kept
from gato.feedback.mending import failures, kind_of, mend
from gato.feedback.segments import Segment, segments
from gato.progress import Progress
from gato.runs import write_json
from gato.skills.plan import Plan

MOST_FAILURES = 5
"""Answers in a row that a judge fails to give before it is asked no more."""
TOO_SHORT = Verdict(None, "too short to tell: new words have not shown yet")


@dataclass(frozen=True)
class Wishes:
    """What is to be made of the verdicts."""

    out: str = ""
    """File for all of them."""
    keep: str = ""
    """Id of the dataset that is to hold what judge and reading agree was followed."""
    relabel: bool = False
    """Whether it also holds what they agree was not followed, called what it did, where that has a name."""
    mend: bool = False
    """Whether it also holds what the experts do instead, from the same starts, by the plans that may mend that."""
    overwrite: bool = False


@dataclass(frozen=True)
class Judged:
    """A segment and what is said of it."""

    segment: Segment
    verdict: Verdict

    def json(self) -> dict[str, Any]:
        """A verdict beside the measured reading; of what is too short to tell neither."""
        one = self.segment
        is_failure = not (one.is_too_short or one.is_followed)
        did = one.did if is_failure else None
        return {
            "episode": one.episode,
            "steps": [one.begin, one.end],
            "skill": one.skill.id,
            "instruction": one.instruction,
            "summary": one.summary,
            "judge": self.verdict.is_followed,
            "why": self.verdict.why,
            "reading": None if one.is_too_short else one.is_followed,
            "measured": list(one.figures),
            "failure": kind_of(one) if is_failure else None,
            "did": None if did is None else did.id,
        }


def judge_dataset(dataset_id: str, judge: str, wishes: Wishes, *, server_model: str = "") -> dict[str, Any]:
    """Agreement, kinds of failures and, in `kept`, what was written.

    ValueError: bad input; or a judge that was given up, or decided nothing: `out` holds what was judged by then.
    FileExistsError: what may not be replaced.
    """
    dataset = open_dataset(dataset_id)
    if (wishes.relabel or wishes.mend) and not wishes.keep:
        flag = "--relabel" if wishes.relabel else "--mend"
        raise ValueError(f"{flag} says what goes into a dataset; name it with --keep")
    if wishes.keep:
        refuse(wishes.keep, dataset.id, overwrite=wishes.overwrite)
    if wishes.out and Path(wishes.out).exists() and not wishes.overwrite:
        raise FileExistsError(f"{wishes.out} exists; pass --overwrite, or another --out")
    decides = find_judge(judge, server_model=server_model)
    judged, given_up = judge_all(dataset, decides)
    told = [one for one in judged if not one.segment.is_too_short]
    answers = [(one.verdict.is_followed, one.segment.is_followed) for one in told]
    decided = [(said, measured) for said, measured in answers if said is not None]
    result: dict[str, Any] = {
        "dataset": dataset.id,
        "judge": decides.name,
        "episodes": dataset.num_episodes,
        "segments": len(told),
        "too_short": len(judged) - len(told),
        "undecided": len(told) - len(decided),
    }
    _write(wishes.out, result, judged)
    if given_up:
        where = f"what it said is in {wishes.out}" if wishes.out else "name a file with --out to keep what it says"
        raise ValueError(f"{decides.name} was given up after {MOST_FAILURES} segments in a row ({given_up}); {where}")
    result |= Agreement.of(decided).json()
    result["failures"] = [one.json() for one in failures(one.segment for one in told if not one.segment.is_followed)]
    _write(wishes.out, result, judged)
    if wishes.keep:
        command = _command(dataset.id, judge, wishes, server_model)
        result["kept"] = _keep(dataset, judged, wishes, command=command)
    _write(wishes.out, result, judged)
    return result


def _keep(dataset: Dataset, judged: Sequence[Judged], wishes: Wishes, *, command: str) -> dict[str, Any]:
    """Writes the dataset that is wished for, and counts what it holds."""
    kept = choose(judged, relabel=wishes.relabel)
    plans = mending_plans(judged) if wishes.mend else {}
    mended, experts = carry_out(dataset, _seeds(dataset, plans))
    write_kept(dataset, replace(kept, mended=mended, experts=experts), wishes.keep, command=command)
    return {
        "dataset": wishes.keep,
        "followed": len(kept.chosen),
        "relabelled": len(kept.relabelled),
        "left_out": dataset.num_episodes - len(kept.episodes),
        "plans_carried_out": sum(map(len, plans.values())),
        "mended": len(mended),
    }


def judge_all(dataset: Dataset, judge: Judge) -> tuple[list[Judged], str]:
    """Every segment, undecided where it got no answer; or those until the judge was given up, and why that was."""
    judged: list[Judged] = []
    failed_in_a_row = 0
    with Progress(dataset.num_steps, "steps", "judge") as progress:
        for segment in segments(dataset):
            verdict = TOO_SHORT
            if not segment.is_too_short:
                try:
                    verdict, failed_in_a_row = judge.judge(segment), 0
                except (ConnectionError, ValueError) as error:
                    verdict, failed_in_a_row = Verdict(None, f"no answer: {error}"), failed_in_a_row + 1
            judged.append(Judged(segment, verdict))
            progress.update(segment.steps)
            if failed_in_a_row == MOST_FAILURES:
                return judged, verdict.why
    return judged, ""


def _write(out: str, result: dict[str, Any], judged: Sequence[Judged]) -> None:
    """The verdicts first, so that they are kept whatever fails later."""
    if out:
        write_json(out, {**result, "verdicts": [one.json() for one in judged]})


def choose(judged: Iterable[Judged], *, relabel: bool) -> Kept:
    """Episodes of which judge and reading agree that all was followed; with `relabel` also those where they agree of
    every segment, and what was not followed has another name. What is too short to tell keeps its own."""
    chosen: list[int] = []
    relabelled: dict[int, dict[int, str]] = {}
    for index, group in groupby(judged, key=lambda one: one.segment.episode):
        own = list(group)
        told = [one for one in own if not one.segment.is_too_short]
        if not told or any(one.verdict.is_followed != one.segment.is_followed for one in told):
            continue
        names = _names(own)
        if all(one.segment.is_followed for one in told):
            chosen.append(index)
        elif relabel and None not in names.values():
            relabelled[index] = {step: name for step, name in names.items() if name is not None}
    return Kept(tuple(chosen), relabelled)


def mending_plans(judged: Iterable[Judged]) -> dict[Plan, list[int]]:
    """Plan -> the episodes it may mend: one for each segment that judge and reading agree was not followed."""
    found: dict[Plan, list[int]] = {}
    for one in judged:
        is_failure = one.verdict.is_followed is False and not one.segment.is_followed
        plan = mend(one.segment) if is_failure else None
        if plan is not None:
            found.setdefault(plan, []).append(one.segment.episode)
    return found


def _seeds(dataset: Dataset, plans: Mapping[Plan, Sequence[int]]) -> dict[Plan, list[int]]:
    """From which start each plan is carried out; ValueError where an episode does not know its own."""
    indices = sorted({index for own in plans.values() for index in own})
    seeds = {index: one.seed for index, one in zip(indices, episodes(dataset, indices), strict=True)}
    if None in seeds.values():
        raise ValueError(
            f"{dataset.id} has episodes without a seed, so nothing can begin where they did; leave out --mend"
        )
    return {plan: [seed for index in own if (seed := seeds[index]) is not None] for plan, own in plans.items()}


def _names(own: Sequence[Judged]) -> dict[int, str | None]:
    """First step of each segment -> what was done from there on; None for nothing that has a name."""
    named = {}
    for one in own:
        is_own = one.segment.is_too_short or one.segment.is_followed
        done = one.segment.skill if is_own else one.segment.did
        # Goal-conditioned skills have a prompt a command: which one held is not told by a skill's name.
        is_named = done is not None and not done.is_commanded
        named[one.segment.begin] = done.id if done is not None and is_named else None
    return named


def _command(dataset_id: str, judge: str, wishes: Wishes, server_model: str) -> str:
    """What to type to get the dataset again."""
    words = ["gato", "data", "judge", dataset_id, "--judge", judge, "--keep", wishes.keep]
    words += ["--relabel"] * wishes.relabel + ["--mend"] * wishes.mend
    words += ["--server-model", server_model] if server_model else []
    return shlex.join(words)
