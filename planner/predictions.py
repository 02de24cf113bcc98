"""What a program will do under layouts that nobody has run yet."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

from gilplan.calibration.model_error import Regime
from gilplan.calibration.profile import Profile
from gilplan.model.arrivals import Arrivals, Closed
from gilplan.model.checks import require_count, require_positive
from gilplan.model.errors import MissingBuild
from gilplan.model.layout import Layout
from gilplan.model.prediction import Prediction
from gilplan.model.runtime import Runtime
from gilplan.model.scenario import Scenario
from gilplan.model.workload import Segment, SegmentKind, Work, Workload
from gilplan.planner.forecast import forecast, scenario_for
from gilplan.planner.layout_option import parse_layout

if TYPE_CHECKING:
    import pandas as pd


class Predictions(tuple[Prediction, ...]):
    """Predictions in the order of their layouts; in a notebook a table, the first its baseline."""

    __slots__ = ()

    def frame(self) -> "pd.DataFrame":
        """Return a row per layout: means and intervals, times in seconds."""
        import pandas as pd

        rows = []
        for prediction in self:
            measures = {
                "throughput": prediction.throughput,
                **prediction.response_time,
                "gil_utilisation": prediction.gil_utilisation,
                "core_utilisation": prediction.core_utilisation,
            }
            row: dict[str, object] = {"layout": str(prediction.layout)}
            for name, interval in measures.items():
                row |= {
                    name: interval.mean,
                    f"{name}_lower": interval.lower,
                    f"{name}_upper": interval.upper,
                }
            rows.append(row)
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        from gilplan.planner.display import html_of
        from gilplan.planner.tables import breakdown_table, prediction_table

        return html_of([prediction_table(self, self[0]), breakdown_table(self)] if self else [])


def predict(
    workload: Workload,
    layouts: Sequence[Layout | str],
    profile: Profile,
    *,
    arrivals: Arrivals | None = None,
    seed: int = 0,
    precision: float = 0.01,
    max_replications: int = 20,
    workers: int = 1,
    on_done: Callable[[Prediction], None] = lambda prediction: None,
) -> Predictions:
    """Predict each layout, in order, on the machine and the builds of ``profile``.

    A layout may be a text such as ``"3.13:threads=4"``. The arrivals are a closed loop with one
    client per worker unless given. ``workers`` processes share the layouts; the answer does not
    depend on how many. ``on_done`` is called with each prediction in turn.

    Raises `MissingBuild`, `UnsupportedLayout` or `InvalidValue` before anything is simulated.
    """
    scenarios = scenarios_for(workload, layouts, profile, arrivals=arrivals, seed=seed)
    require_positive("precision", precision)
    require_count("max_replications", max_replications)
    answer = partial(forecast, precision=precision, max_replications=max_replications)
    warnings = warnings_on(workload, profile)
    predictions = []
    for simulated in _mapped(answer, scenarios, workers):
        prediction = with_model_error(simulated, profile)
        moved = moved_warnings(workload, prediction.layout.build, profile)
        told = (*warnings, *moved, *prediction.warnings)
        predictions.append(replace(prediction, warnings=told))
        on_done(predictions[-1])
    return Predictions(predictions)


def with_model_error(prediction: Prediction, profile: Profile) -> Prediction:
    """Return the prediction with intervals that hold the error which the last validation found.

    Unchanged before the first validation on the profile's machine.
    """
    error = profile.model_error
    if error is None:
        return prediction
    regime = Regime.of(prediction.layout, profile.machine.cores)
    return replace(
        prediction,
        throughput=error.widened("throughput", prediction.throughput, regime),
        response_time={
            name: error.widened(name, interval, regime)
            for name, interval in prediction.response_time.items()
        },
    )


def predict_layout(
    workload: Workload,
    layout: Layout,
    *,
    profile: Profile,
    seed: int = 0,
    precision: float = 0.01,
    max_replications: int = 20,
) -> Prediction:
    """Predict one layout under its saturated closed loop; can be sent to another process."""
    (scenario,) = scenarios_for(workload, [layout], profile, seed=seed)
    return forecast(scenario, precision=precision, max_replications=max_replications)


def scenarios_for(
    workload: Workload,
    layouts: Sequence[Layout | str],
    profile: Profile,
    *,
    arrivals: Arrivals | None = None,
    seed: int = 0,
) -> list[Scenario]:
    """Return the scenario of each layout, the demands scaled to its build."""
    scenarios = []
    for given in layouts:
        layout = parse_layout(given).resolve(profile) if isinstance(given, str) else given
        runtime = profile.runtime(layout.build)
        scenario = scenario_for(
            on_build(workload, runtime, profile),
            layout,
            runtime=runtime,
            machine=profile.machine,
            arrivals=arrivals or Closed(),
            seed=seed,
        )
        scenarios.append(scenario)
    return scenarios


def on_build(workload: Workload, target: Runtime, profile: Profile) -> Workload:
    """Return the workload as it would run, single-threaded, on another build.

    Processor time is scaled by the calibrated single-thread speeds of the kind of work, that of
    warming up caches by the speed of bytecode; waits stay. Unchanged where the workload does not
    say its build, or the profile does not know it. Where the program has been run on the target,
    all of it is scaled further until a task takes the processor time that it took there.
    """
    seen, source = workload.on(target.build), _source(workload, profile)
    own = workload.build if source is None else source.build
    if own == target.build or (seen is None and source is None):
        return workload
    moved = workload if source is None else _scaled_to(workload, source, target)
    if seen is not None:
        moved = busy_for(moved, workload.busy_time * seen.relative_time.value)
    return replace(moved, build=target.build)


def _scaled_to(workload: Workload, source: Runtime, target: Runtime) -> Workload:
    moved = workload.rewritten(lambda segment: (_scaled(segment, source, target),))
    factor, cold_start = _factor(Work.BYTECODE, source, target), workload.cold_start
    if cold_start is not None and factor is not None:
        cold_start = cold_start.scaled(factor)
    return replace(moved, cold_start=cold_start)


def busy_for(workload: Workload, time: float) -> Workload:
    """Return the workload with all its processor times in proportion, ``time`` a task."""
    if workload.busy_time == 0:
        return workload
    factor, cold_start = time / workload.busy_time, workload.cold_start
    scaled = workload.rewritten(
        lambda segment: (_longer(segment, None if segment.kind is SegmentKind.WAIT else factor),)
    )
    return replace(scaled, cold_start=cold_start and cold_start.scaled(factor))


def _source(workload: Workload, profile: Profile) -> Runtime | None:
    if not workload.build:
        return None
    try:
        return profile.runtime(workload.build)
    except MissingBuild:
        return None


def _scaled(segment: Segment, source: Runtime, target: Runtime) -> Segment:
    wait = segment.kind is SegmentKind.WAIT
    return _longer(segment, None if wait else _factor(segment.limited_by, source, target))


def _longer(segment: Segment, factor: float | None) -> Segment:
    if factor is None:
        return segment
    return replace(
        segment,
        duration=segment.duration and segment.duration.scaled(factor),
        uninterruptible=segment.uninterruptible and segment.uninterruptible.scaled(factor),
    )


def _factor(work: Work, source: Runtime, target: Runtime) -> float | None:
    """Return how much longer the work takes on the target, None where it was not measured."""
    if work not in source.speeds or work not in target.speeds:
        return None
    return source.speeds[work].value / target.speeds[work].value


def warnings_on(workload: Workload, profile: Profile) -> tuple[str, ...]:
    """Return what a reader must know of the build that the durations were measured on."""
    if _source(workload, profile) is not None:
        return ()
    if not workload.build:
        return (
            "the workload does not name the build that it was measured on (build = ...): its "
            "durations are taken as they are on every build",
        )
    return (
        f"build {workload.build!r}, which the workload was measured on, is not in the profile: "
        "its durations are taken as they are on every build",
    )


def moved_warnings(workload: Workload, build: str, profile: Profile) -> tuple[str, ...]:
    """Return what a reader must know of durations that were scaled to another build."""
    source = _source(workload, profile)
    if source is None or source.build == build or workload.on(build) is not None:
        return ()
    return (
        f"the durations were measured on {source.build} and scaled to {build} by kind of work, "
        "which a single program need not follow: `gilplan observe` runs it there, too, where it "
        "can",
    )


def _mapped(
    answer: Callable[[Scenario], Prediction], scenarios: Sequence[Scenario], workers: int
) -> Iterator[Prediction]:
    workers = min(workers, len(scenarios))
    if workers <= 1:
        yield from map(answer, scenarios)
        return
    # Ctrl-C reaches the whole process group: the workers die of it silently, this process tells.
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_DFL)
    )
    try:
        yield from pool.map(answer, scenarios)
    finally:
        pool.shutdown(cancel_futures=True)
