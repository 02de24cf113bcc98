"""What a round of asyncio's event loop costs, and a task's return from a wait.

Tasks that each wait for an eventfd which is always readable: every round of the loop finds one
event for each of them, runs their callbacks, and runs the tasks in the round after. With one
task the loop makes two rounds per return, with many it shares them, so that the times per
return of both tell the round from the return. Nobody ever blocks, so that the time that passes
is processor time.

Prints ``"alone"``: seconds per return with one task; ``"together"``: with ``--tasks`` of them;
``"bare"``: what the awaited thing itself costs (registering and removing the callback, which
also tells the kernel), to be subtracted.
"""

import argparse
import asyncio
import json
import os
import time


async def return_often(event: int, count: int) -> None:
    """Wait ``count`` times for the readable event."""
    loop = asyncio.get_running_loop()

    def happen() -> None:
        loop.remove_reader(event)
        woken.set_result(None)

    for _ in range(count):
        woken: asyncio.Future[None] = loop.create_future()
        loop.add_reader(event, happen)
        await woken


async def batch_time(events: list[int], count: int) -> float:
    """Return the seconds per return of as many tasks as there are events."""
    tasks = [asyncio.ensure_future(return_often(event, count)) for event in events]
    began = time.perf_counter_ns()
    await asyncio.gather(*tasks)
    return (time.perf_counter_ns() - began) / 1e9 / (count * len(events))


async def bare_time(event: int, count: int) -> float:
    """Return the seconds that registering for the event and removing that again takes."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter_ns()
    for _ in range(count):
        loop.add_reader(event, print)
        loop.remove_reader(event)
    return (time.perf_counter_ns() - began) / 1e9 / count


async def measure(samples: int, tasks: int) -> dict[str, list[float]]:
    """Alternate the three kinds of batch, each about a millisecond."""
    events = [os.eventfd(1) for _ in range(tasks)]
    series: dict[str, list[float]] = {"alone": [], "together": [], "bare": []}
    for number in range(samples + 2):
        taken = {
            "alone": await batch_time(events[:1], 40),
            "together": await batch_time(events, 4),
            "bare": await bare_time(events[0], 40),
        }
        for name, value in taken.items() if number >= 2 else ():
            series[name].append(value)
    return series


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--tasks", type=int, default=16)
    options = parser.parse_args()
    series = asyncio.run(measure(options.samples, options.tasks))
    print(json.dumps({"series": series, "notes": []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
