"""Every kernel runs on every build found here and prints samples of the right sign."""

import math
from functools import cache
from statistics import median

import pytest

from gilplan.calibration.builds import Build, find_builds
from gilplan.calibration.fingerprint import take_fingerprint
from gilplan.calibration.kernels.queue_jump import lost_hand_offs
from gilplan.calibration.runner import KERNELS, KernelRun, run_kernel

pytestmark = pytest.mark.interpreters
PATIENCE = 60.0

TINY = {
    "speed": ("bytecode,compute,memory", "--samples", "2", "--window", "0.01"),
    "handoff": ("1e-3", "--samples", "40"),
    "retry": ("--samples", "8"),
    "away": ("1e-3", "--samples", "10"),
    "queue_jump": ("1e-3", "--samples", "60"),
    "stay": ("--samples", "4"),
    "room": ("0.5,0.9", "--samples", "4"),
    "release": ("--samples", "5", "--calls", "20"),
    "poll": ("--samples", "3"),
    "wake": ("2e-5,1e-3", "--samples", "5"),
    "timer": ("1e-4,1e-3", "--samples", "3"),
    "slice": ("--run-time", "0.1", "--samples", "5"),
    "preempt": ("--samples", "10"),
}
SERIES = {
    "speed": {"bytecode n=1", "compute n=1", "memory n=1"},
    "handoff": {"gap 1e-3", "hold 1e-3"},
    "retry": {"retry", "sleep"},
    "away": {"ask 1e-3", "same 1e-3", "other 1e-3"},
    "queue_jump": {"lost 1e-3", "beside 1e-3", "overtaking 1e-3"},
    "stay": {"stayed"},
    "release": {"released", "held", "control"},
    "poll": {"poll", "polls per unit"},
    "wake": {
        *("idle 2e-5", "idle 1e-3", "signal 2e-5", "signal 1e-3", "running 2e-5", "running 1e-3"),
        *("quiet write", "call"),
    },
    "room": {"stayed 0.5", "stayed 0.9"},
    "timer": {"overshoot 1e-4", "overshoot 1e-3", "call", "slack setting", "overdue"},
    "slice": {"slice", "forced switch", "wake", "turn", "quiet write", "quiet read"},
    "preempt": {"busy"},
}
PROCESSES = ("fork", "spawn", "forkserver")


@cache
def builds() -> dict[str, Build]:
    return {build.name: build for build in find_builds()[0]}


def run(build: Build, kernel: str, *arguments: str, site: bool = False) -> KernelRun:
    return run_kernel(build.path, KERNELS / f"{kernel}.py", arguments, timeout=PATIENCE, site=site)


@pytest.mark.parametrize("name", sorted(builds()))
@pytest.mark.parametrize("kernel", sorted(TINY))
def test_kernel_prints_positive_samples(kernel: str, name: str):
    build = builds()[name]
    series = run(build, kernel, *TINY[kernel]).series
    assert SERIES[kernel] <= series.keys()
    if kernel in {"handoff", "retry", "away", "queue_jump"} and build.free_threaded:
        return  # nobody hands anything over: whether a neighbour makes gaps is left to chance
    for label in SERIES[kernel]:
        assert series[label], label
        if label in {"retry", "ask 1e-3"}:
            # A difference: one on a core that is awake may cost less than the sleep alone.
            assert median(series[label]) > 0
            continue
        # No hand-off lost and a thread that moved are fine samples.
        least = 0 if kernel in {"queue_jump", "room", "stay"} else 1e-12
        assert all(sample >= least for sample in series[label]), label


@pytest.mark.parametrize("name", sorted(builds()))
@pytest.mark.parametrize("kind", ["thread", "interpreter", *PROCESSES])
def test_start_ups_take_time_and_memory(kind: str, name: str):
    build = builds()[name]
    if kind == "interpreter" and not (build.own_gil_module or build.shared_gil_module):
        pytest.skip(f"{name} creates no interpreters")
    series = run(build, "startup", kind, "--samples", "3", "--alive", "2", site=True).series
    assert len(series[f"{kind} start"]) == 3
    assert all(sample > 0 for sample in series[f"{kind} start"])
    assert len(series[f"{kind} memory"]) == 1
    assert series["bare memory"][0] > 1 << 20


@pytest.mark.parametrize("name", sorted(builds()))
def test_unit_of_bytecode_polls_hundreds_of_times(name: str):
    # 160 iterations, each with a call of deposit, of append, of int: at least four polls.
    (polls,) = run(builds()[name], "poll", "--samples", "1").series["polls per unit"]
    assert 4 * 160 <= polls <= 10 * 160


def test_hold_lasts_the_switch_interval_at_least():
    build = next(build for build in builds().values() if not build.free_threaded)
    series = run(build, "handoff", "5e-3", "--samples", "30").series
    held = sorted(series["hold 5e-3"])
    # The holder cannot be asked before the waiter's timer has run for a whole interval.
    assert held[len(held) // 2] > 4.9e-3


def test_wake_ups_cut_short_leave_every_idle_time_its_share():
    build = next(iter(builds().values()))
    idle_times = "2e-5,1e-3"
    taken = run(build, "wake", idle_times, "--samples", "400", "--limit", "0.01")
    for text in idle_times.split(","):
        counts = {len(taken.series[f"{name} {text}"]) for name in ("idle", "signal", "running")}
        assert len(counts) == 1
        assert 2 <= counts.pop() < 400
    assert taken.notes


def test_workers_are_measured_for_each_count():
    build = next(iter(builds().values()))
    series = run(
        build, "speed", "compute", "--counts", "1,2,3", "--samples", "2", "--window", "0.01"
    ).series
    assert set(series) == {"compute n=1", "compute n=2", "compute n=3"}
    assert all(len(rates) == 2 for rates in series.values())


def test_fingerprint_identity_is_stable_and_ignores_the_installation():
    first, second = take_fingerprint(), take_fingerprint()
    assert first == second
    assert first.identity == second.identity
    assert len(first.identity) == 12
    assert first.cores == len(first.affinity) >= 1
    assert math.isfinite(first.memory)


def test_only_a_first_hand_off_that_the_sleeper_cannot_have_asked_for_counts():
    def lost(taken_by_other: list[int], got: int) -> tuple[list[int], list[int]]:
        # The home spinner holds the GIL when the sleeper is due, at 1 ms, if nobody else took it.
        logs = ([(400_000, 500_000)], [(at - 100_000, at) for at in taken_by_other])
        found = lost_hand_offs(logs, [(1_000_000, got)], 1e-3)
        return found.elsewhere, found.beside

    assert lost([1_500_000], 3_000_000) == ([1], [])
    assert lost([3_000_000], 1_500_000) == ([0], [])
    # Too soon to be among the waiters, and late enough to have asked itself.
    assert lost([1_100_000], 3_000_000) == ([], [])
    assert lost([3_000_000], 2_100_000) == ([], [])
    # The other spinner, with whom it shares a core, held the GIL.
    assert lost([900_000, 1_500_000], 3_000_000) == ([], [])
    assert lost([900_000], 1_500_000) == ([], [0])


def test_overtaking_takes_from_the_droppers_last_instant_to_the_others_first():
    # The home spinner has the GIL from 0.5 to 1.46 ms, and again from 2.6 ms.
    home = [(400_000, 500_000), (1_460_000, 2_600_000)]
    sleeper = [(1_000_000, 3_000_000)]
    forty = pytest.approx(4e-5)
    assert lost_hand_offs((home, [(0, 1_500_000)]), sleeper, 1e-3) == ([1], [], [forty])
    # Nobody knows when it lost what it did not get back; the sleeper's own hand-off is not timed.
    assert lost_hand_offs((home[:1], [(0, 1_500_000)]), sleeper, 1e-3) == ([1], [], [])
    got = [(1_000_000, 1_500_000)]
    assert lost_hand_offs((home, [(0, 3_000_000)]), got, 1e-3) == ([0], [], [])
    # What the other spinner drops and this one takes is not timed either.
    other = [(0, 900_000), (1_400_000, 2_000_000)]
    back = [*home[:1], (600_000, 1_500_000)]
    assert lost_hand_offs((back, other), sleeper, 1e-3) == ([], [1], [])
