"""Runs of one workload on one profile: which scenario stands for a question, and its measures.

Every run of the same replication sees the same arrivals and the same service times, whatever the
layout (common random numbers), so that differences are paired.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

from gilplan.calibration.profile import Profile
from gilplan.model.arrivals import Closed, Open
from gilplan.model.bounds import Demands
from gilplan.model.layout import Layout
from gilplan.model.machine import Machine
from gilplan.model.runtime import Runtime
from gilplan.model.scenario import Scenario
from gilplan.model.workload import Workload
from gilplan.planner.forecast import Measures, measure, scenario_for
from gilplan.planner.predictions import on_build

TASKS_PER_WORKER = 8
#: Scenarios that are sent to another process at a time.
CHUNK = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run: ``layout`` saturated (``rate`` None) or under Poisson arrivals of ``rate``.

    ``tasks`` is about how many tasks complete; ``least_time`` what is simulated at least.
    ``workload``, ``machine`` and ``runtime`` replace the given ones; a workload is then taken as
    already scaled to the build.
    """

    layout: Layout
    rate: float | None = None
    replication: int = 0
    tasks: int = 600
    least_time: float = 0.0
    workload: Workload | None = None
    machine: Machine | None = None
    runtime: Runtime | None = None


@dataclass(slots=True, kw_only=True)
class Trials:
    """Runs trials of ``workload`` on ``profile``, by ``executor`` where one is given.

    ``done`` counts the runs.
    """

    workload: Workload
    profile: Profile
    seed: int
    executor: Executor | None = None
    done: int = 0
    _workloads: dict[str, Workload] = field(default_factory=dict)

    def on_build(self, build: str) -> Workload:
        """Return the workload with its demands scaled to the build."""
        if build not in self._workloads:
            runtime = self.profile.runtime(build)
            self._workloads[build] = on_build(self.workload, runtime, self.profile)
        return self._workloads[build]

    def scenario(self, trial: Trial) -> Scenario:
        """Return the scenario of a trial, long enough for its tasks."""
        layout = trial.layout
        workload = trial.workload or self.on_build(layout.build)
        scenario = scenario_for(
            workload,
            layout,
            runtime=trial.runtime or self.profile.runtime(layout.build),
            machine=trial.machine or self.profile.machine,
            arrivals=Closed() if trial.rate is None else Open(rate=trial.rate),
            seed=self.seed,
        )
        if trial.rate is None:
            cores = min(layout.cores or scenario.machine.cores, layout.workers)
            tasks = max(trial.tasks, TASKS_PER_WORKER * layout.workers)
            at_best = min(
                layout.workers / workload.mean_demand(), cores / max(Demands.of(workload).cpu, 1e-9)
            )
            run_time = tasks / at_best
        else:
            run_time = trial.tasks / trial.rate
        return replace(
            scenario, run_time=max(run_time, trial.least_time), replication=trial.replication
        )

    def measure(
        self, trials: Sequence[Trial], on_done: Callable[[int], None] = lambda done: None
    ) -> list[Measures]:
        """Run the trials and return their measures in order; ``on_done`` hears how many are."""
        scenarios = [self.scenario(trial) for trial in trials]
        if self.executor is None or len(scenarios) == 1:
            results: Iterable[Measures] = map(measure, scenarios)
        else:
            chunk = CHUNK if len(scenarios) > 8 * CHUNK else 1
            results = self.executor.map(measure, scenarios, chunksize=chunk)
        measured: list[Measures] = []
        for measures in results:
            measured.append(measures)
            self.done += 1
            on_done(len(measured))
        return measured
