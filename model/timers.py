"""The kernel's timers: each core's own, with slack (kernel/time/hrtimer.c).

A timed wait may end up to `timer slack` late (50 us unless a thread asks for another). A core's
timer interrupt is set to the latest instant that the first of its timers allows, and then serves
every timer of that core whose time has come: waits that began at different times on the same core
end together, waits on different cores do not. Whose wait is cut short takes its timer out, and the
interrupt is set to what the next one allows (``hrtimer_force_reprogram``).
"""

from collections.abc import Callable
from typing import Any

from gilplan.model.alarm import Alarm, call_after
from gilplan.model.clock import Clock


class Timer:
    """One pending wait on a core: it may end from ``due_at`` on; ``ring`` is called then."""

    __slots__ = ("core", "due_at", "ring")

    def __init__(self, core: int, due_at: int, ring: Callable[[], None]) -> None:
        self.core = core
        self.due_at = due_at
        self.ring = ring


class Timers:
    """The timers of all cores; ``slack`` in ns is what each may be late."""

    def __init__(self, env: Clock, *, cores: int, slack: int) -> None:
        self._env = env
        self._slack = slack
        self._pending: list[list[Timer]] = [[] for _ in range(cores)]
        self._interrupts: list[Alarm | None] = [None] * cores
        self._interrupt_at = [0] * cores

    def start(self, core: int, time: int, ring: Callable[[], None]) -> Timer:
        """Let ``ring`` be called on the core after ``time`` ns and at most the slack more."""
        timer = Timer(core, self._env.now + time, ring)
        self._pending[core].append(timer)
        self._set_interrupt(core, timer.due_at + self._slack)
        return timer

    def cancel(self, timer: Timer) -> None:
        """Forget a timer that has not rung."""
        self._pending[timer.core].remove(timer)

    def _set_interrupt(self, core: int, at: int) -> None:
        if self._interrupts[core] is not None and self._interrupt_at[core] <= at:
            return
        self._interrupt_at[core] = at
        self._interrupts[core] = call_after(
            self._env, at - self._env.now, lambda event: self._serve(core, event)
        )

    def _serve(self, core: int, event: Any) -> None:
        if self._interrupts[core] is not event:
            return
        self._interrupts[core] = None
        now, pending, due = self._env.now, self._pending[core], []
        # Else the timer that it was set for has been cancelled.
        if pending and self._first_interrupt(pending) <= now:
            due = sorted((timer for timer in pending if timer.due_at <= now), key=_due_at)
            self._pending[core] = pending = [timer for timer in pending if timer.due_at > now]
        if pending:
            self._set_interrupt(core, self._first_interrupt(pending))
        for timer in due:
            timer.ring()

    def _first_interrupt(self, pending: list[Timer]) -> int:
        return min(map(_due_at, pending)) + self._slack


def _due_at(timer: Timer) -> int:
    return timer.due_at
