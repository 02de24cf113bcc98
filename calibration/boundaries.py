"""From the samples of the executors and the event loop to what they cost."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from gilplan.calibration.builds import Build
from gilplan.calibration.campaign import Samples
from gilplan.calibration.fits import median_over_rounds
from gilplan.calibration.measurements import BOUNDARY_KINDS, LOOP_TASKS, PAYLOAD, polled
from gilplan.model.boundary import NOTHING, Boundary, LoopCosts, Toll
from gilplan.model.estimate import Estimate

#: The standard library's cross-interpreter queue looks again after this time, in seconds.
POLL_INTERVAL = 0.01


def boundaries_from(
    samples: Samples, build: Build, rng: np.random.Generator
) -> dict[str, Boundary]:
    """Estimate the tolls of each kind of executor; kinds that were not measured are left out."""
    found = {}
    for kind in BOUNDARY_KINDS:
        fit = _Fit(samples, f"boundary {kind}/{build.name}", rng)
        if fit.has("worker"):
            found[kind] = _boundary(fit, kind, build)
    return found


def loop_costs_from(samples: Samples, build: Build, rng: np.random.Generator) -> LoopCosts | None:
    """Estimate what asyncio's loop costs; None where it was not measured.

    A return from a wait takes two rounds and its own part: alone 2 R + r, one of n tasks
    together 2 R / n + r.
    """
    fit = _Fit(samples, f"event_loop/{build.name}", rng)
    if not fit.has("alone"):
        return None
    shared = 2 / LOOP_TASKS

    def round_time(alone: float, together: float) -> float:
        return (alone - together) / (2 - shared)

    return LoopCosts(
        round_time=fit.estimate(round_time, "alone", "together"),
        resume_time=fit.estimate(
            lambda alone, together, bare: together - bare - shared * round_time(alone, together),
            *("alone", "together", "bare"),
        ),
    )


class _Fit:
    """Estimates from the series of one key; none is below nothing."""

    def __init__(self, samples: Samples, key: str, rng: np.random.Generator) -> None:
        self._samples, self._key, self._rng = samples, key, rng

    def has(self, series: str) -> bool:
        return bool(self._samples.pooled(self._key, series))

    def middle(self, series: str) -> float:
        return float(np.median(self._samples.pooled(self._key, series)))

    def estimate(self, formula: Callable[..., float], *series: str) -> Estimate:
        """Estimate the median of a formula of samples that were taken one after the other."""
        columns = [self._samples.by_round(self._key, name) for name in series]
        rounds = [
            [formula(*taken) for taken in zip(*of_round, strict=False)]
            for of_round in zip(*columns, strict=True)
        ]
        return median_over_rounds(rounds, source="boundary", rng=self._rng, floor=0.0)

    def time(self, place: str) -> Estimate:
        return self.estimate(float, place)

    def released_share(self, place: str) -> Estimate:
        """Estimate the share of a place's time that passes without the GIL."""
        series = f"{place} released"
        return self.estimate(lambda share: min(share, 1.0), series) if self.has(series) else NOTHING

    def byte_time(self, place: str, *, out: bool) -> Estimate:
        """Estimate what a byte costs on the way in; what it costs more where it also comes back."""
        more, less = (" echo", " in") if out else (" in", "")
        return self.estimate(lambda a, b: (a - b) / PAYLOAD, place + more, place + less)


def _boundary(fit: _Fit, kind: str, build: Build) -> Boundary:
    worker, going_in = fit.time("worker"), fit.byte_time("worker", out=False)
    coming_out = fit.byte_time("worker", out=True)
    places = {
        "submit": Toll(
            time=fit.time("submit"),
            byte_time=fit.byte_time("submit", out=False),
            released_share=fit.released_share("submit"),
        ),
        # No clock tells the way into the task from the way out: half the time is each's.
        "receive": Toll(time=_scaled(worker, 0.5), byte_time=going_in),
        "reply": Toll(time=_scaled(worker, 0.5), byte_time=coming_out),
        "collect": Toll(time=fit.time("collect"), byte_time=fit.byte_time("collect", out=True)),
    }
    if fit.has("forward"):
        places["forward"] = Toll(
            time=fit.time("forward"),
            byte_time=fit.byte_time("forward", out=False),
            released_share=fit.released_share("forward"),
        )
        places["back"] = Toll(
            time=fit.time("back"),
            byte_time=fit.byte_time("back", out=True),
            released_share=fit.released_share("back"),
        )
    if fit.has("call"):
        shares = _shares(fit.middle("call"), fit.middle("main"), fit.middle("return"))
        # Bytes are pickled under main's GIL and made again under the other one; coming back,
        # they are copied by who receives them (Python/crossinterp.c, bytes).
        byte_times = (_scaled(going_in, 0.5), _scaled(going_in, 0.5), NOTHING, coming_out)
        for place, share, byte_time in zip(
            ("forward", "receive", "reply", "back"), shares, byte_times, strict=True
        ):
            places[place] = Toll(time=_scaled(worker, share), byte_time=byte_time)
    return Boundary(
        **places,
        poll_interval=POLL_INTERVAL if kind == "interpreter" and polled(build) else 0.0,
        round_trip=fit.time("round trip"),
    )


def _shares(call: float, main: float, way_out: float) -> Sequence[float]:
    """Divide a call into an interpreter among forward, receive, reply and back."""
    main = min(main, call)
    whole = call + way_out
    return main / whole, (call - main) / whole, way_out / whole / 2, way_out / whole / 2


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    return replace(
        estimate,
        value=estimate.value * factor,
        lower=estimate.lower * factor,
        upper=estimate.upper * factor,
    )
