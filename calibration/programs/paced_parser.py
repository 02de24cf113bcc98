"""A client of a slow service: parse a reply, wait 2 ms for the next one, digest both.

The wait is a real blocking call: neither processor nor GIL.
"""

import json
import time
from types import SimpleNamespace

ITEMS = 150


def setup() -> SimpleNamespace:
    reply = {"items": [{"name": f"item {n}", "values": [n, n * n, n % 7]} for n in range(ITEMS)]}
    return SimpleNamespace(reply=json.dumps(reply), first=None, second=None, result=None)


def parse_first(state: SimpleNamespace) -> None:
    state.first = json.loads(state.reply)


def check(state: SimpleNamespace) -> None:
    state.result = [item["name"].upper() for item in state.first["items"] if item["values"][2] > 1]


def wait(state: SimpleNamespace) -> None:
    time.sleep(0.002)


def parse_second(state: SimpleNamespace) -> None:
    state.second = json.loads(state.reply)


def digest(state: SimpleNamespace) -> None:
    names = state.result
    pairs = zip(state.first["items"], state.second["items"], strict=True)
    total = sum(a["values"][1] - b["values"][0] for a, b in pairs)
    state.result = (len(names), total)


STEPS = (
    ("parse_first", "held_native", "compute", parse_first),
    ("check", "python", "bytecode", check),
    ("wait", "wait", "", wait),
    ("parse_second", "held_native", "compute", parse_second),
    ("digest", "python", "bytecode", digest),
)
