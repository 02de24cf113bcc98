"""An API handler: parse a JSON order list, compute totals per customer, answer in JSON."""

import json
import random
from types import SimpleNamespace
from typing import Any

ORDERS = 120


def setup() -> SimpleNamespace:
    draw = random.Random(11)
    orders = [
        {
            "id": number,
            "customer": f"customer-{int(draw.random() * 40)}",
            "lines": [
                {"sku": f"sku-{int(draw.random() * 900)}", "count": 1 + int(draw.random() * 5)}
                for _ in range(3)
            ],
            "discount": round(draw.random() / 5, 3),
        }
        for number in range(ORDERS)
    ]
    return SimpleNamespace(text=json.dumps(orders), orders=None, answer=None, result=None)


def parse(state: SimpleNamespace) -> None:
    state.orders = json.loads(state.text)


def transform(state: SimpleNamespace) -> None:
    customers: dict[Any, Any] = {}
    for order in state.orders:
        entry = customers.setdefault(order["customer"], {"orders": [], "pieces": 0, "paid": 0.0})
        pieces = sum(line["count"] for line in order["lines"])
        entry["orders"].append(order["id"])
        entry["pieces"] += pieces
        entry["paid"] = round(entry["paid"] + pieces * 9.5 * (1 - order["discount"]), 2)
    state.answer = customers


def dump(state: SimpleNamespace) -> None:
    state.result = json.dumps(state.answer)


STEPS = (
    ("parse", "held_native", "compute", parse),
    ("transform", "python", "bytecode", transform),
    ("dump", "held_native", "compute", dump),
)
