"""The rules of CPython's GIL (Python/ceval_gil.c), one test each, reading like the rule.

Threads follow scripts on cores without noise: waking takes 10 us, timers have no slack, bytecode
polls at once. Instants are microseconds.
"""

import itertools
from collections.abc import Callable, Generator
from typing import Any

import pytest

from gilplan.model.clock import Clock
from gilplan.model.condition import Condition
from gilplan.model.cores import Cores
from gilplan.model.gil import Gil
from gilplan.model.path_costs import PathCosts
from gilplan.model.recorder import State, Timeline
from gilplan.model.thread import Thread
from gilplan.model.worker import Worker
from gilplan.model.workload import Work

WAKE = 10
OVERTAKING = 40
INTERVAL = 5000
Script = list[tuple[str, int]]


class Stage:
    """A process whose threads follow scripts of ``(kind, microseconds)``."""

    def __init__(
        self,
        *,
        cores: int = 4,
        preempts_across_interpreters: bool = True,
        awake: bool = False,
        first: bool = True,
        signal: int = 0,
        least_waking: int = 0,
        retry: int = 0,
        overdue: int = 0,
        slack: int = 0,
        signaller_waits: bool = True,
        costs: PathCosts | None = None,
    ) -> None:
        self.retry = retry
        self.least_waking = least_waking
        self.overdue = overdue
        self.awake = int(awake)
        self.first = int(awake and first)
        self.clock = Clock()
        self.timeline = Timeline()
        self.cores = Cores(
            self.clock,
            count=cores,
            speeds={work: [1.0] for work in Work},
            wake_latency=lambda _: WAKE * 1000,
            switch_time=0,
            forced_switch_time=0,
            preemption_latency=0,
            base_slice=1_400_000,
            tick=4_000_000,
            signal_time=lambda _: signal * 1000,
            usual_signal_time=signal * 1000,
            timer_slack=slack * 1000,
        )
        self.gil = self.new_gil(
            preempts_across_interpreters=preempts_across_interpreters,
            signaller_waits=signaller_waits,
            costs=costs,
        )
        self.threads: list[Thread] = []

    def new_gil(self, *, index: int = 0, interval: int = INTERVAL, **options: Any) -> Gil:
        return Gil(
            self.clock,
            self.cores,
            index=index,
            interval=interval * 1000,
            handoff_latency=lambda: WAKE * 1000,
            overtaking_latency=lambda: OVERTAKING * 1000,
            retry_time=lambda: self.retry * 1000,
            overdue_wait_time=self.overdue * 1000,
            least_waking_time=self.least_waking * 1000,
            asker_is_awake=lambda: self.awake,
            asker_is_first=lambda: self.first,
            recorder=self.timeline,
            **options,
        )

    def thread(
        self,
        script: Script,
        *,
        at: int = 0,
        gil: Gil | None = None,
        interpreter: int = 0,
        poll: int = 0,
    ) -> Thread:
        """Add a thread that reaches for the GIL at ``at`` and then follows the script."""
        thread = Thread(
            self.clock, index=len(self.threads), interpreter=interpreter, recorder=self.timeline
        )
        self.threads.append(thread)
        worker = Worker(thread, cores=self.cores, gil=gil or self.gil, release_time=0)
        self.clock.process(self._follow(worker, script, at, poll))
        return thread

    def _follow(
        self, worker: Worker, script: Script, at: int, poll: int
    ) -> Generator[Any, Any, None]:
        yield self.clock.timeout(at * 1000)
        self.cores.wake(worker.thread, latency=0)
        yield worker.thread.alarm
        yield from worker.gil.take(worker.thread)
        for kind, microseconds in script:
            yield from self._step(worker, kind, microseconds * 1000, poll * 1000)
        yield from worker.gil.drop(worker.thread)
        self.cores.block(worker.thread, State.BLOCKED)

    @staticmethod
    def _step(worker: Worker, kind: str, time: int, poll: int) -> Any:
        demand: Callable[[], int] = lambda: time  # noqa: E731
        if kind == "python":
            return worker.python(demand, Work.BYTECODE, lambda: poll)
        if kind == "held":
            return worker.held_native(demand, Work.COMPUTE)
        if kind == "released":
            return worker.released_native(demand, Work.COMPUTE)
        return worker.wait(demand)

    def takes(self, until: int = 60_000, gil: int = 0) -> list[tuple[int, int]]:
        """Run and list the takings of a GIL: (instant in us, thread)."""
        if self.clock.now < until * 1000:
            self.clock.run(until=until * 1000)
        return [
            (at // 1000, thread)
            for at, which, thread in self.timeline.gils
            if which == gil and thread is not None
        ]


def test_waiting_thread_gets_gil_one_switch_interval_after_it_began_to_wait() -> None:
    stage = Stage()
    stage.thread([("python", 30_000)])
    stage.thread([("python", 100)], at=1000)
    request_at = 1000 + INTERVAL + WAKE
    assert stage.takes()[:2] == [(0, 0), (request_at + WAKE, 1)]


def test_free_gil_is_taken_at_once() -> None:
    stage = Stage()
    stage.thread([("python", 100)])
    stage.thread([("python", 100)], at=500)
    assert stage.takes() == [(0, 0), (500, 1)]


def test_holder_sees_the_request_only_at_its_next_poll() -> None:
    stage = Stage()
    stage.thread([("python", 30_000)], poll=700)
    stage.thread([("python", 100)])
    assert stage.takes()[1] == (INTERVAL + WAKE + 700 + WAKE, 1)


def test_c_call_that_keeps_the_gil_cannot_be_interrupted() -> None:
    stage = Stage()
    stage.thread([("held", 20_000), ("python", 9000)])
    stage.thread([("python", 100)])
    assert stage.takes()[1] == (20_000 + WAKE, 1)


def test_request_goes_to_the_holder_of_the_moment_not_to_earlier_ones() -> None:
    stage = Stage()
    first = stage.thread([("python", 30_000)])
    second = stage.thread([("held", 30_000)], at=100)
    stage.thread([("python", 100)], at=6000)
    stage.clock.run(until=14_000 * 1000)
    assert second.drop_requested
    assert not first.drop_requested


def test_waiter_on_an_idle_core_asks_before_it_has_done_its_work_in_vain() -> None:
    stage = Stage(retry=100)
    stage.thread([("python", 30_000)])
    waiter = stage.thread([("python", 100)], at=1000)
    asked_at = 1000 + INTERVAL + WAKE
    assert stage.takes()[:2] == [(0, 0), (asked_at + WAKE, 1)]
    assert waiter.processor_time == (100 + 100) * 1000


def test_waiter_on_the_holders_core_keeps_it_from_running_for_its_work_in_vain() -> None:
    def first_hand_over(retry: int) -> int:
        stage = Stage(cores=1, retry=retry)
        stage.thread([("held", 30_000), ("python", 30_000)])
        stage.thread([("python", 100)], at=1000)
        return stage.takes(until=90_000)[1][0]

    assert first_hand_over(retry=100) - first_hand_over(retry=0) >= 100


def test_wait_is_over_when_its_time_has_come_even_if_the_thread_could_not_begin_it() -> None:
    # Who drops the GIL wakes the waiter, who preempts it: the millisecond passes off the core.
    stage = Stage(cores=1, signal=1)
    stage.thread([("python", 4500), ("wait", 1000), ("python", 100)])
    stage.thread([("python", 2000)], at=100)
    assert stage.takes() == [(0, 0), (4501, 1), (4501 + 2000 + 1, 0)]


def test_timer_that_spans_a_switch_makes_no_request_and_restarts() -> None:
    stage = Stage()
    stage.thread([("python", 2000), ("released", 30_000)])
    stage.thread([("python", 30_000)], at=0)
    third = stage.thread([("python", 100)], at=1000)
    assert third.drop_requested is False
    takes = stage.takes()
    assert takes[1] == (2000 + WAKE, 1)
    # The third thread's first timer ends at 6000, after the switch at 2010: no request then.
    first_timer_ends = 1000 + INTERVAL + WAKE
    assert takes[2] == (first_timer_ends + INTERVAL + WAKE + WAKE, 2)


def test_waiter_that_loses_the_race_makes_no_request_and_restarts_its_interval() -> None:
    stage = Stage()
    released, signalled_at = 5, 4000
    stage.thread([("python", signalled_at), ("released", released), ("python", 30_000)])
    stage.thread([("python", 100)])
    takes = stage.takes()
    assert takes[1] == (signalled_at + released, 0), "the holder comes back before the waiter runs"
    woken_at = signalled_at + WAKE
    assert takes[2] == (woken_at + INTERVAL + WAKE + WAKE, 1)


def test_signal_in_vain_costs_the_waiter_processor_time_and_delays_nobody() -> None:
    def ran(retry: int) -> tuple[list[tuple[int, int]], int]:
        stage = Stage(retry=retry)
        stage.thread([("python", 1000), ("released", WAKE // 2), ("python", 1000)])
        waiter = stage.thread([("python", 100)], at=500)
        return stage.takes(), waiter.processor_time

    (takes, time), (same_takes, shorter_time) = ran(retry=3), ran(retry=0)
    assert takes == same_takes
    assert [thread for _, thread in takes] == [0, 0, 1]
    assert time - shorter_time == 3000


def test_waiter_wins_the_race_when_the_release_lasts_longer_than_its_wake_up() -> None:
    stage = Stage()
    stage.thread([("python", 4000), ("released", WAKE + 5), ("python", 30_000)])
    stage.thread([("python", 100)])
    assert stage.takes()[1] == (4000 + WAKE, 1)


def test_newcomer_barges_in_before_the_signalled_waiter_runs() -> None:
    stage = Stage()
    stage.thread([("python", 4000), ("released", 30_000)])
    stage.thread([("python", 100)], at=10)
    stage.thread([("python", 700)], at=4000 + WAKE // 2)
    takes = stage.takes()
    assert takes[1] == (4000 + WAKE // 2, 2)
    # The newcomer, done soon, signals the waiter again.
    assert takes[2] == (4000 + WAKE // 2 + 700 + WAKE, 1)


def test_drop_signals_one_waiter_only_the_one_that_waits_longest() -> None:
    stage = Stage()
    stage.thread([("python", 4000), ("released", 30_000)])
    stage.thread([("held", 300)], at=10)
    waiting = stage.thread([("python", 100)], at=20)
    stage.clock.run(until=(4000 + WAKE + 100) * 1000)
    assert stage.takes(until=0)[1] == (4000 + WAKE, 1)
    assert stage.gil.condition.waiters == [waiting]
    assert waiting.state is State.WAITING_GIL


@pytest.mark.parametrize(("awake", "holders"), [(False, [0, 2, 1, 0]), (True, [0, 1, 0, 1])])
def test_signal_stays_with_the_one_who_asked_if_it_has_not_slept(
    awake: bool, holders: list[int]
) -> None:
    stage = Stage(awake=awake)
    stage.thread([("python", 30_000)])
    stage.thread([("python", 30_000)], at=1)
    # Waits when the second asks, and for ever where those who ask are always awake.
    stage.thread([("python", 30_000)], at=4000)
    assert [thread for _, thread in stage.takes(until=18_000)] == holders


@pytest.mark.parametrize(
    ("cores", "lag", "first", "taker"),
    [(2, 1, True, 1), (2, 1, False, 2), (2, 0, False, 1), (3, 1, False, 1)],
    ids=["slower", "faster", "does not run at once", "wakes on an idle core"],
)
def test_older_waiter_on_the_droppers_core_may_find_the_signal_before_the_one_who_asked(
    cores: int, lag: int, first: bool, taker: int
) -> None:
    stage = Stage(cores=cores, awake=True, first=first)
    holder = stage.thread([("python", 30_000)])
    stage.thread([("python", 30_000)], at=1)
    older = stage.thread([("python", 30_000)], at=3000)
    stage.clock.run(until=4000 * 1000)
    older.last_core = holder.core
    older.lag = lag * 1_000_000
    assert [thread for _, thread in stage.takes(until=INTERVAL + 500)] == [0, taker]


def test_sleeper_passed_over_wakes_in_vain_and_sleeps_on_behind_the_others() -> None:
    stage = Stage(awake=True)
    for at in (0, 1):
        stage.thread([("python", 30_000)], at=at)
    older, newer = (stage.thread([("held", 10)], at=at) for at in (3000, 3500))
    stage.clock.run(until=4000 * 1000)
    assert stage.gil.condition.waiters[1:] == [older, newer]
    timer = older.timer
    stage.clock.run(until=(INTERVAL + 500) * 1000)
    assert stage.gil.switch_number == 2
    assert stage.gil.condition.waiters[:2] == [newer, older]
    assert older.timer is timer, "its interval goes on as if nothing had happened"
    assert older.core is None


def test_asker_that_overtakes_a_sleeper_of_its_core_comes_later() -> None:
    asked_at = 1 + INTERVAL + WAKE

    def first_take(*, sleeper: bool) -> tuple[int, int]:
        stage = Stage(cores=2, awake=True, retry=2)
        stage.thread([("python", 30_000)])
        stage.thread([("python", 30_000)], at=1)
        if sleeper:
            stage.thread([("python", 100)], at=3000)
        take = stage.takes(until=asked_at + 100)[1]
        # Who was woken in vain went to sleep again while the asker waited for the core.
        assert all(thread.lingers for thread in stage.threads[2:])
        return take

    assert first_take(sleeper=False) == (asked_at + WAKE, 1)
    assert first_take(sleeper=True) == (asked_at + OVERTAKING, 1)


class TogetherDue(Stage):
    """Two cores; on the second wait two threads whose timers end with one interrupt.

    The waits begin at 1 and 2; the interrupt comes with the first's slack and wakes both. With
    three cores each then has one of its own.
    """

    SLACK, OVERDUE = 50, 25
    ASKED_AT = 1 + INTERVAL + SLACK + WAKE

    def __init__(self, *, cores: int = 2, **options: Any) -> None:
        super().__init__(cores=cores, awake=True, slack=self.SLACK, overdue=self.OVERDUE, **options)
        self.holder = self.thread([("python", 30_000)])
        self.first = self.thread([("python", 30_000)], at=1)
        self.second = self.thread([("python", 30_000)], at=2)

    def takes_soon(self) -> list[tuple[int, int]]:
        """List who takes the GIL until long before the next wait ends."""
        return self.takes(until=self.ASKED_AT + 200)


def test_waiter_that_is_due_and_finds_no_signal_keeps_its_core_until_it_has_waited_again() -> None:
    stage = TogetherDue()
    # Who has asked has gone to sleep on the mutex: the other is on their core meanwhile.
    assert stage.takes_soon()[1][0] == stage.ASKED_AT + stage.OVERDUE
    stage = TogetherDue()
    stage.clock.run(until=(stage.ASKED_AT + 1) * 1000)
    assert stage.first.processor_time + stage.second.processor_time == stage.OVERDUE * 1000


def test_asker_that_has_not_slept_takes_before_the_other_that_is_due_begins() -> None:
    stage = TogetherDue(cores=3, least_waking=WAKE + 1)
    assert stage.takes_soon()[1][0] == stage.ASKED_AT + WAKE


def test_asker_never_stays_awake_with_the_other_that_is_due_on_its_core() -> None:
    stage = TogetherDue(least_waking=WAKE + 1)
    assert stage.takes_soon()[1][0] == stage.ASKED_AT + stage.OVERDUE


def test_who_takes_a_signal_awake_keeps_nobody_from_signalling_the_next_group() -> None:
    stage = Stage()
    condition = Condition(stage.cores)
    asker, newcomer, dropper = (stage.thread([]) for _ in range(3))

    def signalled() -> Generator[Any, Any, None]:
        found = yield from condition.next_waiter(dropper, lambda group: group[0])
        served.append(found)

    served: list[Thread] = []
    condition.join(asker)
    assert list(signalled()) == []
    condition.take_awake(asker)
    condition.join(newcomer)
    assert list(signalled()) == []
    assert served == [asker, newcomer]


def test_gil_stays_on_the_droppers_core_while_a_due_waiter_keeps_the_askers() -> None:
    stage = TogetherDue()
    # It wants the GIL on the holder's core, just when that drops it.
    stage.thread([("python", 30_000)], at=stage.ASKED_AT)
    at, thread = stage.takes_soon()[1]
    assert thread == 3
    assert at < stage.ASKED_AT + stage.OVERDUE


@pytest.mark.parametrize(("least_waking", "taker"), [(WAKE, 2), (WAKE + 1, 1)])
def test_nobody_takes_the_gil_before_an_asker_that_is_awake(least_waking: int, taker: int) -> None:
    stage = Stage(least_waking=least_waking)
    stage.thread([("python", 30_000)])
    stage.thread([("python", 30_000)], at=1)
    asked_at = 1 + INTERVAL + WAKE
    # It wants the GIL while it is handed over: to one that sleeps, or to one that does not.
    stage.thread([("python", 30_000)], at=asked_at + 2)
    assert stage.takes(until=asked_at + WAKE + 1)[1][1] == taker


def test_dropper_goes_on_at_once_if_the_asker_is_awake() -> None:
    def waits_from(least_waking: int) -> int:
        stage = Stage(least_waking=least_waking, slack=0)
        dropper = stage.thread([("python", 30_000)])
        stage.thread([("held", 30_000)], at=1)
        stage.clock.run(until=(2 * INTERVAL) * 1000)
        assert dropper.timer is not None
        return dropper.timer.due_at // 1000 - INTERVAL

    asked_at = 1 + INTERVAL + WAKE
    assert waits_from(WAKE + 1) == asked_at
    # Else it sleeps until the asker has taken the GIL, and is woken.
    assert waits_from(WAKE) == asked_at + 2 * WAKE


def after_a_millisecond(cost: int) -> Callable[[int], int]:
    return lambda away: cost * 1000 if away >= 1_000_000 else 0


def test_asking_on_a_core_that_did_not_idle_costs_no_more_after_a_while() -> None:
    def dropped_at(cost: int) -> int:
        stage = Stage(cores=1, costs=PathCosts(ask=after_a_millisecond(cost)))
        stage.thread([("python", 30_000)])
        stage.thread([("python", 100)], at=1)
        stage.clock.run(until=2 * INTERVAL * 1000)
        return next(at for at, _, thread in stage.timeline.gils if thread is None)

    assert dropped_at(cost=40) == dropped_at(cost=0) < 2 * INTERVAL * 1000


@pytest.mark.parametrize("cost", [0, 40])
def test_first_who_asks_after_a_while_keeps_its_core_from_the_next_thread(cost: int) -> None:
    stage = Stage(cores=2, costs=PathCosts(ask=after_a_millisecond(cost)))
    stage.thread([("held", 30_000)])
    stage.thread([("python", 100)], at=1)
    asked_at = 1 + INTERVAL + WAKE
    other = stage.new_gil(index=1)
    stage.thread([("python", 100)], gil=other, interpreter=1, at=asked_at - 2)
    assert stage.takes(gil=1)[0] == (asked_at + cost, 2)


@pytest.mark.parametrize("cost", [0, 40])
def test_forced_drop_after_a_while_delays_the_droppers_own_wait(cost: int) -> None:
    stage = Stage(least_waking=WAKE + 1, costs=PathCosts(drop=after_a_millisecond(cost)))
    dropper = stage.thread([("python", 30_000)])
    stage.thread([("held", 30_000)], at=1)
    stage.clock.run(until=2 * INTERVAL * 1000)
    assert dropper.timer is not None
    assert dropper.timer.due_at // 1000 - INTERVAL == 1 + INTERVAL + WAKE + cost


def test_dropper_waits_to_see_the_switch_even_if_its_way_to_sleep_takes_longer_than_the_takers():
    stage = Stage(costs=PathCosts(drop=lambda _: 4 * WAKE * 1000))
    dropper = stage.thread([("python", 30_000)])
    stage.thread([("python", 30_000)], at=1)
    signalled_at = 1 + INTERVAL + WAKE
    stage.clock.run(until=signalled_at * 1000 + 1)
    assert dropper.state is State.WAITING_GIL
    assert stage.takes(until=signalled_at + 2 * WAKE)[1:] == [(signalled_at + WAKE, 1)]
    assert dropper.processor_time == (signalled_at + 4 * WAKE) * 1000


def test_way_to_sleep_keeps_the_droppers_core_from_who_takes_there() -> None:
    def taken_at(cost: int) -> int:
        stage = Stage(cores=1, costs=PathCosts(drop=lambda _: cost * 1000))
        stage.thread([("python", 30_000)])
        stage.thread([("python", 30_000)], at=1)
        return stage.takes()[2][0]

    assert taken_at(40) - taken_at(0) == 40


@pytest.mark.parametrize(("waits_since", "cost"), [(3500, 0), (10, 40)])
def test_waiter_that_has_slept_for_long_goes_on_later(waits_since: int, cost: int) -> None:
    stage = Stage(costs=PathCosts(take=after_a_millisecond(40)))
    stage.thread([("python", 4000), ("released", 30_000)])
    stage.thread([("python", 100)], at=waits_since)
    assert stage.takes()[1] == (4000 + WAKE + cost, 1)


def test_measured_hand_off_contains_what_its_path_costs() -> None:
    stage = Stage(costs=PathCosts(take=after_a_millisecond(40)))
    stage.thread([("python", 30_000)])
    stage.thread([("python", 100)], at=1000)
    assert stage.takes()[1] == (1000 + INTERVAL + WAKE + WAKE, 1)


def test_waiter_that_is_due_gets_the_signal_if_nobody_awake_has_asked() -> None:
    stage = Stage(cores=2, slack=50)
    stage.thread([("python", INTERVAL + 55), ("released", 30_000)], poll=60_000)
    waiter = stage.thread([("python", 100)], at=1)
    # Its time ended at 5051, and it is on its way to a core when the signal comes, at 5055.
    stage.clock.run(until=5054 * 1000)
    assert stage.gil.condition.waiters == [waiter], "it waits until it runs or is signalled"
    stage.clock.run(until=5056 * 1000)
    assert stage.gil.condition.waiters == []
    assert stage.takes()[1] == (1 + INTERVAL + 50 + WAKE, 1)
    assert stage.gil.condition.waiters == []
    assert waiter.processor_time == 100_000


@pytest.mark.parametrize("signaller_waits", [True, False])
def test_who_takes_waits_until_the_dropper_before_has_seen_the_last_switch_until_glibc_240(
    signaller_waits: bool,
) -> None:
    stage = Stage(signaller_waits=signaller_waits)
    taker = stage.thread([("python", 100)])
    before, dropper = (stage.thread([], at=90_000) for _ in range(2))
    switched = stage.gil.switched
    # The one before has been signalled and has not had a core since; the last one still waits.
    switched.join(before)
    list(switched.next_waiter(taker, lambda group: group[0]))
    switched.join(dropper)
    stage.clock.run(until=1000 * 1000)
    assert switched.waiters == ([dropper] if signaller_waits else [])
    assert stage.gil.mutex.owner is (taker if signaller_waits else None)
    assert taker.processor_time == (0 if signaller_waits else 100_000)


def test_on_one_core_nobody_but_the_holder_is_awake_when_it_drops() -> None:
    def takes(*, awake: bool) -> list[tuple[int, int]]:
        stage = Stage(cores=1, awake=awake)
        for at in (0, 1, 3000):
            stage.thread([("python", 60_000)], at=at)
        return stage.takes(until=60_000)

    assert takes(awake=True) == takes(awake=False)
    assert {thread for _, thread in takes(awake=True)} == {0, 1, 2}


def test_dropping_thread_with_a_request_blocks_until_another_has_taken() -> None:
    stage = Stage()
    dropper = stage.thread([("python", 30_000)])
    stage.thread([("held", 8000)])
    stage.clock.run(until=(INTERVAL + WAKE + 1) * 1000)
    assert stage.gil.switched.waiters == [dropper]
    stage.clock.run(until=(INTERVAL + 2 * WAKE + 1) * 1000)
    assert not stage.gil.switched.waiters


def test_woken_waiter_finds_the_mutex_locked_until_the_signal_is_over() -> None:
    signal = WAKE + 5
    stage = Stage(signal=signal)
    stage.thread([("python", 4000), ("released", 30_000)])
    stage.thread([("python", 100)])
    # It slept again meanwhile, and the one who dropped had to wake it a second time.
    assert stage.takes()[1] == (4000 + signal + WAKE, 1)


@pytest.mark.parametrize(
    ("waiters", "signaller_waits", "third_take"),
    [(1, True, 4013), (2, True, 4004 + 2 * WAKE + 2), (2, False, 4013)],
)
def test_dropper_waits_for_a_signalled_waiter_to_wake_when_others_wait_anew_until_glibc_240(
    waiters: int, signaller_waits: bool, third_take: int
) -> None:
    stage = Stage(signaller_waits=signaller_waits)
    releases = [("released", 2), ("python", 2), ("released", 2), ("python", 5), ("released", 2)]
    stage.thread([("python", 4000), *releases, ("python", 1000)])
    for _ in range(waiters):
        stage.thread([("python", 100)], at=10)
    # The first waiter, signalled at 4000, waits anew from 4010 on; at 4011 the next signal is due.
    # A second waiter, signalled at 4004, still wakes: the dropper sleeps until it has.
    mine = [at for at, thread in stage.takes() if thread == 0]
    assert mine[3] == third_take


def test_forced_switch_ends_at_once_if_the_gil_was_taken_during_the_signal() -> None:
    signal = WAKE - 5
    stage = Stage(signal=signal, awake=True)
    dropper = stage.thread([("python", 30_000)])
    for _ in range(2):
        stage.thread([("python", 100)])
    stage.clock.run(until=(INTERVAL + 100 * WAKE) * 1000)
    assert dropper not in stage.gil.switched.waiters


def test_forced_switch_also_delays_a_voluntary_release_with_a_request_pending() -> None:
    stage = Stage()
    last_poll_misses_the_request = INTERVAL + WAKE + 500
    stage.thread(
        [("python", last_poll_misses_the_request), ("released", 1000), ("python", 100)], poll=700
    )
    stage.thread([("held", 300)])
    stage.takes()
    released_from = next(
        at // 1000
        for at, thread, state, _ in stage.timeline.threads
        if thread == 0 and state is State.RUNNING and at > 0
    )
    taken_at = last_poll_misses_the_request + WAKE
    assert released_from == taken_at + WAKE, "the release began before the waiter had the GIL"


def test_voluntary_release_without_a_request_does_not_block() -> None:
    stage = Stage()
    stage.thread([("held", 3000), ("released", 1000), ("python", 100)])
    stage.thread([("held", 300)])
    takes = stage.takes()
    assert takes == [(0, 0), (3000 + WAKE, 1), (4000, 0)]


def test_request_is_cleared_when_its_thread_takes_the_gil_again() -> None:
    stage = Stage()
    first = stage.thread([("python", 30_000)])
    stage.thread([("python", 100)])
    takes = stage.takes(until=20_000)
    assert [thread for _, thread in takes] == [0, 1, 0]
    assert first.drop_requested is False


def test_switch_number_counts_changes_of_holder_only() -> None:
    stage = Stage()
    stage.thread([("python", 100), ("released", 100), ("python", 100), ("released", 100)])
    stage.takes()
    assert stage.gil.switch_number == 1


@pytest.mark.parametrize(
    ("signal", "least_waking", "dropper_sleeps_for"),
    [(0, 0, WAKE), (3, 3, WAKE - 3), (3, WAKE + 1, -WAKE)],
    ids=[
        "signals cost nothing",
        "asleep: the hand-off has both signals",
        "awake: the dropper does not sleep",
    ],
)
def test_hand_off_takes_what_was_measured_with_the_signals_that_are_part_of_it(
    signal: int, least_waking: int, dropper_sleeps_for: int
) -> None:
    stage = Stage(cores=2, signal=signal, least_waking=least_waking)
    stage.thread([("python", 30_000)])
    stage.thread([("python", 30_000)], at=1000)
    request_at = 1000 + INTERVAL + WAKE
    taken_at = request_at + WAKE
    back_at = taken_at + dropper_sleeps_for + INTERVAL + WAKE + WAKE
    assert stage.takes(until=20_000)[:3] == [(0, 0), (taken_at, 1), (back_at, 0)]


def test_two_cpu_bound_threads_alternate_with_one_interval_each() -> None:
    stage = Stage()
    stage.thread([("python", 100_000)])
    stage.thread([("python", 100_000)])
    takes = stage.takes(until=60_000)
    assert [thread for _, thread in takes] == [i % 2 for i in range(len(takes))]
    holds = {b - a for (a, _), (b, _) in itertools.pairwise(takes[1:])}
    # The one that dropped begins to wait when it has woken from the forced switch.
    assert holds == {WAKE + INTERVAL + WAKE + WAKE}


def test_own_gils_do_not_wait_for_each_other() -> None:
    stage = Stage()
    other = stage.new_gil(index=1)
    stage.thread([("held", 30_000)])
    stage.thread([("held", 30_000)], gil=other, at=100)
    assert stage.takes(gil=0) == [(0, 0)]
    assert stage.takes(gil=1) == [(100, 1)]


def test_each_gil_has_its_own_switch_interval() -> None:
    stage = Stage(cores=8)
    quick = stage.new_gil(index=1, interval=1000)
    for gil in (stage.gil, quick):
        stage.thread([("python", 30_000)], gil=gil)
        stage.thread([("python", 100)], gil=gil)
    assert stage.takes(gil=0)[1][0] == INTERVAL + 2 * WAKE
    assert stage.takes(gil=1)[1][0] == 1000 + 2 * WAKE


@pytest.mark.parametrize(("since_313", "second_take"), [(True, INTERVAL + 2 * WAKE), (False, None)])
def test_request_reaches_a_holder_in_another_interpreter_only_since_313(
    since_313: bool, second_take: int | None
) -> None:
    stage = Stage(preempts_across_interpreters=since_313)
    stage.thread([("python", 50_000)], interpreter=0)
    stage.thread([("python", 100)], interpreter=1)
    takes = stage.takes(until=40_000)
    assert (takes[1][0] if len(takes) > 1 else None) == second_take


def test_before_313_a_voluntary_release_still_hands_over_between_interpreters() -> None:
    stage = Stage(preempts_across_interpreters=False)
    stage.thread([("python", 20_000), ("released", 500)], interpreter=0)
    stage.thread([("python", 100)], interpreter=1)
    assert stage.takes()[1] == (20_000 + WAKE, 1)


def test_contended_hand_off_costs_at_most_nine_kernel_events() -> None:
    stage = Stage()
    stage.thread([("python", 10_000_000)])
    stage.thread([("python", 10_000_000)])
    stage.clock.run(until=100_000_000)
    events, switches = stage.clock.scheduled, stage.gil.switch_number
    stage.clock.run(until=5_100_000_000)
    hand_offs = stage.gil.switch_number - switches
    assert hand_offs > 900
    ticks = 5_000_000_000 // 4_000_000
    # Of the two that are under way at the ends a part counts, together at most one whole.
    assert stage.clock.scheduled - events <= 9 * (hand_offs + 1) + ticks


@pytest.mark.parametrize("kind", ["python", "held", "released", "wait"])
def test_uncontended_segment_costs_at_most_three_kernel_events(kind: str) -> None:
    stage = Stage()
    stage.thread([(kind, 1000)] * 1000)
    stage.clock.run(until=100_000_000)
    events = stage.clock.scheduled
    stage.clock.run(until=900_000_000)
    segments = 800 if kind != "wait" else 800_000 // (1000 + WAKE)
    assert (stage.clock.scheduled - events) / segments <= 3
