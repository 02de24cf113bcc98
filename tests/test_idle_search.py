"""How many cores a wake-up looks at for an idle one, and when the kernel counts anew."""

import pytest

from gilplan.model.clock import Clock
from gilplan.model.core import Core
from gilplan.model.idle_search import IdleSearch
from gilplan.model.new_idle import NewIdle
from gilplan.model.recent_average import HALF_LIFE
from gilplan.model.run_queue import RunQueue

MS = 1_000_000
TICK = 4 * MS


class Machine:
    """Cores that have been busy or idle for so long that it counts in full."""

    def __init__(self, count: int, busy: int) -> None:
        self.clock = Clock()
        queues = [RunQueue(base_slice=7 * MS // 5, tick=TICK) for _ in range(count)]
        self.cores = [Core(self.clock, k, queues[k], NewIdle(lambda: 0)) for k in range(count)]
        for core in self.cores[:busy]:
            core.utilisation.change(1)
        self.search = IdleSearch(self.clock, self.cores, cores_searched=count, tick=TICK)
        self.later(40 * HALF_LIFE)

    def later(self, time: int) -> None:
        """Let time pass."""
        self.clock.run(until=self.clock.now + time)


@pytest.mark.parametrize(
    ("cores", "busy", "length"),
    # nr_scan of update_idle_cpu_scan by hand: n (1 - (1.17 busy / n)^2), cut to an integer.
    [(2, 0, 2), (2, 1, 1), (2, 2, 0), (4, 1, 3), (4, 2, 2), (4, 3, 0), (16, 8, 10), (16, 15, 0)],
)
def test_search_gets_shorter_with_the_square_of_the_utilisation(cores: int, busy: int, length: int):
    assert Machine(cores, busy).search.length() == length


def test_threads_that_wait_beside_a_running_one_count_as_if_they_ran():
    """Three threads that use a third of a core each: two on one, one on the other."""
    machine = Machine(2, 1)
    for usual, length in ((0.3, 1), (0.6, 1), (0.61, 0)):
        for core in machine.cores:
            core.usual_utilisation = 2 * usual if core is machine.cores[0] else 0.0
        machine.search.renew()
        assert machine.search.length() == length


def test_kernel_counts_anew_when_it_balances_not_when_somebody_wakes():
    machine = Machine(2, 1)
    assert machine.search.length() == 1
    machine.cores[1].usual_utilisation = 0.5
    machine.later(TICK)
    assert machine.search.length() == 1
    machine.search.renew()
    assert machine.search.length() == 0


def test_busy_core_balances_after_sixteen_milliseconds_per_core_less_a_tick():
    machine = Machine(2, 1)
    assert machine.search.length() == 1
    machine.cores[1].usual_utilisation = 0.5
    machine.later(28 * MS - 1)
    assert machine.search.length() == 1
    machine.later(1)
    assert machine.search.length() == 0
