"""A gate for continuous integration: layouts of a workload, and bands that they must stay in.

Everything that can move a capacity passes through it: the workload file (the program was
observed again), the build that a layout means (a new CPython), the profile, and gilplan's engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gilplan.calibration.profile import Profile
from gilplan.model.arrivals import Closed, Open
from gilplan.model.checks import require_finite, require_positive
from gilplan.model.errors import InvalidValue
from gilplan.model.prediction import Prediction
from gilplan.model.workload import Workload
from gilplan.planner.layout_option import parse_layout
from gilplan.planner.predictions import predict

CAPACITY = "capacity"
P99 = "p99"
#: Percentiles scatter more than throughput does.
P99_TOLERANCE = 3.0
PRECISION = 0.01

Told = Callable[[Prediction], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """What a quantity was when the gate was written, and between what it may move."""

    expected: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        require_positive("expected", self.expected)
        require_finite("lower", self.lower)
        require_finite("upper", self.upper)
        if not self.lower <= self.expected <= self.upper:
            bounds = f"{self.expected:g} in [{self.lower:g}, {self.upper:g}]"
            raise InvalidValue("band", "around what is expected", bounds)

    @classmethod
    def around(cls, value: float, tolerance: float) -> "Band":
        """Return the band of so much, relative, to either side."""
        return cls(
            expected=value, lower=max(value * (1 - tolerance), 0.0), upper=value * (1 + tolerance)
        )

    def holds(self, value: float | None) -> bool:
        return value is not None and self.lower <= value <= self.upper


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """One layout as its text says, the ``build`` that it meant, and its bands by quantity.

    ``capacity`` in tasks/s, saturated; ``p99`` in seconds at the gate's rate.
    """

    layout: str
    build: str
    bands: dict[str, Band]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """``workload`` is the workload file's path beside the gate; ``profile`` an identity."""

    workload: str
    profile: str
    version: str
    seed: int
    rate: float | None
    guarded: tuple[Guarded, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One quantity of one layout, as it was expected and as it is; ``now`` None: overloaded."""

    layout: str
    quantity: str
    band: Band
    now: float | None

    @property
    def is_inside(self) -> bool:
        return self.band.holds(self.now)

    @property
    def change(self) -> float | None:
        return None if self.now is None else self.now / self.band.expected - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What a check found: every quantity, and what else is not as when the gate was written."""

    rows: tuple[Moved, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return all(row.is_inside for row in self.rows)


def new_gate(
    workload: Workload,
    path: str,
    layouts: Sequence[str],
    profile: Profile,
    *,
    rate: float | None = None,
    tolerance: float = 0.05,
    seed: int = 0,
    workers: int = 1,
    on_done: Told = lambda prediction: None,
) -> Gate:
    """Simulate the layouts and return the gate with bands of ``tolerance`` around the results.

    Bands of p99, at ``rate``, are `P99_TOLERANCE` times as wide. Raises `InvalidValue` for a
    layout that cannot carry the rate.
    """
    require_positive("tolerance", tolerance)
    if not layouts:
        raise InvalidValue("layout", "given at least once", [], 'such as "3.13:threads=4"')
    found = _quantities(workload, layouts, profile, rate, seed, workers, on_done)
    guarded = []
    for text, values in zip(layouts, found, strict=True):
        if P99 in values and values[P99] is None:
            raise InvalidValue(
                "rate", f"below what layout {text} can carry", rate, "lower it, or drop the layout"
            )
        widths = {CAPACITY: tolerance, P99: P99_TOLERANCE * tolerance}
        bands = {
            name: Band.around(value, widths[name])
            for name, value in values.items()
            if value is not None
        }
        build = parse_layout(text).resolve(profile).build
        guarded.append(Guarded(layout=text, build=build, bands=bands))
    return Gate(
        workload=path,
        profile=profile.identity,
        version=profile.gilplan_version,
        seed=seed,
        rate=rate,
        guarded=tuple(guarded),
    )


def check(
    gate: Gate,
    workload: Workload,
    profile: Profile,
    *,
    workers: int = 1,
    on_done: Told = lambda prediction: None,
) -> Passage:
    """Simulate the gate's layouts as they are now and compare with the bands."""
    texts = [each.layout for each in gate.guarded]
    found = _quantities(workload, texts, profile, gate.rate, gate.seed, workers, on_done)
    rows = tuple(
        Moved(layout=each.layout, quantity=name, band=band, now=values.get(name))
        for each, values in zip(gate.guarded, found, strict=True)
        for name, band in each.bands.items()
    )
    return Passage(rows=rows, notes=_notes(gate, profile))


def _quantities(
    workload: Workload,
    layouts: Sequence[str],
    profile: Profile,
    rate: float | None,
    seed: int,
    workers: int,
    on_done: Told,
) -> list[dict[str, float | None]]:
    def predicted(arrivals: Closed | Open) -> tuple[Prediction, ...]:
        return predict(
            workload,
            layouts,
            profile,
            arrivals=arrivals,
            seed=seed,
            precision=PRECISION,
            workers=workers,
            on_done=on_done,
        )

    found: list[dict[str, float | None]] = [
        {CAPACITY: prediction.throughput.mean} for prediction in predicted(Closed())
    ]
    if rate is not None:
        for values, prediction in zip(found, predicted(Open(rate=rate)), strict=True):
            p99 = prediction.response_time.get("p99")
            values[P99] = None if p99 is None else p99.mean
    return found


def _notes(gate: Gate, profile: Profile) -> tuple[str, ...]:
    notes = []
    if profile.identity != gate.profile:
        notes.append(
            f"the profile is {profile.identity}, the gate was written with {gate.profile}: "
            "machine and builds were measured anew"
        )
    for each in gate.guarded:
        now = parse_layout(each.layout).resolve(profile).build
        if now != each.build:
            notes.append(f"{each.layout} is {now} now, it was {each.build}")
    return tuple(notes)
