"""On which line of a TOML text each key stands."""

import pytest

from gilplan.calibration.toml_positions import Place, key_lines, line_of

TEXT = """\
name = "x"  # a comment
arrivals.kind = "closed"

[[tasks]]
"quoted key" = 1
[[tasks.segments]]
duration = { distribution = "empirical", samples = ["1ms",
  # between
  "2ms"] }
[[tasks.segments]]
kind = "wait"
[[tasks]]
[[tasks.segments]]
kind = "python"
[other]
deep.er = [{ a = 1 },
{ a = 2 }]
"""


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("name",), 1),
        (("arrivals", "kind"), 2),
        (("tasks",), 4),
        (("tasks", 0), 4),
        (("tasks", 0, "quoted key"), 5),
        (("tasks", 0, "segments", 0), 6),
        (("tasks", 0, "segments", 0, "duration", "samples", 1), 9),
        (("tasks", 0, "segments", 1, "kind"), 11),
        (("tasks", 1, "segments", 0, "kind"), 14),
        (("other", "deep", "er", 1, "a"), 17),
    ],
)
def test_every_key_has_the_line_it_stands_on(place: Place, line: int) -> None:
    assert key_lines(TEXT)[place] == line


def test_an_absent_key_is_placed_at_the_table_around_it() -> None:
    assert line_of(("tasks", 0, "segments", 1, "duration"), key_lines(TEXT)) == 10


def test_an_empty_text_begins_on_line_one() -> None:
    assert line_of(("name",), key_lines("")) == 1
