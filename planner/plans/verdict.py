"""The answer in a sentence."""

from gilplan.planner.formatting import format_number, format_size, format_time
from gilplan.planner.plans.findings import Evaluation, Plan


def verdict(plan: Plan) -> str:
    """Return what to run, its margin, and what limits it; or what comes nearest and misses."""
    subject = plan.subject
    if subject is None or plan.sustainable_rate is None:
        return "No layout meets it."
    rate = format_number(plan.sustainable_rate.mean)
    limits = " within the limits" if plan.target.slos else ""
    if plan.choice is None:
        missed = "; ".join(subject.misses) or f"sustains {rate} tasks/s{limits}"
        return f"No layout meets it. The nearest miss is {subject.layout}: {missed}."
    size = _size(subject)
    if plan.headroom is None:
        return f"Run {subject.layout}: it sustains the most, {rate} tasks/s{limits}, on {size}."
    return (
        f"Run {subject.layout}: the smallest layout that meets the target, on {size}. "
        f"It sustains {rate} tasks/s{limits}, {plan.headroom.mean:+.0%} beyond the peak rate"
        f"{_percentile(subject)}."
    )


def _size(subject: Evaluation) -> str:
    cores = f"{subject.cores} core{'s' if subject.cores > 1 else ''}"
    return cores if subject.memory is None else f"{cores} and {format_size(subject.memory.mean)}"


def _percentile(subject: Evaluation) -> str:
    p99 = subject.response_time.get("p99")
    return "" if p99 is None else f", with p99 at {format_time(p99.mean)} there"
