"""A callable observed alone, among threads that take turns, and on the other builds here."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from gilplan.calibration.builds import Build
from gilplan.calibration.observation.observation import Observation
from gilplan.calibration.observation.observe import Method, observe
from gilplan.calibration.observation.target_program import program_of
from gilplan.calibration.other_builds import see_on_builds
from gilplan.calibration.profile import Profile
from gilplan.calibration.target_validation import with_cold_start
from gilplan.model.errors import MeasurementFailed

Report = Callable[[str, float], None]


def observe_whole(
    target: str,
    build: Build,
    others: Sequence[Build],
    *,
    profile: Profile | None = None,
    method: Method | None = None,
    time: float = 2.0,
    progress: Report = lambda text, share: None,
) -> Observation:
    """Observe ``target`` under ``build``, what its threads pay for turns, and ``others``.

    Besides `observe`, up to twenty seconds, and five to fifteen for each other build. What threads
    pay needs the machine's ``profile``. What cannot be run in a crowd or elsewhere is left out, and
    the notes say so; raises as `observe` does.
    """
    observation = observe(
        target, build, method=method, time=time, progress=_part(progress, 0.0, 0.3)
    )
    workload, notes = observation.workload, observation.notes
    with program_of(target) as program:
        progress("measuring what cold caches cost", 0.3)
        try:
            workload = with_cold_start(workload, build, program, profile)
        except MeasurementFailed as failure:
            notes = (*notes, f"what cold caches cost was not measured: {failure}")
        workload, more = see_on_builds(
            program, workload, build, others, progress=_part(progress, 0.45, 1.0)
        )
    return replace(observation, workload=workload, notes=(*notes, *more))


def _part(progress: Report, begin: float, end: float) -> Report:
    return lambda text, share: progress(text, begin + share * (end - begin))
