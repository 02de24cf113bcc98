"""Simulated schedules: who ran on which core, who held which GIL, who waited for what, and when."""

from gilplan.planner.timelines.schedule import Schedule, simulate_schedule
from gilplan.planner.timelines.trace_events import trace_document

__all__ = ["Schedule", "simulate_schedule", "trace_document"]
