"""Every combination of settings, tried on the builds of this machine."""

from dataclasses import replace

import pytest

from gilplan.calibration.behaviour_probes import run_probe
from gilplan.calibration.builds import find_builds, newest_of_each_series
from gilplan.calibration.realrun import layout_child, run_for_real, shipped_programs
from gilplan.model.interpreter_config import FLAGS, ISOLATED, InterpreterConfig, Verdict
from gilplan.model.layout import GilMode, Layout, with_gil

BUILDS = newest_of_each_series(find_builds()[0])


@pytest.mark.interpreters
@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
def test_every_combination_of_settings_fares_as_its_verdict_says(build):
    tried = run_probe(build, "configs")["configs"]
    if tried is None:
        assert build.version < (3, 12, 0), "this build has no way to choose the settings"
        return
    assert len(tried) == 3 * 2 ** len(FLAGS)
    for row in tried:
        config = InterpreterConfig(**{field: row[field] for field in (*FLAGS, "gil")})
        verdict = config.verdict(free_threaded=build.free_threaded)
        # What only the documentation forbids, the code creates.
        expected = "refused" if verdict is Verdict.REFUSED else "created"
        assert row["outcome"] == expected, (str(config), config.gil, row["said"])
        if expected == "created":
            assert observed(row) == promised(config, row["extension"])


def observed(row: dict[str, object]) -> list[object]:
    return [row[name] for name in ("threads", "daemon_threads", "fork", "exec", "extension")]


def promised(config: InterpreterConfig, extension: bool | None) -> list[object]:
    """What works inside; daemon threads need threads, and no test module tells nothing."""
    return [
        config.allow_threads,
        config.allow_threads and config.allow_daemon_threads,
        config.allow_fork,
        config.allow_exec,
        None if extension is None else not config.check_multi_interp_extensions,
    ]


@pytest.mark.interpreters
@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
def test_layouts_run_for_real_with_the_settings_that_they_name(build):
    if build.version < (3, 13, 0) or build.free_threaded:
        pytest.skip("settings can be chosen from Python since 3.13")
    nbody = shipped_programs()["nbody"]
    no_threads = replace(ISOLATED, allow_threads=False)
    for gil, config in (
        (GilMode.OWN, no_threads),
        (GilMode.SHARED, with_gil(no_threads, GilMode.SHARED)),
    ):
        layout = Layout(build=build.name, interpreters=2, gil=gil, config=config)
        run = run_for_real(build, nbody, layout, warmup=0.02, time=0.1)
        assert len(run.completed_at) == 2
        assert run.throughput > 0


@pytest.mark.interpreters
@pytest.mark.parametrize("build", [b for b in BUILDS if b.free_threaded], ids=lambda b: b.name)
def test_free_threaded_build_runs_for_real_with_its_gil_back(build):
    nbody = shipped_programs()["nbody"]
    layout = Layout(build=build.name, threads=2, gil=GilMode.SHARED)
    with layout_child(build, nbody, layout, time=0.1) as child:
        child.answer(20)
        assert child.answer(20)["gil_enabled"] is True
