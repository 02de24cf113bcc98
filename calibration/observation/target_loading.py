"""Find the callable that does one task, as the processes that call it do it.

Executed by path in builds that have nothing of gilplan installed: standard library only.
"""

import importlib
import importlib.util
import inspect
import os
import site
import sys
import threading
from collections.abc import Callable
from typing import Any

Task = Callable[[], object]
#: Where the callable is in a step of a program (name, kind, work, callable[, releases]).
CALL = 3


class Refused(Exception):
    """The target cannot be observed; the message is one line."""


def load(target: str) -> Task:
    """Return the callable that does one task."""
    place, colon, name = target.rpartition(":")
    if not colon:
        place, name = target, ""
    if place.endswith(".py"):
        module = load_file(place)
    else:
        sys.path.insert(0, os.getcwd())
        module = importlib.import_module(place)
    if not name:
        return program_task(module, place)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None:
            known = [key for key, value in vars(module).items() if callable(value)]
            known = [key for key in known if not key.startswith("_")][:8]
            raise Refused(f"{place} has no {name!r}; it has: {', '.join(known) or 'no callable'}")
    return checked(found, name)


def load_once(target: str) -> Task:
    """Return the target's callable in a process that runs isolated, loaded once per interpreter.

    Threads that load it at the same time share it and its module, as they would in the program
    itself. Site-packages and PYTHONPATH are there as Python itself would have them.
    """
    known: Any = sys.modules
    with known.setdefault("gilplan_target_lock", threading.Lock()):
        tasks = known.setdefault("gilplan_target_tasks", {})
        if target not in tasks:
            site.main()
            if os.path.isdir(site.getusersitepackages()):
                site.addsitedir(site.getusersitepackages())
            given = os.environ.get("PYTHONPATH", "")
            sys.path[:0] = [path for path in given.split(os.pathsep) if path]
            tasks[target] = load(target)
        return tasks[target]  # type: ignore[no-any-return]


def load_file(path: str) -> Any:
    """Import the file under its own name, its folder first on the path, as Python itself does."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    name = os.path.basename(path)[: -len(".py")]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Refused(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def program_task(module: Any, place: str) -> Task:
    """Return the task of a file with ``setup()`` and ``STEPS``."""
    if not hasattr(module, "STEPS") or not hasattr(module, "setup"):
        raise Refused(f"name the function that does one task: {place}:FUNCTION")
    calls = tuple(step[CALL] for step in module.STEPS)
    state = module.setup()

    def task() -> object:
        for call in calls:
            call(state)
        return getattr(state, "result", None)

    return task


def checked(found: Any, name: str) -> Task:
    if not callable(found):
        raise Refused(f"{name} is a {type(found).__name__}, not a function")
    if inspect.iscoroutinefunction(found) or inspect.isgeneratorfunction(found):
        raise Refused(f"{name} is asynchronous or a generator: wrap it in a plain function")
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise Refused(f"{name} needs arguments ({error}): wrap it in a function without") from None
    except ValueError:  # a builtin without a signature: the first call tells
        pass
    return found  # type: ignore[no-any-return]
