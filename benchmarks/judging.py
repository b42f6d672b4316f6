"""Do judged data teach better? python benchmarks/judging.py [--episodes 40] [--steps 1500] [--judge rule]

A half-cheetah is told `run forward` and `run backward`; in half of the episodes the other expert acts. Four models of
the same size and the same number of updates learn from: all of it as labelled; what a judge keeps; what it keeps and
relabels; that, and the plans that may mend the failures, as the experts carry them out from the same starts. Each is
told both prompts; success with Wilson's 95 % interval. With --plans each model carries out those plans, too. The judge
is asked about every episode once for each of the last three. Writes benchmarks/results/judging.json.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from gato import api
from gato.experts.shipped import find_expert
from gato.language.plans import parse_plan
from gato.model.gato import Gato
from gato.record import Recording, record_skill
from gato.reporting.markdown import table, with_interval
from gato.rollout.asked import Question, ask
from gato.rollout.planned import follow
from gato.rollout.prompted import Conditions
from gato.runs import write_json
from gato.specs import share_interval

RESULT = Path(__file__).parent / "results" / "judging.json"
BODY = "half-cheetah"
SKILLS = {"run-forward": "run forward", "run-backward": "run backward"}
RECORDED_STEPS = 300
KEPT = {
    "kept": {},
    "kept and relabelled": {"relabel": True},
    "kept, relabelled and mended": {"relabel": True, "mend": True},
}
"""Arm -> what goes into its datasets beside what was followed."""
CONFIG = """
data:
  batch_size: 32
  datasets: [{datasets}]
model:
  network:
    size: nano
    layout: {{window_steps: 8, prompt_positions: 10}}
trainer:
  max_steps: {steps}
"""


def record(episodes: int) -> list[str]:
    """One dataset a skill, acted by its own expert and the other's in turn."""
    made = []
    for skill in SKILLS:
        (other,) = set(SKILLS) - {skill}
        experts = tuple(str(find_expert(f"{BODY}/{one}")) for one in (skill, other))
        recording = Recording(
            f"{BODY}/{skill}",
            episodes=episodes,
            expert=experts,
            max_episode_steps=RECORDED_STEPS,
            dataset_id=f"judging/{skill}-v0",
        )
        made.append(record_skill(recording))
    return made


def arms(datasets: list[str], judge: str) -> tuple[dict[str, list[str]], list[dict[str, Any]]]:
    """What each model learns from, and what the judge said of each dataset the last time."""
    named, said = {"as labelled": datasets}, []
    for arm, wished in KEPT.items():
        named[arm] = [one.replace("-v0", f"-{slug(arm)}-v0") for one in datasets]
        pairs = zip(datasets, named[arm], strict=True)
        said = [api.data_judge(one, judge=judge, keep=kept, **wished) for one, kept in pairs]
    return named, said


def slug(arm: str) -> str:
    """An arm's name as part of a file's or a dataset's."""
    return arm.replace(",", "").replace(" ", "-")


def train(datasets: list[str], folder: Path, steps: int) -> Path:
    """A model of these datasets."""
    entries = ", ".join(f"{{id: {one}}}" for one in datasets)
    config = folder.with_suffix(".yaml")
    config.write_text(CONFIG.format(datasets=entries, steps=steps))
    return Path(str(api.fit(["-c", str(config), "--out", str(folder)])))


def obeyed(model: Gato, episodes: int) -> dict[str, Any]:
    """Share of episodes in which each prompt was followed."""
    questions = [Question(BODY, prompt, f"{BODY}/{skill}", prompt) for skill, prompt in SKILLS.items()]
    answers, _ = ask(model, questions, Conditions(episodes, steps=RECORDED_STEPS))
    shares = [float(one.success or 0) for one in answers]
    return {
        skill: {"mean": share, "ci95": list(share_interval(round(share * episodes), episodes))}
        for skill, share in zip(SKILLS, shares, strict=True)
    }


def mended(model: Gato, failures: list[dict[str, Any]], episodes: int) -> dict[str, float]:
    """Each proposed plan, and the share of episodes in which it is done."""
    plans = dict.fromkeys(one["plan"] for one in failures if one["plan"])
    return {words: follow(model, parse_plan(words, BODY), Conditions(episodes))[0].success.mean for words in plans}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--judge", default="rule")
    parser.add_argument("--plans", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["MINARI_DATASETS_PATH"], os.environ["GATO_CACHE"] = f"{scratch}/minari", f"{scratch}/cache"
        Path(scratch, "minari").mkdir()
        named, said = arms(record(given.episodes), given.judge)
        failures = [one for told in said for one in told["failures"]]
        for arm, datasets in named.items():
            model = Gato.load(train(datasets, Path(scratch, slug(arm)), given.steps))
            rows[arm] = {"success": obeyed(model, 20)}
            if given.plans:
                rows[arm]["plans"] = mended(model, failures, 20)
    write_json(given.out, {"judge": given.judge, "steps": given.steps, "judged": said, "arms": rows})
    cells = [
        [arm, *(with_interval(share["mean"], share["ci95"]) for share in one["success"].values())]
        for arm, one in rows.items()
    ]
    print(table(["learned from", *SKILLS.values()], cells))


if __name__ == "__main__":
    main()
