"""What the way through the GIL's code costs a core that has not been there for a while.

To ask for the GIL, to drop it or to take it a thread runs through take_gil and drop_gil
(Python/ceval_gil.c), pthread's condition and mutex, and the kernel's futexes, timers and scheduler.
What the core did since has displaced all that from its caches, an idle state or the host of a
virtual machine even more. The first who comes there pays for it, whoever follows on the same core
hardly: of waiters tied to an idle core, each of whose waits run out after 0.1 and 5 ms, the first
took 13 and 38 us of CPU time, the next ones 3 and 5.
"""

from collections.abc import Callable

from gilplan.model.core import Core


def nothing(_: int) -> int:
    """Return that it costs nothing, after whatever time."""
    return 0


class PathCosts:
    """Costs of the path's first use on a core, ns, by how long it has not been used there, ns.

    ``ask(away)`` is the time from a request until the core's next thread runs; ``drop(away)`` what
    a forced drop takes beyond its signal; ``take(away)`` what a woken waiter takes beyond its
    wake-up.
    """

    def __init__(
        self,
        *,
        ask: Callable[[int], int] = nothing,
        drop: Callable[[int], int] = nothing,
        take: Callable[[int], int] = nothing,
    ) -> None:
        self.ask = ask
        self.drop = drop
        self.take = take


def time_away(core: Core, now: int) -> int:
    """Return how long the path has not been used on the core, which uses it now."""
    away = now - core.path_used_at
    core.path_used_at = now
    return away
