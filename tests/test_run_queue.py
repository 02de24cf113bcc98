"""One core's run queue: who is eligible, who is protected, what a sleeper keeps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gilplan.model.clock import Clock
from gilplan.model.run_queue import RunQueue
from gilplan.model.thread import Thread

MS = 1_000_000
SLICE = 1_400_000
TICK = 4 * MS


def queue_of(count: int) -> tuple[RunQueue, list[Thread]]:
    queue = RunQueue(base_slice=SLICE, tick=TICK)
    threads = [Thread(Clock(), index=index) for index in range(count)]
    for thread in threads:
        queue.join(thread)
    return queue, threads


def let_run(queue: RunQueue, thread: Thread, time: int) -> None:
    queue.run(thread)
    thread.vruntime += time


def test_running_thread_is_protected_until_its_deadline_while_it_is_eligible():
    queue, (first, second) = queue_of(2)
    queue.run(first)
    assert queue.choose() is first
    assert queue.protects(first)
    first.vruntime += 1
    # Ahead of its share by half a nanosecond: not eligible any more, and so not protected.
    assert queue.choose() is second


def test_thread_that_wakes_without_lag_does_not_preempt():
    queue, (runner,) = queue_of(1)
    let_run(queue, runner, MS)
    sleeper = Thread(Clock(), index=1)
    queue.join(sleeper)
    assert queue.choose() is runner


def test_thread_that_wakes_without_lag_preempts_one_whose_slice_is_over():
    queue, (runner,) = queue_of(1)
    let_run(queue, runner, SLICE)
    queue.join(Thread(Clock(), index=1))
    assert queue.renew_deadline()
    assert queue.choose() is not runner


@pytest.mark.parametrize(("since_tick", "preempts"), [(SLICE // 2, False), (2 * SLICE, True)])
def test_tick_gives_a_lone_thread_a_new_slice_that_a_newcomer_does_not_preempt(
    since_tick: int, preempts: bool
):
    queue, (runner,) = queue_of(1)
    queue.run(runner)
    queue.charge(runner, 5 * TICK, since_tick=since_tick)
    assert runner.deadline == 5 * TICK - since_tick + SLICE
    queue.join(Thread(Clock(), index=1))
    queue.renew_deadline()
    assert (queue.choose() is not runner) is preempts


@given(
    base_slice=st.integers(1, 12),
    tick=st.integers(1, 5),
    times=st.lists(st.integers(1, 40), min_size=1, max_size=5),
)
def test_slices_of_a_lone_thread_are_those_that_each_tick_would_have_given(
    base_slice: int, tick: int, times: list[int]
):
    queue = RunQueue(base_slice=base_slice, tick=tick)
    thread = Thread(Clock(), index=0)
    queue.join(thread)
    queue.run(thread)
    now, deadline = 0, base_slice
    for time in times:
        for moment in range(now + 1, now + time + 1):
            if moment % tick == 0 and moment >= deadline:
                deadline = moment + base_slice
        now += time
        queue.charge(thread, time, since_tick=now % tick)
        assert thread.deadline == deadline


def test_thread_that_wakes_with_lag_preempts():
    queue, (runner,) = queue_of(1)
    let_run(queue, runner, MS)
    sleeper = Thread(Clock(), index=1)
    sleeper.lag = 1000
    queue.join(sleeper)
    assert queue.choose() is sleeper


@pytest.mark.parametrize("lag", [0, MS])
@pytest.mark.parametrize("ran", [MS, SLICE])
def test_who_would_go_first_does_so_if_it_wakes(lag: int, ran: int):
    queue, (runner,) = queue_of(1)
    let_run(queue, runner, ran)
    sleeper = Thread(Clock(), index=1)
    sleeper.lag = lag
    would = queue.goes_first(sleeper)
    assert (queue.members, sleeper.lag, sleeper.vruntime, runner.deadline) == (
        [runner],
        lag,
        0,
        SLICE,
    ), "nothing has changed"
    queue.come(sleeper)
    queue.renew_deadline()
    assert would is (queue.choose() is sleeper)
    assert would is (lag > 0 or ran == SLICE)


def test_a_waiting_thread_earns_what_it_missed_and_keeps_it_over_a_sleep():
    queue, (runner, waiter) = queue_of(2)
    let_run(queue, runner, 2 * MS)
    queue.current = None
    queue.run(waiter)
    queue.sleep(waiter)
    assert waiter.lag == MS
    queue.run(runner)
    runner.vruntime += 100 * MS
    queue.join(waiter)
    # Twice its lag below the runner's time: the average of both is then its lag above it.
    assert runner.vruntime - waiter.vruntime == 2 * MS


def test_lag_is_bounded():
    queue, (runner, waiter) = queue_of(2)
    let_run(queue, runner, 100 * MS)
    queue.leave(waiter)
    assert waiter.lag == max(2 * SLICE, TICK)


def test_who_ran_ahead_lingers_and_leaves_when_it_would_be_next():
    queue, (first, second) = queue_of(2)
    let_run(queue, first, 2 * MS)
    queue.sleep(first)
    assert first.lingers
    assert first in queue.members
    assert queue.waiting() == [second]
    let_run(queue, second, 3 * MS)
    assert queue.pick() is second
    assert not first.lingers
    assert first not in queue.members
    assert first.lag == 0


def test_who_wakes_while_it_lingers_still_owes():
    queue, (first, second) = queue_of(2)
    let_run(queue, first, 2 * MS)
    queue.sleep(first)
    queue.run(second)
    queue.rouse(first)
    assert not first.lingers
    assert first.vruntime - second.vruntime == 2 * MS


def test_who_passes_by_before_another_lingers():
    queue, (first,) = queue_of(1)
    queue.sleep(first)
    for passes in (1, 2):
        queue.pass_by(first, MS)
        assert first.lingers
        assert queue.members == [first]
        assert first.vruntime == passes * MS


def test_who_passes_by_and_was_behind_by_more_leaves_with_the_rest_of_its_lag():
    queue, (runner,) = queue_of(1)
    queue.run(runner)
    behind = Thread(Clock(), index=1)
    behind.lag = 3 * MS
    queue.pass_by(behind, MS)
    assert not behind.lingers
    assert queue.members == [runner]
    # It was placed 6 ms below the runner; half of the 5 that are left is its lag.
    assert behind.lag == 5 * MS // 2


def test_a_thread_that_moves_takes_lag_and_deadline_along():
    queue, (runner, waiter) = queue_of(2)
    let_run(queue, runner, 2 * MS)
    other, (stranger,) = queue_of(1)
    stranger.vruntime = 50 * MS
    left = waiter.deadline - waiter.vruntime
    queue.move(waiter, other)
    assert waiter in other.members
    assert waiter not in queue.members
    assert waiter.deadline - waiter.vruntime == left
    assert stranger.vruntime - waiter.vruntime == 2 * MS


def test_new_slice_comes_only_after_the_deadline():
    queue, (runner,) = queue_of(1)
    let_run(queue, runner, SLICE - 1)
    assert not queue.renew_deadline()
    runner.vruntime += 1
    assert queue.renew_deadline()
    assert runner.deadline == 2 * SLICE


@given(st.lists(st.integers(1, 5 * MS), min_size=50, max_size=80))
def test_shares_stay_within_a_slice_whoever_is_chosen_next(steps: list[int]):
    """However long each runs before the next choice, nobody falls behind by more than that."""
    queue, threads = queue_of(4)
    longest = max(steps)
    for time in steps:
        queue.current = None
        thread = queue.pick()
        assert thread is not None
        let_run(queue, thread, time)
        queue.renew_deadline()
    spread = max(t.vruntime for t in threads) - min(t.vruntime for t in threads)
    assert spread <= 3 * (longest + SLICE)


def test_empty_queue_goes_on_where_it_stopped():
    queue, (only,) = queue_of(1)
    let_run(queue, only, 7 * MS)
    queue.sleep(only)
    assert queue.pick() is None
    other = Thread(Clock(), index=5)
    queue.join(other)
    assert other.vruntime == pytest.approx(7 * MS)
