"""How far Linux looks for an idle core: `SIS_UTIL`, `update_idle_cpu_scan` (fair.c, 6.18).

The number of cores that a wake-up looks at falls with the square of how much of all of them is used
(`core_use`); of two cores none, once more than 1.2 of them are.

The number is not that of the moment. The kernel renews it when it balances the load: an idle core
does so at the first tick after it fell idle (it then has no more), and is woken to do so when a
tick finds somebody waiting, or lingering, on another; a busy core does so now and then. With
threads that wait the use is high just then. Of three threads behind one GIL of 1 ms, which use 1.07
cores, 0.4 of the wake-ups find that no core is to be looked at; at 0.5 ms 0.6 to 0.7, of eight at
1 ms 0.6 to 0.7 (`sd->shared->nr_idle_scan`, counted by a BPF program at `sched_waking`; 3.14.10).

Approximation: what a host does to a core that idles is not in the model. It lets threads run on for
ten milliseconds now and then, which raises what they usually use, and so makes the kernel give up
more often than here (with the same threads 0.0, 0.1 and 0.3).
"""

from collections.abc import Sequence

from gilplan.model.clock import Clock
from gilplan.model.core import Core
from gilplan.model.core_use import used

#: A group of cores counts as overloaded beyond 100 / 117 of its capacity (`imbalance_pct`).
IMBALANCE = 1.17
#: A busy core balances after so many ns for each core of its domain, less a tick (1 ms per core,
#: `min_interval`, times `busy_factor`).
BUSY_BALANCE_TIME = 16_000_000


class IdleSearch:
    """Knows how many of ``cores_searched`` cores are looked at. ``tick`` is the timer's, ns."""

    def __init__(
        self, env: Clock, cores: Sequence[Core], *, cores_searched: int, tick: int
    ) -> None:
        self._env = env
        self._cores = cores
        self._cores_searched = cores_searched
        self._renewal_time = BUSY_BALANCE_TIME * cores_searched - tick
        self._renewed_at = -self._renewal_time
        self._length = 0

    def length(self) -> int:
        """Return how many cores a wake-up looks at now."""
        if self._env.now - self._renewed_at >= self._renewal_time:
            self.renew()
        return self._length

    def renew(self) -> None:
        """Let a core that balances count anew."""
        load = IMBALANCE * sum(map(used, self._cores)) / self._cores_searched
        self._length = int(self._cores_searched * (1 - min(load * load, 1.0)))
        self._renewed_at = self._env.now
