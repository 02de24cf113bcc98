"""What it costs to have a task done by an executor's worker: by place, per task and per byte.

``KIND`` is what the worker is: ``thread`` (ThreadPoolExecutor), ``process`` (ProcessPoolExecutor)
or ``interpreter``: an InterpreterPoolExecutor where there is one (3.14), before that a persistent
sub-interpreter that is fed through the standard library's cross-interpreter queue (3.12: channel),
pickled and polled every 10 ms as its own wrapper does (test.support.interpreters).

Bursts of tasks that do nothing go through one worker. The processor time of each thread that
takes part, in the submitting process and in the worker, is read before and after from its own
clock, so that waiting does not count. The submitting thread submits a whole burst before the
first result is looked at, and collects it when all are there. All of them share one core: to wake
a thread on an idle core costs the waker more than some of these places take (in a virtual machine
the host has to be asked), and how often that happens depends on the load. It is no part of a toll.

Prints, in seconds per task, ``"submit"``, ``"collect"`` (the submitting thread), ``"worker"``
(all of the worker's thread), ``"forward"`` and ``"back"`` (processes: feeder and manager thread),
each also followed by `` in`` (``--bytes`` of payload go along) and `` echo`` (and come back).
Interpreters of an executor run in threads of main: ``"call"`` and ``"main"`` tell which share of
the way in (from before the call to the task) is under main's GIL; ``"return"`` is the way out of
the call. Processes: each of ``"submit"``, ``"forward"`` and ``"back"`` followed by `` released`` is
the share of that place's time which system calls on pipes take, without the GIL.
``"round trip"``: one task there and back while nothing else is under way.
"""

import argparse
import concurrent.futures
import copy
import importlib
import json
import multiprocessing
import os
import pickle
import queue
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

cpu_time = time.thread_time_ns
POLL_INTERVAL = 0.01
Series = dict[str, list[float]]

#: Runs in the sub-interpreter: get a task, do it, put its result, for ever.
WORKER = """
import pickle, time
def serve():
    while True:
        item = receive()
        while item is None:
            time.sleep({interval})
            item = receive()
        call, arguments = pickle.loads(item)
        send(pickle.dumps(call(*arguments)))
"""
CHANNELS = """
import _xxinterpchannels as channels
def receive(): return channels.recv({tasks}, None)
def send(item): channels.send({results}, item)
"""
QUEUES = """
import _interpqueues as queues
def receive(): return queues.get({tasks})[0] if queues.get_count({tasks}) else None
def send(item): queues.put({results}, item, 1, 1)
"""


class Executor:
    """One of `concurrent.futures`, whose results arrive in a queue."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.submit(int)
        self.collect()

    def submit(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.pool.submit(call, *arguments).add_done_callback(self.done.put)

    def collect(self) -> object:
        return self.done.get().result()

    def has(self, count: int) -> bool:
        return self.done.qsize() >= count

    def clocks(self) -> dict[str, int]:
        """Return the processor clocks of those who take part, by place."""
        pool = self.pool
        if hasattr(pool, "_processes"):
            (worker,) = pool._processes
            return {
                # The clock of a whole process, as clock_getcpuclockid(3) makes it on Linux.
                "worker": (~worker << 3) | 2,
                "forward": time.pthread_getcpuclockid(pool._call_queue._thread.ident),
                "back": time.pthread_getcpuclockid(pool._executor_manager_thread.ident),
            }
        (worker,) = pool._threads
        return {"worker": time.pthread_getcpuclockid(worker.ident)}


class Channel:
    """Persistent sub-interpreters behind the cross-interpreter queues of 3.12 and 3.13."""

    def __init__(self, workers: int = 1) -> None:
        if sys.version_info < (3, 13):
            interpreters: Any = importlib.import_module("_xxsubinterpreters")
            made = [interpreters.create(isolated=True) for _ in range(workers)]
            names: Any = importlib.import_module("_xxinterpchannels")
            ids, script = [names.create(), names.create()], CHANNELS
        else:
            interpreters = importlib.import_module("_interpreters")
            made = [interpreters.create("isolated") for _ in range(workers)]
            names = importlib.import_module("_interpqueues")
            ids, script = [names.create(0, 1, 1), names.create(0, 1, 1)], QUEUES
        tasks, results = map(int, ids)
        self.kept = (made, ids)
        here: dict[str, Any] = {}
        exec(script.format(tasks=results, results=tasks), here)
        self.receive, self.send = here["receive"], here["send"]
        text = script.format(tasks=tasks, results=results) + WORKER.format(interval=POLL_INTERVAL)
        threads = [
            threading.Thread(
                target=interpreters.run_string, args=(interpreter, text + "serve()"), daemon=True
            )
            for interpreter in made
        ]
        for thread in threads:
            thread.start()
        self.thread = threads[0]
        self.submit(int)
        self.collect()

    def submit(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.send(pickle.dumps((call, arguments)))

    def collect(self) -> object:
        """Take a result; look again every 10 ms, as the library's own ``Queue.get`` does."""
        item = self.receive()
        while item is None:
            time.sleep(POLL_INTERVAL)
            item = self.receive()
        return pickle.loads(item)

    def has(self, count: int) -> bool:
        """Guess by the worker's clock: it sleeps when all is done."""
        clock = self.clocks()["worker"]
        before = time.clock_gettime_ns(clock)
        time.sleep(1.5 * POLL_INTERVAL)
        return time.clock_gettime_ns(clock) - before < 200_000

    def clocks(self) -> dict[str, int]:
        assert self.thread.ident is not None
        return {"worker": time.pthread_getcpuclockid(self.thread.ident)}


def open_pool(kind: str) -> Executor | Channel:
    """Return a pool with one worker of the kind."""
    if kind == "thread":
        return Executor(concurrent.futures.ThreadPoolExecutor(1))
    if kind == "process":
        context = multiprocessing.get_context("fork")
        return Executor(concurrent.futures.ProcessPoolExecutor(1, context))
    if sys.version_info < (3, 14):
        return Channel()
    pool: Any = concurrent.futures.InterpreterPoolExecutor(1)
    return Executor(pool)


def burst(pool: Executor | Channel, count: int, call: Any, *arguments: Any) -> dict[str, float]:
    """Have ``count`` tasks done; return the processor seconds per task by place."""
    clocks = pool.clocks()
    before = {place: time.clock_gettime_ns(clock) for place, clock in clocks.items()}
    submit = pool.submit
    began = cpu_time()
    for _ in range(count):
        submit(call, *arguments)
    submitted = cpu_time()
    while not pool.has(count):
        time.sleep(2e-4)
    time.sleep(2e-4)
    collect_began = cpu_time()
    for _ in range(count):
        pool.collect()
    collected = cpu_time()
    taken = {"submit": submitted - began, "collect": collected - collect_began}
    for place, clock in clocks.items():
        taken[place] = time.clock_gettime_ns(clock) - before[place]
    return {place: time_taken / 1e9 / count for place, time_taken in taken.items()}


def round_trip(pool: Executor | Channel) -> float:
    """Return the seconds that one task takes there and back."""
    began = time.perf_counter_ns()
    pool.submit(int)
    pool.collect()
    return (time.perf_counter_ns() - began) / 1e9


class Stamp:
    """Notes when it is pickled, and turns into the instant at which it is unpickled."""

    pickled_at = 0

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        Stamp.pickled_at = cpu_time()
        return cpu_time, ()


def allow(cores: set[int]) -> None:
    """Let every thread of this process and its workers run on these cores only."""
    own = map(int, os.listdir("/proc/self/task"))
    for thread in (*own, *(worker.pid or 0 for worker in multiprocessing.active_children())):
        os.sched_setaffinity(thread, cores)


def measure_call(pool: Executor, samples: int) -> Series:
    """Find which share of a call into an interpreter is under main's GIL.

    The worker's thread is one and the same on both sides, and so is its clock.
    """
    context: Any = importlib.import_module("concurrent.futures.interpreter").WorkerContext
    original = context.run
    series: Series = {"call": [], "main": [], "return": []}
    spans: list[tuple[int, int]] = []

    def run(self: Any, task: Any) -> Any:
        began = cpu_time()
        result = original(self, task)
        spans.append((began, cpu_time()))
        return result

    context.run = run
    for _ in range(samples):
        pool.submit(cpu_time)
        called_at: Any = pool.collect()
        pool.submit(copy.copy, Stamp())
        unpickled_at: Any = pool.collect()
        (began, ended), (stamp_began, _) = spans
        spans.clear()
        series["call"].append((called_at - began) / 1e9)
        # Between the two stamps lies the switch from one interpreter to the other.
        switched_at = (Stamp.pickled_at + unpickled_at) / 2
        series["main"].append((switched_at - stamp_began) / 1e9)
        series["return"].append((ended - called_at) / 1e9)
    context.run = original
    return series


def measure_released(pool: Executor, samples: int, count: int) -> Series:
    """Find which share of a place's time passes in system calls on pipes, without the GIL."""
    connection: Any = importlib.import_module("multiprocessing.connection")
    released: dict[int, int] = {}

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            began = cpu_time()
            try:
                return call(*arguments)
            finally:
                caller = threading.get_ident()
                released[caller] = released.get(caller, 0) + cpu_time() - began

        return run

    connection.Connection._send.__defaults__ = (timed(os.write),)
    connection.Connection._recv.__defaults__ = (timed(os.read),)
    selector = connection._WaitSelector
    selector.select = timed(selector.select)
    threads = {
        "submit": threading.get_ident(),
        "forward": pool.pool._call_queue._thread.ident,
        "back": pool.pool._executor_manager_thread.ident,
    }
    series: Series = {f"{place} released": [] for place in threads}
    for _ in range(samples):
        released.clear()
        taken = burst(pool, count, int)
        for place, thread in threads.items():
            share = released.get(thread, 0) / 1e9 / count / taken[place]
            series[f"{place} released"].append(share)
    return series


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("thread", "interpreter", "process"))
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--burst", type=int, default=24)
    parser.add_argument("--bytes", type=int, default=64 << 10)
    options = parser.parse_args()
    # Nothing here has threads of its own yet when the worker is forked.
    warnings.simplefilter("ignore", DeprecationWarning)
    pool = open_pool(options.kind)
    cores = os.sched_getaffinity(0)
    one_core = {min(cores)}
    payload = bytes(options.bytes)
    series: Series = {"round trip": []}
    for number in range(options.samples + 1):
        allow(one_core)
        taken = {
            "": burst(pool, options.burst, int),
            " in": burst(pool, options.burst // 3, len, payload),
            " echo": burst(pool, options.burst // 3, copy.copy, payload),
        }
        for suffix, places in taken.items() if number else ():
            for place, value in places.items():
                series.setdefault(place + suffix, []).append(value)
        if number:
            allow(cores)
            series["round trip"].append(round_trip(pool))
    allow(one_core)
    if isinstance(pool, Executor) and options.kind == "interpreter":
        series |= measure_call(pool, 3 * options.samples)
    if isinstance(pool, Executor) and options.kind == "process":
        series |= measure_released(pool, options.samples, options.burst)
    for worker in multiprocessing.active_children():
        worker.kill()
    print(json.dumps({"series": series, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
