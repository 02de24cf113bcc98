"""On which line of a TOML text each key stands.

The standard library's parser keeps no positions, so the same text is read a second time by the
TOML grammar of tree-sitter, for its positions only.
"""

from collections import defaultdict

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

#: Keys and list indices from the root down, as in ``("tasks", 0, "segments", 2, "duration")``.
Place = tuple[str | int, ...]


def key_lines(text: str) -> dict[Place, int]:
    """Return the line (from 1) of every table, key and list item of a valid TOML text."""
    lines: dict[Place, int] = {(): 1}
    counts: defaultdict[Place, int] = defaultdict(int)
    for node in (
        Parser(Language(tree_sitter_toml.language())).parse(text.encode()).root_node.children
    ):
        if node.type == "pair":
            _record_pair(node, (), lines)
        elif node.type in ("table", "table_array_element"):
            place: Place = ()
            keys = _keys(node.named_children[0])
            for key in keys:
                place = (*_latest(place, counts), key)
                lines.setdefault(place, _line(node))
            if node.type == "table_array_element":
                counts[place] += 1
                place = _latest(place, counts)
                lines[place] = _line(node)
            for pair in node.named_children[1:]:
                if pair.type == "pair":
                    _record_pair(pair, place, lines)
    return lines


def line_of(place: Place, lines: dict[Place, int]) -> int:
    """Return the line of ``place``, or of the nearest thing around it that has one."""
    while place not in lines:
        place = place[:-1]
    return lines[place]


def _latest(place: Place, counts: dict[Place, int]) -> Place:
    """Step into the latest element where ``place`` is an array of tables."""
    return (*place, counts[place] - 1) if counts.get(place) else place


def _record_pair(pair: Node, place: Place, lines: dict[Place, int]) -> None:
    for key in _keys(pair.named_children[0]):
        place = (*place, key)
        lines[place] = _line(pair)
    _record_value(pair.named_children[1], place, lines)


def _record_value(value: Node, place: Place, lines: dict[Place, int]) -> None:
    if value.type == "inline_table":
        for pair in value.named_children:
            if pair.type == "pair":
                _record_pair(pair, place, lines)
    elif value.type == "array":
        items = (item for item in value.named_children if item.type != "comment")
        for index, item in enumerate(items):
            lines[(*place, index)] = _line(item)
            _record_value(item, (*place, index), lines)


def _keys(node: Node) -> list[str]:
    if node.type == "dotted_key":
        return [key for child in node.named_children for key in _keys(child)]
    text = (node.text or b"").decode()
    return [text[1:-1] if node.type == "quoted_key" else text]


def _line(node: Node) -> int:
    return node.start_point.row + 1
