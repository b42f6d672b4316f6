"""Who acts in a recording: one actor a skill, or several in turn, and the hashes that say which experts they were.

In: a `Recording` and its stepper. Out: a `Crew`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gato.experts.adapters import load_expert
from gato.experts.policy import Policy
from gato.experts.shipped import SHIPPED, find_expert
from gato.model.gato import Gato
from gato.recording.blocks import Plan, ToldActor
from gato.recording.recipe import Recording
from gato.recording.sampled import Sampled, as_policies
from gato.recording.student import Student, load_student
from gato.runs import as_input, content_hash
from gato.skills.evaluate import Actor, random_actor, zero_actor
from gato.skills.stepper import Stepper, find_env_spec

EXPERT = "expert"
"""How the names of the experts begin among the inputs."""


@dataclass(frozen=True)
class Crew:
    """The actors by prompt_id, or in turn; none stands for random ones."""

    stepper: Stepper
    num_skills: int
    experts: tuple[Actor, ...]
    inputs: dict[str, dict[str, str]]
    """Name -> {"path" or "id", "hash"}, as `runs.write_provenance` takes them."""
    model: Gato | None = None
    """Acts in the experts' place."""
    sampled: tuple[Policy, ...] = ()
    """The experts, where it is their exploration that acts in their place."""
    reference: Actor | None = None
    """Whose score is the reference, where it is not the experts'."""

    @property
    def hashes(self) -> dict[str, str]:
        """Name -> hash of the expert."""
        return {name: entry["hash"] for name, entry in self.inputs.items()}

    @property
    def turns(self) -> tuple[str, ...]:
        """Name of each expert that takes turns with others: its id where it comes with Gato, else its hash."""
        told = [entry.get("id", entry["hash"]) for name, entry in self.inputs.items() if name.startswith(EXPERT)]
        return tuple(told) if self.num_turns > 1 else ()

    @property
    def num_turns(self) -> int:
        """Experts of one skill that take turns."""
        return len(self.experts) if self.num_skills == 1 and self.experts else 1

    def actors(self, seed: int) -> tuple[Actor, ...]:
        """For one block of episodes: random ones are made anew, so that no block hangs on those before it."""
        return self.experts or (random_actor(self.stepper.spec, seed),) * self.num_skills

    def referee(self) -> Crew:
        """Who earns the reference score."""
        return self if self.reference is None else replace(self, experts=(self.reference,))

    def student(self, plan: Plan, skills: Sequence[str]) -> ToldActor | None:
        """For one block of episodes: who acts in the experts' place, if anyone does."""
        if self.sampled:
            return Sampled(self.sampled, plan)
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
    for number, expert in enumerate(recording.experts, start=1):
        for skill in recording.skills or ("",):
            actor, entry = _find_actor(expert, skill, stepper)
            experts.append(actor)
            turn = f" {number}" if len(recording.experts) > 1 else ""
            inputs[f"{EXPERT} {skill}{turn}".strip()] = entry
    sampled = as_policies(experts, recording.experts) if recording.sample else ()
    reference = None
    if recording.reference:
        reference, inputs["reference"] = _find_actor(recording.reference, recording.skills[0], stepper)
    model = None
    if recording.student:
        model = load_student(recording.student, stepper)
        inputs["student"] = as_input(recording.student)
    return Crew(stepper, num_skills, tuple(experts), inputs, model, sampled, reference)


def _find_actor(expert: str, skill: str, stepper: Stepper) -> tuple[Actor, dict[str, str]]:
    """An expert of a skill ("": of the stepper's environment), and how provenance names it."""
    text = skill if expert == "shipped" else expert.replace("{skill}", skill)
    actor = load_expert(text, find_env_spec(skill) if skill else stepper.env_spec)
    file, _, function = text.rpartition(":")
    place = Path(file) if function and file.endswith(".py") else find_expert(text)
    is_shipped = expert == "shipped" or (place.is_relative_to(SHIPPED) and not Path(text).exists())
    where = {"id": f"shipped:{text}"} if is_shipped else {"path": str(place)}
    return actor, {**where, "hash": content_hash(place)}
