"""A feed reader: parse XML in C, walk the tree in Python, write the digest."""

import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace
from typing import Any

ENTRIES = 120


def setup() -> SimpleNamespace:
    entries = "".join(
        f"<entry id='{n}'><title>Title {n}</title><author>Author {n % 9}</author>"
        f"<points>{n * 37 % 101}</points></entry>"
        for n in range(ENTRIES)
    )
    return SimpleNamespace(text=f"<feed>{entries}</feed>", tree=None, result=None)


def parse(state: SimpleNamespace) -> None:
    state.tree = ElementTree.fromstring(state.text)


def walk(state: SimpleNamespace) -> None:
    authors: dict[Any, Any] = {}
    for entry in state.tree:
        author = entry.findtext("author")
        points = int(entry.findtext("points"))
        authors.setdefault(author, []).append((points, entry.get("id")))
    lines = [f"{author}: {max(points)[0]} {len(points)}" for author, points in authors.items()]
    state.result = "; ".join(sorted(lines))


STEPS = (
    ("parse", "held_native", "compute", parse),
    ("walk", "python", "bytecode", walk),
)
