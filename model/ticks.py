"""The timer's ticks on the cores that wait for one: all cores tick at the same time.

Of each core's ticks only those are simulated that may change something: while threads wait on it,
and the first one after it fell idle.
"""

from collections.abc import Callable
from typing import Any

from gilplan.model.alarm import call_after
from gilplan.model.clock import Clock
from gilplan.model.core import Core


class Ticks:
    """Lets cores tick every ``period`` ns, from ``first`` on; ``tick(core)`` is what that does."""

    def __init__(
        self, env: Clock, *, period: int, first: int, tick: Callable[[Core], None]
    ) -> None:
        self._env = env
        self._period = period
        self._first = first
        self._tick = tick
        self._waiting: list[Core] = []

    def since_last(self) -> int:
        """Return the time since the last tick; one at this moment came before what happens now."""
        return max((self._env.now - self._first) % self._period, 1)

    def await_next(self, core: Core) -> None:
        """Let the core have the next tick."""
        if core in self._waiting:
            return
        self._waiting.append(core)
        if len(self._waiting) == 1:
            since = (self._env.now - self._first) % self._period
            call_after(self._env, self._period - since, self._ring)

    def _ring(self, _: Any) -> None:
        cores, self._waiting = self._waiting, []
        for core in cores:
            self._tick(core)
