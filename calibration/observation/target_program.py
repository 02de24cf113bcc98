"""A target as a program of one step, which the harness can run in any layout."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gilplan.calibration.observation.target import check_target

LOADING = Path(__file__).parent / "target_loading.py"
PROGRAM = '''\
"""{target} as a program of one step: the harness calls it, gilplan has observed its inside."""

from types import SimpleNamespace

with open({loading!r}, encoding="utf-8") as file:
    exec(compile(file.read(), {loading!r}, "exec"))


def setup():
    return SimpleNamespace(task=load_once({target!r}), result=None)


def call(state):
    state.result = state.task()


STEPS = (("task", "python", "bytecode", call),)
'''


@contextmanager
def program_of(target: str) -> Iterator[Path]:
    """Give a program that calls ``target`` ("file.py:function" or "module:function").

    Raises `InvalidValue` for a target that is not there.
    """
    check_target(target)
    place, _, name = target.rpartition(":")
    if place.endswith(".py"):
        place = str(Path(place).absolute())
    with TemporaryDirectory(prefix="gilplan-") as folder:
        path = Path(folder) / f"{name.rpartition('.')[2]}.py"
        path.write_text(
            PROGRAM.format(target=f"{place}:{name}", loading=str(LOADING)), encoding="utf-8"
        )
        yield path
