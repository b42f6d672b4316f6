"""What a planner chose for one body, and what is remembered of it.

In: an `Asker`, the time, what somebody says. Out: `option`, what the body does, and a `Decision` whenever one is made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gato.planner.deliberation import Asker, Decision, Deliberation
from gato.planner.situation import MEMORY, Situation


class Mind:
    """In one episode."""

    def __init__(self, asker: Asker, option: str) -> None:
        """`option`: what the body does until something has been chosen."""
        self.option = option
        self.memory: deque[tuple[float, str]] = deque(maxlen=MEMORY)
        """When what was chosen, the newest last."""
        self._deliberation = Deliberation(asker)
        self._heard = ""

    @property
    def is_waiting(self) -> bool:
        """Whether a question is on its way."""
        return self._deliberation.is_waiting

    def decide(self, now: float, instruction: str, look: Callable[[], Situation]) -> Decision | None:
        """What was decided, or failed, by `now`, s since the episode began; None while nothing is. `look` is called
        when it is time to ask; an `instruction` that is new makes it so."""
        has_news, self._heard = instruction != self._heard, instruction
        decision = self._deliberation.update(now, look, has_news=has_news)
        if decision is not None and decision.choice is not None:
            self.option = decision.choice.option
            self.memory.append((decision.answered, self.option))
        return decision
