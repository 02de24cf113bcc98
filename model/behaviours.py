"""How CPython's versions differ where it changes results.

Derived from the version alone, so that a build that is not on this machine behaves as it will.

=====================================  ===========  ===========  ==================  ========
behaviour                              3.11         3.12         3.13                3.14+
=====================================  ===========  ===========  ==================  ========
a GIL per interpreter (PEP 684)        no           yes          yes                 yes
drop request is a flag of              interpreter  interpreter  the holder's thread as 3.13
preemption across interpreters with    no           no           yes                 yes
one GIL
sys.setswitchinterval applies to       the process  one GIL      one GIL             one GIL
a due collection starts                at once      at a poll    at a poll           at a poll
gc thresholds                          700 10 10    700 10 10    2000 10 10          see below
gc counts below zero                   no           no           free-threaded       no
the interpreter specialises bytecode   yes          yes          not free-threaded   yes
late daemon threads                    exit         exit         exit                hang
=====================================  ===========  ===========  ==================  ========

Without a GIL the collector counts below zero until 3.13.9 and 3.14.0 (gh-142048).
3.14.0 to 3.14.4 collect incrementally, with thresholds 2000 10 0; 3.14.5 went back to the
generations of 3.13 because of memory growth (cpython PR 148720), and so did 3.15.

Until 3.12 a waiter sets the drop request of its *own* interpreter, which a holder that runs in
another interpreter never polls; since 3.13 the request is a bit in the holder's thread state
(gh-112175). Sources: Python/ceval_gil.c, Python/sysmodule.c and Python/gc.c of each version; the
probes in ``calibration/probes`` show each on real builds.
"""

from dataclasses import dataclass
from enum import StrEnum

from gilplan.model.errors import InvalidValue


class Collector(StrEnum):
    """How the cyclic garbage collector goes through the heap."""

    GENERATIONAL = "three generations"
    INCREMENTAL = "incremental"  # two generations, the old one in parts
    STOP_THE_WORLD = "stop the world"  # free-threaded: one generation, every thread stopped


class IntervalScope(StrEnum):
    """What one call of ``sys.setswitchinterval`` changes."""

    PROCESS = "process"
    GIL = "gil"  # the current interpreter's, with all that share it


class DropRequest(StrEnum):
    """Where a waiter leaves its request to drop the GIL."""

    WAITERS_INTERPRETER = "waiter's interpreter"
    HOLDERS_THREAD = "holder's thread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviours:
    """What a CPython of this version does; every property follows from the two fields."""

    version: tuple[int, int, int]
    free_threaded: bool = False

    @property
    def gil_per_interpreter(self) -> bool:
        return not self.free_threaded and self.version >= (3, 12, 0)

    @property
    def configurable_interpreters(self) -> bool:
        """Whether PyInterpreterConfig is there."""
        return self.version >= (3, 12, 0)

    @property
    def drop_request(self) -> DropRequest:
        if self.version >= (3, 13, 0):
            return DropRequest.HOLDERS_THREAD
        return DropRequest.WAITERS_INTERPRETER

    @property
    def preempts_across_interpreters(self) -> bool:
        """Whether a waiter can make a holder in another interpreter drop the GIL they share."""
        return self.drop_request is DropRequest.HOLDERS_THREAD

    @property
    def switch_interval_scope(self) -> IntervalScope:
        return IntervalScope.GIL if self.version >= (3, 12, 0) else IntervalScope.PROCESS

    @property
    def collector(self) -> Collector:
        if self.free_threaded:
            return Collector.STOP_THE_WORLD
        if (3, 14, 0) <= self.version <= (3, 14, 4):
            return Collector.INCREMENTAL
        return Collector.GENERATIONAL

    @property
    def gc_thresholds(self) -> tuple[int, int, int]:
        """What ``gc.get_threshold()`` returns at the start."""
        if self.collector is Collector.INCREMENTAL:
            return (2000, 10, 0)
        return (2000, 10, 10) if self.version >= (3, 13, 0) else (700, 10, 10)

    @property
    def collector_counts_below_zero(self) -> bool:
        """Whether what dies is subtracted from the count of new objects even when it is zero.

        Python/gc_free_threading.c, record_deallocation, before gh-142048 (the NEWS of 3.14.1): the
        count is reset before garbage is freed, which then lowers it, and so does whatever dies
        that was there at the last collection.
        """
        fixed = (3, 13, 10) if self.version < (3, 14, 0) else (3, 14, 1)
        return self.free_threaded and self.version < fixed

    @property
    def collects_at_poll(self) -> bool:
        """Whether a due collection waits for the eval breaker, before a hand-over of the GIL."""
        return self.version >= (3, 12, 0)

    @property
    def specialises(self) -> bool:
        """Whether bytecode is specialised as it runs (off in 3.13t: pycore_code.h:316)."""
        return not self.free_threaded or self.version >= (3, 14, 0)

    @property
    def late_daemon_threads_hang(self) -> bool:
        """Whether a daemon thread that wants the GIL of an ending process hangs; else it exits."""
        return self.version >= (3, 14, 0)

    @property
    def default_start_method(self) -> str:
        """What `multiprocessing` uses on Linux unless told."""
        return "forkserver" if self.version >= (3, 14, 0) else "fork"


#: ceval_gil.c (3.13.5:153) DEFAULT_INTERVAL, the interval of every new GIL, in seconds. A new
#: interpreter with a GIL of its own has it whatever its creator has set.
DEFAULT_SWITCH_INTERVAL = 0.005
#: The stored interval is an unsigned long of microseconds. Longer ones overflow without a word:
#: 5e14 s reads back as 0.0 and acts as 1 us.
LONGEST_SWITCH_INTERVAL = 2**64 * 1e-6


def stored_switch_interval(seconds: float) -> float:
    """Return what ``sys.getswitchinterval()`` says after ``sys.setswitchinterval(seconds)``.

    Whole microseconds, cut off (sysmodule.c:1332): 1e-7 reads back as 0. Raises `InvalidValue`
    where CPython refuses the value, and where it takes it and means another.
    """
    if not 0 < seconds < LONGEST_SWITCH_INTERVAL:
        raise InvalidValue(
            "switch_interval", f"above 0 and below {LONGEST_SWITCH_INTERVAL:.3g} s", seconds,
            "CPython's default is 5ms",
        )  # fmt: skip
    return int(1e6 * seconds) * 1e-6


def acting_switch_interval(seconds: float) -> float:
    """Return how long a waiter waits before it asks: at least 1 us (take_gil)."""
    return max(stored_switch_interval(seconds), 1e-6)
