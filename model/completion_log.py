"""What a run keeps of each completed task."""

from dataclasses import dataclass, field

from gilplan.model.clock import Clock


@dataclass(slots=True)
class CompletionLog:
    """Completed tasks, in order of completion, integer nanoseconds."""

    env: Clock
    kinds: list[int] = field(default_factory=list)
    arrived_at: list[int] = field(default_factory=list)
    started_at: list[int] = field(default_factory=list)
    completed_at: list[int] = field(default_factory=list)
    times: list[list[int]] = field(default_factory=list)

    def add(self, kind: int, arrived_at: int, started_at: int, times: list[int]) -> None:
        self.kinds.append(kind)
        self.arrived_at.append(arrived_at)
        self.started_at.append(started_at)
        self.completed_at.append(self.env.now)
        self.times.append(times)
