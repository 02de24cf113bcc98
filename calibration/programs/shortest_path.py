"""A route planner: Dijkstra over a small road graph, in Python with the C heap."""

import random
from heapq import heappop, heappush
from types import SimpleNamespace

PLACES = 260


def setup() -> SimpleNamespace:
    draw = random.Random(18)
    roads = {
        place: [(int(draw.random() * PLACES), 1 + draw.random() * 9) for _ in range(4)]
        for place in range(PLACES)
    }
    return SimpleNamespace(roads=roads, distances=None, result=None)


def search(state: SimpleNamespace) -> None:
    distances = {0: 0.0}
    queue = [(0.0, 0)]
    while queue:
        distance, place = heappop(queue)
        if distance > distances[place]:
            continue
        for other, length in state.roads[place]:
            through = distance + length
            if through < distances.get(other, 1e9):
                distances[other] = through
                heappush(queue, (through, other))
    state.distances = distances


def summarise(state: SimpleNamespace) -> None:
    distances = state.distances
    state.result = (len(distances), round(sum(distances.values()), 6))


STEPS = (
    ("search", "python", "bytecode", search),
    ("summarise", "python", "bytecode", summarise),
)
