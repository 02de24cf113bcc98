"""Serve clients by an event loop, and do their tasks one after another, by turns.

    python run_loop.py --clients 4 --rounds 4000 --wait 0.002

Each client is a coroutine that computes, waits for a file descriptor as for a backend's answer,
and computes again. The descriptor is a timer of the kernel (timerfd), which ends to the
microsecond and costs nobody processor time; ``asyncio.sleep`` would end at a whole millisecond.

Output: ``{"loop": [tasks/s per turn], "single": [tasks/s without the waits per turn],
"response": [seconds]}``.
"""

import argparse
import asyncio
import ctypes
import json
import os
import time

import pool_task

LIBC = ctypes.CDLL(None, use_errno=True)
CLOCK_MONOTONIC, TFD_NONBLOCK = 1, os.O_NONBLOCK


class Backend:
    """A descriptor that becomes readable so many seconds after it was asked."""

    def __init__(self, wait: float) -> None:
        self.timer: int = LIBC.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)
        if self.timer < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self.setting = (ctypes.c_long * 4)(0, 0, int(wait), int(wait % 1 * 1e9))
        self.answered: asyncio.Future[None]
        self.loop = asyncio.get_running_loop()
        self.loop.add_reader(self.timer, self.answer)

    def answer(self) -> None:
        os.read(self.timer, 8)
        self.answered.set_result(None)

    def ask(self) -> "asyncio.Future[None]":
        self.answered = self.loop.create_future()
        LIBC.timerfd_settime(self.timer, 0, self.setting, None)
        return self.answered


async def client(backend: Backend, rounds: int, until: int, spans: list[float]) -> None:
    clock = time.perf_counter_ns
    began = clock()
    while began < until:
        pool_task.spin(rounds // 2)
        await backend.ask()
        pool_task.spin(rounds - rounds // 2)
        # Another client's turn, as after an answer has been written.
        now = clock()
        spans.append((now - began) / 1e9)
        began = now
        await asyncio.sleep(0)


async def loop_rate(backends: list[Backend], rounds: int, window: int) -> tuple[float, list[float]]:
    began = time.perf_counter_ns()
    spans: list[float] = []
    await asyncio.gather(*(client(b, rounds, began + window, spans) for b in backends))
    return len(spans) / (time.perf_counter_ns() - began) * 1e9, spans


def single_rate(rounds: int, window: int) -> float:
    clock = time.perf_counter_ns
    began, done = clock(), 0
    while clock() - began < window:
        pool_task.spin(rounds // 2)
        pool_task.spin(rounds - rounds // 2)
        done += 1
    return done / (clock() - began) * 1e9


async def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    backends = [Backend(options.wait) for _ in range(options.clients)]
    window = int(options.window * 1e9)
    result: dict[str, list[float]] = {"loop": [], "single": [], "response": []}
    for turn in range(options.turns + 2):
        single = single_rate(options.rounds, window // 2)
        together, spans = await loop_rate(backends, options.rounds, window)
        if turn >= 2:
            result["single"].append(single)
            result["loop"].append(together)
            result["response"] += spans
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=4000)
    parser.add_argument("--wait", type=float, default=0.002)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--window", type=float, default=0.08)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(options))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
