"""The card of a shared model: README.md as the Hugging Face Hub reads it, YAML first, then Markdown.

In: `Shared`. Out: text; equal for equal models, without times or paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gato.lineage import Artifact
from gato.model.gato import Gato
from gato.reporting.markdown import table, with_interval
from gato.skills.bodies import BODIES
from gato.skills.table import SKILLS

HERE = "OWNER/NAME"
"""Stands for the repository, until it is known."""
ANCESTORS = ("model", "init_from")
"""Inputs of a model that are models themselves."""
NONE = "–"
LIMITS = """\
- Simulated bodies only: nothing here has been near a real machine, and nothing makes it safe on one.
- It does the skills above, on the bodies above, as their environments are made by Gato. Another version of a body, with
  other observations or other bounds, is refused.
- What it senses is scaled by the statistics of the datasets above; far outside them it acts blindly.
- Words are never refused. Capitals, punctuation and spaces are ignored; unknown words are read in pieces, and the body
  does some skill of its own, often not the one that was meant. Without words it chooses one itself.
- Scores hold for the starts and words they were measured with; *obeyed* is a rule in physical units over a whole
  episode, not a promise."""


@dataclass(frozen=True)
class Shared:
    """What a card tells of."""

    model: Gato
    card: Mapping[str, Any]
    """Of the training."""
    dtype: str
    size: int
    """Bytes of the weights."""
    source: Artifact
    """The model it was exported from, and what that was made of."""
    is_rounded: bool
    """Whether these weights differ from those that were measured."""
    datasets: tuple[str, ...]
    """Hub ids."""
    results: Mapping[str, Any]
    """Of `gato eval`; empty without."""
    videos: tuple[str, ...]
    """Names in the folder, the best first."""

    @property
    def name(self) -> str:
        """By its size."""
        return f"gato-{self.model.config.size}"

    @property
    def skills(self) -> list[str]:
        """Ids that it was trained on."""
        return list(self.card.get("skills", ()))


def _after(source: Artifact) -> str:
    """Whether its weights began as another model's, whose updates are not among its own."""
    has_parent = any(one.name == "init_from" for one in source.inputs)
    return ", after those of the model that it began as (`gato info`)" if has_parent else ""


def model_card(shared: Shared) -> str:
    """The whole README.md."""
    model, card = shared.model, shared.card
    named = ", ".join(model.bodies)
    parts = [
        front_matter(_metadata(shared)),
        f"# {shared.name}",
        f"One transformer, one set of weights, {len(model.bodies)} simulated bodies ({named}); words choose what it"
        " does.",
        f"{model.num_parameters() / 1e6:.2f} M parameters in {shared.dtype}, {shared.size / 1e6:.1f} MB on disk,"
        f" trained for {card.get('updates', NONE)} updates on recordings of experts{_after(shared.source)}.",
        "## Use",
        _use(shared),
        "## What it can be told",
        table(("say", "skill", "obeyed means, over a whole episode"), map(_skill_row, shared.skills), texts=3),
        *_scores(shared),
        *_videos(shared),
        "## What it was trained on",
        _training(shared),
        "## Limits",
        LIMITS,
        "## Licence",
        f"{card.get('licence', 'unknown')}. Made with Gato, after Reed et al. 2022, *A Generalist Agent*.",
    ]
    return "\n\n".join(parts) + "\n"


def front_matter(metadata: Mapping[str, Any]) -> str:
    """The YAML that the Hub reads."""
    return f"---\n{yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True, width=120)}---"


def _metadata(shared: Shared) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "license": str(shared.card.get("licence", "unknown")).lower(),
        "library_name": "gato-agent",
        "pipeline_tag": "reinforcement-learning",
        "tags": ["gato", "reinforcement-learning", "robotics", "mujoco", "gymnasium", *shared.model.bodies],
    }
    if shared.datasets:
        metadata["datasets"] = list(shared.datasets)
    if tasks := shared.results.get("tasks"):
        scores = [_score(skill, task) for skill, task in tasks.items()]
        metadata["model-index"] = [{"name": shared.name, "results": scores}]
    return metadata


def _score(skill: str, task: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of the Hub's model-index."""
    figures = {
        "mean_reward": task["return"]["mean"],
        "normalised_score": task["normalised"],
        "success_rate": task["success"],
    }
    return {
        "task": {"type": "reinforcement-learning", "name": f"told “{task['prompt']}”"},
        "dataset": {"type": SKILLS[skill].env_id if skill in SKILLS else skill, "name": skill},
        "metrics": [
            {"type": name, "value": round(value, 4), "name": name.replace("_", " ")}
            for name, value in figures.items()
            if value is not None
        ],
    }


def _use(shared: Shared) -> str:
    known = [SKILLS[skill] for skill in shared.skills if skill in SKILLS]
    env_id = f"gato.skills.environment:{known[0].env_id}" if known else "YOUR-ENVIRONMENT"
    body, prompt = (known[0].body, known[0].prompt) if known else (next(iter(shared.model.bodies)), "")
    return f"""With Gato installed (`pip install "gato-agent[hub]"`), from Python:

```python
import gato, gymnasium

env = gymnasium.make("{env_id}")
policy = gato.load("{HERE}").agent(env, prompt="{prompt}")
observation, _ = env.reset(seed=0)
action, _ = policy.predict(observation)
```

`predict` is that of Stable-Baselines3. From the command line:

```sh
gato eval {HERE} --body {body} --prompt "{prompt}" --episodes 10
```"""


def _skill_row(skill_id: str) -> tuple[str, str, str]:
    skill = SKILLS.get(skill_id)
    if skill is None:
        return NONE, skill_id, NONE
    return f"“{skill.prompt}”", skill_id, "; ".join(map(str, skill.rule))


def _scores(shared: Shared) -> list[str]:
    results = shared.results
    if not results.get("tasks"):
        return []
    head = ("told", "skill", "return", "expert", "random", "normalised", "obeyed")
    rows = [
        (
            f"“{task['prompt']}”",
            skill,
            with_interval(task["return"]["mean"], task["return"]["ci95"], ",.0f"),
            _number(task["expert"], ",.0f"),
            _number(task["random"], ",.0f"),
            _number(task["normalised"], ".3f"),
            _number(task["success"], ".0%"),
        )
        for skill, task in results["tasks"].items()
    ]
    words = [
        f"{results['episodes']} episodes a prompt (seed {results['seed']}), the same starts for model, expert and"
        " random actions. In brackets the bootstrap 95 % interval of the mean; normalised: 0 is random, 1 the expert."
    ]
    if results.get("mean_normalised") is not None:
        mean, iqm = results["mean_normalised"], results["iqm_normalised"]
        words.append(f"Mean normalised {mean:.3f}, interquartile mean {iqm:.3f}.")
    if shared.is_rounded:
        words.append(f"Measured before the weights were rounded to {shared.dtype}.")
    return ["## Results", table(head, rows, texts=2), " ".join(words)]


def _videos(shared: Shared) -> list[str]:
    links = [f"[{Path(name).stem.rpartition('-')[0].replace('-', ' ')}]({name})" for name in shared.videos]
    return ["## Videos", ", ".join(links)] if links else []


def _training(shared: Shared) -> str:
    rows = [
        (f"`{dataset.name}`", f"`{dataset.recorded}`", ", ".join(map(artifact_name, dataset.inputs)) or NONE)
        for dataset in _trained_on(shared.source)
    ]
    bodies = [
        (name, str(len(body.observation)), str(len(body.action)), BODIES[name].gym_id if name in BODIES else NONE)
        for name, body in ((name, shared.model.body(name).spec) for name in shared.model.bodies)
    ]
    known = (
        table(("Minari dataset", "content hash", "who acted, or taught"), rows, texts=3) if rows else "Not recorded."
    )
    return f"{known}\n\n{table(('body', 'observations', 'actions', 'environment'), bodies)}"


def _trained_on(model: Artifact) -> Iterator[Artifact]:
    """Its datasets, and those of the models that it began from."""
    for one in model.inputs:
        yield from _trained_on(one) if one.name in ANCESTORS else (one,)


def artifact_name(artifact: Artifact) -> str:
    """An expert by its id, or the end of its path."""
    path = Path(artifact.place)
    place = "/".join(path.parts[-2:]) if path.is_absolute() else artifact.place
    return f"{place} (`{artifact.recorded}`)"


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)
