"""Run a program for real in one layout and print every completion as JSON.

    python run_layout.py PROGRAM --processes 1 --interpreters 2 --threads 2 --gil own
        --switch-interval 0.005 --time 0.5

Every process is a fork of this one, made before any thread or interpreter exists. With one
interpreter it is the main one; with more, each is a sub-interpreter run by a thread of its own,
and the main thread waits. All workers set up, do one task, meet, and start together.

Output: a line ``{"started_at": perf_counter_ns}`` when all are ready, then a line
``{"completions": [[ns since the start, ...] per worker], "gauge": [[ns since the start, ns, ...]
per worker] (see `SpeedGauge`), "gil_enabled", "steal_time"}``, or ``{"error": "one line"}`` with
exit status 1.
"""

import argparse
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import types
from array import array
from collections.abc import Callable, Iterable
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
WORKER = os.path.join(HERE, "worker.py")
#: Between "everybody is ready" and the start: long enough for all workers to go to sleep.
LEAD_NS = 10_000_000
#: Interpreters live until the process ends: before 3.13 the last reference to one's id ends it,
#: and in 3.12.1 that never returns.
KEPT: list[Any] = []


#: The settings that interpreters have by default, by their GIL: ``isolated`` and ``legacy``.
STANDARD = {
    gil: {
        "use_main_obmalloc": gil == "shared",
        "allow_fork": gil == "shared",
        "allow_exec": gil == "shared",
        "allow_threads": True,
        "allow_daemon_threads": gil == "shared",
        "check_multi_interp_extensions": gil == "own",
        "gil": gil,
    }
    for gil in ("own", "shared")
}


class Refused(Exception):
    """The layout cannot run under this build."""


def execute(path: str) -> dict[str, Any]:
    """Execute a sibling file by path: under ``-I`` its folder is not importable."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    namespace: dict[str, Any] = {"__name__": "worker", "__file__": path}
    exec(compile(text, path, "exec"), namespace)
    return namespace


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run a program in a layout for real.")
    parser.add_argument("program")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--interpreters", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--gil", choices=["own", "shared", "disabled"], default="shared")
    parser.add_argument("--config", type=json.loads, help="settings of the interpreters, JSON")
    parser.add_argument("--switch-interval", type=float)
    parser.add_argument("--cores", type=int)
    parser.add_argument("--time", type=float, default=0.5, help="seconds from the start")
    parser.add_argument("--scratch", help="folder for the workers' files, else a temporary one")
    return parser.parse_args(argv)


def interpreter_module() -> tuple[Any, bool]:
    """Return the module that makes interpreters, and whether it is the one of 3.13+."""
    try:
        return importlib.import_module("_interpreters"), True
    except ImportError:
        return importlib.import_module("_xxsubinterpreters"), False


def new_interpreter(gil: str, config: dict[str, Any] | None) -> Callable[[str], None]:
    """Create a sub-interpreter whose GIL is ``own`` or ``shared``; return how to run text in it.

    ``config`` has the fields of its PyInterpreterConfig; None leaves them to the GIL.
    """
    module, modern = interpreter_module()
    if gil == "own" and sys.version_info < (3, 12):
        raise Refused("gil must be 'shared' before CPython 3.12, got 'own'")
    if modern:
        preset = "isolated" if gil == "own" else "legacy"
        number = module.create(types.SimpleNamespace(**config) if config else preset)
    elif config not in (None, STANDARD.get(gil)):
        raise Refused("config cannot be chosen from Python before CPython 3.13")
    else:
        # Before 3.12 "isolated" meant only: no threads and no subprocesses.
        number = module.create(isolated=gil == "own")
    KEPT.append(number)

    def run(text: str) -> None:
        if modern:
            failure = module.exec(number, text)
            if failure is not None:
                raise Refused(str(getattr(failure, "formatted", failure)))
        else:
            module.run_string(number, text)

    return run


def run_process(settings: dict[str, Any], interpreters: int, gil: str, first_worker: int) -> None:
    """Run the workers of this process in the main interpreter or in sub-interpreters."""
    worker = execute(WORKER)
    if interpreters == 1:
        worker["Crew"](settings, first_worker).run()
        return
    failures = worker["Crew"](settings, first_worker)
    runs = [new_interpreter(gil, settings["config"]) for _ in range(interpreters)]

    def crew(number: int) -> None:
        first = first_worker + number * settings["threads"]
        try:
            runs[number](
                f"with open({WORKER!r}, encoding='utf-8') as file: text = file.read()\n"
                f"namespace = {{'__name__': 'worker'}}\n"
                f"exec(compile(text, {WORKER!r}, 'exec'), namespace)\n"
                f"namespace['Crew']({settings!r}, {first}).run()\n"
            )
        except BaseException as error:
            failures.fail(first, error)

    threads = [threading.Thread(target=crew, args=(number,)) for number in range(interpreters)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def start_process(
    settings: dict[str, Any], options: argparse.Namespace, process: int
) -> tuple[int, int]:
    """Fork one process of workers; return its pid and the end on which it says "ready"."""
    ready, ready_child = os.pipe()
    pid = os.fork()
    if pid:
        os.close(ready_child)
        return pid, ready
    first_worker = process * options.interpreters * options.threads
    status = 1
    try:
        os.close(ready)
        # What the program prints must not get between the answers, nor fill a pipe.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        # Only the parent may keep this open: its end then wakes children that wait for a start.
        os.close(settings["start_end"])
        settings = {**settings, "ready": ready_child}
        run_process(settings, options.interpreters, options.gil, first_worker)
        status = 0
    except BaseException as error:
        execute(WORKER)["Crew"](settings, first_worker).fail(first_worker, error)
    finally:
        # Not sys.exit: CPython 3.12.1 can hang while it finalises interpreters.
        os._exit(status)


def await_ready(ready: int, count: int) -> bool:
    """Wait until ``count`` workers of a process are ready; False if the process ended before."""
    while count:
        said = os.read(ready, count)
        if not said:
            return False
        count -= len(said)
    return True


def failure(scratch: str, pid: int) -> str:
    """Return the line that a failed process left, or how it ended."""
    for name in sorted(os.listdir(scratch)):
        if name.endswith(".failure"):
            with open(os.path.join(scratch, name), encoding="utf-8") as file:
                return file.read()
    try:
        _pid, status = os.waitpid(pid, 0)
        return f"a worker process ended with status {os.waitstatus_to_exitcode(status)}"
    except ChildProcessError:
        return "a worker process crashed during the run"


def end(pids: Iterable[int]) -> None:
    """Kill the processes that are left, so that none outlives the folder it writes to."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def left(scratch: str, workers: int, what: str) -> list[list[int]]:
    """Read what each worker left."""
    rows = []
    for worker in range(workers):
        path = os.path.join(scratch, f"{worker}.{what}")
        values: array[int] = array("q")
        with open(path, "rb") as file:
            values.frombytes(file.read())
        rows.append(values.tolist())
    return rows


def steal_time() -> float:
    """Return the seconds that the host has taken from this machine so far (0 if not known)."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            return int(file.readline().split()[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0.0


def use_cores(count: int) -> None:
    """Keep this process and its children on the first ``count`` cores that it may use."""
    allowed = sorted(os.sched_getaffinity(0))
    if not 1 <= count <= len(allowed):
        raise Refused(f"cores must be between 1 and {len(allowed)}, got {count}")
    os.sched_setaffinity(0, allowed[:count])


def measure(options: argparse.Namespace, scratch: str) -> dict[str, Any]:
    """Run the layout; return the result to print."""
    if options.cores is not None:
        use_cores(options.cores)
    gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)()
    if gil_enabled and options.gil == "disabled":
        raise Refused("gil must be 'own' or 'shared' on a build with a GIL, got 'disabled'")
    go_child, go = os.pipe()
    settings = {
        "program": os.path.abspath(options.program),
        "threads": options.threads,
        "switch_interval": options.switch_interval,
        "run_time_ns": int(options.time * 1e9),
        "scratch": scratch,
        "gil": options.gil,
        "config": options.config,
        "go": go_child,
        "start_end": go,
    }
    per_process = options.interpreters * options.threads
    workers = options.processes * per_process
    children = [start_process(settings, options, number) for number in range(options.processes)]
    try:
        for pid, ready in children:
            if not await_ready(ready, per_process):
                raise Refused(failure(scratch, pid))
        stolen = steal_time()
        start = time.perf_counter_ns() + LEAD_NS
        os.write(go, start.to_bytes(8, "little") * workers)
        print(json.dumps({"started_at": start}), flush=True)
        for pid, _ready in children:
            _pid, status = os.waitpid(pid, 0)
            if status:
                raise Refused(failure(scratch, pid))
    except Refused:
        end(pid for pid, _ready in children)
        raise
    return {
        "completions": left(scratch, workers, "completions"),
        "gauge": left(scratch, workers, "gauge"),
        "gil_enabled": gil_enabled,
        "steal_time": steal_time() - stolen,
    }


def main(argv: list[str]) -> None:
    options = arguments(argv)
    scratch: str = options.scratch or tempfile.mkdtemp(prefix="gilplan-")
    status = 0
    result: dict[str, Any]
    try:
        result = measure(options, scratch)
    except (Refused, OSError) as error:
        result, status = {"error": str(error)}, 1
    finally:
        if not options.scratch:
            shutil.rmtree(scratch, ignore_errors=True)
    json.dump(result, sys.stdout)
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
