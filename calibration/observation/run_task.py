"""Do one task over and over under the build being observed, while gilplan looks on.

    python -P run_task.py REQUEST

``REQUEST`` is JSON: ``target`` ("file.py:function", "module:function", or a file with ``setup``
and ``STEPS``), ``time`` (seconds per phase), ``tasks`` (how many at most, null for no limit),
``warmup``, ``answers`` and ``gate`` (file descriptors). Each phase writes one line of JSON to
``answers``; before each but the first, a byte is awaited on ``gate``: the name's first letter.

    loaded     the first call went well; what it returned, what it printed
    plain      tasks without probes: wall and thread CPU time, cost of a release
    traced     the same with probes in place: instants of each task, of a loop of releases
    interval   set the switch interval to `MARK`, by which the GIL is found in memory; set it back
    residual   how late a second thread gets the GIL that it asks for
    beside     tasks beside a thread that wants nothing but the GIL
    sizes      what the call and its results weigh pickled, what tasks leave to the collector, and
               the containers that are alive beside them

Standard library only, Python 3.11 and later. The clock is CLOCK_MONOTONIC, as in the trace.
"""

import gc
import importlib.util
import inspect
import json
import os
import pickle
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any


def sibling(name: str) -> Any:
    """Load a module beside this file: under ``-P`` its folder is not on the path."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"gilplan_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


loading = sibling("target_loading")
thread_beside = sibling("thread_beside")
Task = Callable[[], object]
Refused: type[Exception] = loading.Refused
alone, missed, lateness = thread_beside.alone, thread_beside.missed, thread_beside.lateness
short_sleep, spin = thread_beside.short_sleep, thread_beside.spin
waited_for_core = thread_beside.waited_for_core

LOOP = 2000
SHORT_SLEEPS = 5
#: What the residual phase uses: an interval far below any stretch that matters.
ASKING_INTERVAL = 50e-6
#: A switch interval that nothing else in memory looks like (seconds).
MARK = 4.999871
ROUNDS = 5
#: Results that are pickled at most.
RESULTS = 200
#: Of the thread beside. Each forced switch hides some 60 us of the held time, which the waker
#: spends on waking: the longer one does, unless a task gives up the GIL too often for it.
BESIDE_INTERVALS = (5e-3, 1e-3)


class Session:
    """The phases, and the pipe through which they report."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.task: Task = object
        self.zero = os.open("/dev/zero", os.O_RDONLY)

    def say(self, phase: str, **facts: Any) -> None:
        line = json.dumps({"phase": phase, **facts}) + "\n"
        view = memoryview(line.encode())
        while view:
            view = view[os.write(self.request["answers"], view) :]

    def run(self) -> None:
        phases = {
            "p": self.plain,
            "t": self.traced,
            "i": self.interval,
            "r": self.residual,
            "b": self.beside,
            "s": self.sizes,
        }
        self.loaded()
        while letter := os.read(self.request["gate"], 1):
            phases[letter.decode()]()

    def loaded(self) -> None:
        """Import, call once, and describe what happened."""
        self.task = loading.load(self.request["target"])
        before = os.fstat(1).st_size
        began = time.perf_counter()
        result = self.task()
        took = time.perf_counter() - began
        if inspect.iscoroutine(result):
            raise Refused("the target returns a coroutine: wrap it in a plain function")
        sys.stdout.flush()
        printed = os.fstat(1).st_size - before
        mute()
        self.say(
            "loaded",
            took=took,
            printed=printed,
            threads=threading.active_count() - 1,
            process_tasks=len(os.listdir("/proc/self/task")) - 1,
            children=resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime > 0 or has_children(),
            gil_enabled=getattr(sys, "_is_gil_enabled", lambda: True)(),
        )

    def limits(self) -> tuple[float, int]:
        return self.request["time"], self.request["tasks"] or 10**9

    def warm_up(self) -> None:
        end = time.perf_counter() + self.request["warmup"]
        while time.perf_counter() < end:
            self.task()

    def plain(self) -> None:
        """Do tasks without probes; count the CPU time of other threads."""
        self.warm_up()
        release, call = self.release_cost()
        task, wall, cpu = self.task, time.perf_counter_ns, time.thread_time_ns
        seconds, most = self.limits()
        times: list[tuple[int, int]] = []
        process = time.process_time_ns()
        children = os.times()
        first, queued = cpu(), waited_for_core()
        end = wall() + int(seconds * 1e9)
        while (wall() < end or len(times) < 3) and len(times) < most:
            cpu_before, before = cpu(), wall()
            task()
            times.append((wall() - before, cpu() - cpu_before))
        own = cpu() - first
        after = os.times()
        self.say(
            "plain",
            times=times,
            release_ns=release,
            call_ns=call,
            queued_ns=waited_for_core() - queued,
            others_cpu_ns=max(time.process_time_ns() - process - own, 0),
            children_cpu=after[2] + after[3] - children[2] - children[3],
        )

    def release_cost(self) -> tuple[float, float]:
        """Return the nanoseconds of a call that gives up the GIL and of one that does not."""
        return self.loop_of_releases() / LOOP, self.loop_of_calls() / LOOP

    def loop_of_releases(self) -> int:
        seek, zero = os.lseek, self.zero
        began = time.perf_counter_ns()
        for _ in range(LOOP):
            seek(zero, 0, 0)
        return time.perf_counter_ns() - began

    def loop_of_calls(self) -> int:
        call = os.getpid
        began = time.perf_counter_ns()
        for _ in range(LOOP):
            call()
        return time.perf_counter_ns() - began

    def traced(self) -> None:
        """Do a loop of known releases, then tasks, and leave the instants."""
        clock, task = time.perf_counter_ns, self.task
        sleeps = [clock()]
        for _ in range(SHORT_SLEEPS):
            time.sleep(50e-6)
        sleeps.append(clock())
        loop = [clock()]
        self.loop_of_releases()
        loop.append(clock())
        seconds, most = self.limits()
        marks: list[tuple[int, int]] = []
        task()
        cpu, queued = time.thread_time_ns(), waited_for_core()
        end = clock() + int(seconds * 1e9)
        while (clock() < end or len(marks) < 3) and len(marks) < most:
            began = clock()
            task()
            marks.append((began, clock()))
        self.say(
            "traced",
            sleeps=sleeps,
            loop=loop,
            marks=marks,
            cpu_ns=time.thread_time_ns() - cpu,
            queued_ns=waited_for_core() - queued,
        )

    def sizes(self) -> None:
        """Pickle the call and the results of tasks; count what they leave to the collector."""
        end = time.perf_counter() + min(self.request["time"], 0.5)
        results: list[int | str] = []
        objects: list[int] = []
        while (time.perf_counter() < end or len(results) < ROUNDS) and len(results) < RESULTS:
            before = allocated()
            result = self.task()
            objects.append(allocated() - before)
            results.append(pickled_size(result))
            del result
        self.say(
            "sizes",
            call=pickled_size((self.task, (), {})),
            results=results,
            objects=objects if gc.isenabled() else [],
            live=len(gc.get_objects()),
        )

    def interval(self) -> None:
        """Mark the GIL in memory by its interval, or take the mark away."""
        marked = abs(sys.getswitchinterval() - MARK) < 1e-6
        sys.setswitchinterval(0.005 if marked else MARK)
        self.say("interval", marked=not marked)

    def residual(self) -> None:
        """Measure how late a second thread gets the GIL, by turns beside bytecode and tasks."""
        interval = sys.getswitchinterval()
        sys.setswitchinterval(ASKING_INTERVAL)
        seconds = min(self.request["time"], 1.0)
        try:
            rounds = [
                (lateness(spin, seconds / ROUNDS), lateness(self.task, seconds / ROUNDS))
                for _ in range(ROUNDS)
            ]
        finally:
            sys.setswitchinterval(interval)
        self.say("residual", rounds=rounds)

    def beside(self) -> None:
        """Do short sleeps, then tasks, beside a thread of bytecode; leave what it had to miss."""
        interval = sys.getswitchinterval()
        sys.setswitchinterval(BESIDE_INTERVALS[0])
        seconds = self.request["time"] / ROUNDS
        cores = os.sched_getaffinity(0)
        # A core for each: a helper that wakes on the task's core waits for it while the task has
        # the GIL, and that looks like waiting for a core.
        beside = {min(cores)}
        try:
            os.sched_setaffinity(0, cores - beside or cores)
            began = time.perf_counter()
            first = missed(self.task, 0.0, beside)["tasks"]
            if (time.perf_counter() - began) / first > seconds / 4:
                sys.setswitchinterval(BESIDE_INTERVALS[1])
            rounds = [
                {
                    "alone": alone(self.task, seconds / 2),
                    "sleeps": missed(short_sleep, seconds / 4, beside),
                    "tasks": missed(self.task, seconds, beside),
                }
                for _ in range(ROUNDS)
            ]
        finally:
            os.sched_setaffinity(0, cores)
            sys.setswitchinterval(interval)
        self.say("beside", rounds=rounds, seconds=seconds, cores=len(cores))


def allocated() -> int:
    """Return how many containers the collector has counted so far, net of those freed.

    A collection of the youngest generation stands for a threshold of them.
    """
    collections = sum(each["collections"] for each in gc.get_stats())
    return int(collections * gc.get_threshold()[0] + gc.get_count()[0])


def pickled_size(value: object) -> int | str:
    """Return the bytes of the value pickled, or what its pickling raises."""
    try:
        return len(pickle.dumps(value, protocol=5))
    except Exception as error:
        return one_line(error)


def has_children() -> bool:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return bool(file.read().strip())
    except OSError:
        return False


def mute() -> None:
    """Throw away what the target prints from now on."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)


def one_line(error: BaseException) -> str:
    return " ".join("".join(traceback.format_exception_only(type(error), error)).split())[:300]


def main(argv: list[str]) -> None:
    session = Session(json.loads(argv[0]))
    try:
        session.run()
    except Refused as error:
        session.say("error", message=str(error))
    except (SystemExit, KeyboardInterrupt) as error:
        session.say("error", message=f"the target ends the process: {one_line(error)}")
    except BaseException as error:
        session.say("error", message=f"the target raises {one_line(error)}")
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
