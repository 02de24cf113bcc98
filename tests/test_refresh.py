"""A refreshed profile has new hand-offs, wake-ups and speeds, and all else as it was."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gilplan.calibration import refresh
from gilplan.calibration.builds import Build, find_builds
from gilplan.calibration.fingerprint import take_fingerprint
from gilplan.calibration.measurements import Measurement
from gilplan.calibration.profile import Profile, load, save
from gilplan.calibration.runner import KernelRun
from gilplan.model.errors import MeasurementFailed, MissingBuild
from gilplan.model.workload import Work
from gilplan.planner.cli import main

BUILDS = [
    Build(path="/a/python", version=(3, 12, 1)),
    Build(path="/b/python", version=(3, 13, 0)),
    Build(path="/c/python", version=(3, 13, 5), free_threaded=True),
    Build(path="/d/python", version=(3, 14, 0)),
]
CALL, WRITE = 1e-6, 5e-7
SERIES: dict[str, dict[str, list[float]]] = {
    "handoff": {"gap 1e-3": [7e-6] * 20},
    "retry": {"retry": [9e-6] * 20},
    "away": {
        "ask 1e-3": [2e-5] * 20,
        "same 1e-3": [3e-5] * 20,
        "other 1e-3": [5e-5] * 20,
    },
    "queue_jump": {
        "lost 1e-3": [1.0, 0.0] * 20,
        "lost 5e-3": [0.0] * 40,
        "beside 1e-3": [1.0, 0.0, 0.0, 0.0] * 10,
        "overtaking 1e-3": [4e-5] * 20,
    },
    "wake": {
        "idle 1e-4": [3e-5 + CALL] * 20,
        "signal 1e-4": [4e-6 + WRITE] * 20,
        "call": [CALL] * 20,
        "quiet write": [WRITE] * 20,
    },
    "stay": {"stayed": [1.0, 0.0, 0.0, 0.0] * 5},
}
for work in ("bytecode", "compute", "memory"):
    SERIES[f"speed {work}"] = {f"{work} n=1": [1000.0] * 20, f"{work} n=2": [970.0] * 20}
CHANGED = (
    "asking_times", "awake_factors", "awake_factors_beside", "awake_share", "awake_share_beside",
    "dropping_times", "handoff_latencies", "overtaking_latencies", "retry_time", "signal_time",
    "speeds", "stay_share", "taking_times", "wake_latency",
)  # fmt: skip


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let kernels give known samples; the list fills with what ran on what."""
    done: list[str] = []

    def run(measurement: Measurement) -> KernelRun:
        done.append(measurement.key)
        kind = f" {measurement.arguments[0]}" if measurement.kernel == "speed" else ""
        return KernelRun(series=SERIES[measurement.kernel + kind], notes=(), steal_share=0.0)

    monkeypatch.setattr(refresh, "run_measurement", run)
    return done


def refreshed(profile: Profile, builds: list[Build] = BUILDS) -> Profile:
    return refresh.refreshed(profile, builds, rng=np.random.default_rng(1))


def test_hand_offs_and_wake_ups_are_measured_anew(profile: Profile, ran: list[str]) -> None:
    machine = refreshed(profile).machine
    assert machine.handoff_latency_at(1e-3).mean == pytest.approx(7e-6)
    assert machine.overtaking_latency_at(1e-3).mean == pytest.approx(4e-5)
    assert machine.retry_time.mean == pytest.approx(9e-6)
    assert machine.awake_share.value == pytest.approx(1 / 4)
    assert [machine.awake_share_at(t) for t in (1e-3, 5e-3)] == pytest.approx([1 / 2, 0])
    assert machine.awake_share_beside.value == pytest.approx(1 / 4)
    assert machine.wake_latency.latencies[0].mean == pytest.approx(3e-5)
    assert machine.signal_time.value == pytest.approx(4e-6)
    assert machine.stay_share.value == pytest.approx(1 / 4)
    assert machine.asking_times == ((1e-3, 2e-5),)
    same_core = profile.machine.busy_signal_time.value + profile.machine.context_switch_time.value
    ((_, dropping),), ((_, taking),) = machine.dropping_times, machine.taking_times
    assert dropping == pytest.approx(3e-5 - same_core)
    assert taking == pytest.approx(5e-5 - 3e-5 - 4e-6)


def test_speeds_of_cores_beside_each_other_are_measured_anew(
    profile: Profile, ran: list[str]
) -> None:
    speeds = refreshed(profile).machine.speeds
    assert [speeds[work][1].value for work in Work] == pytest.approx([0.97] * 3)


def test_everything_else_stays(profile: Profile, ran: list[str]) -> None:
    new = refreshed(profile)
    kept = replace(new.machine, **{name: getattr(profile.machine, name) for name in CHANGED})
    assert kept == profile.machine
    assert (new.runtimes, new.created_at) == (profile.runtimes, profile.created_at)
    assert new.identity != profile.identity
    assert (profile.refreshed_at, new.refreshed_at >= profile.created_at) == ("", True)


def test_newest_build_with_a_gil_that_the_profile_knows_measures(
    profile: Profile, ran: list[str]
) -> None:
    samples = refreshed(profile).samples
    assert set(ran) == {f"{name}/3.13.0" for name in (*refresh.HAND_OFFS, *refresh.SPEEDS)}
    assert len(ran) == refresh.ROUNDS * len(SERIES)
    # The old hand-offs are gone, of whatever build they were.
    assert samples.keys() == set(ran)
    assert len(samples["handoff/3.13.0"]["gap 1e-3"]) == refresh.ROUNDS * 20


def test_a_time_between_two_refreshes_has_the_samples_of_both(
    profile: Profile, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = refreshed(profile)
    for work in Work:
        beside = [850.0] * 20
        monkeypatch.setitem(SERIES[f"speed {work}"], f"{work} n=2", beside)
    rng = np.random.default_rng(2)
    anew = refresh.refreshed(before, BUILDS, rng=rng)
    both = refresh.refreshed(before, BUILDS, rng=rng, joined=True)
    assert [anew.machine.speeds[work][1].value for work in Work] == pytest.approx([0.85] * 3)
    assert [both.machine.speeds[work][1].value for work in Work] == pytest.approx([0.91] * 3)
    assert len(both.samples["handoff/3.13.0"]["gap 1e-3"]) == 2 * refresh.ROUNDS * 20
    assert both.samples.keys() == set(ran)


def test_progress_begins_at_nothing_and_never_goes_back(profile: Profile, ran: list[str]) -> None:
    told: list[float] = []
    refresh.refreshed(
        profile,
        BUILDS,
        rng=np.random.default_rng(1),
        progress=lambda _, share: told.append(share),
    )
    assert told[0] == 0.0
    assert told == sorted(told)
    assert told[-1] < 1.0


@pytest.mark.parametrize("builds", [[], [BUILDS[2]], [BUILDS[3]]], ids=["none", "3.13t", "unknown"])
def test_without_a_known_build_with_a_gil_there_is_nothing_to_measure_with(
    profile: Profile, builds: list[Build]
) -> None:
    with pytest.raises(MissingBuild, match="that has a GIL"):
        refreshed(profile, builds)


@pytest.fixture
def own_profile(profile: Profile, tmp_path: Any) -> Any:
    """A profile of this machine on disk, with a build that is here."""
    here = take_fingerprint().identity
    build = next(build for build in find_builds()[0] if not build.free_threaded)
    runtime = replace(profile.runtimes[0], build=build.name, version=build.version)
    machine = replace(profile.machine, identity=here)
    path = tmp_path / "profile.json"
    save(replace(profile, machine=machine, runtimes=(runtime,)), path)
    return path


def test_command_brings_the_profile_up_to_date_and_says_what_changed(
    own_profile: Any, ran: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", "--refresh", "-o", str(own_profile)]) == 0
    told = capsys.readouterr().err
    assert "hand-off 15 -> 7 us (median, at 5 ms); awake when signalled 65% -> 25%" in told
    assert load(own_profile).machine.handoff_latency_at(1e-3).mean == pytest.approx(7e-6)


def test_failed_measurement_leaves_the_profile_as_it_was(
    own_profile: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Measurement) -> KernelRun:
        raise MeasurementFailed("handoff: killed")

    monkeypatch.setattr(refresh, "run_measurement", fail)
    before = own_profile.read_bytes()
    assert main(["calibrate", "--refresh", "-o", str(own_profile)]) == 2
    assert "handoff: killed" in capsys.readouterr().err
    assert own_profile.read_bytes() == before


def test_there_is_no_quick_refresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "--refresh", "--quick"]) == 2
    assert "do not go together" in capsys.readouterr().err
