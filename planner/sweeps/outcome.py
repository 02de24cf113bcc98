"""What a sweep keeps of one point: the measures with their intervals, flat."""

import json
from dataclasses import dataclass

from gilplan.model.prediction import Prediction
from gilplan.model.recorder import State
from gilplan.model.statistics import Interval

#: Names of the measures, in the order of the frame's columns.
MEASURES = (
    "throughput",
    "response_time_mean",
    "response_time_p50",
    "response_time_p95",
    "response_time_p99",
    "gil_utilisation",
    "core_utilisation",
    *(f"{state.name.lower()}_time" for state in State),
    "memory",
    "makespan",
    "sustainable_rate",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A prediction without its layout. ``intervals``: by name of `MEASURES`, where there is one."""

    intervals: dict[str, Interval]
    overloaded: bool
    replications: int
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, prediction: Prediction) -> "Outcome":
        """Return what a sweep keeps of ``prediction``."""
        named = {
            "throughput": prediction.throughput,
            **{f"response_time_{name}": it for name, it in prediction.response_time.items()},
            "gil_utilisation": prediction.gil_utilisation,
            "core_utilisation": prediction.core_utilisation,
            **{f"{name}_time": it for name, it in prediction.breakdown.items()},
            "memory": prediction.memory,
            "makespan": prediction.makespan,
            "sustainable_rate": prediction.sustainable_rate,
        }
        return cls(
            intervals={name: interval for name in MEASURES if (interval := named.get(name))},
            overloaded=prediction.overloaded,
            replications=prediction.replications,
            warnings=prediction.warnings,
        )

    def to_json(self) -> str:
        """Return a text that `from_json` reads back to an equal outcome, to the last bit."""
        intervals = {name: (it.mean, it.lower, it.upper) for name, it in self.intervals.items()}
        return json.dumps(
            {
                "intervals": intervals,
                "overloaded": self.overloaded,
                "replications": self.replications,
                "warnings": self.warnings,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "Outcome":
        """Return the outcome that `to_json` wrote."""
        document = json.loads(text)
        return cls(
            intervals={
                name: Interval(mean=mean, lower=lower, upper=upper)
                for name, (mean, lower, upper) in document["intervals"].items()
            },
            overloaded=document["overloaded"],
            replications=document["replications"],
            warnings=tuple(document["warnings"]),
        )
