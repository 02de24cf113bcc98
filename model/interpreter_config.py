"""How a sub-interpreter is made: the fields of CPython's PyInterpreterConfig (3.12 and later).

Fields and their meaning: Include/cpython/pylifecycle.h and Doc/c-api/init.rst of 3.13.5. The
presets are those of ``_interpreters.new_config``: ``isolated`` is what `concurrent.interpreters`
makes, ``legacy`` what Py_NewInterpreter makes. The main interpreter cannot be chosen: it has the
``legacy`` settings with a GIL of its own (pylifecycle.c:683).

CPython's code refuses two combinations. A third one its documentation forbids and its code makes
all the same, with one allocator that nothing guards; gilplan refuses that one too. ``empty`` is
among the refused ones: it cannot be made unchanged.
"""

from dataclasses import dataclass, fields, replace
from enum import StrEnum

from gilplan.model.errors import InvalidValue


class InterpreterGil(StrEnum):
    """The GIL that a sub-interpreter is made with."""

    DEFAULT = "default"  # PyInterpreterConfig_DEFAULT_GIL, which means shared
    SHARED = "shared"  # the main interpreter's
    OWN = "own"


class Verdict(StrEnum):
    """What becomes of an interpreter with such settings."""

    CREATED = "created"
    REFUSED = "refused by CPython"
    FORBIDDEN = "forbidden by CPython's documentation"  # but created


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpreterConfig:
    """The settings of a sub-interpreter; the defaults are the ``isolated`` preset.

    Any combination that CPython's structure can hold can be written down; `check` refuses those
    that must not be used.
    """

    use_main_obmalloc: bool = False
    allow_fork: bool = False
    allow_exec: bool = False
    allow_threads: bool = True
    allow_daemon_threads: bool = False
    check_multi_interp_extensions: bool = True
    gil: InterpreterGil = InterpreterGil.OWN

    def __post_init__(self) -> None:
        for flag in FLAGS:
            if not isinstance(getattr(self, flag), bool):
                raise InvalidValue(flag, "True or False", getattr(self, flag))
        try:
            object.__setattr__(self, "gil", InterpreterGil(self.gil))
        except ValueError:
            raise InvalidValue("gil", "'own', 'shared' or 'default'", self.gil) from None

    @property
    def own_gil(self) -> bool:
        return self.gil is InterpreterGil.OWN

    def verdict(self, *, free_threaded: bool = False) -> Verdict:
        """Return what becomes of an interpreter with these settings."""
        if not self.check_multi_interp_extensions and (free_threaded or not self.use_main_obmalloc):
            return Verdict.REFUSED
        if self.own_gil and self.use_main_obmalloc:
            return Verdict.FORBIDDEN
        return Verdict.CREATED

    def check(self, *, free_threaded: bool = False) -> None:
        """Raise `InvalidValue` where CPython refuses the settings or its documentation does."""
        verdict = self.verdict(free_threaded=free_threaded)
        if verdict is Verdict.FORBIDDEN:
            # Doc/c-api/init.rst: "If this is 1 then gil must not be PyInterpreterConfig_OWN_GIL."
            raise InvalidValue(
                "use_main_obmalloc", "false where gil is 'own'", True,
                f"{verdict}, not refused by its code: two GILs would guard one allocator; "
                "use config=isolated",
            )  # fmt: skip
        if verdict is Verdict.REFUSED and free_threaded:
            raise InvalidValue(
                "check_multi_interp_extensions", "true on a free-threaded build", False, verdict
            )
        if verdict is Verdict.REFUSED:
            # init_interp_settings, pylifecycle.c:568
            raise InvalidValue(
                "check_multi_interp_extensions", "true where use_main_obmalloc is false", False,
                f"{verdict}; use config=isolated or config=legacy",
            )  # fmt: skip

    @property
    def consequences(self) -> tuple[str, ...]:
        """What the settings mean for the program inside, a line each."""
        lines = (
            (not self.own_gil, "shares main's GIL: no two interpreters run bytecode at once"),
            (not self.allow_threads, "no threads: blocking calls inside do not overlap"),
            (not self.allow_daemon_threads, "no daemon threads: its end waits for its threads"),
            (not self.allow_fork, "os.fork raises, so no fork-based pool inside; subprocess works"),
            (not self.allow_exec, "os.exec* raises; subprocess works"),
            (
                self.check_multi_interp_extensions,
                "extension modules that do not declare support for sub-interpreters do not import",
            ),
            (not self.use_main_obmalloc, "small objects in arenas of its own, 1 MiB at a time"),
        )
        return tuple(line for applies, line in lines if applies)

    def __str__(self) -> str:
        """The nearest preset and what differs from it, without the GIL: as a layout says it."""
        name = min(PRESETS, key=lambda preset: len(self._differences(PRESETS[preset])))
        changed = self._differences(PRESETS[name])
        texts = [f"{flag}={'yes' if getattr(self, flag) else 'no'}" for flag in changed]
        return ",".join((name, *texts))

    def _differences(self, other: "InterpreterConfig") -> list[str]:
        return [flag for flag in FLAGS if getattr(self, flag) != getattr(other, flag)]


#: The fields that are on or off.
FLAGS = tuple(field.name for field in fields(InterpreterConfig) if field.type is bool)

ISOLATED = InterpreterConfig()
LEGACY = InterpreterConfig(
    use_main_obmalloc=True,
    allow_fork=True,
    allow_exec=True,
    allow_threads=True,
    allow_daemon_threads=True,
    check_multi_interp_extensions=False,
    gil=InterpreterGil.SHARED,
)
EMPTY = InterpreterConfig(
    allow_threads=False, check_multi_interp_extensions=False, gil=InterpreterGil.DEFAULT
)
PRESETS = {"isolated": ISOLATED, "legacy": LEGACY, "empty": EMPTY}


def preset(name: str, *, free_threaded: bool = False) -> InterpreterConfig:
    """Return what ``_interpreters.new_config(name)`` returns. Raises `InvalidValue`.

    On a free-threaded build ``legacy`` checks extension modules (gh-117649).
    """
    if name not in PRESETS:
        raise InvalidValue("config", f"one of {', '.join(PRESETS)}", name)
    if name == "legacy" and free_threaded:
        return replace(LEGACY, check_multi_interp_extensions=True)
    return PRESETS[name]
