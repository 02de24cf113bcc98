"""Do one task over and over under the build being observed, while gilplan looks on.

    python -P run_task.py REQUEST

``REQUEST`` is JSON: ``target`` ("file.py:function", "module:function", or a file with ``setup``
and ``STEPS``), ``time`` (seconds per phase), ``tasks`` (how many at most, null for no limit),
``warmup``, ``answers`` and ``gate`` (file descriptors). Each phase writes one line of JSON to
``answers``; before each but the first, a byte is awaited on ``gate``: the name's first letter.

    loaded     the first call went well; what it returned, what it printed
    plain      tasks without probes: wall and thread CPU time, collections, cost of a release
    traced     the same with probes in place: instants of each task, of a loop of releases
    interval   set the switch interval to `MARK`, by which the GIL is found in memory; set it back
    residual   how late a second thread gets the GIL that it asks for
    beside     tasks beside a thread that wants nothing but the GIL

Standard library only, Python 3.11 and later. The clock is CLOCK_MONOTONIC, as in the trace.
"""

import gc
import importlib
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

Task = Callable[[], object]

LOOP = 2000
SHORT_SLEEPS = 5
#: What the residual phase uses: an interval far below any stretch that matters.
ASKING_INTERVAL = 50e-6
CALL = 3
#: A switch interval that nothing else in memory looks like (seconds).
MARK = 4.999871
ROUNDS = 5
#: Of the thread beside. Each forced switch hides some 60 us of the held time, which the waker
#: spends on waking: the longer one does, unless a task gives up the GIL too often for it.
BESIDE_INTERVALS = (5e-3, 1e-3)


class Refused(Exception):
    """The target cannot be observed; the message is one line."""


def load(target: str) -> Task:
    """Return the callable that does one task."""
    place, colon, name = target.rpartition(":")
    if not colon:
        place, name = target, ""
    if place.endswith(".py"):
        module = load_file(place)
    else:
        sys.path.insert(0, os.getcwd())
        module = importlib.import_module(place)
    if not name:
        return program_task(module, place)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None:
            known = [key for key, value in vars(module).items() if callable(value)]
            known = [key for key in known if not key.startswith("_")][:8]
            raise Refused(f"{place} has no {name!r}; it has: {', '.join(known) or 'no callable'}")
    return checked(found, name)


def load_file(path: str) -> Any:
    """Import the file under its own name, its folder first on the path, as Python itself does."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    name = os.path.basename(path)[: -len(".py")]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Refused(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def program_task(module: Any, place: str) -> Task:
    """Return the task of a file with ``setup()`` and ``STEPS``."""
    if not hasattr(module, "STEPS") or not hasattr(module, "setup"):
        raise Refused(f"name the function that does one task: {place}:FUNCTION")
    calls = tuple(step[CALL] for step in module.STEPS)
    state = module.setup()

    def task() -> object:
        for call in calls:
            call(state)
        return getattr(state, "result", None)

    return task


def checked(found: Any, name: str) -> Task:
    if not callable(found):
        raise Refused(f"{name} is a {type(found).__name__}, not a function")
    if inspect.iscoroutinefunction(found) or inspect.isgeneratorfunction(found):
        raise Refused(f"{name} is asynchronous or a generator: wrap it in a plain function")
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise Refused(f"{name} needs arguments ({error}): wrap it in a function without") from None
    except ValueError:  # a builtin without a signature: the first call tells
        pass
    return found  # type: ignore[no-any-return]


def pickled_size(value: object) -> int:
    try:
        return len(pickle.dumps(value, protocol=5))
    except Exception:  # whatever an object's own pickling raises: it has no pickled size
        return 0


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
        }
        self.loaded()
        while letter := os.read(self.request["gate"], 1):
            phases[letter.decode()]()

    def loaded(self) -> None:
        """Import, call once, and describe what happened."""
        self.task = load(self.request["target"])
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
            payload_out=pickled_size(result),
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
        """Do tasks without probes; count collections and the CPU time of other threads."""
        self.warm_up()
        release, call = self.release_cost()
        task, wall, cpu = self.task, time.perf_counter_ns, time.thread_time_ns
        seconds, most = self.limits()
        times: list[tuple[int, int]] = []
        collections = [each["collections"] for each in gc.get_stats()]
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
            collections=[
                each["collections"] - count
                for each, count in zip(gc.get_stats(), collections, strict=True)
            ],
            threshold=gc.get_threshold()[0] if gc.isenabled() else 0,
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
                (self.lateness(spin, seconds / ROUNDS), self.lateness(self.task, seconds / ROUNDS))
                for _ in range(ROUNDS)
            ]
        finally:
            sys.setswitchinterval(interval)
        self.say("residual", rounds=rounds)

    def lateness(self, work: Task, seconds: float) -> list[float]:
        """Return how much later than asked a sleeping thread goes on while ``work`` is done."""
        late: list[float] = []
        done = threading.Event()

        def ask() -> None:
            clock, sleep = time.perf_counter, time.sleep
            step = 1
            while not done.is_set():
                step = step * 1103515245 + 12345 & 0x7FFFFFFF
                pause = 3e-4 + 1e-3 * step / 0x7FFFFFFF
                began = clock()
                sleep(pause)
                late.append(clock() - began - pause)

        helper = threading.Thread(target=ask, daemon=True)
        helper.start()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            work()
        done.set()
        helper.join()
        return late

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


def short_sleep() -> None:
    time.sleep(200e-6)


def alone(work: Task, seconds: float) -> dict[str, Any]:
    """Do tasks; return their wall and processor times, and how long they waited for a core, ns."""
    wall, cpu = time.perf_counter_ns, time.thread_time_ns
    times: list[tuple[int, int]] = []
    queued = waited_for_core()
    end = wall() + int(seconds * 1e9)
    while wall() < end or not times:
        used, began = cpu(), wall()
        work()
        times.append((wall() - began, cpu() - used))
    return {"times": times, "queued": waited_for_core() - queued}


def missed(work: Task, seconds: float, cores: set[int]) -> dict[str, float]:
    """Return how much processor time a thread of bytecode on ``cores`` misses beside ``work``.

    ``missed``: nanoseconds in which it neither ran nor waited for a core, so waited for the GIL;
    ``queued``: in which it waited for a core; ``tasks`` done meanwhile, the processor time of
    their thread (``cpu``), and how often it blocked (``blocks``), for the GIL too.
    """
    done = threading.Event()
    running = threading.Event()
    found: list[tuple[int, int]] = []

    def want() -> None:
        os.sched_setaffinity(0, cores)  # of this thread only
        running.set()
        wall, cpu, queued = time.perf_counter_ns(), time.thread_time_ns(), waited_for_core()
        while not done.is_set():
            spin()
        queued, cpu = waited_for_core() - queued, time.thread_time_ns() - cpu
        wall = time.perf_counter_ns() - wall
        found.append((wall - cpu - queued, queued))

    helper = threading.Thread(target=want, daemon=True)
    helper.start()
    running.wait()
    tasks, used = 0, time.thread_time_ns()
    blocks = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or tasks < 2:
        work()
        tasks += 1
    blocks = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - blocks
    used = time.thread_time_ns() - used
    done.set()
    helper.join()
    ((lost, queued),) = found
    return {
        "missed": max(lost, 0),
        "queued": queued,
        "tasks": tasks,
        "cpu": used,
        "blocks": blocks,
    }


def spin() -> None:
    """Bytecode and nothing else, which polls the eval breaker at each turn."""
    total = 0
    for number in range(20_000):
        total += number & 7


def waited_for_core() -> int:
    """Return the nanoseconds that this thread was runnable without a core."""
    try:
        with open("/proc/thread-self/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1])
    except (OSError, IndexError):
        return 0


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
