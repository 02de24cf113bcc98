"""Which worker kinds a build can have, and with what it must have been calibrated for them."""

from gilplan.model.arrivals import Arrivals, Closed
from gilplan.model.errors import UnsupportedLayout
from gilplan.model.layout import GilMode, Layout, WorkerKind
from gilplan.model.runtime import Runtime
from gilplan.model.workload import SegmentKind, Workload

CALIBRATE = "run `gilplan calibrate` again"


def check_worker(layout: Layout, runtime: Runtime, workload: Workload) -> None:
    """Raise `UnsupportedLayout` where the layout's worker kind cannot be run or predicted."""
    if layout.worker is WorkerKind.POOL:
        _check_pool(layout, runtime)
        if workload.background:
            raise UnsupportedLayout(
                f"layout {layout}: worker must be 'thread' or 'event_loop' beside background "
                "tasks, got 'pool': which of its interpreters has them is not said"
            )
    elif layout.worker is WorkerKind.EVENT_LOOP:
        _check_event_loop(layout, runtime, workload)


def check_connection(layout: Layout, arrivals: Arrivals) -> None:
    """Raise `UnsupportedLayout` where clients on the same cores have nobody to connect to."""
    connected = isinstance(arrivals, Closed) and arrivals.connection is not None
    if connected and layout.worker is not WorkerKind.THREAD:
        raise UnsupportedLayout(
            f"layout {layout}: worker must be 'thread' where each has a connection to a client, "
            f"got '{layout.worker}'"
        )


def _check_pool(layout: Layout, runtime: Runtime) -> None:
    name = f"layout {layout}"
    if layout.pool == "interpreter" and layout.gil is not GilMode.OWN:
        raise UnsupportedLayout(
            f"{name}: gil must be 'own' in a pool of interpreters, got '{layout.gil}'; "
            "an executor makes isolated interpreters (CPython 3.12 or later)"
        )
    if layout.pool not in runtime.boundaries:
        known = ", ".join(runtime.boundaries) or "none"
        raise UnsupportedLayout(
            f"{name}: worker must be 'thread': no {layout.pool} pool was calibrated on "
            f"{runtime.build} (calibrated: {known}), got 'pool'; {CALIBRATE}"
        )


def _check_event_loop(layout: Layout, runtime: Runtime, workload: Workload) -> None:
    name = f"layout {layout}"
    if runtime.loop_costs is None:
        raise UnsupportedLayout(
            f"{name}: worker must be 'thread': no event loop was calibrated on {runtime.build}, "
            f"got 'event_loop'; {CALIBRATE}"
        )
    locked = any(
        segment.kind is SegmentKind.CRITICAL for task in workload.tasks for segment in task.segments
    )
    if locked and layout.threads * layout.interpreters > 1:
        raise UnsupportedLayout(
            f"{name}: threads and interpreters must be 1 for event loops with a critical segment, "
            f"got {layout.threads} and {layout.interpreters}; an asyncio.Lock belongs to one loop: "
            "use processes, or worker=thread"
        )
