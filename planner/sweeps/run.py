"""Running the points that are missing, on whatever executor, until every one has an outcome."""

from collections.abc import Callable, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from dataclasses import dataclass
from itertools import islice

from gilplan.model.errors import ExecutorError, GilplanError
from gilplan.model.scenario import Scenario
from gilplan.planner.forecast import forecast
from gilplan.planner.sweeps.engine import engine_identity
from gilplan.planner.sweeps.executors import Opener
from gilplan.planner.sweeps.outcome import Outcome

#: Points that an executor holds at a time: enough for a large cluster, little to send.
WINDOW = 256
#: So often a pool may break with nothing finished in between before its points are to blame.
MOST_BREAKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """What a worker does with a point. Can be sent to another process or machine."""

    precision: float
    max_replications: int
    engine: str

    def __call__(self, scenario: Scenario) -> Outcome | GilplanError:
        """Return the outcome, or why there is none."""
        if engine_identity() != self.engine:  # a worker that joined after the check
            raise ExecutorError(
                f"a worker must have gilplan {self.engine}, got {engine_identity()}; "
                "install the same gilplan there"
            )
        try:
            prediction = forecast(
                scenario, precision=self.precision, max_replications=self.max_replications
            )
        except GilplanError as error:
            return error
        return Outcome.of(prediction)


#: Called with a key and its outcome as soon as it is there.
Record = Callable[[str, Outcome | GilplanError], None]


def run_here(missing: Mapping[str, Scenario], compute: Compute, record: Record) -> None:
    """Run the points one after the other in this process."""
    for key, scenario in missing.items():
        record(key, compute(scenario))


def run_on(
    opened: Opener, missing: Mapping[str, Scenario], compute: Compute, record: Record
) -> None:
    """Run the points on an executor; a worker that is killed costs time only.

    ``record`` is called in this thread, in the order in which points finish. Raises
    `ExecutorError` where the workers stay away.
    """
    pending = dict(missing)
    breaks = 0
    while pending:
        before = len(pending)
        try:
            with opened() as executor:
                _run(executor, pending, compute, record)
        except (BrokenExecutor, CancelledError) as error:
            breaks = breaks + 1 if len(pending) == before else 0
            if breaks >= MOST_BREAKS:
                raise ExecutorError(
                    f"the workers died {breaks} times in a row without finishing a point "
                    f"({type(error).__name__}); {before} points are missing: is there memory "
                    "enough? Run it again, or --executor local:1"
                ) from None


def _run(
    executor: Executor, pending: dict[str, Scenario], compute: Compute, record: Record
) -> None:
    """Run the pending points and take each away once it is recorded."""
    waiting = iter(list(pending.items()))
    running: dict[Future[Outcome | GilplanError], str] = {}

    def submit() -> None:
        for key, scenario in islice(waiting, WINDOW - len(running)):
            running[executor.submit(compute, scenario)] = key

    def take(futures: "set[Future[Outcome | GilplanError]]") -> None:
        """Record what finished before telling of one that did not."""
        failed = []
        for future in futures:
            key = running.pop(future)
            if future.cancelled() or future.exception() is not None:
                failed.append(future)
                continue
            record(key, future.result())
            del pending[key]
        for future in failed:
            future.result()

    try:
        submit()
        while running:
            take(wait(running, return_when=FIRST_COMPLETED).done)
            submit()
    except KeyboardInterrupt:
        take({future for future in running if future.done() and not future.cancelled()})
        raise
    finally:
        for future in running:
            future.cancel()
