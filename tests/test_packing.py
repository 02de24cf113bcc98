"""What a kernel that packs threads takes for the use of a core and of a thread."""

import pytest

from gilplan.model.clock import Clock
from gilplan.model.core import Core
from gilplan.model.new_idle import NewIdle
from gilplan.model.packing import Packing
from gilplan.model.run_queue import RunQueue
from gilplan.model.thread import Thread

PACKING = Packing(0.7)


def core(clock: Clock) -> Core:
    return Core(clock, 0, RunQueue(base_slice=1_400_000, tick=4_000_000), NewIdle(lambda: 0))


@pytest.mark.parametrize(
    # Usual use before, use and share of the time it ran or waited at the sleep; usual use after.
    ("usual", "used", "wanted", "after"),
    [
        (0.2, 0.6, 0.6, 0.6),  # more: at once
        (0.6, 0.2, 0.2, 0.5),  # less: a quarter of the way
        (0.6, 0.595, 0.595, 0.6),  # hardly less: not at all
        (0.6, 0.2, 0.5, 0.6),  # less, for it had to wait
        (0.6, 0.2, 0.205, 0.5),
    ],
)
def test_usual_use_rises_at_once_and_falls_slowly_where_nothing_kept_the_thread_from_more(
    usual: float, used: float, wanted: float, after: float
):
    clock = Clock()
    home, thread = core(clock), Thread(clock, index=0)
    thread.usual_utilisation = usual
    thread.utilisation.shift(used - thread.utilisation.average())
    thread.load.shift(wanted)
    PACKING.wake(home, thread)
    assert home.usual_utilisation == pytest.approx(usual)
    PACKING.sleep(home, thread)
    assert home.usual_utilisation == pytest.approx(0)
    assert thread.usual_utilisation == pytest.approx(after)


def test_thread_takes_its_past_along():
    clock = Clock()
    home, other, thread = core(clock), core(clock), Thread(clock, index=0)
    home.utilisation.shift(0.9)
    thread.utilisation.shift(-0.6)
    PACKING.move(thread, home, other)
    assert home.utilisation.average() == pytest.approx(0.5)
    assert other.utilisation.average() == pytest.approx(0.4)


def test_program_begins_with_threads_that_have_been_busy():
    clock = Clock()
    home, thread = core(clock), Thread(clock, index=0)
    assert not PACKING.has_room(home, thread)
