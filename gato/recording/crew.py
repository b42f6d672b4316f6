"""Who acts in a recording: one actor a skill, and the hashes that say which experts they were.

In: a `Recording` and its stepper. Out: a `Crew`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gato.experts.adapters import open_expert
from gato.experts.scores import RecordedScore, refuse_weak
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
    recorded: tuple[RecordedScore | None, ...] = ()
    """How well each expert is said to act."""

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

    def refuse_weak(self, skills: Sequence[str], seed: int) -> None:
        """ValueError if an expert falls far short of its recorded score."""
        for number, (actor, recorded) in enumerate(zip(self.experts, self.recorded, strict=False)):
            if recorded is not None:
                env_spec = find_env_spec(skills[number]) if skills else self.stepper.env_spec
                name = skills[number] if skills else env_spec.id
                refuse_weak(actor, env_spec, recorded, name=f"the expert of {name}", seed=seed)


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
        text, normalizer = (one.replace("{skill}", skill) for one in (recording.expert, recording.normalizer))
        is_shipped = recording.expert == "shipped"
        env_spec = find_env_spec(skill) if skill else stepper.env_spec
        expert = open_expert(skill if is_shipped else text, env_spec, normalizer)
        experts.append(expert)
        where = {"id": f"shipped:{skill}"} if is_shipped else {"path": str(expert.place)}
        inputs[f"expert {skill}".strip()] = {**where, "hash": content_hash(expert.place)}
        if expert.normaliser is not None:
            inputs[f"normalizer {skill}".strip()] = as_input(expert.normaliser)
    model = None
    if recording.student:
        model = load_student(recording.student, stepper)
        inputs["student"] = as_input(recording.student)
    actors, recorded = tuple(one.actor for one in experts), tuple(one.recorded for one in experts)
    return Crew(stepper, num_skills, actors, inputs, model, recorded)
