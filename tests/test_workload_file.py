"""Workload files: what they may say, what is told when they are wrong, and writing them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gilplan.calibration.workload_file import parse_workload, read_trace, read_workload
from gilplan.calibration.workload_writer import to_toml
from gilplan.model.arrivals import Arrivals, Batch, Closed, ColdCalls, Connection, Open, Recorded
from gilplan.model.durations import Deterministic, Duration, Empirical, Exponential, Lognormal
from gilplan.model.errors import InvalidFile
from gilplan.model.workload import Segment, SegmentKind, Task, Work, Workload

ROOT = Path(__file__).parent.parent
EXAMPLES = [*ROOT.glob("examples/*.toml"), *ROOT.glob("planner/examples/*.toml")]

HEAD = """\
name = "web request"
[[tasks]]
name = "request"
[[tasks.segments]]
kind = "python"
"""


def arrivals_head(lines: str) -> str:
    head, tail = HEAD.split("\n", 1)
    return f'{head}\n[arrivals]\n{lines}\n{tail}duration = "1ms"'


def test_a_full_file_is_read_into_the_domain() -> None:
    workload, arrivals = parse_workload(
        """
        name = "web request"
        build = "3.13.0"
        [arrivals]
        kind = "closed"
        population = 16
        think_time = { distribution = "exponential", mean = "10ms" }
        [[tasks]]
        name = "request"
        weight = 3
        payload_in = "2KiB"
        allocation_rate = "1000/s"
        shared_share = "5%"
        [[tasks.segments]]
        kind = "python"
        name = "parse"
        duration = "250us"
        work = "bytecode"
        uninterruptible = "1us"
        [[tasks.segments]]
        kind = "critical"
        lock = "cache"
        inner = [{ kind = "wait", duration = { distribution = "lognormal", median = "4ms", sigma = 0.5 } }]
        """  # noqa: E501
    )
    wait = Segment(kind=SegmentKind.WAIT, duration=Lognormal(4e-3, 0.5))
    parse = Segment(
        kind=SegmentKind.PYTHON,
        name="parse",
        duration=Deterministic(250e-6),
        work=Work.BYTECODE,
        uninterruptible=Deterministic(1e-6),
    )
    critical = Segment(kind=SegmentKind.CRITICAL, lock="cache", inner=(wait,))
    task = Task(
        name="request",
        segments=(parse, critical),
        weight=3,
        payload_in=2048,
        allocation_rate=1000,
        shared_share=0.05,
    )
    assert workload == Workload(name="web request", tasks=(task,), build="3.13.0")
    assert arrivals == Closed(population=16, think_time=Exponential(0.01))


def test_without_arrivals_the_loop_is_closed_with_a_client_per_worker() -> None:
    assert parse_workload(HEAD + 'duration = "1ms"')[1] == Closed()


WRONG = {
    "unknown key at the top": ('nmae = "x"\n' + HEAD, 1, "nmae", "did you mean 'name'?"),
    "unknown key in a segment": (
        HEAD + 'duratoin = "4ms"',
        6,
        "tasks[0].segments[0].duratoin",
        "did you mean 'duration'?",
    ),
    "a number for a time": (HEAD + "duration = 4", 6, "duration", "got 4; give a unit"),
    "a size for a time": (
        HEAD + 'duration = "4KiB"',
        6,
        "duration",
        'must be a time such as "250us" or "4ms"',
    ),
    "a negative time": (HEAD + 'duration = "-4ms"', 6, "duration", ">= 0, got '-4ms'"),
    "a NaN": (HEAD + "duration = nan", 6, "duration", "got nan"),
    "a NaN with a unit": (HEAD + 'duration = "nan s"', 6, "duration", "finite"),
    "no duration": (HEAD, 4, "tasks[0].segments[0].duration", "given (kind is python)"),
    "an unknown distribution": (
        HEAD + 'duration = { distribution = "exponental", mean = "4ms" }',
        6,
        "duration.distribution",
        "did you mean 'exponential'?",
    ),
    "no distribution": (
        HEAD + 'duration = { mean = "4ms" }',
        6,
        "duration.distribution",
        "one of deterministic, exponential, lognormal, empirical",
    ),
    "a zero mean": (
        HEAD + 'duration = { distribution = "exponential", mean = "0ms" }',
        6,
        "duration.mean",
        "> 0",
    ),
    "no mean": (
        HEAD + 'duration = { distribution = "exponential" }',
        6,
        "duration.mean",
        "must be given",
    ),
    "a wrong sample": (
        HEAD + 'duration = { distribution = "empirical", samples = [\n"1ms",\n3] }',
        8,
        "duration.samples[1]",
        "give a unit",
    ),
    "no samples": (
        HEAD + 'duration = { distribution = "empirical", samples = [] }',
        6,
        "duration.samples",
        "at least one time",
    ),
    "an unknown kind": (
        HEAD.replace('"python"', '"pyhton"'),
        5,
        "tasks[0].segments[0].kind",
        "did you mean 'python'?",
    ),
    "an unknown work": (
        HEAD + 'duration = "1ms"\nwork = "io"',
        7,
        "work",
        "one of bytecode, compute, memory, got 'io'",
    ),
    "work of a wait": (
        HEAD.replace('"python"', '"wait"') + 'duration = "1ms"\nwork = "compute"',
        7,
        "work",
        "absent (kind is wait)",
    ),
    "a critical segment without a lock": (
        HEAD.replace('"python"', '"critical"'),
        4,
        "tasks[0].segments[0].lock",
        "the name of a lock",
    ),
    "a weight of NaN": (
        HEAD.replace('"request"', '"request"\nweight = nan') + 'duration = "1ms"',
        4,
        "tasks[0].weight",
        "finite number > 0",
    ),
    "a share of more than all": (
        HEAD.replace('"request"', '"request"\nshared_share = "130%"') + 'duration = "1ms"',
        4,
        "tasks[0].shared_share",
        "between 0 and 1",
    ),
    "a size without a unit": (
        HEAD.replace('"request"', '"request"\npayload_in = 3') + 'duration = "1ms"',
        4,
        "tasks[0].payload_in",
        "give a unit: B, KiB",
    ),
    "unknown arrivals": (
        arrivals_head('kind = "opn"'),
        3,
        "arrivals.kind",
        "did you mean 'open'?",
    ),
    "arrivals without a kind": (
        arrivals_head("rate = 3"),
        2,
        "arrivals.kind",
        "one of closed, open, batch, recorded",
    ),
    "a rate of NaN": (arrivals_head('kind = "open"\nrate = nan'), 4, "arrivals.rate", "finite"),
    "a rate of zero": (arrivals_head('kind = "open"\nrate = 0'), 4, "arrivals.rate", "> 0"),
    "a population of nobody": (
        arrivals_head('kind = "closed"\npopulation = 0'),
        4,
        "arrivals.population",
        "a whole number >= 1, got 0",
    ),
    "half a client": (
        arrivals_head('kind = "closed"\npopulation = 1.5'),
        4,
        "arrivals.population",
        "a whole number",
    ),
    "a connection that sends in no time": (
        arrivals_head(
            'kind = "closed"\n'
            'connection = { send_time = "0s", receive_time = "1us", client_time = "1us" }'
        ),
        4,
        "arrivals.connection.send_time",
        "> 0",
    ),
    "a connection without the client's time": (
        arrivals_head('kind = "closed"\nconnection = { send_time = "1us", receive_time = "1us" }'),
        4,
        "arrivals.connection.client_time",
        "must be given",
    ),
    "connections and other clients": (
        arrivals_head(
            'kind = "closed"\npopulation = 3\n'
            'connection = { send_time = "1us", receive_time = "1us", client_time = "1us" }'
        ),
        5,
        "arrivals.connection",
        "each worker has one client, which computes, got '3 clients'",
    ),
    "two sources of instants": (
        arrivals_head('kind = "recorded"\narrived_at = ["1s"]\nfile = "x.csv"'),
        4,
        "arrivals.arrived_at",
        "not both",
    ),
    "instants that go back": (
        arrivals_head('kind = "recorded"\narrived_at = ["2s", "1s"]'),
        4,
        "arrivals.arrived_at",
        "in increasing order",
    ),
    "an absent trace": (
        arrivals_head('kind = "recorded"\nfile = "absent.csv"'),
        4,
        "arrivals.file",
        "the name of a CSV file, got 'absent.csv'",
    ),
    "no tasks": ('name = "x"', 1, "tasks", "must be given"),
    "an empty list of tasks": ('name = "x"\ntasks = []', 2, "tasks", "at least one task"),
    "a number for the name": (HEAD.replace('"web request"', "3"), 1, "name", "text in quotes"),
    "a number for a table": ("arrivals = 3\n" + HEAD, 1, "arrivals", "a table"),
    "broken TOML": ('name = "x"\ntasks = [', 2, "the file", "valid TOML"),
    "a unit outside quotes": (HEAD + "duration = 4ms", 6, "the file", "texts in quotes"),
    "brackets without end": ("a = " + "[" * 10_000, 1, "the file", "nested less deeply"),
    "an empty file": ("", 1, "name", "must be given"),
}


@pytest.mark.parametrize(("text", "line", "field", "part"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_told_with_line_field_and_rule(
    text: str, line: int, field: str, part: str
) -> None:
    with pytest.raises(InvalidFile) as caught:
        parse_workload(text, Path("web.toml"))
    message = str(caught.value)
    assert (caught.value.line, message.count("\n")) == (line, 0), message
    assert message.startswith(f"web.toml:{line}: ")
    assert caught.value.field.endswith(field), message
    assert part in message


def test_the_first_of_several_errors_in_the_file_is_told() -> None:
    text = HEAD.replace('"request"', '"request"\npayload_in = 1') + "duration = 1"
    with pytest.raises(InvalidFile, match="payload_in"):
        parse_workload(text)


def test_a_file_that_is_not_there_or_not_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="No such file"):
        read_workload(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidFile, match="not UTF-8 text"):
        read_workload(tmp_path / "binary.toml")


def test_recorded_arrivals_are_read_from_a_trace_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("arrived_at,path\n0.0,/a\n0.25,/b\n")
    path = tmp_path / "web.toml"
    path.write_text(arrivals_head('kind = "recorded"\nfile = "trace.csv"'))
    assert read_workload(path)[1] == Recorded(arrived_at=(0.0, 0.25))


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("at\n1\n", 1, "a column arrived_at"),
        ("arrived_at\n1\nx\n", 3, "got 'x'"),
        ("arrived_at\n1\nnan\n", 3, "got 'nan'"),
        ("arrived_at\n2\n1\n", 3, "not before the row above"),
        ("arrived_at\n", 1, "at least one instant"),
        ("", 1, "a column arrived_at"),
    ],
)
def test_a_wrong_trace_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, part: str
) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text(text)
    with pytest.raises(InvalidFile, match=f"trace.csv:{line}: ") as caught:
        read_trace(trace)
    assert part in str(caught.value)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_valid(path: Path) -> None:
    workload, _ = read_workload(path)
    assert workload.mean_demand() > 0


times = st.floats(min_value=0, max_value=1e4)
positive = st.floats(min_value=1e-9, max_value=1e4)
durations: st.SearchStrategy[Duration] = st.one_of(
    st.builds(Deterministic, positive),
    st.builds(Exponential, positive),
    st.builds(Lognormal, positive, st.floats(min_value=0, max_value=3)),
    st.builds(Empirical, st.lists(positive, min_size=1, max_size=4).map(tuple)),
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
cpu_segments = st.builds(
    Segment,
    kind=st.sampled_from([SegmentKind.PYTHON, SegmentKind.HELD_NATIVE]),
    name=names,
    duration=durations,
    work=st.none() | st.sampled_from(Work),
    uninterruptible=st.none() | durations,
)
wait_segments = st.builds(Segment, kind=st.just(SegmentKind.WAIT), duration=durations)
segments = st.recursive(
    cpu_segments | wait_segments,
    lambda inner: st.builds(
        Segment,
        kind=st.just(SegmentKind.CRITICAL),
        lock=names.filter(bool),
        inner=st.lists(inner, min_size=1, max_size=3).map(tuple),
    ),
    max_leaves=4,
)
tasks = st.builds(
    Task,
    name=names,
    segments=st.lists(segments, min_size=1, max_size=3).map(tuple),
    weight=positive,
    payload_in=times,
    payload_out=times,
    allocation_rate=times,
    shared_share=st.floats(min_value=0, max_value=1),
)
workloads = st.builds(
    Workload,
    name=names,
    tasks=st.lists(tasks, min_size=1, max_size=3).map(tuple),
    build=names,
    source=names,
)
arrivals = st.one_of(
    st.builds(Closed, population=st.none() | st.integers(1, 1000), think_time=durations),
    st.builds(
        Closed,
        connection=st.builds(
            Connection,
            send_time=positive,
            receive_time=positive,
            client_time=positive,
            cold_calls=st.none()
            | st.just(ColdCalls(pauses=(1e-4, 0.02), sends=(0.0, 5e-6), receives=(1e-7, 3e-6))),
        ),
    ),
    st.builds(Open, rate=positive, poisson=st.booleans()),
    st.builds(Batch, jobs=st.integers(1, 10**9)),
    st.builds(Recorded, arrived_at=st.lists(times, min_size=1).map(lambda at: tuple(sorted(at)))),
)


@settings(deadline=None, max_examples=50)
@given(workloads, arrivals)
def test_what_is_written_reads_back_equal(workload: Workload, arrived: Arrivals) -> None:
    assert parse_workload(to_toml(workload, arrived)) == (workload, arrived)
