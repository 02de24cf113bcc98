"""The kernel's timers: late by the slack, together on one core, alone on another."""

from gilplan.model.clock import Clock
from gilplan.model.timers import Timers

SLACK = 50


def started(*waits: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Start timers (at, core, time); return (at, core) of each ring."""
    clock, rung = Clock(), []
    timers = Timers(clock, cores=2, slack=SLACK)

    def body():
        for at, core, time in waits:
            yield clock.timeout(at - clock.now)
            timers.start(core, time, lambda core=core: rung.append((clock.now, core)))

    clock.process(body())
    clock.run(until=100_000)
    return rung


def test_a_timer_alone_is_late_by_the_slack():
    assert started((0, 0, 1000)) == [(1000 + SLACK, 0)]


def test_timers_of_one_core_that_are_due_ring_together():
    assert started((0, 0, 1000), (30, 0, 1000), (60, 0, 1000)) == [
        (1050, 0),
        (1050, 0),
        (1110, 0),
    ]


def test_cores_do_not_wait_for_each_other():
    assert started((0, 0, 1000), (30, 1, 1000)) == [(1050, 0), (1080, 1)]


def test_a_shorter_timer_brings_the_interrupt_forward():
    assert started((0, 0, 1000), (100, 0, 200)) == [(350, 0), (1050, 0)]


def test_cancelled_timer_does_not_ring():
    clock, rung = Clock(), []
    timers = Timers(clock, cores=1, slack=SLACK)
    timer = timers.start(0, 1000, lambda: rung.append("cancelled"))
    timers.start(0, 2000, lambda: rung.append("other"))
    timers.cancel(timer)
    clock.run(until=10_000)
    assert rung == ["other"]


def test_cancelled_timer_brings_no_interrupt_for_the_others():
    clock, rung = Clock(), []
    timers = Timers(clock, cores=1, slack=SLACK)

    def body():
        timer = timers.start(0, 1000, lambda: rung.append("cancelled"))
        timers.cancel(timer)
        yield clock.timeout(30)
        timers.start(0, 1000, lambda: rung.append(clock.now))

    clock.process(body())
    clock.run(until=10_000)
    assert rung == [1080]
