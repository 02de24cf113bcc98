"""What the kernel takes for the use of a core and of a thread."""

import pytest

from gilplan.model import core_use
from gilplan.model.clock import Clock
from gilplan.model.core import Core
from gilplan.model.new_idle import NewIdle
from gilplan.model.recent_average import HALF_LIFE
from gilplan.model.run_queue import RunQueue
from gilplan.model.thread import Thread


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
    thread = Thread(Clock(), index=0)
    thread.usual_utilisation = usual
    thread.utilisation.shift(used - thread.utilisation.average())
    thread.load.shift(wanted - thread.load.average())
    core_use.learn(thread, known_at=0)
    assert thread.usual_utilisation == pytest.approx(after)


def test_what_a_thread_ran_since_the_last_tick_is_not_known_yet():
    clock = Clock()
    thread = Thread(clock, index=0)
    thread.usual_utilisation = 0.0
    thread.utilisation.change(1)
    clock.run(until=HALF_LIFE)
    core_use.learn(thread, known_at=0)
    assert thread.usual_utilisation == pytest.approx(0.5)
    core_use.learn(thread, known_at=HALF_LIFE)
    assert thread.usual_utilisation == pytest.approx(0.75)


def test_core_is_used_as_much_as_it_ran_or_as_its_threads_usually_do():
    clock = Clock()
    home, thread = core(clock), Thread(clock, index=0)
    home.utilisation.shift(0.3)
    thread.usual_utilisation = 0.4
    assert core_use.used(home) == pytest.approx(0.3)
    core_use.arrive(home, thread)
    core_use.arrive(home, thread)
    assert core_use.used(home) == pytest.approx(0.8)
    core_use.leave(home, thread)
    core_use.leave(home, thread)
    assert core_use.used(home) == pytest.approx(0.3)


def test_new_thread_is_taken_to_use_half_of_what_the_ones_before_it_have_left():
    uses = [Thread(Clock(), index=7, older=older).utilisation.average() for older in range(4)]
    assert uses == [0.5, 0.25, 0.125, 0.0625]
