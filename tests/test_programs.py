"""The shipped programs run under every build of this machine and always do the same work."""

import json
import subprocess

import pytest

from gilplan.calibration.builds import find_builds
from gilplan.calibration.realrun import FLAGS, HERE, measure_steps, shipped_programs
from gilplan.model.workload import SegmentKind, Work

PROGRAMS = shipped_programs()
BUILDS = find_builds()[0]
KINDS = {kind.value for kind in SegmentKind} - {"critical"}


def namespace_of(name: str) -> dict:
    namespace: dict = {"__name__": "program"}
    exec(compile(PROGRAMS[name].read_text(encoding="utf-8"), name, "exec"), namespace)
    return namespace


def result_of_task(namespace: dict, state) -> str:
    for step in namespace["STEPS"]:
        step[3](state)
    return repr(state.result)


def test_at_least_ten_programs_are_shipped():
    assert len(PROGRAMS) >= 10


def test_programs_cover_every_kind_of_step_and_of_work():
    steps = [step for name in PROGRAMS for step in namespace_of(name)["STEPS"]]
    assert {step[1] for step in steps} == KINDS
    assert {step[2] for step in steps} == {work.value for work in Work} | {""}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_states_kind_and_work_of_each_step(name):
    namespace = namespace_of(name)
    assert namespace["__doc__"]
    for _name, kind, work, call, *releases in namespace["STEPS"]:
        assert kind in KINDS
        assert (work == "") == (kind == "wait")
        assert callable(call)
        assert not releases or (kind == "released_native" and releases[0] > 1)


# The programs leave their sockets and connections open: a worker ends with its process.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", PROGRAMS)
def test_task_gives_the_same_result_every_time_and_for_every_worker(name):
    namespace = namespace_of(name)
    one, other = namespace["setup"](), namespace["setup"]()
    # The counter of requests makes the first messages of the socket program longer and longer.
    first = [result_of_task(namespace, one) for _ in range(3)]
    assert first == [result_of_task(namespace, other) for _ in range(3)]
    assert one.result is not None


@pytest.mark.interpreters
@pytest.mark.parametrize("name", PROGRAMS)
def test_first_task_gives_the_same_result_under_every_build(name):
    results = {}
    for build in BUILDS:
        script = str(HERE / "harness" / "time_steps.py")
        arguments = [str(PROGRAMS[name]), "--time", "0", "--warmup", "0", "--tasks", "1"]
        run = subprocess.run(
            [build.path, *FLAGS, script, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.returncode == 0, f"{build.name}: {run.stdout} {run.stderr}"
        results[build.name] = json.loads(run.stdout.splitlines()[-1])["result"]
    assert len(set(results.values())) == 1, results


@pytest.mark.interpreters
@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
def test_every_step_is_timed_as_often_as_the_whole_task(build):
    samples = measure_steps(build, PROGRAMS["sqlite_report"], time=0.01, warmup=0.0)
    assert [step.name for step in samples.steps] == ["query", "fetch", "report"]
    assert [step.releases for step in samples.steps] == [6, 6, 1]
    assert {len(step.times) for step in samples.steps} == {len(samples.whole)}
    assert all(time > 0 for step in samples.steps[::2] for time in step.times)
