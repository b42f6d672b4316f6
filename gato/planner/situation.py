"""What a planner is asked, and what it answers.

In: a task, what the body sees in words, what was chosen before, the latest instruction. Out: `Situation` with one text
for language models; `Choice`; and `Planner`, the contract.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gato.planner.scene import Sight

MEMORY = 8
"""Choices that are remembered, the newest."""


@dataclass(frozen=True)
class Situation:
    """Everything that a decision may hang on."""

    body: str
    goal: str
    """The task, in words."""
    seconds: float
    """s since the episode began."""
    observation: str
    """How the body moves and what it sees, in words."""
    sights: tuple[Sight, ...]
    """What it sees in numbers: the waypoint first."""
    options: tuple[str, ...]
    """What may be chosen: canonical prompts of the body's skills."""
    memory: tuple[tuple[float, str], ...] = ()
    """When what was chosen, the newest last."""
    instruction: str = ""
    """What somebody said last; "" while nobody did."""

    @property
    def text(self) -> str:
        """All of it as one question, for a language model."""
        chosen = "; ".join(f"{seconds:.1f} s {option}" for seconds, option in self.memory) or "nothing yet"
        return "\n".join(
            [
                f"You steer a robot ({self.body}): again and again you choose what it does next.{self._hint}",
                f"Task: {self.goal}",
                f"Instruction that overrides the task: {self.instruction or 'none'}",
                f"Chosen so far: {chosen}",
                f"Now, at {self.seconds:.1f} s: {self.observation}",
                f"Answer with exactly one of these, and nothing else: {', '.join(self.options)}",
            ]
        )

    @property
    def _hint(self) -> str:
        can_turn = any(option.startswith("turn ") for option in self.options)
        return " Walking keeps the way it looks; turning changes that on the spot." if can_turn else ""


@dataclass(frozen=True)
class Choice:
    """What a planner decided."""

    option: str
    """One of the situation's."""
    answer: str = ""
    """What it literally said, for the log."""
    remark: str = ""
    """What it would not do, and why; "" where it does as it is told."""


class Planner(Protocol):
    """Whoever chooses. It is asked on a thread of its own and may take as long as it likes."""

    name: str

    def decide(self, situation: Situation) -> Choice:
        """One of the situation's options; perhaps asked from several threads at a time.

        Whatever it raises is a failed decision: it is logged, the body goes on. A ValueError says that it answered, but
        with none; anything else that it is not there, and should be left alone for a while, by all who ask it.
        """
        ...
