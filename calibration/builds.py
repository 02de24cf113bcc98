"""The CPython builds of this machine: where they are and what each can do.

A build is asked in a child process, which may crash or hang: that costs the build its place in
the list, or what it could not show, and a note; never the others theirs.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gilplan.model.errors import MissingBuild

OLDEST = (3, 11)
PROBE_TIMEOUT = 10.0

#: Prints what it knows, then what it can create: the second part may hang or crash. It ends by
#: os._exit, for CPython 3.12.1 can hang while it finalises interpreters. Python 3.0 syntax.
PROBE = r"""
import json, os, platform, sys, sysconfig
def say(facts):
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()
config = lambda name: str(sysconfig.get_config_var(name) or "")
def libc():
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        return ""
free_threaded = config("Py_GIL_DISABLED") == "1" and not getattr(sys, "_is_gil_enabled", bool)()
say({
    "implementation": platform.python_implementation(),
    "version": list(sys.version_info[:3]),
    "release": "" if sys.version_info[3] == "final" else
        {"alpha": "a", "beta": "b", "candidate": "rc"}[sys.version_info[3]]
        + str(sys.version_info[4]),
    "free_threaded": free_threaded,
    "switch_interval": sys.getswitchinterval(),
    "debug": hasattr(sys, "gettotalrefcount"),
    "jit": hasattr(sys, "_jit") and sys._jit.is_enabled(),
    "flags": " ".join([config(name) for name in (
        "CONFIG_ARGS", "PY_CORE_CFLAGS", "PY_CORE_LDFLAGS", "OPT", "PY_CFLAGS")]),
    "compiler": platform.python_compiler(),
    "libc": libc(),
})
def create(own_gil):
    if own_gil:
        try:
            from concurrent import interpreters
        except ImportError:
            pass
        else:
            interpreters.create().exec("pass")
            return "concurrent.interpreters"
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
        interpreters.run_string(interpreters.create(isolated=own_gil), "pass")
        return "_xxsubinterpreters"
    interpreters.exec(interpreters.create("isolated" if own_gil else "legacy"), "pass")
    return "_interpreters"
def attempt(own_gil):
    try:
        return create(own_gil)
    except Exception:
        return ""
if sys.version_info >= (3, 11) and not free_threaded:
    say({"shared_gil_module": attempt(False)})
    say({"own_gil_module": attempt(True) if sys.version_info >= (3, 12) else ""})
say({"complete": True})
os._exit(0)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One CPython build: its interpreter's real path, and what it said of itself.

    ``own_gil_module`` and ``shared_gil_module`` name the module through which it created a
    sub-interpreter of that kind, "" where it did not. ``release`` is "" for a final release,
    else like "a1" or "rc2". ``switch_interval`` in seconds. ``libc`` is the C library that it runs
    with, like "glibc 2.36", "" where it does not say.
    """

    path: str
    version: tuple[int, int, int]
    release: str = ""
    free_threaded: bool = False
    own_gil_module: str = ""
    shared_gil_module: str = ""
    switch_interval: float = 0.005
    optimisations: tuple[str, ...] = ()
    compiler: str = ""
    libc: str = ""

    @property
    def name(self) -> str:
        """The full version, with ``t`` when free-threaded: "3.13.0", "3.13.5t"."""
        dotted = ".".join(str(part) for part in self.version)
        return f"{dotted}{self.release}{'t' if self.free_threaded else ''}"

    @property
    def answers(self) -> tuple[str, ...]:
        """The kinds of layout that can be measured on this build, hence predicted."""
        if self.free_threaded:
            return ("free-threaded", "processes")
        kinds = {
            "threads": True,
            "shared-GIL interpreters": bool(self.shared_gil_module),
            "own-GIL interpreters": bool(self.own_gil_module),
            "processes": True,
        }
        return tuple(kind for kind, possible in kinds.items() if possible)


def find_builds(extra: Sequence[Path] = ()) -> tuple[list[Build], list[str]]:
    """Return the CPython builds (>= 3.11) of this machine, oldest first, and notes on the rest.

    Looks at ``extra``, at the Python that runs gilplan, on PATH, and among the versions of
    pyenv and uv. Of two builds with one name, the first in this order is kept.
    """
    builds: dict[str, Build] = {}
    notes: list[str] = []
    paths = _distinct([*extra, *_candidates()])
    with ThreadPoolExecutor(max_workers=2) as pool:
        for path, (build, note) in zip(paths, pool.map(probe, paths), strict=True):
            if note:
                notes.append(note)
            if build is None:
                continue
            if build.name in builds:
                kept = builds[build.name].path
                notes.append(f"{path}: left out, {kept} is {build.name} already")
            builds.setdefault(build.name, build)
    missing = [f"{path}: left out, not a file to run" for path in extra if not _runnable(path)]
    ordered = sorted(builds.values(), key=lambda build: _order(build.name))
    return ordered, missing + notes


def named_builds(paths: Sequence[Path]) -> list[Build]:
    """Return the builds at ``paths`` only. Raises `MissingBuild` where one cannot be used."""
    builds: dict[str, Build] = {}
    for path in paths:
        build, note = probe(Path(os.path.realpath(path)))
        if build is None:
            raise MissingBuild(note.replace("left out, ", ""))
        builds.setdefault(build.name, build)
    return list(builds.values())


def newest_of_each_series(builds: Iterable[Build]) -> list[Build]:
    """Keep, of the builds with the same minor version and kind of GIL, the newest."""
    newest: dict[tuple[tuple[int, ...], bool], Build] = {}
    for build in sorted(builds, key=lambda build: _order(build.name)):
        newest[build.version[:2], build.free_threaded] = build
    return list(newest.values())


def probe(path: Path, time_limit: float = PROBE_TIMEOUT) -> tuple[Build | None, str]:
    """Ask the interpreter at ``path`` what it is: a build or None, and a note or ""."""
    command = [str(path), "-I", "-S", "-c", PROBE]
    try:
        child = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=time_limit, check=False
        )
        output, ending = child.stdout, _ending(child.returncode)
    except subprocess.TimeoutExpired as error:
        output, ending = error.stdout or b"", f"gave no answer within {time_limit:g} s"
    except OSError as error:
        return None, f"{path}: left out, cannot be run: {error.strerror}"
    facts = _facts(output)
    if "version" not in facts:
        return None, f"{path}: left out, {ending or 'is not a Python that answers'}"
    version = ".".join(str(part) for part in facts["version"])
    if facts["implementation"] != "CPython":
        return None, f"{path}: left out, {facts['implementation']} {version} is not CPython"
    if tuple(facts["version"]) < OLDEST:
        oldest = ".".join(str(part) for part in OLDEST)
        return None, f"{path}: left out, CPython {version} is older than {oldest}"
    build = _build(path, facts)
    if "complete" not in facts:
        return build, f"{build.name}: {ending} while it created a sub-interpreter: kept without"
    return build, ""


def match_build(wanted: str, names: Iterable[str], where: str = "on this machine") -> str:
    """Return the name that ``wanted`` means: itself, or the newest release of a series.

    "3.13" is the newest 3.13.* with a GIL, "3.13t" the newest free-threaded one. Raises
    `MissingBuild`, which lists what is there.
    """
    present = sorted(names, key=_order)
    if wanted in present:
        return wanted
    series = wanted.removesuffix("t").split(".")
    fitting = [
        name
        for name in present
        if name.endswith("t") == wanted.endswith("t")
        and re.split(r"\.|(?=a|b|rc|t)", name)[: len(series)] == series
    ]
    if not fitting:
        listed = ", ".join(present) or "none"
        raise MissingBuild(f"build {wanted!r} is not {where}; there are: {listed}")
    return fitting[-1]


def _order(name: str) -> tuple[list[int], bool, str, bool]:
    """Order names by version; a pre-release stands before its release, a GIL before none."""
    match = re.match(r"(\d+(?:\.\d+)*)(.*)", name)
    numbers, rest = match.groups() if match else ("0", name)
    release = rest.removesuffix("t")
    order = [int(number) for number in numbers.split(".")]
    return order, not release, release, rest.endswith("t")


def _candidates() -> Iterator[Path]:
    yield Path(sys.executable)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder and not folder.rstrip("/").endswith("shims"):
            yield from _interpreters_in(Path(folder))
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    uv = os.environ.get("UV_PYTHON_INSTALL_DIR")
    shared = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    for versions in (pyenv / "versions", Path(uv) if uv else shared / "uv" / "python"):
        for version in _listed(versions):
            yield from _interpreters_in(version / "bin")


def _interpreters_in(folder: Path) -> Iterator[Path]:
    for path in _listed(folder):
        if re.fullmatch(r"python3(\.\d+t?)?", path.name):
            yield path


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _runnable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _distinct(paths: Iterable[Path]) -> list[Path]:
    """Follow links and keep the first path of each file that can be run."""
    files: dict[tuple[int, int], Path] = {}
    for path in paths:
        real = Path(os.path.realpath(path))
        if _runnable(real):
            status = real.stat()
            files.setdefault((status.st_dev, status.st_ino), real)
    return list(files.values())


def _build(path: Path, facts: dict[str, Any]) -> Build:
    return Build(
        path=str(path),
        version=tuple(facts["version"]),
        release=facts["release"],
        free_threaded=facts["free_threaded"],
        own_gil_module=facts.get("own_gil_module", ""),
        shared_gil_module=facts.get("shared_gil_module", ""),
        switch_interval=facts["switch_interval"],
        optimisations=(
            *_optimisations(facts["flags"]),
            *(name for name in ("jit", "debug") if facts[name]),
        ),
        compiler=facts["compiler"],
        libc=facts.get("libc", ""),
    )


def _optimisations(flags: str) -> tuple[str, ...]:
    """Name what the configuration and the compiler flags say about the build's speed."""
    levels = re.findall(r"-O(?:\d|s|fast|g)\b", flags)
    signs = {
        "pgo": r"--enable-optimizations|-fprofile-use",
        "lto": r"--with-lto|-flto",
        "tail calls": "--with-tail-call-interp",
    }
    return (*levels[-1:], *(name for name, sign in signs.items() if re.search(sign, flags)))


def _facts(output: bytes) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for line in output.decode(errors="replace").splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict):
            facts |= said
    return facts


def _ending(status: int) -> str:
    if status < 0:
        return f"died of signal {-status}"
    return f"ended with status {status}" if status else ""
