"""What the way through the GIL's code costs a core that has not been there for a while.

To ask for the GIL, to drop it or to take it a thread runs through take_gil and drop_gil
(Python/ceval_gil.c), pthread's condition and mutex, and the kernel's futexes, timers and scheduler.
What the core did since has displaced all that from its caches, an idle state or the host of a
virtual machine even more. The first who comes there pays for it (calibration/kernels/away.py),
whoever follows on the same core hardly.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gilplan.model.core import Core


def nothing(_: int) -> int:
    """Return that it costs nothing, after whatever time."""
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PathCosts:
    """Costs of the path's first use on a core, ns, by how long it has not been used there, ns.

    ``ask(away)`` is the time from a request until the core's next thread runs; ``drop(away)`` what
    a forced drop takes beyond its signal until the dropper has left its core; ``take(away)`` what a
    woken waiter takes beyond its wake-up.
    """

    ask: Callable[[int], int] = nothing
    drop: Callable[[int], int] = nothing
    take: Callable[[int], int] = nothing


def time_away(core: Core, now: int) -> int:
    """Return how long the path has not been used on the core, which uses it now."""
    away = now - core.path_used_at
    core.path_used_at = now
    return away
