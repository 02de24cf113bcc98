"""pyperf's JSON: how long whole tasks take, and nothing of the GIL."""

import re
from dataclasses import dataclass
from pathlib import Path

from gilplan.model.errors import InvalidFile, InvalidValue


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTimes:
    """Seconds per task, warm-ups left out: means over pyperf's loops, not single tasks."""

    name: str
    build: str
    times: tuple[float, ...]
    loops: int

    @property
    def source(self) -> str:
        mean = f", each the mean of {self.loops} tasks" if self.loops > 1 else ""
        return f"pyperf, {len(self.times)} values of whole tasks{mean}"


def read_pyperf(path: Path, benchmark: str | None = None) -> TaskTimes:
    """Read the only benchmark of the file, or the one that is named. Raises `InvalidFile`."""
    import pyperf

    try:
        suite = pyperf.BenchmarkSuite.load(str(path))
    except Exception as error:  # pyperf raises what its parsing happens to raise
        raise InvalidFile(
            str(path), 1, "the benchmark", "a whole pyperf file", f"{type(error).__name__}: {error}"
        ) from None
    names = suite.get_benchmark_names()
    if benchmark is None and len(names) == 1:
        benchmark = str(names[0])
    if benchmark is None or benchmark not in names:
        raise InvalidValue(
            "--benchmark", f"one of {', '.join(map(repr, names))}", benchmark, f"for {path}"
        )
    bench = suite.get_benchmark(benchmark)
    metadata = bench.get_metadata()
    if bench.get_unit() != "second":
        raise InvalidFile(str(path), 1, "unit", "second", bench.get_unit())
    if metadata.get("python_implementation", "cpython") != "cpython":
        raise InvalidFile(
            str(path), 1, "python_implementation", "cpython", metadata["python_implementation"]
        )
    return TaskTimes(
        name=benchmark,
        build=_build(str(metadata.get("python_version", ""))),
        times=tuple(float(value) for value in bench.get_values()),
        loops=bench.get_total_loops(),
    )


def _build(version: str) -> str:
    """Return the build's name from "3.12.1 (64-bit) revision ...": "3.12.1"."""
    match = re.match(r"\d+\.\d+\.\d+\S*", version)
    name = match[0].rstrip("+") if match else ""
    return f"{name}t" if name and "free-thread" in version else name
