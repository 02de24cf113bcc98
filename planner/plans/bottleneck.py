"""What of a layout runs out first, and what would move it."""

from dataclasses import replace

from gilplan.model.bounds import Demands
from gilplan.model.errors import GilplanError
from gilplan.model.layout import GilMode, Layout
from gilplan.model.workload import Workload, flatten
from gilplan.planner.forecast import Measures
from gilplan.planner.plans.findings import Bottleneck, Gain
from gilplan.planner.plans.screening import lock_times
from gilplan.planner.plans.trials import Trials
from gilplan.planner.plans.what_if import Change, gains, parse_change

#: Above this utilisation a GIL, the cores or a lock are what is short: the rest is hand-offs.
BUSY = 0.85


def bottleneck(
    layout: Layout, saturated: list[Measures], trials: Trials, *, rate: float | None, level: float
) -> Bottleneck:
    """Return what saturates first in the saturated runs, with the remedies simulated."""
    workload = trials.on_build(layout.build)
    shares = utilisations(layout, workload, saturated)
    resource = max(shares, key=lambda name: shares[name])
    if shares[resource] < BUSY:
        resource = "threads"
    utilisation = shares.get(resource, 1.0)
    simulated = gains(remedies(layout, workload, trials), layout, trials, rate=rate, level=level)
    ordered = sorted(simulated, key=lambda gain: -gain.throughput.mean)
    return Bottleneck(
        resource=resource,
        utilisation=utilisation,
        explanation=_explanation(resource, utilisation, shares, layout, ordered),
        remedies=tuple(ordered),
    )


def utilisations(layout: Layout, workload: Workload, saturated: list[Measures]) -> dict[str, float]:
    """Return how busy the GILs, the cores and the application locks are at saturation."""
    count = len(saturated)
    shares = {"cores": sum(run["core_utilisation"] for run in saturated) / count}
    if layout.gil is not GilMode.DISABLED:
        shares["GIL"] = sum(run["gil_utilisation"] for run in saturated) / count
    throughput = sum(run["throughput"] for run in saturated) / count
    for lock, time in lock_times(workload).items():
        shares[f"lock {lock}"] = throughput * time / layout.processes
    return shares


def remedies(layout: Layout, workload: Workload, trials: Trials) -> list[Change]:
    """Return the changes worth trying on any layout, those that its build cannot run left out."""
    cores = layout.cores or trials.profile.machine.cores
    runtime = trials.profile.runtime(layout.build)
    texts = [f"threads={2 * layout.threads}"]
    if cores < layout.workers:
        texts.append(f"cores={cores + 1}")
    if runtime.gil_per_interpreter:
        more = layout.interpreters + 1
        texts.append(f"interpreters={more},cores={max(cores, layout.processes * more)}")
    more = layout.processes + 1
    texts.append(f"processes={more},cores={max(cores, more * layout.interpreters)}")
    longest = longest_held(workload)
    if longest and not runtime.free_threaded:
        texts.append(f"released:{longest}=50%")
    return [change for text in texts if (change := _usable(text, layout, trials)) is not None]


def longest_held(workload: Workload) -> str:
    """Return the named segment that holds the GIL longest per task, "" if none has a name."""
    times: dict[str, float] = {}
    for task in workload.tasks:
        for segment in flatten(task.segments):
            # A change is written as text: a name with its punctuation cannot be asked for.
            plain = segment.name and not set(segment.name) & set(",=")
            if segment.holds_gil and segment.duration is not None and plain:
                time = task.weight * segment.duration.mean
                times[segment.name] = times.get(segment.name, 0.0) + time
    return max(times, key=lambda name: times[name], default="")


def _usable(text: str, layout: Layout, trials: Trials) -> Change | None:
    change = parse_change(text)
    try:
        change.layout(replace(layout), trials.profile)
    except GilplanError:
        return None
    return change


def _explanation(
    resource: str, utilisation: float, shares: dict[str, float], layout: Layout, best: list[Gain]
) -> str:
    busy = ", ".join(f"{name} {share:.0%}" for name, share in sorted(shares.items()))
    if resource == "threads":
        text = (
            f"all {layout.workers} threads are taken while nothing is full ({busy}): the rest is "
            "waiting and hand-offs"
        )
    else:
        text = f"{resource} saturates first, {utilisation:.0%} busy ({busy})"
    if best and best[0].throughput.mean > 1.02:
        gain = best[0].throughput.mean - 1
        text += f"; {best[0].change} would move it most, {gain:+.0%}"
    return text


def held_share(workload: Workload) -> float:
    """Return the share of processor time that holds the GIL (0 without processor time)."""
    demands = Demands.of(workload)
    return demands.held / demands.cpu if demands.cpu else 0.0
