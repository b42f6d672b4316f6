"""Who acts in a recording: one actor a skill, and the hashes that say which experts they were.

In: a `Recording` and its stepper. Out: a `Crew`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gato.experts.adapters import load_expert
from gato.experts.shipped import find_expert
from gato.model.gato import Gato
from gato.recording.blocks import Plan
from gato.recording.recipe import Recording
from gato.recording.student import Student, load_student
from gato.runs import as_input, content_hash
from gato.skills.evaluate import Actor, random_actor, zero_actor
from gato.skills.stepper import Stepper, find_env_spec


@dataclass(frozen=True)
class Crew:
    """The actors by prompt_id; none stands for random ones."""

    stepper: Stepper
    num_skills: int
    experts: tuple[Actor, ...]
    inputs: dict[str, dict[str, str]]
    """Name -> {"path" or "id", "hash"}, as `runs.write_provenance` takes them."""
    model: Gato | None = None
    """Acts in the experts' place."""

    @property
    def hashes(self) -> dict[str, str]:
        """Name -> hash of the expert."""
        return {name: entry["hash"] for name, entry in self.inputs.items()}

    def actors(self, seed: int) -> tuple[Actor, ...]:
        """For one block of episodes: random ones are made anew, so that no block hangs on those before it."""
        return self.experts or (random_actor(self.stepper.spec, seed),) * self.num_skills

    def student(self, plan: Plan, skills: Sequence[str]) -> Student | None:
        """For one block of episodes: who acts in the experts' place, if anyone does."""
        return Student(self.model, self.stepper.spec.name, skills, plan) if self.model else None


def find_crew(recording: Recording, stepper: Stepper) -> Crew:
    """The actors a recording asks for; ValueError where there is no such expert, or it does not fit."""
    num_skills = max(len(recording.skills), 1)
    if recording.expert == "random":
        return Crew(stepper, num_skills, (), {})
    if recording.expert == "zero":
        return Crew(stepper, num_skills, (zero_actor(stepper.spec),) * num_skills, {})
    if recording.expert == "shipped" and not recording.skills:
        raise ValueError(
            f"no expert of {recording.env} comes with Gato; pass --expert random, a policy folder or module.py:factory"
        )
    experts, inputs = [], {}
    for skill in recording.skills or ("",):
        text = skill if recording.expert == "shipped" else recording.expert.replace("{skill}", skill)
        experts.append(load_expert(text, find_env_spec(skill) if skill else stepper.env_spec))
        file, _, function = text.rpartition(":")
        place = Path(file) if function and file.endswith(".py") else find_expert(text)
        where = {"id": f"shipped:{skill}"} if recording.expert == "shipped" else {"path": str(place)}
        inputs[f"expert {skill}".strip()] = {**where, "hash": content_hash(place)}
    model = None
    if recording.student:
        model = load_student(recording.student, stepper)
        inputs["student"] = as_input(recording.student)
    return Crew(stepper, num_skills, tuple(experts), inputs, model)
