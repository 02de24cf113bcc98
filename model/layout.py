"""How a program's workers are laid out: processes, interpreters, threads, and whose GIL."""

from dataclasses import dataclass, replace
from enum import StrEnum

from gilplan.model.behaviours import (
    DEFAULT_SWITCH_INTERVAL,
    acting_switch_interval,
    stored_switch_interval,
)
from gilplan.model.checks import require_count
from gilplan.model.errors import InvalidValue, UnsupportedLayout
from gilplan.model.interpreter_config import ISOLATED, LEGACY, InterpreterConfig, InterpreterGil
from gilplan.model.quota import DEFAULT_PERIOD, Quota
from gilplan.model.runtime import Runtime


class GilMode(StrEnum):
    """Who shares a GIL."""

    SHARED = "shared"  # every interpreter of a process shares the main interpreter's
    OWN = "own"  # each interpreter its own (PEP 684)
    DISABLED = "disabled"  # none (PEP 703)


class IntervalSetter(StrEnum):
    """Where the program calls ``sys.setswitchinterval``."""

    EACH = "each"  # in each interpreter
    MAIN = "main"  # in the main one only: interpreters with a GIL of their own do not inherit it


class WorkerKind(StrEnum):
    """How tasks get onto the threads."""

    THREAD = "thread"  # each thread takes a task when it is free, and blocks in its waits
    POOL = "pool"  # a submitting thread hands tasks to an executor's workers
    EVENT_LOOP = "event_loop"  # each thread runs many tasks, and none blocks it in a wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """``processes`` x ``interpreters`` x ``threads`` workers of one CPython build.

    A free-threaded build with a ``shared`` GIL is one whose GIL an extension module switched back
    on (or ``-X gil=1``). With one interpreter it is the main one. With more, each is a
    sub-interpreter and the main interpreter waits for them. ``switch_interval`` None means what a
    new GIL starts with (5 ms); ``interval_set_in`` says where the program sets it, which decides
    whose GIL has it; ``cores`` None means all of the machine's.

    ``config`` is how each sub-interpreter is made; None means ``isolated`` where the GIL is its
    own, ``legacy`` where it is shared. ``quota`` is a container's CPU limit in cores, which it may
    use up in each ``quota_period`` (100 ms when None); None means the machine's own limit, if it
    has one.

    With ``worker`` pool the workers belong to an executor that the main thread of the main
    interpreter submits to; they are of one kind: threads of the main interpreter, interpreters
    or processes. With ``event_loop`` each thread is a loop.
    """

    build: str
    processes: int = 1
    interpreters: int = 1
    threads: int = 1
    gil: GilMode
    switch_interval: float | None = None
    interval_set_in: IntervalSetter = IntervalSetter.EACH
    cores: int | None = None
    config: InterpreterConfig | None = None
    quota: float | None = None
    quota_period: float | None = None
    worker: WorkerKind = WorkerKind.THREAD

    def __post_init__(self) -> None:
        for field in ("processes", "interpreters", "threads"):
            require_count(field, getattr(self, field))
        if self.cores is not None:
            require_count("cores", self.cores)
        if self.switch_interval is not None:
            stored_switch_interval(self.switch_interval)
        if self.config is not None:
            _check_config(self, self.config)
        if self.quota is not None:
            Quota(cores=self.quota, period=self.quota_period or DEFAULT_PERIOD)
        elif self.quota_period is not None:
            raise InvalidValue("quota_period", "left out without a quota", self.quota_period)
        counts = (self.processes, self.interpreters, self.threads)
        if self.worker is WorkerKind.POOL and sum(count > 1 for count in counts) > 1:
            raise InvalidValue(
                "worker", "'thread' or 'event_loop' where workers are of several kinds", "pool"
            )

    @property
    def workers(self) -> int:
        return self.processes * self.interpreters * self.threads

    @property
    def effective_switch_interval(self) -> float:
        """The interval in force at the workers' GILs: whole microseconds, at least one."""
        own = self.gil is GilMode.OWN and self.interpreters > 1
        if self.switch_interval is None or (own and self.interval_set_in is IntervalSetter.MAIN):
            return DEFAULT_SWITCH_INTERVAL
        return acting_switch_interval(self.switch_interval)

    @property
    def interpreter_config(self) -> InterpreterConfig | None:
        """How its sub-interpreters are made; None where it has only main interpreters."""
        if self.interpreters == 1:
            return None
        if self.config is not None:
            return self.config
        return ISOLATED if self.gil is GilMode.OWN else LEGACY

    @property
    def mode(self) -> str:
        """The kind of layout in a word or two: threads, interpreters, processes, mixed."""
        if self.worker is WorkerKind.POOL:
            return f"{self.pool} pool"
        if self.worker is WorkerKind.EVENT_LOOP:
            return "event loops" if self.workers > 1 else "event loop"
        if self.processes > 1:
            mixed = self.interpreters > 1 or self.threads > 1
            return "mixed" if mixed else "processes"
        if self.interpreters > 1:
            return f"{self.gil}-GIL interpreters"
        return "free-threaded" if self.gil is GilMode.DISABLED else "threads"

    @property
    def pool(self) -> str:
        """What a pool's workers are: "process", "interpreter" or "thread"."""
        if self.processes > 1:
            return "process"
        return "interpreter" if self.interpreters > 1 else "thread"

    def __str__(self) -> str:
        parts = [
            f"{name}={value}"
            for name in ("processes", "interpreters", "threads")
            if (value := getattr(self, name)) > 1
        ]
        gil_is_back = self.gil is GilMode.SHARED and self.build.endswith("t")
        if self.interpreters > 1 or gil_is_back:
            parts.append(f"gil={self.gil}")
        if self.switch_interval is not None:
            parts.append(f"switch_interval={self.switch_interval * 1e3:g}ms")
        if self.interval_set_in is not IntervalSetter.EACH:
            parts.append(f"interval_set_in={self.interval_set_in}")
        if self.cores is not None:
            parts.append(f"cores={self.cores}")
        if self.worker is not WorkerKind.THREAD:
            parts.append(f"worker={self.worker}")
        if self.config is not None:
            parts.append(f"config={self.config}")
        if self.quota is not None:
            parts.append(f"quota={self.quota:g}")
        if self.quota_period is not None:
            parts.append(f"quota_period={self.quota_period * 1e3:g}ms")
        return f"{self.build}:{','.join(parts) or 'threads=1'}"


def _check_config(layout: Layout, config: InterpreterConfig) -> None:
    """Raise `InvalidValue` where no interpreter of such settings can hold the layout."""
    if layout.interpreters == 1:
        raise InvalidValue(
            "config", "left out with interpreters=1", str(config),
            "the main interpreter's settings cannot be chosen",
        )  # fmt: skip
    config.check()
    if layout.gil is not GilMode.DISABLED and (layout.gil is GilMode.OWN) != config.own_gil:
        raise InvalidValue("gil", f"'{config.gil}' as its config says", str(layout.gil))
    if layout.threads > 1 and not config.allow_threads:
        raise InvalidValue(
            "threads", "1 where config has allow_threads=no", layout.threads,
            "such an interpreter starts no thread; use more interpreters",
        )  # fmt: skip


def with_gil(config: InterpreterConfig, gil: GilMode) -> InterpreterConfig:
    """Return the settings with the GIL of a layout, as ``new_config(preset, gil=...)`` does."""
    own = gil is GilMode.OWN
    return replace(config, gil=InterpreterGil.OWN if own else InterpreterGil.SHARED)


def check_supported(layout: Layout, runtime: Runtime) -> None:
    """Raise `UnsupportedLayout` where the build cannot run the layout."""
    name = f"layout {layout}"
    if layout.gil is GilMode.DISABLED and not runtime.free_threaded:
        raise UnsupportedLayout(
            f"{name}: gil must be 'own' or 'shared' on {runtime.build}, got 'disabled'; "
            "only a free-threaded build (3.13t or later) runs without a GIL"
        )
    if layout.gil is GilMode.OWN and runtime.free_threaded:
        raise UnsupportedLayout(
            f"{name}: gil must be 'disabled' on the free-threaded {runtime.build}, got 'own'; "
            "'shared' is what it has when an extension module switches the GIL back on"
        )
    if layout.gil is GilMode.OWN and layout.interpreters > 1 and not runtime.gil_per_interpreter:
        raise UnsupportedLayout(
            f"{name}: gil must be 'shared' on {runtime.build}, got 'own'; "
            "a GIL per interpreter (PEP 684) came with CPython 3.12"
        )
    if runtime.free_threaded and layout.interpreters > 1:
        raise UnsupportedLayout(
            f"{name}: interpreters must be 1 on the free-threaded {runtime.build}, "
            f"got {layout.interpreters}; use threads or processes"
        )
    config = layout.config
    if config is not None and config != LEGACY and not runtime.gil_per_interpreter:
        raise UnsupportedLayout(
            f"{name}: config must be 'legacy' on {runtime.build}, got '{config}'; "
            "the settings of an interpreter can be chosen since CPython 3.12"
        )


def resolve_gil(text: str | None, interpreters: int, runtime: Runtime) -> GilMode:
    """Return the GIL mode that ``text`` names, or the build's natural one when None.

    Natural is: none on a free-threaded build, own where the build has a GIL per interpreter,
    shared before.
    """
    if text is None:
        if runtime.free_threaded:
            return GilMode.DISABLED
        return GilMode.OWN if runtime.gil_per_interpreter else GilMode.SHARED
    try:
        mode = GilMode(text)
    except ValueError:
        raise InvalidValue("gil", "'own', 'shared' or 'disabled'", text) from None
    if mode is GilMode.OWN and not runtime.gil_per_interpreter and not runtime.free_threaded:
        raise UnsupportedLayout(
            f"gil must be 'shared' on {runtime.build}, got 'own'; "
            "a GIL per interpreter (PEP 684) came with CPython 3.12"
        )
    return mode
