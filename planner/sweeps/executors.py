"""What a sweep runs on: this machine's processes, a Dask cluster, or any executor.

local                  a process per core of this machine
local:2                two processes
dask://HOST:PORT       a cluster of `distributed`, by its scheduler's address
"""

import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread
from typing import Any

from gilplan.model.errors import ExecutorError, InvalidValue
from gilplan.planner.sweeps.engine import engine_identity

#: Gives an executor, anew each time: a pool whose worker was killed is of no use any more.
Opener = Callable[[], AbstractContextManager[Executor]]

RULE = '"local", "local:2" or "dask://HOST:PORT"'
ANSWER_TIME = 10.0
_DASK = re.compile(r"dask://(?P<address>[^\s/:]+:\d+)/?")
_LOCAL = re.compile(r"local(?::(?P<workers>[1-9]\d*))?")


def opener(text: str) -> Opener:
    """Return what opens the executor that ``text`` names. Raises `InvalidValue`."""
    if match := _LOCAL.fullmatch(text):
        return partial(local_executor, int(match["workers"] or os.cpu_count() or 1))
    if match := _DASK.fullmatch(text):
        return partial(dask_executor, match["address"])
    raise InvalidValue("executor", RULE, text)


def given(executor: Executor) -> Opener:
    """Return what gives a caller's own executor, which stays open."""
    return lambda: nullcontext(executor)


@contextmanager
def local_executor(workers: int) -> Iterator[Executor]:
    """Give a pool of ``workers`` processes. A script that calls it needs a ``__main__`` guard."""
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin_worker)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    # Ctrl-C reaches the whole process group: the workers die of it silently, the parent tells.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent is gone: a killed one cannot tell its pool."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """Give the executor of the Dask cluster whose scheduler is at ``HOST:PORT``.

    Raises `ExecutorError` where it does not answer, has no workers, or workers that would give
    other results than this process.
    """
    name = f"dask://{address}"
    try:
        from distributed import Client, KilledWorker
    except ModuleNotFoundError:
        raise ExecutorError(
            f"executor {name} needs the package distributed, which is not installed; "
            "pip install 'gilplan[dask]'"
        ) from None
    try:
        client: Any = Client(  # type: ignore[no-untyped-call]
            f"tcp://{address}", timeout=ANSWER_TIME, set_as_default=False
        )
    except (OSError, ValueError):
        raise ExecutorError(
            f"executor {name} does not answer within {ANSWER_TIME:.0f} s; start one with "
            "`dask scheduler`, or check host and port"
        ) from None
    with client:
        _require_same_engine(client.run(engine_identity, on_error="return"), name)
        try:
            yield client.get_executor(pure=False)
        except KilledWorker as error:
            raise ExecutorError(
                f"executor {name}: {' '.join(str(error).split())}; is there memory enough?"
            ) from None


def _require_same_engine(engines: dict[str, object], name: str) -> None:
    """Raise `ExecutorError` unless there are workers and all of them have this engine."""
    if not engines:
        raise ExecutorError(f"executor {name} has no workers; start some with `dask worker`")
    here = engine_identity()
    for worker, engine in sorted(engines.items()):
        if isinstance(engine, ModuleNotFoundError):
            raise ExecutorError(
                f"executor {name}: worker {worker} must have gilplan {here}, got {engine}; "
                "install the same gilplan there"
            )
        if engine != here:
            raise ExecutorError(
                f"executor {name}: worker {worker} must have gilplan {here}, got {engine}; "
                "install the same gilplan, NumPy, SciPy and SimPy there"
            )
