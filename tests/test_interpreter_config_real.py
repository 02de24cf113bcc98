"""Every combination of settings, tried on the builds of this machine."""

import pytest

from gilplan.calibration.behaviour_probes import run_probe
from gilplan.calibration.builds import find_builds, newest_of_each_series
from gilplan.model.interpreter_config import FLAGS, InterpreterConfig, Verdict

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
