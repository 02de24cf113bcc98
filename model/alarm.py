"""An event that rings later and can be moved: the one kind of event that a thread waits on.

SimPy has no way to take an event off its queue. Moving an alarm therefore hands the waiting
callbacks to a fresh one and leaves the old one to pass unheard: one idle kernel event, which
the event budget of a hand-off includes.
"""

from typing import Any

from simpy.events import Event

from gilplan.model.clock import Clock


class Alarm(Event):
    """Unset until `ring_after`; then it triggers once, after the delay (integer ns)."""

    __slots__ = ()

    def ring_after(self, delay: int, value: Any = None) -> None:
        """Trigger in ``delay`` nanoseconds with ``value``: one kernel event, no hop."""
        self._ok = True
        self._value = value
        self.env.schedule(self, delay=delay)

    def moved(self) -> "Alarm":
        """Return an unset alarm that the waiters of this one now wait on."""
        fresh = Alarm(self.env)
        fresh.callbacks, self.callbacks = self.callbacks, []
        return fresh


def call_after(env: Clock, delay: int, callback: Any) -> Alarm:
    """Call ``callback(event)`` in ``delay`` nanoseconds, as one kernel event."""
    alarm = Alarm(env)
    alarm.callbacks.append(callback)
    alarm.ring_after(delay)
    return alarm
