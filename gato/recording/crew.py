"""Who acts in a recording: one actor a skill, or several in turn, and the hashes that say which experts they were.

In: a `Recording` and its stepper. Out: a `Crew`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gato.experts.adapters import Expert, open_expert
from gato.experts.commanded import Teacher
from gato.experts.led import LED, Led
from gato.experts.policy import Policy
from gato.experts.scores import RecordedScore, refuse_weak
from gato.experts.shipped import NAMED, expert_input, find_expert
from gato.model.find import find_model
from gato.model.gato import Gato
from gato.recording.blocks import Plan, ToldActor
from gato.recording.recipe import Recording
from gato.recording.sampled import Sampled, as_policies
from gato.recording.student import Student, load_student
from gato.runs import as_input
from gato.skills.bodies import get_body
from gato.skills.evaluate import Actor, random_actor, zero_actor
from gato.skills.stepper import Stepper, find_env_spec
from gato.skills.table import get_skill

EXPERT = "expert"
"""How the names of the experts begin among the inputs."""
NOBODY = ("random", "zero")
"""Who acts without being an expert."""


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
    recorded: tuple[RecordedScore | None, ...] = ()
    """How well each expert is said to act."""
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

    def refuse_weak(self, skills: Sequence[str], seed: int) -> None:
        """ValueError if an expert falls far short of its recorded score."""
        for number, (actor, recorded) in enumerate(zip(self.experts, self.recorded, strict=False)):
            if recorded is not None:
                # Experts that take turns are all of the one skill.
                skill = skills[number % len(skills)] if skills else ""
                env_spec = find_env_spec(skill) if skill else self.stepper.env_spec
                name = skill or env_spec.id
                refuse_weak(actor, env_spec, recorded, name=f"the expert of {name}", seed=seed)


def find_crew(recording: Recording, stepper: Stepper) -> Crew:
    """The actors a recording asks for; ValueError where there is no such expert, or it does not fit."""
    num_skills = max(len(recording.skills), 1)
    experts, inputs = _open_experts(recording, stepper)
    actors, recorded = tuple(one.actor for one in experts), tuple(one.recorded for one in experts)
    if len(recording.skills) > 1 and actors:
        actors = _led(actors, recording.skills, stepper, inputs)
    if recording.expert == "zero":
        actors = (zero_actor(stepper.spec),) * num_skills
    sampled = as_policies(actors, recording.experts) if recording.sample else ()
    reference = None
    if recording.reference:
        expert, inputs["reference"] = _open(recording.reference, recording.skills[0], stepper)
        reference = expert.actor
    model = None
    if recording.student:
        model = load_student(recording.student, stepper)
        inputs["student"] = as_input(find_model(recording.student))
    return Crew(stepper, num_skills, actors, inputs, model, recorded, sampled, reference)


def _led(
    actors: tuple[Actor, ...], skills: Sequence[str], stepper: Stepper, inputs: dict[str, dict[str, str]]
) -> tuple[Actor, ...]:
    """Led by the teacher of their body where they fall alone."""
    if not LED.intersection(skills):
        return actors
    body = get_body(get_skill(skills[0]).body)
    commands = get_skill(f"{body.name}/command")
    place = find_expert(commands.id)
    teacher = Teacher(Policy.load(place), commands)
    inputs[f"{EXPERT} {commands.id}"] = expert_input(commands.id, place)
    return tuple(
        Led(actor, get_skill(skill), teacher, commands, dt=body.dt) if skill in LED else actor
        for actor, skill in zip(actors, skills, strict=True)
    )


def _open_experts(recording: Recording, stepper: Stepper) -> tuple[list[Expert], dict[str, dict[str, str]]]:
    """One a skill, or several in turn, and how provenance names them and their normalisers."""
    if recording.expert in NOBODY:
        return [], {}
    if recording.expert in NAMED and not recording.skills:
        raise ValueError(
            f"no expert of {recording.env} comes with Gato; pass --expert random, a policy folder or module.py:factory"
        )
    experts: list[Expert] = []
    known: dict[Path, Expert] = {}
    inputs: dict[str, dict[str, str]] = {}
    for number, name in enumerate(recording.experts, start=1):
        turn = f" {number}" if len(recording.experts) > 1 else ""
        for skill in recording.skills or ("",):
            expert, entry = _open(name, skill, stepper, recording.normalizer)
            # A teacher that is told what to do acts in several skills; a factory's actors each have their own state.
            experts.append(known.setdefault(expert.place, expert) if isinstance(expert.actor, Teacher) else expert)
            inputs[f"{EXPERT} {skill}{turn}".strip()] = entry
            if expert.normaliser is not None:
                inputs[f"normalizer {skill}{turn}".strip()] = as_input(expert.normaliser)
    return experts, inputs


def _open(name: str, skill: str, stepper: Stepper, normalizer: str = "") -> tuple[Expert, dict[str, str]]:
    """An expert of a skill ("": of the stepper's environment), and how provenance names it."""
    text = NAMED[name](skill) if name in NAMED else name.replace("{skill}", skill)
    env_spec = find_env_spec(skill) if skill else stepper.env_spec
    expert = open_expert(text, env_spec, normalizer.replace("{skill}", skill))
    return expert, expert_input(text, expert.place)
