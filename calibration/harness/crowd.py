"""Time a program's tasks in a thread of its own and among other threads; print the raw times.

    python crowd.py PROGRAM --time 3

Threads that take turns under one GIL find their caches, and the memory that the interpreter
hands out, as the others left them; in the middle of a task too, where each still holds what it
has allocated. What that costs is processor time, so each thread reads its own processor clock
around each task. Waiting for the GIL costs processor time as well (timers, system calls): a
control that touches next to no memory is run under the same conditions and pays for that alone.

Each number of threads has a process of its own, one thread too: where eight threads have mixed
their memory, even one that is alone is not as fast as in a process without the others. That takes a
second or two, for which all crowds run before anything is measured.

Two threads are pinned, to one core or to one each: left to themselves they stay on one core for
seconds or on two, as it happens. On two cores the GIL, and what its last holder had in its hands,
comes from another core's caches; on one core the others leave their data in the thread's own. The
two cost differently, and many threads that run where they like pay a mixture of both.

A machine changes its speed, and that of each core, within milliseconds. So a gauge between tasks
reads the speed of the moment, which is told beside the tasks' time. One thread alone and all
of a point's threads follow each other closely, for what the gauge does not show; the next time on
the next core. Every third time the same is done with the control. Crowds that have just woken up
are cheaper than they come to be within tens of milliseconds: phases are longer than that.

Without a GIL only the scheduler has threads take turns. What they cost each other when they run at
the same time (shared objects, locks, the memory map of their process) comes not from turns, so
there each thread has a process of its own.

Output: ``{"points": [{"threads", "interval", "cores", "cycles": [[alone, crowded], ...],
"controls": [[alone, crowded], ...]}, ...]}``, each a pair: the mean processor time of a task and
the usual reading of the gauge, in nanoseconds; or ``{"error": "one line"}`` with exit status 1.
Points in which no task could be completed have no cycles.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")
CALL = 3
#: Threads, switch interval in seconds, and on how many cores (0: wherever they like).
Point = tuple[int, float, int]
#: A task's mean processor time and the gauge's reading, in ns; None where no task was completed.
Phase = tuple[float, float] | None

POINTS = (
    (2, 0.0001, 2),
    (2, 0.001, 2),
    (2, 0.0003, 1),
    (4, 0.0003, 1),
    (8, 0.0003, 1),
    (4, 0.005, 1),
    (4, 0.0001, 0),
    (8, 0.0003, 0),
)
#: Without a GIL turns come only from the scheduler, and only with more threads than cores.
POINTS_WITHOUT_GIL = ((2, 0.003, 1), (4, 0.003, 1))
#: What begins earlier in a phase does not count: a thread that has slept for a while goes on
#: slowly, on a core that has slept, with caches that others have filled.
RESUMING_TIME = 0.02
#: How long a phase alone and one among others counts at least; and so many tasks of each thread,
#: and so many turns.
ALONE, CROWDED = 0.03, 0.15
LEAST_TASKS = 4
LEAST_TURNS = 4
LONGEST = 1.0
#: For how long all crowds run, sharing the cores, until their threads have mixed their memory.
MIXING_TIME, MIXING_INTERVAL = 2.0, 0.0003
SETTLE_TIME = 0.0005
#: Processor time between two readings of the gauge: a phase alone should have many.
GAUGE_SPACING_NS = 500_000
#: So much processor time passes between two readings of a thread's processor clock without a GIL,
#: each of which ends a slice of the scheduler that is over: about as long as a slice lasts.
UNACCOUNTED_NS = 3_000_000
#: What the control's task takes, about.
CONTROL_NS = 100_000
#: The control is the same for every program: it takes its turn every so many cycles.
CONTROL_EVERY = 3


def control(_state: object) -> None:
    """Compute for about 100 us on what fits into registers and a few lines of cache."""
    total = 0
    for number in range(2000):
        total += number & 3


def execute(path: str) -> dict[str, Any]:
    """Execute a sibling file by path: under ``-I`` its folder is not importable."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    namespace: dict[str, Any] = {"__name__": "worker", "__file__": path}
    exec(compile(text, path, "exec"), namespace)
    return namespace


def with_gil() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def possible(points: Any) -> tuple[Point, ...]:
    """Return those of the points that this machine's cores allow."""
    cores = len(os.sched_getaffinity(0))
    return tuple(tuple(point) for point in points if point[2] <= cores)


class Crowd:
    """Threads that do tasks while a phase lasts, and sleep between phases."""

    def __init__(self, path: str, threads: int) -> None:
        worker = execute(WORKER)
        program = worker["load"](path)
        self.gauge, self.usual_reading = worker["SpeedGauge"], worker["usual_reading"]
        self.processor_time = worker["demand"]
        self.setup = program["setup"]
        self.calls = tuple(step[CALL] for step in program["STEPS"])
        # A thread that is late for its phase must find it open still, hence no events.
        self.gates = [threading.Semaphore(0) for _ in range(threads)]
        self.ready = threading.Barrier(threads + 1)
        self.phase = 0
        self.resumed_at = 0.0
        self.todo: tuple[Callable[[Any], object], ...] = self.calls
        self.spent: list[tuple[int, int]] = []
        self.readings: list[int] = []
        self.failures: list[BaseException] = []
        self.task_time = 0.0
        self.demand = 0
        self.cores = sorted(os.sched_getaffinity(0))
        self.ids = [0] * threads
        for number in range(threads):
            threading.Thread(target=self.work, args=(number,), daemon=True).start()
        self.ready.wait()
        self.fail()

    def fail(self) -> None:
        """Raise what a thread has raised."""
        if self.failures:
            raise self.failures[0]

    def work(self, number: int) -> None:
        """Set up in this thread, to which some states belong, then serve phases."""
        self.ids[number] = threading.get_native_id()
        try:
            state = self.setup()
            for call in self.calls:
                call(state)
            start = time.perf_counter()
            self.demand = self.processor_time(self.calls, state)
            self.task_time = time.perf_counter() - start
        except BaseException as error:
            self.failures.append(error)
        self.ready.wait()
        while not self.failures and self.gates[number].acquire():
            try:
                self.serve(state)
            except BaseException as error:
                self.failures.append(error)

    def serve(self, state: Any) -> None:
        """Do tasks until the phase is over; count those that began after a while and ended in it.

        Phases have odd numbers, the pauses between them even ones: a thread that woke too late
        finds a pause.
        """
        clock, phase, calls = time.thread_time_ns, self.phase, self.todo
        now, resumed_at = time.perf_counter, self.resumed_at
        demand = CONTROL_NS if calls == (control,) else self.demand
        at_once = 1 if with_gil() else max(UNACCOUNTED_NS // demand, 1)
        gauge = self.gauge(at_once * demand, GAUGE_SPACING_NS)
        spent = done = 0
        while phase % 2:
            counts = now() >= resumed_at
            start = clock()
            for _ in range(at_once):
                for call in calls:
                    call(state)
            if self.phase != phase:
                break
            if counts:
                spent += clock() - start
                done += at_once
                gauge.read()
        self.readings += [reading for _, reading in gauge.readings]
        self.spent.append((spent, done))

    def run(self, todo: tuple[Callable[[Any], object], ...], length: float) -> Phase:
        """Run a phase and return what was measured in it."""
        self.todo, self.spent, self.readings = todo, [], []
        self.resumed_at = time.perf_counter() + RESUMING_TIME
        self.phase += 1
        for gate in self.gates:
            gate.release()
        time.sleep(RESUMING_TIME + length)
        self.phase += 1
        while len(self.spent) < len(self.gates) and not self.failures:
            time.sleep(SETTLE_TIME)
        self.fail()
        done = sum(count for _, count in self.spent)
        if not done:
            return None
        task_time = sum(spent for spent, _ in self.spent) / done
        return task_time, self.usual_reading(self.readings)

    def pin(self, place: int, spread: int) -> None:
        """Pin the threads to ``spread`` cores in turn, the first to that at ``place``."""
        for number, thread in enumerate(self.ids):
            core = self.cores[(place + number % spread) % len(self.cores)] if spread else None
            os.sched_setaffinity(thread, self.cores if core is None else {core})


class Member:
    """A process with so many threads, that runs a phase when it is told to."""

    def __init__(self, path: str, threads: int) -> None:
        commands, self.commands = os.pipe()
        answered, answers = os.pipe()
        if os.fork() == 0:
            os.close(self.commands)
            try:
                serve(path, threads, commands, answers)
            finally:
                os._exit(0)
        os.close(commands)
        os.close(answers)
        self.stream = os.fdopen(answered, encoding="utf-8")
        self.task_time: float = self.answer()

    def answer(self) -> Any:
        line = self.stream.readline()
        answer = json.loads(line) if line else {"error": "a process of the crowd died"}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def begin(self, control: bool, interval: float, length: float, cores: tuple[int, int]) -> None:
        """Begin a phase on cores from where on and how many; the answer is that of `Crowd.run`."""
        command = {"control": control, "interval": interval, "length": length, "cores": cores}
        os.write(self.commands, json.dumps(command).encode() + b"\n")


def serve(path: str, threads: int, commands: int, answers: int) -> None:
    """Run phases on command until there are no more."""
    told, tells = os.fdopen(commands, encoding="utf-8"), os.fdopen(answers, "w", encoding="utf-8")
    with told, tells:
        try:
            crowd = Crowd(path, threads)
            print(json.dumps({"value": crowd.task_time}), file=tells, flush=True)
            for line in told:
                command = json.loads(line)
                sys.setswitchinterval(command["interval"])
                crowd.pin(*command["cores"])
                todo = (control,) if command["control"] else crowd.calls
                value = crowd.run(todo, command["length"])
                print(json.dumps({"value": value}), file=tells, flush=True)
        except BaseException as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), file=tells, flush=True)


def run_together(
    members: list[Member], control: bool, interval: float, length: float, cores: tuple[int, int]
) -> Phase:
    """Run a phase in all of them, on so many cores from a place on: threads or, of several, each.

    Return the means over the members, None where one of them completed no task.
    """
    place, spread = cores
    for number, member in enumerate(members):
        at = cores if len(members) == 1 or not spread else (place + number % spread, 1)
        member.begin(control, interval, length, at)
    answers = [member.answer() for member in members]
    if not all(answers):
        return None
    times, readings = zip(*answers, strict=True)
    return sum(times) / len(times), sum(readings) / len(readings)


class Crowds:
    """Processes for each number of threads, and one for the thread that is alone."""

    def __init__(self, path: str, points: tuple[Point, ...]) -> None:
        counts = {threads for threads, _, _ in points}
        if with_gil():
            self.lone = [Member(path, 1)]
            self.members = {threads: [Member(path, threads)] for threads in counts}
            self.mix()
        else:
            everyone = [Member(path, 1) for _ in range(max(counts))]
            self.lone = everyone[:1]
            self.members = {threads: everyone[:threads] for threads in counts}

    def mix(self) -> None:
        """Run all crowds at once, for as long as it takes them to mix their threads' memory."""
        crowds = [member for members in self.members.values() for member in members]
        for crowd in crowds:
            crowd.begin(False, MIXING_INTERVAL, MIXING_TIME, (0, 0))
        for crowd in crowds:
            crowd.answer()

    def compared(self, point: Point, turn: int, *, control: bool) -> list[Phase] | None:
        """Return what was measured alone and in the crowd, on the turn's cores."""
        threads, interval, spread = point
        # The control's tasks are short: any phase holds many of them.
        tasks = 0.0 if control else LEAST_TASKS * self.lone[0].task_time
        alone = min(max(ALONE, tasks), LONGEST)
        crowded = min(max(CROWDED, tasks * threads, LEAST_TURNS * interval * threads), LONGEST)
        lone = run_together(self.lone, control, interval, alone, (turn, 1))
        among = run_together(self.members[threads], control, interval, crowded, (turn, spread))
        return [lone, among] if lone and among else None


def measure(crowds: Crowds, points: tuple[Point, ...], turn: int, until: float) -> list[Any]:
    """Go round the points from a turn on until the time is over, each at least once."""
    found: list[dict[str, Any]] = [
        {"threads": threads, "interval": interval, "cores": spread, "cycles": [], "controls": []}
        for threads, interval, spread in points
    ]
    first = turn
    while turn == first or time.perf_counter() < until:
        for point, measured in zip(points, found, strict=True):
            for kind in ("cycles", "controls") if turn % CONTROL_EVERY == 0 else ("cycles",):
                cycle = crowds.compared(point, turn, control=kind == "controls")
                if cycle is not None:
                    measured[kind].append(cycle)
        turn += 1
    return found


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Time a program's tasks alone and in a crowd.")
    parser.add_argument("program")
    parser.add_argument("--time", type=float, default=3.0)
    parser.add_argument("--turn", type=int, default=0, help="how many rounds others have gone")
    parser.add_argument("--points", type=json.loads, help="[[threads, interval, cores], ...]")
    options = parser.parse_args(argv)
    answers = os.fdopen(os.dup(1), "w")
    # What the program prints must not get between the answers, nor fill a pipe.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        usual = POINTS if with_gil() else POINTS_WITHOUT_GIL
        points = possible(options.points or usual)
        crowds = Crowds(options.program, points)
        answer: dict[str, Any] = {
            "points": measure(crowds, points, options.turn, time.perf_counter() + options.time)
        }
    except BaseException as error:
        answer = {"error": str(error) or type(error).__name__}
    print(json.dumps(answer), file=answers, flush=True)
    return int("error" in answer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
