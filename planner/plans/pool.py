"""The processes that share a plan's simulation."""

import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context


@contextmanager
def pool(workers: int) -> Iterator[Executor]:
    """Give an executor of ``workers`` processes that leave nothing running behind.

    Ctrl-C reaches the whole process group: the workers die of it silently, this process tells.
    """
    executor = ProcessPoolExecutor(
        workers, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_DFL)
    )
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)
