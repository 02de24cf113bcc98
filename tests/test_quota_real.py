"""The quota of this machine is read, and a program under one does what is predicted."""

import subprocess
import time
from pathlib import Path

import pytest

from gilplan.calibration.builds import find_builds
from gilplan.calibration.cpu_quota import limited_group, read_quota, read_slice
from gilplan.calibration.realrun import run_for_real, shipped_programs
from gilplan.model.errors import MeasurementFailed
from gilplan.model.layout import GilMode, Layout
from gilplan.model.quota import Quota

MOUNT = "33 32 0:29 / /sys/fs/cgroup{0} rw,relatime shared:5 - {1} {1} rw{2}\n"

#: Two processes spin for 1.2 s of wall time; prints the processor time that both had.
SPIN = """
import os, time
end = time.perf_counter() + 1.2
os.fork()
while time.perf_counter() < end:
    pass
try:
    os.wait()
    print(sum(os.times()[:4]))
except ChildProcessError:
    pass
"""


def tree(root: Path, groups: str, mounts: str, files: dict[str, str]) -> Path:
    for name, text in {
        "proc/self/cgroup": groups, "proc/self/mountinfo": mounts, **files
    }.items():  # fmt: skip
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_second_version_reads_cpu_max_of_the_tightest_ancestor(tmp_path: Path):
    root = tree(
        tmp_path,
        "0::/a/b\n",
        MOUNT.format("", "cgroup2", ""),
        {
            "sys/fs/cgroup/a/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
        },
    )
    assert read_quota(root) == Quota(cores=1.5)


def test_first_version_reads_quota_period_and_slice(tmp_path: Path):
    root = tree(
        tmp_path,
        "5:memory:/x\n4:cpu,cpuacct:/x\n",
        MOUNT.format("/cpu,cpuacct", "cgroup", ",cpu,cpuacct"),
        {
            "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "25000\n",
            "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "50000\n",
            "proc/sys/kernel/sched_cfs_bandwidth_slice_us": "3000\n",
        },
    )
    assert read_quota(root) == Quota(cores=0.5, period=0.05, slice_time=0.003)


def test_container_sees_its_own_group_as_the_root(tmp_path: Path):
    root = tree(
        tmp_path,
        "0::/../../outside\n",
        MOUNT.format("", "cgroup2", ""),
        {"sys/fs/cgroup/cpu.max": "200000 100000\n"},
    )
    assert read_quota(root) == Quota(cores=2.0)


@pytest.mark.parametrize("text", ["max 100000", "", "nonsense", "-1 100000", "10 1"])
def test_no_quota_is_none(tmp_path: Path, text: str):
    root = tree(
        tmp_path,
        "0::/\n",
        MOUNT.format("", "cgroup2", ""),
        {"sys/fs/cgroup/cpu.max": text},
    )
    assert read_quota(root) is None
    assert read_slice(root) == 0.005


def test_group_without_a_controller_fails_in_one_line(tmp_path: Path):
    with pytest.raises(MeasurementFailed, match="root"), limited_group(Quota(cores=1), tmp_path):
        pass


@pytest.fixture
def group():
    try:
        with limited_group(Quota(cores=0.4)) as folder:
            yield folder
    except MeasurementFailed as error:
        pytest.skip(str(error))


def test_real_program_gets_what_its_group_allows(group: Path):
    command = f'echo $$ > {group}/cgroup.procs; exec python3 -S -c "$0"'
    began = time.perf_counter()
    run = subprocess.run(["sh", "-c", command, SPIN], capture_output=True, text=True, check=True)
    periods = (time.perf_counter() - began) / 0.1 + 1
    # Busy neighbours may leave it less than it is allowed, never more; a core keeps a slice, and
    # the kernel looks at every tick.
    assert float(run.stdout) <= 0.4 * 0.1 * periods + 2 * (0.005 + 0.01)
    throttled = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    assert int(throttled["nr_throttled"]) > 0
    inside = f"echo $$ > {group}/cgroup.procs; exec sleep 5"
    with subprocess.Popen(["sh", "-c", inside]) as process:
        while not (group / "cgroup.procs").read_text().strip():
            pass
        assert read_quota(process=str(process.pid)) == Quota(cores=0.4, slice_time=read_slice())
        process.terminate()


@pytest.mark.interpreters
def test_layout_with_a_quota_runs_inside_it(tmp_path: Path):
    build = find_builds()[0][0]
    layout = Layout(build=build.name, gil=GilMode.SHARED, quota=0.3)
    try:
        run = run_for_real(build, shipped_programs()["nbody"], layout, warmup=0.1, time=1.0)
    except MeasurementFailed as error:
        if "root" not in str(error):
            raise
        pytest.skip(str(error))
    # It stands still for 70 of 100 ms.
    assert run.response_times.max() > 0.03
