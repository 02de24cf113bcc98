"""The engine's clock: SimPy's environment in whole nanoseconds."""

from simpy import Environment
from simpy.events import NORMAL, Event, EventPriority


class Clock(Environment):
    """Time in integer nanoseconds from 0: equal instants compare equal, on every machine.

    ``scheduled`` counts the kernel events scheduled so far, the engine's unit of economy.
    """

    def __init__(self) -> None:
        super().__init__(initial_time=0)
        self.scheduled = 0

    @property
    def now(self) -> int:
        """The current instant, ns."""
        return self._now  # type: ignore[return-value]

    def schedule(self, event: Event, priority: EventPriority = NORMAL, delay: float = 0) -> None:
        self.scheduled += 1
        super().schedule(event, priority, delay)
