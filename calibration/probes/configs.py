"""Which settings of a sub-interpreter this build accepts, and what each one does inside it.

Every combination of PyInterpreterConfig's fields is tried in a fork of its own, which may crash
or hang. The interpreter tries a thread, a daemon thread, a fork, an exec and the import of a
single-phase extension module (CPython's own ``_testsinglephase``, absent from some builds).

Output: ``{"configs": [{<field>: value, ..., "outcome": "created" | "refused" | "crashed",
"said": text, "threads": bool, "daemon_threads": bool, "fork": bool, "exec": bool, "extension":
bool or null}, ...]}``. ``"configs"`` is null on a build whose interpreters have no settings.
"""

import importlib
import importlib.util
import itertools
import json
import os
import signal
import sys
import types
from typing import Any

FLAGS = (
    "use_main_obmalloc",
    "allow_fork",
    "allow_exec",
    "allow_threads",
    "allow_daemon_threads",
    "check_multi_interp_extensions",
)
GILS = ("default", "shared", "own")
TIME_LIMIT = 20

#: Runs in the new interpreter and ends the whole process: 3.12.1 can hang when it ends one.
INSIDE = """
import os
def allowed(attempt):
    try:
        attempt()
    except (RuntimeError, ImportError):
        return 0
    except FileNotFoundError:
        pass
    return 1
def thread(daemon=False):
    import threading
    worker = threading.Thread(target=int, daemon=daemon)
    worker.start()
    worker.join()
def daemon_thread():
    thread(daemon=True)
def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
def execute():
    os.execv("/nowhere/nothing", ["nothing"])
def extension():
    import _testsinglephase
attempts = (thread, daemon_thread, fork, execute, extension)
os.write(%d, ("created %%d%%d%%d%%d%%d" %% tuple(allowed(each) for each in attempts)).encode())
os._exit(0)
"""
OBSERVED = ("threads", "daemon_threads", "fork", "exec", "extension")


def creator() -> Any:
    """Return what runs text in a new interpreter of given settings; None where nothing can."""
    if sys.version_info >= (3, 13):
        interpreters = importlib.import_module("_interpreters")

        def run(text: str, settings: dict[str, Any]) -> None:
            number = interpreters.create(types.SimpleNamespace(**settings))
            failure = interpreters.exec(number, text)
            raise SystemError(f"the interpreter did not end the process: {failure}")

        return run
    if sys.version_info < (3, 12):
        return None
    try:
        testing = importlib.import_module("_testcapi")
    except ImportError:
        return None

    def run_312(text: str, settings: dict[str, Any]) -> None:
        numbers = {**settings, "gil": GILS.index(settings["gil"])}
        testing.run_in_subinterp_with_config(text, **numbers)
        raise SystemError("the interpreter did not end the process")

    return run_312


def attempt(run: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Try one combination in a fork."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(TIME_LIMIT)
        # What a crashing child has to say belongs to nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            run(INSIDE % writing, settings)
        except SystemError as error:
            os.write(writing, f"crashed {error}".encode())
        except Exception as error:
            os.write(writing, f"refused {type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        outcome, _, said = answers.read().decode().partition(" ")
    _pid, status = os.waitpid(pid, 0)
    if outcome != "created":
        return {"outcome": outcome or "crashed", "said": said or f"wait status {status}"}
    seen = {name: digit == "1" for name, digit in zip(OBSERVED, said, strict=True)}
    return {"outcome": outcome, "said": "", **seen}


def main() -> None:
    run = creator()
    configs = None
    if run is not None:
        can_tell = importlib.util.find_spec("_testsinglephase") is not None
        configs = []
        for values in itertools.product(*([(False, True)] * len(FLAGS)), GILS):
            settings = dict(zip((*FLAGS, "gil"), values, strict=True))
            answer = attempt(run, settings)
            if not can_tell and "extension" in answer:
                answer["extension"] = None
            configs.append({**settings, **answer})
    print(json.dumps({"configs": configs}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
