"""Import a module in the main interpreter, or in two isolated ones with a GIL of their own.

    python -P import_module.py REQUEST

``REQUEST`` is JSON: ``module``, ``folder`` (put first on the path, "" for none), ``isolated``
(whether in sub-interpreters) and ``answers`` (a file descriptor). Two interpreters, because a
module may load in the first one and refuse to be loaded a second time.

Each import writes one line of JSON to ``answers``:

    error       what it raised, "" when it went well
    missing     the module that was not found, null when another error was raised
    before      the extension modules that are loaded before
    extensions  those that are loaded afterwards
    gil         whether the GIL is enabled afterwards
    warnings    what the interpreter warned of meanwhile

Standard library only, Python 3.11 and later.
"""

import importlib
import json
import os
import sys
from typing import Any

#: Executed where the module is imported. Nothing of the module's may be loaded before.
IMPORT = """
import os, sys, warnings
def attempt(request):
    if request["folder"]:
        sys.path.insert(0, request["folder"])
    answer = {"error": "", "missing": None, "before": loaded()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            __import__(request["module"])
        except ModuleNotFoundError as error:
            answer["error"], answer["missing"] = str(error), error.name or ""
        except BaseException as error:
            # A package may wrap what an extension module said in a page of advice.
            while isinstance(error, ImportError) and isinstance(error.__cause__, ImportError):
                error = error.__cause__
            first = (str(error).strip().splitlines() or [""])[0]
            answer["error"] = type(error).__name__ + (": " + first if first else "")
    answer["extensions"] = loaded()
    answer["gil"] = getattr(sys, "_is_gil_enabled", lambda: True)()
    answer["warnings"] = [str(each.message) for each in caught]
    return answer
def loaded():
    return sorted(filter(compiled, list(sys.modules)))
def compiled(name):
    spec = getattr(sys.modules.get(name), "__spec__", None)
    loader = getattr(spec, "loader", None)
    kind = loader if isinstance(loader, type) else type(loader)
    return kind.__name__ in ("ExtensionFileLoader", "BuiltinImporter")
def say(answer, descriptor):
    import json
    os.write(descriptor, (json.dumps(answer) + chr(10)).encode())
request = %r
say(attempt(request), request["answers"])
"""
KEPT: list[Any] = []


def run_isolated(text: str) -> None:
    """Run text in a new interpreter, which is kept: 3.12.1 can hang when it ends one."""
    if sys.version_info >= (3, 13):
        interpreters = importlib.import_module("_interpreters")
        KEPT.append(interpreters.create("isolated"))
        failure = interpreters.exec(KEPT[-1], text)
        if failure is not None:
            raise RuntimeError(str(getattr(failure, "formatted", failure)))
    else:
        interpreters = importlib.import_module("_xxsubinterpreters")
        KEPT.append(interpreters.create(isolated=True))
        interpreters.run_string(KEPT[-1], text)


def main(argument: str) -> None:
    request = json.loads(argument)
    text = IMPORT % request
    if request["isolated"]:
        run_isolated(text)
        run_isolated(text)
    else:
        exec(text, {})
    # Not sys.exit: what the module leaves behind (threads, exit handlers) must not run on.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
