"""The third part of a report: what it rests on, and how far that can be trusted."""

from gilplan.calibration.profile import Profile
from gilplan.planner import charts
from gilplan.planner.charts.calibrations import named_estimates
from gilplan.planner.charts.validations import METHODS
from gilplan.planner.formatting import format_number, format_time
from gilplan.planner.reports.material import Material
from gilplan.planner.reports.measured import Measured
from gilplan.planner.reports.section import Figure, Section, Table, share, table

#: Cells that are listed one by one.
MOST_CELLS = 30
LIMITS = (
    "The machine is the one that was calibrated, with nothing else running on it.",
    "Threads are scheduled as equals, as by Linux 6.6 and later: no priorities, no groups.",
    "Threads that fight over the same memory (a shared counter in a free-threaded build, a C "
    "library's own lock) are slower than predicted.",
    "Durations that were measured on another build are scaled by single-thread speeds.",
    "Intervals are at 90 % unless said; how often they hold what is measured, a validation tells.",
    "No failure, deployment or overload outside the program is part of the model.",
)


def measured_section(material: Material) -> Section:
    """Predictions beside measurements, with the error."""
    measured = material.measured
    title = "Predicted against measured"
    if measured is None:
        text = (
            "No validation was given, so this report does not say how far predictions on this "
            "machine are off. Run `gilplan validate --format json -o validation.json` and pass "
            "it with --validation."
        )
        return Section(name="measured", title=title, paragraphs=(text,))
    rows = [
        (
            row["program"],
            row["layout"],
            format_number(row["predicted"]),
            format_number(row["measured"]),
            f"{row['error']:+.1%}".replace("%", " %"),
        )
        for row in measured.frame.head(MOST_CELLS).to_dict("records")
    ]
    left = len(measured.frame) - len(rows)
    head = ("program", "layout", "predicted (tasks/s)", "measured (tasks/s)", "error")
    more = f" (the first {len(rows)}; {left} more)" if left else ""
    return Section(
        name="measured",
        title=title,
        paragraphs=(_validation_text(measured, material.profile),),
        figures=(
            Figure(
                name="validation",
                chart=charts.plot_validation(measured.frame),
                says="Real programs in real layouts on this machine.",
            ),
            Figure(
                name="errors",
                chart=charts.plot_errors(measured.frame),
                says="The further up and left, the better the method.",
            ),
        ),
        tables=(_error_table(measured), table(head, rows, "Cells" + more)),
    )


def _validation_text(measured: Measured, profile: Profile) -> str:
    cells = f"{len(measured.frame)} cells were run for real"
    skipped = f", {measured.skipped} skipped" if measured.skipped else ""
    if not measured.profile:
        used = "with a profile that the file does not name."
    elif measured.profile == profile.identity:
        used = "with the same profile as this report."
    else:
        used = (
            f"with profile {measured.profile}, not with this report's {profile.identity}: "
            "the errors are those of that calibration."
        )
    return f"{cells}{skipped}, {used}"


def _error_table(measured: Measured) -> Table:
    rows = []
    for column, name in METHODS.items():
        if column not in measured.frame:
            continue
        errors = measured.frame[column].abs()
        ends = (errors.median(), errors.quantile(0.9), errors.max())
        rows.append((name, *(share(float(each), 1) for each in ends)))
    covered = measured.frame["measured"].between(
        measured.frame["predicted_lower"], measured.frame["predicted_upper"]
    )
    caption = (
        "Absolute error of throughput; the 90 % intervals hold "
        f"{share(float(covered.mean()))} of the measured values"
    )
    return table(("method", "median", "90th percentile", "worst"), rows, caption)


def calibration_section(material: Material) -> Section:
    """What was measured of this machine, when, and how well."""
    profile = material.profile
    rows = [
        ("profile", profile.identity),
        ("measured", profile.created_at),
        ("machine", profile.machine.identity),
        ("cores", str(profile.machine.cores)),
        ("builds", ", ".join(runtime.build for runtime in profile.runtimes)),
        ("kind", "quick" if profile.quick else "full"),
        ("time that the host took away meanwhile", share(profile.steal_share, 1)),
        ("gilplan", profile.gilplan_version),
        *_environment(profile),
    ]
    estimates = list(named_estimates(profile))
    doubts = [f"{name}: {', '.join(each.flags)}" for name, each in estimates if each.flags]
    partial = ("The calibration was interrupted.",) if profile.partial else ()
    shown = [
        (
            name,
            format_time(each.value),
            f"{format_time(each.lower)} to {format_time(each.upper)}",
            each.source,
            ", ".join(each.flags) or "none",
        )
        for name, each in estimates
    ]
    return Section(
        name="calibration",
        title="Calibration: provenance and quality",
        figures=(
            Figure(
                name="estimates",
                chart=charts.plot_estimates(profile),
                says="What every number of this report is computed from, beside the workload.",
            ),
            Figure(
                name="wake-latency",
                chart=charts.plot_wake_latency(profile),
                says="The longer a core was idle, the longer a thread takes to wake on it.",
            ),
        ),
        tables=(
            table(("what", "value"), rows),
            table(("estimate", "value", "90 % interval", "kernel", "doubts"), shown),
        ),
        items=(*partial, *profile.notes, *doubts),
    )


def _environment(profile: Profile) -> list[tuple[str, str]]:
    """Return what the fingerprint says in single words; the rest is in the profile."""
    return [
        (name.replace("_", " "), str(value))
        for name, value in profile.fingerprint.items()
        if isinstance(value, str | int | float) and name not in ("cores", "identity")
    ]


def limits_section(material: Material) -> Section:
    """Assumptions, limits, and what has to be known of this answer."""
    plan = material.plan
    own = dict.fromkeys([*plan.warnings, *_sweep_notes(material)])
    seed = f"Seed {plan.seed}: the same inputs give the same report. gilplan {plan.version}."
    return Section(
        name="limits", title="Assumptions and limits", items=(*own, *LIMITS), paragraphs=(seed,)
    )


def _sweep_notes(material: Material) -> list[str]:
    sweeps = [each for each in (material.saturated, material.at_rate) if each is not None]
    return [
        *(note for each in sweeps for note in each.notes),
        *(f"not swept: {out.point}: {out.reason}" for each in sweeps for out in each.left_out),
    ]
