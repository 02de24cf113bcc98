"""The CPU quota that a process runs under, read from its control groups (versions 1 and 2).

``os.cpu_count`` and the affinity mask know nothing of it: a container with a quota of 4 CPUs on a
machine of 12 sees 12. A group's limit holds for all groups inside it, so the tightest of the
group and its ancestors counts.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from os import getpid
from pathlib import Path

from gilplan.model.errors import InvalidValue, MeasurementFailed
from gilplan.model.quota import Quota

DEFAULT_SLICE = 0.005


def read_quota(root: Path = Path("/"), process: str = "self") -> Quota | None:
    """Return the tightest quota over the process, None without one.

    ``root`` is where ``proc`` and the control groups' mounts are found.
    """
    slice_time = read_slice(root)
    limits = [
        limit
        for folder in _groups(root, process)
        if (limit := _limit(folder, slice_time)) is not None
    ]
    return min(limits, key=lambda quota: quota.cores, default=None)


def read_slice(root: Path = Path("/")) -> float:
    """Return what a core takes at a time from a quota's budget, the kernel's default if unknown."""
    text = _text(root / "proc/sys/kernel/sched_cfs_bandwidth_slice_us")
    return int(text) / 1e6 if text.isdigit() and int(text) else DEFAULT_SLICE


@contextmanager
def limited_group(quota: Quota, root: Path = Path("/")) -> Iterator[Path]:
    """Make a control group with the quota; a process joins it by writing to ``cgroup.procs``.

    The group goes when the context is left, once nobody is in it. Raises `MeasurementFailed`
    where none can be made: it takes root and a mounted ``cpu`` controller that can be written.
    """
    folder = _new_group(root)
    try:
        period, budget = round(quota.period * 1e6), round(quota.budget * 1e6)
        if (folder / "cpu.max").exists():
            (folder / "cpu.max").write_text(f"{budget} {period}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(period))
            (folder / "cpu.cfs_quota_us").write_text(str(budget))
    except OSError as error:
        with suppress(OSError):
            folder.rmdir()
        raise MeasurementFailed(f"quota={quota.cores:g}: {error}; it takes root") from None
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


def joining(group: Path, command: Sequence[str]) -> list[str]:
    """Return the command that joins the group and then becomes ``command``."""
    return ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group), *command]


def _new_group(root: Path) -> Path:
    reason = "no cpu controller is mounted"
    for mount, version in _mounts(root):
        if version == 2 and "cpu" not in _text(mount / "cgroup.subtree_control").split():
            continue
        for number in count():
            folder = mount / f"gilplan-{getpid()}-{number}"
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                reason = str(error)
                break
            return folder
    raise MeasurementFailed(f"quota: no control group can be made ({reason}); it takes root")


def _groups(root: Path, process: str) -> Iterator[Path]:
    """Yield the folders of the process's groups that have a say in its CPU time, and ancestors."""
    mounts = {version: mount for mount, version in _mounts(root)}
    for line in _text(root / "proc" / process / "cgroup").splitlines():
        _number, controllers, path = line.split(":", 2)
        version = 2 if not controllers else 1
        if version not in mounts or (controllers and "cpu" not in controllers.split(",")):
            continue
        folder = mounts[version] / path.lstrip("/")
        # Inside a container the mount shows its own group as the root: the path leads nowhere.
        yield folder if folder.is_dir() else mounts[version]
        while folder != mounts[version]:
            folder = folder.parent
            yield folder


def _mounts(root: Path) -> Iterator[tuple[Path, int]]:
    """Yield where the cpu controller's groups are: (folder, version of control groups)."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        mounted, _, source = line.partition(" - ")
        kind, _device, options = [*source.split(" "), "", ""][:3]
        folder = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), mounted.split(" ")[4])
        if kind == "cgroup2":
            yield root / folder.lstrip("/"), 2
        elif kind == "cgroup" and "cpu" in options.split(","):
            yield root / folder.lstrip("/"), 1


def _limit(folder: Path, slice_time: float) -> Quota | None:
    """Return the quota that a group's files say; None without, or where it is unreadable."""
    words = _text(folder / "cpu.max").split() or [
        _text(folder / "cpu.cfs_quota_us"),
        _text(folder / "cpu.cfs_period_us"),
    ]
    try:
        budget, period = (int(word) for word in words)  # microseconds
        if budget <= 0:
            return None
        return Quota(cores=budget / period, period=period / 1e6, slice_time=slice_time)
    except (ValueError, InvalidValue, ZeroDivisionError):  # "max", or no such files
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
