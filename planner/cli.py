"""The command line: a client of the library, with no logic of its own.

Results go to stdout, progress and warnings to stderr. Exit status 0: done; 2: bad usage or
input, said in one line; 130: Ctrl-C. Only click is imported here, so that ``--help`` answers at
once; each command imports what it needs when it runs.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click

from gilplan.model.errors import GilplanError, InvalidValue
from gilplan.model.units import parse_share
from gilplan.planner.observe import observe

PATH = click.Path(path_type=Path)
Command = TypeVar("Command", bound=Callable[..., object])
FORMATS = ("text", "json", "csv")


class Share(click.ParamType[float]):
    """A share above zero: "1%" or 0.01."""

    name = "share"

    def convert(
        self, value: object, param: click.Parameter | None, context: click.Context | None
    ) -> float:
        share = parse_share(value, "precision")
        if share <= 0:
            raise InvalidValue("precision", "above 0", value)
        return share


interpreter_option = click.option(
    "--interpreter",
    "interpreters",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PATH",
    help="A CPython interpreter to look at beside those found. May be given again.",
)
profile_option = click.option(
    "--profile", "profile_path", type=PATH, metavar="FILE", help="Default: the user's own profile."
)
foreign_option = click.option(
    "--allow-foreign", is_flag=True, help="Use a profile that another machine was measured for."
)
seed_option = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)


def format_option(*formats: str) -> Callable[[Command], Command]:
    """Let the user choose one of ``formats``."""
    return click.option(
        "--format", "form", type=click.Choice(formats), default="text", show_default=True
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
    gilplan predict WORKLOAD.toml --layout "3.13:threads=4"
    gilplan validate              run layouts for real beside their predictions
    gilplan demo                  all of it in short, on an example workload
    """


@cli.command()
@interpreter_option
@format_option("text", "json")
def interpreters(interpreters: tuple[Path, ...], form: str) -> None:
    """List the CPython builds of this machine and what each can answer.

    Looks on PATH and among the versions of pyenv and uv.

    \b
    gilplan interpreters
    gilplan interpreters --interpreter /opt/python3.14t/bin/python3 --format json
    """
    from gilplan.planner.commands import list_interpreters

    list_interpreters(interpreters, form)


@cli.command()
@interpreter_option
@click.option("--quick", is_flag=True, help="Fewer repeats: about a minute in all.")
@click.option("-o", "--output", type=PATH, metavar="FILE", help="Default: the user's own profile.")
@seed_option
def calibrate(interpreters: tuple[Path, ...], quick: bool, output: Path | None, seed: int) -> None:
    """Measure this machine and its CPython builds into a profile.

    All builds that are found, or those that --interpreter names. Ctrl-C keeps what was measured.

    \b
    gilplan calibrate --quick
    gilplan calibrate --interpreter ~/.pyenv/versions/3.13.0/bin/python -o here.json
    """
    from gilplan.planner.commands import calibrate_builds

    calibrate_builds(interpreters, quick=quick, output=output, seed=seed)


@cli.command()
@click.argument("workload", type=PATH, metavar="WORKLOAD.toml")
@click.option(
    "--layout", "layouts", multiple=True, required=True, metavar="BUILD:KEY=VALUE,...",
    help="A layout to predict. May be given again.",
)  # fmt: skip
@profile_option
@foreign_option
@format_option(*FORMATS)
@seed_option
@click.option(
    "--precision", type=Share(), default="1%", show_default=True,
    help="Relative half-width of the throughput at which the simulation stops.",
)  # fmt: skip
def predict(
    workload: Path,
    layouts: tuple[str, ...],
    profile_path: Path | None,
    allow_foreign: bool,
    form: str,
    seed: int,
    precision: float,
) -> None:
    """Predict a workload under layouts: throughput, response time, and where the time goes.

    A layout names a build ("3.13" is the newest 3.13 with a GIL, "3.13t" the newest
    free-threaded one) and, after a colon, any of: processes, interpreters, threads (each 1
    unless given), gil (own, shared, disabled), switch_interval, cores.

    \b
    gilplan predict web.toml --layout "3.13:threads=4"
    gilplan predict web.toml --layout 3.13:threads=4 --format json \\
        --layout "3.13:interpreters=2,threads=2,gil=own,switch_interval=1ms,cores=2"
    """
    from gilplan.planner.commands import predict_layouts

    predict_layouts(
        workload,
        layouts,
        profile_path=profile_path,
        allow_foreign=allow_foreign,
        form=form,
        seed=seed,
        precision=precision,
    )


@cli.command()
@interpreter_option
@click.option("--quick", is_flag=True, help="Fewer programs, layouts and repeats.")
@click.option(
    "--cells",
    type=click.IntRange(min=1),
    default=240,
    show_default=True,
    help="How many layouts and programs to try, five seconds each (without --quick).",
)
@profile_option
@foreign_option
@format_option(*FORMATS)
@click.option("-o", "--output", type=PATH, metavar="FILE", help="Default: stdout.")
@seed_option
def validate(
    interpreters: tuple[Path, ...],
    quick: bool,
    cells: int,
    profile_path: Path | None,
    allow_foreign: bool,
    form: str,
    output: Path | None,
    seed: int,
) -> None:
    """Run real programs in layouts for real, beside their predictions.

    Each layout takes turns with a single thread of the same program, so that a machine that
    changes its speed does not spoil the comparison. Prints predicted, measured, error and how
    repeatable the measurement is, with the errors of the rules of thumb beside them.

    \b
    gilplan validate --quick
    gilplan validate --format csv -o validation.csv
    """
    from gilplan.planner.commands import validate_predictions

    validate_predictions(
        interpreters,
        quick=quick,
        cells=cells,
        profile_path=profile_path,
        allow_foreign=allow_foreign,
        form=form,
        output=output,
        seed=seed,
    )


@cli.command()
@seed_option
def demo(seed: int) -> None:
    """Calibrate quickly and rank layouts for the example workload.

    \b
    gilplan demo
    """
    from gilplan.planner.demo import run_demo

    run_demo(seed=seed)


cli.add_command(observe)


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
