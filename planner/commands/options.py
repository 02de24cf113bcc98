"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from gilplan.model.errors import InvalidValue
from gilplan.model.units import parse_share

PATH = click.Path(path_type=Path)
Command = TypeVar("Command", bound=Callable[..., object])


class Share(click.ParamType[float]):
    """A share above zero: "1%" or 0.01."""

    name = "share"

    def convert(
        self, value: object, param: click.Parameter | None, context: click.Context | None
    ) -> float:
        name = "share" if param is None or param.name is None else param.name
        share = parse_share(value, name)
        if share <= 0:
            raise InvalidValue(name, "above 0", value)
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
    """Let the user choose one of ``formats``, the first unless told."""
    return click.option(
        "--format", "form", type=click.Choice(formats), default=formats[0], show_default=True
    )
