"""One run of a scenario: the seam behind which the engine stands.

`simulate` compiles the description (types with distributions and estimates) into plain numbers
and pre-drawn samples in integer nanoseconds, lets SimPy run the worker threads, and returns
arrays in seconds. The clock is whole nanoseconds, so equal instants are equal on every machine.
"""

from collections import Counter
from collections.abc import Generator, Sized
from typing import Any

import numpy as np
from simpy.events import Event, Timeout

from gilplan.model.arrivals import Batch, Closed, Connection, Open, Recorded
from gilplan.model.boundary import payload
from gilplan.model.caches import Caches
from gilplan.model.clock import Clock
from gilplan.model.completion_log import CompletionLog
from gilplan.model.conversation import Conversation
from gilplan.model.equipment import build_cores, build_gils
from gilplan.model.event_loop import EventLoop
from gilplan.model.gil import Gil
from gilplan.model.layout import GilMode, WorkerKind
from gilplan.model.mailbox import Mailbox
from gilplan.model.objects import Objects
from gilplan.model.pool import Pool
from gilplan.model.programs import Programs
from gilplan.model.recorder import Recorder, State
from gilplan.model.replication import Replication
from gilplan.model.scenario import Scenario
from gilplan.model.source import (
    Population,
    Saturated,
    Source,
    arrive_at_gaps,
    arrive_at_instants,
)
from gilplan.model.streams import NANOSECONDS, Purpose, stream, times_ns, to_ns
from gilplan.model.thread import Thread
from gilplan.model.worker import Worker
from gilplan.model.workload import Task

CHECKPOINTS = 200


def simulate(scenario: Scenario, recorder: Recorder | None = None) -> Replication:
    """Run the scenario once; the same scenario gives the same bytes."""
    return Run(scenario, recorder).to_end()


class Run:
    """A scenario with its running things: environment, cores, GILs, workers, source."""

    def __init__(self, scenario: Scenario, recorder: Recorder | None = None) -> None:
        self.scenario = scenario
        self.recorder = recorder
        self.env = Clock()
        self.objects = Objects(scenario)
        self.cores = build_cores(scenario, self.env, self.objects)
        self.gils = build_gils(scenario, self.env, self.cores, self.objects, recorder)
        self.programs = Programs(scenario, self.cores)
        self.source = self._build_source()
        self.log = CompletionLog(self.env)
        self._waiting: list[Sized] = [self.source.queue]
        self._born: Counter[int] = Counter()
        self.workers = [self._build_worker(index) for index in range(scenario.layout.workers)]
        self._checkpoints: list[tuple[int, list[int], list[int]]] = []
        self._all_done: Event | None = None
        self._start()

    def to_end(self) -> Replication:
        """Run to the horizon (a batch: until its last job is done) and return the record."""
        env = self.env
        if isinstance(self.scenario.arrivals, Batch):
            self._all_done = Event(env)
            env.run(until=self._all_done)
        else:
            env.run(until=to_ns(self.scenario.run_time))
        self._checkpoint()
        return self._record()

    def _stream(self, purpose: Purpose, *key: int) -> np.random.Generator:
        return stream(self.scenario.seed, self.scenario.replication, purpose, *key)

    def _build_source(self) -> Source:
        arrivals, env, cores = self.scenario.arrivals, self.env, self.cores
        if isinstance(arrivals, Closed):
            threads = self.scenario.layout.worker is WorkerKind.THREAD
            if threads and arrivals.population is None and arrivals.think_time.mean == 0:
                return Saturated(env, cores)
            think_time = times_ns(arrivals.think_time, self._stream(Purpose.THINK))
            clients = arrivals.population or self.scenario.layout.workers
            return Population(
                env,
                cores,
                clients=clients,
                think_time=think_time,
                thinks=arrivals.think_time.mean > 0,
            )
        return Source(env, cores)

    def _build_worker(self, index: int) -> Worker:
        layout = self.scenario.layout
        interpreter = index // layout.threads
        process = interpreter // layout.interpreters
        gil = self.gils[interpreter if layout.gil is GilMode.OWN else process]
        return self._worker(index, interpreter, gil)

    def _worker(self, index: int, interpreter: int, gil: Gil) -> Worker:
        process = interpreter // self.scenario.layout.interpreters
        thread = Thread(
            self.env,
            index=index,
            interpreter=interpreter,
            older=self._born[process],
            recorder=self.recorder,
        )
        self._born[process] += 1
        cold_start = self.scenario.workload.cold_start
        if cold_start is not None:
            thread.caches = Caches(cold_start)
        return self.objects.worker(
            thread,
            process=process,
            cores=self.cores,
            gil=gil,
            release_time=to_ns(self.scenario.runtime.release_time.value),
        )

    def _build_loop(self, worker: Worker, index: int) -> EventLoop:
        costs = self.scenario.runtime.loop_costs
        assert costs is not None, "a scenario of an event loop has its costs"
        return EventLoop(
            worker,
            cores=self.cores,
            programs=self.programs.operations(worker, index),
            choose=self.programs.choice(index),
            round_time=to_ns(costs.round_time.value),
            resume_time=to_ns(costs.resume_time.value),
        )

    def _start_pool(self) -> None:
        """Start the submitting thread, the helpers that the pool has, and its workers."""
        layout, source, runtime = self.scenario.layout, self.source, self.scenario.runtime
        boundary = runtime.boundaries[layout.pool]
        slack = to_ns(self.scenario.machine.timer_slack.value) if boundary.poll_interval else 0
        poll_interval = to_ns(boundary.poll_interval) + slack

        def mailbox(interval: int) -> Mailbox:
            return Mailbox(self.cores, poll_interval=interval)

        pool = Pool(
            cores=self.cores,
            tolls={
                place: [to_ns(toll.of(payload(task, place))) for task in self._tasks]
                for place, toll in boundary.tolls.items()
            },
            released_shares={
                place: toll.released_share.value for place, toll in boundary.tolls.items()
            },
            mailbox=mailbox,
            poll_interval=poll_interval,
            poll_time=self.programs.poll_time(layout.workers, 0),
            choose=self.programs.choice(layout.workers),
        )
        source.inboxes.append(pool.arrive)
        self._waiting.append(pool.submitted)
        helpers = (self._worker(layout.workers + k, -1, self.gils[-1]) for k in range(3))
        main = next(helpers)
        if layout.pool == "process":
            messages = mailbox(0)
            self.env.process(pool.manage(next(helpers), messages))
            self.env.process(pool.feed(next(helpers)))
            self.env.process(pool.submit(main, source, self._add_to_log, through=messages))
        else:
            messages = None
            self.env.process(pool.submit(main, source, self._add_to_log))
        for index, worker in enumerate(self.workers):
            steps = self.programs.steps(worker, index, index // layout.threads)
            if messages is not None:
                self.env.process(pool.work_in_process(worker, steps, messages))
                continue
            calls = layout.pool == "interpreter" and not boundary.poll_interval
            before = Worker(
                worker.thread,
                cores=self.cores,
                gil=self.gils[-1],
                release_time=to_ns(runtime.release_time.value),
            )
            self.env.process(pool.work(worker, steps, main=before if calls else None))

    @property
    def _tasks(self) -> tuple[Task, ...]:
        return self.scenario.workload.tasks

    def _start_background(self) -> None:
        """Start what runs beside the workers, in every interpreter; numbered after the workers."""
        layout, background = self.scenario.layout, self.scenario.workload.background
        for interpreter in range(layout.processes * layout.interpreters if background else 0):
            process = interpreter // layout.interpreters
            gil = self.gils[interpreter if layout.gil is GilMode.OWN else process]
            for number, task in enumerate(background):
                index = layout.workers + interpreter * len(background) + number
                worker = self._worker(index, interpreter, gil)
                steps = self.programs.background(worker, index, process, task)
                self.env.process(worker.repeat(steps))

    def _start(self) -> None:
        self._start_background()
        if self.scenario.layout.worker is WorkerKind.POOL:
            self._start_pool()
        else:
            self._start_workers()
        self._start_arrivals()

    def _start_workers(self) -> None:
        source, env = self.source, self.env
        arrivals = self.scenario.arrivals
        connection = arrivals.connection if isinstance(arrivals, Closed) else None
        for index, worker in enumerate(self.workers):
            process = index // (self.scenario.layout.interpreters * self.scenario.layout.threads)
            if connection is not None:
                self._start_conversation(worker, index, process, connection)
                continue
            if self.scenario.layout.worker is WorkerKind.EVENT_LOOP:
                loop = self._build_loop(worker, index)
                source.inboxes.append(loop.arrive)
                self._waiting.append(loop.arrived)
                env.process(loop.serve(source, self._add_to_log))
                continue
            env.process(
                worker.serve(
                    source,
                    self.programs.steps(worker, index, process),
                    self.programs.choice(index),
                    self._add_to_log,
                )
            )

    def _start_conversation(
        self, worker: Worker, index: int, process: int, connection: Connection
    ) -> None:
        """Start a worker and its client, whose thread is numbered after all the program's."""
        layout, workload = self.scenario.layout, self.scenario.workload
        beside = layout.processes * layout.interpreters * len(workload.background)
        client = Thread(
            self.env,
            index=layout.workers + beside + index,
            interpreter=index + 1,
            recorder=self.recorder,
        )
        conversation = Conversation(
            worker,
            client,
            cores=self.cores,
            connection=connection,
        )
        steps, choose = self.programs.steps(worker, index, process), self.programs.choice(index)
        self.env.process(conversation.answer(self.source, steps, choose, self._add_to_log))
        self.env.process(conversation.ask(self.source))

    def _start_arrivals(self) -> None:
        env, arrivals, source = self.env, self.scenario.arrivals, self.source
        if isinstance(arrivals, Open):
            gap = times_ns(arrivals.gap, self._stream(Purpose.ARRIVAL))
            env.process(arrive_at_gaps(source, gap))
        elif isinstance(arrivals, Recorded):
            env.process(arrive_at_instants(source, [to_ns(at) for at in arrivals.arrived_at]))
        elif isinstance(arrivals, Batch):
            for _ in range(arrivals.jobs):
                source.arrive()
        env.process(self._checkpoint_regularly())

    def _add_to_log(self, kind: int, arrived_at: int, started_at: int, times: list[int]) -> None:
        self.log.add(kind, arrived_at, started_at, times)
        arrivals = self.scenario.arrivals
        if isinstance(arrivals, Batch) and len(self.log.kinds) == arrivals.jobs:
            assert self._all_done is not None
            self._all_done.succeed()

    def _checkpoint_regularly(self) -> Generator[Timeout, Any, None]:
        step = max(to_ns(self.scenario.run_time) // CHECKPOINTS, 1)
        while True:
            self._checkpoint()
            yield self.env.timeout(step)

    def _checkpoint(self) -> None:
        busy = [self.cores.busy_until_now(core) for core in self.cores.cores]
        held = [gil.held_until_now() for gil in self.gils]
        self._checkpoints.append((self.env.now, held, busy))

    def _record(self) -> Replication:
        log, seconds = self.log, 1 / NANOSECONDS
        checkpoints = self._checkpoints
        arrivals, queued = self.source.arrivals, sum(map(len, self._waiting))
        return Replication(
            run_time=self.env.now * seconds,
            kind=np.array(log.kinds, dtype=np.int64),
            arrived_at=np.array(log.arrived_at, dtype=np.float64) * seconds,
            started_at=np.array(log.started_at, dtype=np.float64) * seconds,
            completed_at=np.array(log.completed_at, dtype=np.float64) * seconds,
            times=np.array(log.times, dtype=np.float64).reshape(-1, len(State)) * seconds,
            checkpoints=np.array([at for at, _, _ in checkpoints]) * seconds,
            gil_held=np.array([held for _, held, _ in checkpoints]) * seconds,
            core_busy=np.array([busy for _, _, busy in checkpoints]) * seconds,
            arrivals=arrivals,
            queued=queued,
            in_service=arrivals - queued - len(log.kinds),
            events=self.env.scheduled,
            switches=sum(gil.switch_number for gil in self.gils),
        )
