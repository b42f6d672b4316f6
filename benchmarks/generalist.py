"""One model against all that it was taught: python benchmarks/generalist.py MODEL [--episodes 50] [--seed 0]

Every skill that has an expert, under its canonical prompt, deterministic (the middle of each action's distribution) and
drawn; the expert's and a random arm on the same starts. Then two tables: Gymnasium's eleven tasks beside JAT and the
bars of this project, and every skill's share of episodes that met its rule. Writes benchmarks/results/generalist.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

from gato.model.find import find_model
from gato.model.gato import Gato
from gato.reporting.markdown import with_interval
from gato.rollout.prompted import Conditions
from gato.rollout.suite import Results, measure_suite
from gato.runs import content_hash, read_json, write_json
from gato.skills.table import SKILLS

HERE = Path(__file__).parent
PUBLISHED, RESULT = HERE / "published.json", HERE / "results" / "generalist.json"
DECODINGS = {"deterministic": False, "drawn": True}
KEPT = 0.95
"""Share of the expert's score, and of each bar, that a task should keep."""
OBEYED = 0.98


def measure(model: Gato, conditions: Conditions) -> dict[str, Any]:
    """Decoding -> figures of every skill, and how long it took."""
    found = {}
    for name, is_sampled in DECODINGS.items():
        began = time.perf_counter()
        results = measure_suite(model, "library", dataclasses.replace(conditions, sample=is_sampled))
        found[name] = {"seconds": round(time.perf_counter() - began, 1), **_figures(results)}
    return found


def _figures(results: Results) -> dict[str, Any]:
    standard = [task for task in results.tasks if SKILLS[task.skill].is_standard]
    eleven = dataclasses.replace(results, tasks=tuple(standard))
    return {
        "tasks": {task.skill: task.json() for task in results.tasks},
        "standard": {
            "mean": eleven.mean_normalised,
            "ci95": eleven.interval_normalised(),
            "interquartile_mean": eleven.iqm_normalised,
        },
        "prompt_matrix": {body: matrix.json() for body, matrix in results.prompt_matrix.items()},
    }


def tables(found: dict[str, Any]) -> str:
    """Markdown."""
    published = read_json(PUBLISHED)["tasks"]
    sure, drawn = (found[name]["tasks"] for name in DECODINGS)
    lines = ["| task | return | drawn | expert | bar | normalised | drawn | JAT, of its expert |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|")
    for skill, task in sure.items():
        if not SKILLS[skill].is_standard:
            continue
        theirs = published[skill]
        jat = (theirs["jat"] - theirs["jat_random"]) / (theirs["jat_expert"] - theirs["jat_random"])
        is_short = min(task["normalised"], task["return"]["mean"] / theirs["bar"] if theirs["bar"] > 0 else 1) < KEPT
        lines.append(
            f"| {skill}{' **below**' * is_short} |"
            f" {with_interval(task['return']['mean'], task['return']['ci95'], '.1f')} |"
            f" {drawn[skill]['return']['mean']:.1f} | {task['expert']:.1f} | {theirs['bar']:g} |"
            f" {task['normalised']:.3f} | {drawn[skill]['normalised']:.3f} | {jat:.2f} |"
        )
    for name in DECODINGS:
        all_ = found[name]["standard"]
        lines.append(
            f"\n{name}: mean normalised {with_interval(all_['mean'], all_['ci95'], '.3f')}, interquartile mean"
            f" {all_['interquartile_mean']:.3f}; {found[name]['seconds']:.0f} s"
        )
    lines += ["", "| skill | obeyed | drawn | normalised |", "|---|---:|---:|---:|"]
    for skill, task in sure.items():
        mark = " **below**" * (task["success"] < OBEYED)
        lines.append(
            f"| {skill}{mark} | {task['success']:.0%} | {drawn[skill]['success']:.0%} | {task['normalised']:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    folder = find_model(given.model)
    model = Gato.load(folder)
    found = measure(model, Conditions(given.episodes, given.seed))
    print(tables(found))
    told = {"model": content_hash(folder), "parameters": model.num_parameters()}
    write_json(given.out, {**told, "episodes": given.episodes, "seed": given.seed, "decoding": found})


if __name__ == "__main__":
    main()
