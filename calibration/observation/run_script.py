"""Run a script as Python itself would, once gilplan is ready to look on.

    python -P run_script.py GATE DONE SCRIPT [ARGUMENT ...]

A byte is awaited on the descriptor ``GATE``. When the script and its threads have ended, what it
failed with (nothing when it went well) is written to ``DONE`` as one line, and a second byte is
awaited: the process is there to be looked at until then. Standard library only.
"""

import os
import runpy
import sys
import threading
import traceback


def run(script: str) -> str:
    """Run the script to its end; return what it failed with."""
    failure = ""
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as error:
        if error.code not in (None, 0):
            failure = f"it exits with {error.code!r}"
    except BaseException as error:
        failure = f"it raises {''.join(traceback.format_exception_only(type(error), error))}"
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    return " ".join(failure.split())


def main() -> None:
    gate, done, script = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    sys.argv = sys.argv[3:]
    sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
    if os.read(gate, 1):
        os.write(done, run(script).encode() + b"\n")
        os.read(gate, 1)


if __name__ == "__main__":
    main()
