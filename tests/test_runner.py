"""A kernel that misbehaves costs its own rows and leaves one line of explanation."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gilplan.calibration import campaign, runner
from gilplan.calibration.builds import Build
from gilplan.calibration.campaign import Samples, reference_of, rounds_within
from gilplan.calibration.measurements import Measurement
from gilplan.calibration.runner import KernelHung, KernelRun, run_kernel
from gilplan.model.errors import MeasurementFailed

PATIENCE = 60.0
GOOD = """
import json
print(json.dumps({"series": {"poll": [1e-7, 2e-7]}, "notes": ["seen"]}))
"""

WriteKernel = Callable[[str], Path]


@pytest.fixture
def write_kernel(tmp_path: Path) -> WriteKernel:
    def write(source: str) -> Path:
        path = tmp_path / "probe.py"
        path.write_text(source)
        return path

    return write


def test_samples_and_notes_are_read(write_kernel: WriteKernel):
    run = run_kernel(sys.executable, write_kernel(GOOD), timeout=PATIENCE)
    assert run.series == {"poll": [1e-7, 2e-7]}
    assert run.notes == ("seen",)
    assert 0 <= run.steal_share <= 1


@pytest.mark.parametrize(("site", "expected"), [(False, 1.0), (True, 0.0)])
def test_kernel_runs_isolated_and_without_site_unless_asked(
    write_kernel: WriteKernel, site: bool, expected: float
):
    kernel = write_kernel(
        "import json, sys\n"
        "flags = [float(sys.flags.no_site), float(sys.flags.isolated)]\n"
        'print(json.dumps({"series": {"flags": flags}, "notes": []}))\n'
    )
    run = run_kernel(sys.executable, kernel, timeout=PATIENCE, site=site)
    assert run.series["flags"] == [expected, 1.0]


@pytest.fixture
def lifeline(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe, and its reading end: at its end of file every process that wrote is gone."""
    path = tmp_path / "lifeline"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


def everything_read(reader: int) -> bytes:
    os.set_blocking(reader, True)
    return b"".join(iter(lambda: os.read(reader, 100), b""))


def test_hanging_kernel_is_killed_with_its_children(
    write_kernel: WriteKernel, lifeline: tuple[Path, int]
):
    path, reader = lifeline
    kernel = write_kernel(
        "import os, time\n"
        f"line = os.open({str(path)!r}, os.O_WRONLY)\n"
        "os.fork()\n"
        "os.write(line, b'x')\n"
        "while True: time.sleep(60)\n"
    )
    with pytest.raises(KernelHung, match="probe: hung, killed after 2 s"):
        run_kernel(sys.executable, kernel, timeout=2.0)
    assert everything_read(reader) == b"xx"


def test_child_that_outlives_its_kernel_is_killed(
    write_kernel: WriteKernel, lifeline: tuple[Path, int]
):
    path, reader = lifeline
    kernel = write_kernel(
        "import os, time\n"
        f"line = os.open({str(path)!r}, os.O_WRONLY)\n"
        "os.write(line, b'x')\n"
        "if os.fork() == 0:\n"
        "    os.close(1); os.close(2); time.sleep(600)\n"
        + GOOD
        + "import sys; sys.stdout.flush(); os._exit(0)\n"
    )
    run_kernel(sys.executable, kernel, timeout=PATIENCE)
    assert everything_read(reader) == b"x"


def test_crash_is_told_by_its_signal(write_kernel: WriteKernel):
    kernel = write_kernel("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(MeasurementFailed, match="probe: crashed with SIGSEGV"):
        run_kernel(sys.executable, kernel, timeout=PATIENCE)


def test_missing_feature_is_told_by_its_last_line(write_kernel: WriteKernel):
    kernel = write_kernel("import no_such_module")
    with pytest.raises(MeasurementFailed, match=r"probe fork: failed with status 1: Module.*such"):
        run_kernel(sys.executable, kernel, ["fork", "--samples", "1"], timeout=PATIENCE)


@pytest.mark.parametrize(
    "source",
    [
        "print('hello')",
        "print('{}')",
        "print('[1, 2]')",
        'print(\'{"series": {"poll": ["fast"]}, "notes": []}\')',
        'print(\'{"series": {"poll": [NaN]}, "notes": []}\')',
        "pass",
    ],
)
def test_output_without_finite_samples_is_refused(write_kernel: WriteKernel, source: str):
    with pytest.raises(MeasurementFailed, match=r"no samples in its output|not finite"):
        run_kernel(sys.executable, write_kernel(source), timeout=PATIENCE)


def test_build_that_cannot_start_is_a_failed_measurement(write_kernel: WriteKernel):
    with pytest.raises(MeasurementFailed, match="cannot start /nowhere/python"):
        run_kernel("/nowhere/python", write_kernel(GOOD), timeout=PATIENCE)


def build(version: tuple[int, int, int], *, free_threaded: bool = False) -> Build:
    return Build(path=sys.executable, version=version, free_threaded=free_threaded)


def measurement(kernel: str, *arguments: str, of: Build | None = None) -> Measurement:
    return Measurement(
        name=kernel,
        kernel=kernel,
        arguments=arguments,
        build=of or build((3, 13, 0)),
        expected_time=1.0,
    )


class FinishedProcess:
    """A process that has ended before anybody waits for it."""

    returncode = 0

    def communicate(self, timeout: float) -> tuple[str, str]:
        return "samples", ""


def kernel_run(**series: list[float]) -> KernelRun:
    return KernelRun(series=series, notes=(), steal_share=0.0)


def campaign_of(
    monkeypatch: pytest.MonkeyPatch,
    write_kernel: WriteKernel,
    sources: dict[str, str],
) -> tuple[Samples, bool, list[tuple[str, float]]]:
    """Run a campaign whose machine part is empty and whose kernels are the given scripts."""
    kernels = write_kernel(GOOD).parent
    for name, source in sources.items():
        (kernels / f"{name}.py").write_text(source)
    monkeypatch.setattr(campaign, "KERNELS", kernels)
    monkeypatch.setattr(campaign, "machine_measurements", lambda *_, **__: [])
    monkeypatch.setattr(
        campaign,
        "build_measurements",
        lambda one, **_: [measurement(name, of=one) for name in sources],
    )
    monkeypatch.setattr(campaign, "rounds_within", lambda *_: 3)
    told: list[tuple[str, float]] = []
    samples, partial = campaign.run_campaign(
        [build((3, 13, 0))],
        2,
        quick=True,
        rng=campaign.np.random.default_rng(0),
        progress=lambda text, share: told.append((text, share)),
    )
    return samples, partial, told


COUNTED = "open(__file__ + '.runs', 'a').write('x')\n"


def test_failing_kernel_is_noted_once_not_retried_and_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch, write_kernel: WriteKernel, tmp_path: Path
):
    sources = {"broken": COUNTED + "raise OSError('no such feature')", "good": GOOD}
    samples, partial, _ = campaign_of(monkeypatch, write_kernel, sources)
    assert not partial
    assert samples.pooled("good/3.13.0", "poll") == [1e-7, 2e-7] * 3
    assert samples.pooled("broken/3.13.0", "poll") == []
    assert sorted(note for note in samples.notes if note.startswith("3.13.0")) == [
        "3.13.0: broken: failed with status 1: OSError: no such feature",
        "3.13.0: seen",
    ]
    assert (tmp_path / "broken.py.runs").read_text() == "x"


def test_kernel_of_the_machine_has_a_second_chance(monkeypatch: pytest.MonkeyPatch):
    tried: list[str] = []

    def failing(*arguments: object, **_: object) -> KernelRun:
        tried.append(Path(str(arguments[1])).stem)
        raise MeasurementFailed(f"{tried[-1]}: no")

    monkeypatch.setattr(campaign, "run_kernel", failing)
    monkeypatch.setattr(
        campaign, "machine_measurements", lambda one, *_, **__: [measurement("wake", of=one)]
    )
    monkeypatch.setattr(
        campaign, "build_measurements", lambda one, **_: [measurement("poll", of=one)]
    )
    rng = campaign.np.random.default_rng(0)
    campaign.run_campaign([build((3, 13, 0))], 2, quick=False, rng=rng)
    assert sorted(tried) == ["poll", "wake", "wake"]


def test_interrupt_leaves_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, write_kernel: WriteKernel
):
    done = []

    def interrupted(*arguments: object, **options: object) -> KernelRun:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(arguments)
        return kernel_run(poll=[1e-7])

    monkeypatch.setattr(campaign, "run_kernel", interrupted)
    samples, partial, _ = campaign_of(monkeypatch, write_kernel, {"good": GOOD})
    assert partial
    assert samples.pooled("good/3.13.0", "poll") == [1e-7, 1e-7]


def test_run_with_stolen_time_is_repeated_once_and_the_quieter_kept(
    monkeypatch: pytest.MonkeyPatch,
):
    shares = iter([0.4, 0.1])
    runs = []

    def noisy(*_: object, **__: object) -> KernelRun:
        share = next(shares)
        runs.append(share)
        return KernelRun(series={"poll": [share]}, notes=(), steal_share=share)

    monkeypatch.setattr(campaign, "run_kernel", noisy)
    monkeypatch.setattr(campaign, "machine_measurements", lambda *_, **__: [])
    one = measurement("poll")
    monkeypatch.setattr(campaign, "build_measurements", lambda *_, **__: [one])
    monkeypatch.setattr(campaign, "FULL_ROUNDS", 1)
    # One round of one second allows a quarter of a second of repeats: none.
    rng = campaign.np.random.default_rng(0)
    samples, _ = campaign.run_campaign([one.build], 2, quick=False, rng=rng)
    assert samples.steal_shares == [0.4]
    monkeypatch.setattr(campaign, "FULL_ROUNDS", 8)
    shares = iter([0.4, 0.1] + [0.0] * 7)
    samples, _ = campaign.run_campaign([one.build], 2, quick=False, rng=rng)
    assert samples.steal_shares == [0.1] + [0.0] * 7


def test_run_during_which_the_machine_stood_still_is_not_kept(monkeypatch: pytest.MonkeyPatch):
    runs = iter(
        [
            KernelRun(series={"poll": [65.0]}, notes=(), steal_share=0.0, paused_time=65.0),
            kernel_run(poll=[1e-7]),
        ]
    )
    monkeypatch.setattr(campaign, "run_kernel", lambda *_, **__: next(runs))
    monkeypatch.setattr(campaign, "machine_measurements", lambda *_, **__: [])
    monkeypatch.setattr(
        campaign, "build_measurements", lambda one, **_: [measurement("poll", of=one)]
    )
    monkeypatch.setattr(campaign, "FULL_ROUNDS", 1)
    rng = campaign.np.random.default_rng(0)
    samples, _ = campaign.run_campaign([build((3, 13, 0))], 2, quick=False, rng=rng)
    assert samples.pooled("poll/3.13.0", "poll") == [1e-7]


def test_wait_that_took_far_longer_than_asked_is_a_pause(
    monkeypatch: pytest.MonkeyPatch,
):
    instants = iter([100.0, 165.0])
    monkeypatch.setattr(runner.time, "monotonic", lambda: next(instants, 165.0))
    process = FinishedProcess()
    output, _, paused_time = runner._wait(process, PATIENCE)  # type: ignore[arg-type]
    assert output == "samples"
    assert paused_time == 65.0 - runner.WAIT_STEP


def test_progress_runs_from_zero_to_one(monkeypatch: pytest.MonkeyPatch, write_kernel: WriteKernel):
    monkeypatch.setattr(campaign, "run_kernel", lambda *_, **__: kernel_run(poll=[1e-7]))
    _, _, told = campaign_of(monkeypatch, write_kernel, {"a": GOOD, "b": GOOD})
    shares = [share for _, share in told]
    assert shares[0] == 0
    assert shares[-1] == 1
    assert shares == sorted(shares)


def test_rounds_follow_each_other_and_every_round_has_every_measurement():
    ones = [measurement("machine")]
    others = [measurement("speed"), measurement("poll"), measurement("release")]
    rng = campaign.np.random.default_rng(0)
    order = list(campaign._ordered(ones, others, 3, rng))
    assert [number for number, _ in order] == [0] * 4 + [1] * 4 + [2] * 4
    assert [m for _, m in order[:4]] == ones + others
    for number in range(3):
        names = {m.name for n, m in order if n == number}
        assert names == {"machine", "speed", "poll", "release"}


def test_ratios_come_from_rounds_that_both_builds_have():
    samples = Samples()
    old, new = build((3, 11, 7)), build((3, 14, 0))
    samples.add(measurement("speed", of=old), 0, kernel_run(rate=[1.0, 2.0]))
    samples.add(measurement("speed", of=old), 1, kernel_run(rate=[3.0, 4.0]))
    samples.add(measurement("speed", of=new), 1, kernel_run(rate=[30.0, 40.0]))
    assert samples.ratios("speed/3.14.0", "speed/3.11.7", "rate") == [[10.0, 10.0]]


def test_reference_is_the_newest_build_with_a_gil():
    with_gil, without = build((3, 13, 0)), build((3, 14, 0), free_threaded=True)
    assert reference_of([build((3, 11, 7)), with_gil, without]) is with_gil
    assert reference_of([without]) is without


@pytest.mark.parametrize(("round_time", "rounds"), [(5.0, 3), (23.0, 3), (30.0, 2), (90.0, 2)])
def test_many_builds_get_fewer_rounds_but_two_at_least(round_time: float, rounds: int):
    assert rounds_within(70.0, round_time) == rounds


def test_kernels_are_standard_library_scripts_that_end_without_finalising():
    for path in campaign.KERNELS.glob("[a-z]*.py"):
        source = path.read_text()
        assert "os._exit(0)" in source, path.name
        assert "gilplan" not in source.replace('b"gilplan"', ""), path.name
        assert os.access(path, os.R_OK)
