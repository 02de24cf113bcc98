"""How this build's cyclic garbage collector behaves.

``thresholds``: what ``gc.get_threshold()`` says at the start. ``generations``: the generations
that collections name while 400,000 containers pile up: 0, 1 and 2 with three generations, only
1 where the collector is incremental. ``in_one_call``: collections during one call into C that
makes 10,000 containers and polls nothing: many where an allocation collects, at most one where
the collection waits for the eval breaker.
"""

import gc
import itertools
import json
import os


def main() -> None:
    generations: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            generations.append(info["generation"])

    thresholds = gc.get_threshold()
    gc.callbacks.append(note)
    kept: list[list[object]] = list(map(list, itertools.repeat((), 10_000)))
    in_one_call = len(generations)
    for _ in range(400):
        kept += [[] for _ in range(1000)]
    answer = {
        "thresholds": thresholds,
        "generations": sorted(set(generations)),
        "in_one_call": in_one_call,
        "collections": len(generations),
    }
    print(json.dumps(answer), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
