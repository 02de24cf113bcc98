"""What a task weighs: the call and its result as they cross a boundary, and its containers."""

from dataclasses import dataclass
from typing import Any

from gilplan.calibration.observation.observation import mean_estimate
from gilplan.model.estimate import Estimate
from gilplan.model.observed import Observed

PICKLED = "pickle, protocol 5"
COUNTED = "the collector's own count, threshold times collections and the rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes pickled (None: cannot be pickled), containers per task (None: the collector is off).

    ``live`` counts the containers that the collector knows in the target's process. ``notes`` say
    what keeps the call or its result from crossing a boundary.
    """

    payload_in: Estimate | None
    payload_out: Estimate | None
    containers: Estimate | None
    live: int
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, answer: dict[str, Any]) -> "Sizes":
        """Read the answer of the phase ``sizes``."""
        call, results, objects = answer["call"], answer["results"], answer["objects"]
        notes = []
        if isinstance(call, str):
            notes.append(f"the call cannot be sent to another process or interpreter: {call}")
        refused = next((result for result in results if isinstance(result, str)), None)
        if refused is not None:
            notes.append(f"the result cannot be sent to another process or interpreter: {refused}")
        return cls(
            payload_in=None if isinstance(call, str) else Estimate.exact(call, PICKLED),
            payload_out=None if refused is not None else mean_estimate(results, PICKLED),
            containers=mean_estimate(objects, COUNTED) if objects else None,
            live=answer["live"],
            notes=tuple(notes),
        )

    def allocation_rate(self, observed: Observed) -> Estimate | None:
        """Containers per second of held time, which is what starts collections.

        Net of those freed in between; None where the task never holds the GIL.
        """
        held = observed.held_share.value * observed.task_time.value
        if self.containers is None or held <= 0:
            return None
        value, lower, upper = (
            max(each, 0.0)
            for each in (self.containers.value, self.containers.lower, self.containers.upper)
        )
        relative = observed.held_share.half_width / observed.held_share.value
        return Estimate(
            value=value / held,
            lower=lower / held / (1 + relative),
            upper=upper / held * (1 + relative),
            source=self.containers.source,
        )
