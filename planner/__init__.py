"""The questions people ask: predict layouts, sweep their fields, and the command line that asks.

    from gilplan.planner import predict, sweep

The functions are imported when they are asked for, so that the command line starts at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gilplan.planner.plans.plan import plan
    from gilplan.planner.predictions import predict
    from gilplan.planner.sweeps.sweep import sweep

__all__ = ["plan", "predict", "sweep"]

#: Where each public name lives.
HOMES = {
    "plan": "gilplan.planner.plans.plan",
    "predict": "gilplan.planner.predictions",
    "sweep": "gilplan.planner.sweeps.sweep",
}


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)
