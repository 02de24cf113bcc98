"""The command line: a client of the library, with no logic of its own.

Results go to stdout, progress and warnings to stderr. Exit status 0: done; 2: bad usage or
input, said in one line; 130: Ctrl-C. Only click is imported here, so that ``--help`` answers at
once; each command imports what it needs when it runs.
"""

import os
import sys
from collections.abc import Sequence

import click

from gilplan.model.errors import GilplanError
from gilplan.planner.commands.calibrate import calibrate
from gilplan.planner.commands.check import check
from gilplan.planner.commands.demo import demo
from gilplan.planner.commands.gate import gate
from gilplan.planner.commands.interpreters import interpreters
from gilplan.planner.commands.observe import observe
from gilplan.planner.commands.plan import plan
from gilplan.planner.commands.predict import predict
from gilplan.planner.commands.report import report
from gilplan.planner.commands.sweep import sweep
from gilplan.planner.commands.validate import validate

COMMANDS = (
    interpreters,
    calibrate,
    observe,
    check,
    predict,
    sweep,
    plan,
    gate,
    report,
    validate,
    demo,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gilplan")
def cli() -> None:
    """Predict what a Python program will do under another concurrency layout.

    Threads under one GIL, sub-interpreters with a GIL each (PEP 684), a free-threaded build
    (PEP 703), processes, and mixtures. gilplan measures this machine and its CPython builds,
    then simulates the layouts with CPython's own GIL protocol.

    \b
    gilplan interpreters          which CPython builds are here
    gilplan calibrate             measure this machine and those builds
    gilplan observe app.py:task   turn a real program into a workload file
    gilplan check app.py          can it run in own-GIL interpreters, and without a GIL
    gilplan predict WORKLOAD.toml --layout "3.13:threads=4"
    gilplan sweep WORKLOAD.toml   the same over a grid of fields: knees, crossing points
    gilplan plan WORKLOAD.toml    which layout meets a target, and why
    gilplan report WORKLOAD.toml  the plan with its evidence as one file
    gilplan gate FILE             fail a change that moves a capacity out of its band
    gilplan validate              run layouts for real beside their predictions
    gilplan demo                  all of it in short, on an example workload
    """


for command in COMMANDS:
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status. No error shows a traceback."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # Not click's own main: it prints an empty line on Ctrl-C, and help as an error.
    try:
        with cli.make_context("gilplan", list(arguments) or ["--help"]) as context:
            cli.invoke(context)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "gilplan"
        return _refused(f"{error.format_message()} Try `{command} --help`.")
    except click.ClickException as error:
        return _refused(error.format_message())
    except GilplanError as error:
        return _refused(str(error))
    except (KeyboardInterrupt, click.Abort):
        print("gilplan: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read stdout has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return 0


def _refused(message: str) -> int:
    print("gilplan: " + " ".join(message.split()), file=sys.stderr)
    return 2
