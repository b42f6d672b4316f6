"""The card of a shared dataset: README.md as the Hugging Face Hub reads it, made from the dataset's own metadata.

In: a dataset that Gato recorded. Out: text.
"""

from __future__ import annotations

from gato.data.minari_io import Dataset
from gato.lineage import lineage
from gato.reporting.markdown import table
from gato.sharing.model_card import HERE, NONE, artifact_name, front_matter

LICENCE = "MIT"
"""Of what Gato records: simulations, and experts that learned in them."""


def dataset_card(dataset: Dataset) -> str:
    """The whole README.md; ValueError for what somebody else recorded, whose licence is not ours to tell."""
    if not dataset.is_ours:
        raise ValueError(
            f"{dataset.id} was not recorded by gato: its licence is not ours to give; share what we recorded"
        )
    parts = [
        front_matter(
            {
                "license": LICENCE.lower(),
                "pretty_name": dataset.id,
                "task_categories": ["reinforcement-learning"],
                "tags": ["minari", "gato", "robotics", "mujoco", "gymnasium", dataset.spec.name],
            }
        ),
        f"# {dataset.id}",
        f"{dataset.description}. {dataset.num_episodes} episodes, {dataset.num_steps} control steps of the simulated"
        f" body {dataset.spec.name}, in Minari's format, made by Gato.",
        "## Use",
        _use(dataset),
        "## What it holds",
        _facts(dataset),
        "`actions` are those that were executed, `infos/expert_action` what the expert intended: the training target."
        " `infos/prompt_id` says which of the prompts below held at each step; the other infos are physical readings.",
        "## Prompts",
        table(("prompt_id", "skill", "said", "phrases"), _prompts(dataset), texts=3),
        "## Licence",
        f"{LICENCE}. Everything in it comes from a simulator.",
    ]
    return "\n\n".join(parts) + "\n"


def _use(dataset: Dataset) -> str:
    return f"""```python
import minari
from huggingface_hub import snapshot_download
from minari.storage import get_dataset_path
snapshot_download("{HERE}", repo_type="dataset", local_dir=get_dataset_path("{dataset.id}"))
dataset = minari.load_dataset("{dataset.id}")
```

Once it is there, `gato data check {dataset.id}` replays episodes to the bit, and `gato fit` takes it as
`--data.datasets '[{{"id": "{dataset.id}"}}]'`."""


def _facts(dataset: Dataset) -> str:
    record, reference = lineage(dataset.folder), dataset.reference
    experts = ", ".join(map(artifact_name, record.inputs)) or NONE
    rows = [
        ("content hash", f"`{dataset.content_hash}`"),
        ("environment", dataset.env_spec.id if dataset.env_spec else NONE),
        ("observations", f"{len(dataset.spec.observation)}: {', '.join(one.name for one in dataset.spec.observation)}"),
        ("actions", f"{len(dataset.spec.action)}: {', '.join(one.name for one in dataset.spec.action)}"),
        ("who acted, or taught", experts),
        ("mean return of the expert", f"{reference['expert']:,.1f}" if "expert" in reference else NONE),
        ("mean return of random actions", f"{reference['random']:,.1f}" if "random" in reference else NONE),
        ("noise on actions", ", ".join(f"{level:g}" for level in sorted(set(dataset.noise))) or NONE),
        ("recorded by", f"`{record.command}`" if record.command else NONE),
    ]
    return table(("what", "value"), rows, texts=2)


def _prompts(dataset: Dataset) -> list[tuple[str, str, str, str]]:
    skills = dataset.skills or (NONE,) * len(dataset.prompts)
    return [
        (str(number), skill, f"“{phrases[0]}”", str(len(phrases)))
        for number, (skill, phrases) in enumerate(zip(skills, dataset.prompts, strict=True))
    ]
