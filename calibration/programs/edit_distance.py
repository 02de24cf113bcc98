"""A spell checker: the Levenshtein distance of a word to a few candidates, in pure Python."""

from types import SimpleNamespace

WORDS = (
    "concurrency",
    "concurrence",
    "currencies",
    "occurrences",
    "recurrently",
    "conference",
    "congruency",
    "undercurrent",
)


def setup() -> SimpleNamespace:
    return SimpleNamespace(word="concurency", scores=None, result=None)


def distance(a: str, b: str) -> int:
    above = list(range(len(b) + 1))
    for row, letter in enumerate(a, 1):
        line = [row]
        for column, other in enumerate(b, 1):
            line.append(min(above[column] + 1, line[-1] + 1, above[column - 1] + (letter != other)))
        above = line
    return above[-1]


def score(state: SimpleNamespace) -> None:
    state.scores = [(distance(state.word, word), word) for word in WORDS]


def rank(state: SimpleNamespace) -> None:
    state.result = tuple(sorted(state.scores)[:3])


STEPS = (
    ("score", "python", "bytecode", score),
    ("rank", "python", "bytecode", rank),
)
