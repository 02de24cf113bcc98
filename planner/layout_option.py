"""Layouts as people write them: ``3.13:interpreters=2,threads=2,gil=own,switch_interval=1ms``."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Protocol

from gilplan.model.errors import InvalidValue
from gilplan.model.interpreter_config import FLAGS, ISOLATED, LEGACY, InterpreterConfig, preset
from gilplan.model.layout import (
    GilMode,
    IntervalSetter,
    Layout,
    WorkerKind,
    check_supported,
    resolve_gil,
    with_gil,
)
from gilplan.model.runtime import Runtime
from gilplan.model.units import parse_time

EXAMPLE = '"3.13:threads=4" or "3.13:interpreters=2,threads=2,gil=own"'


class Runtimes(Protocol):
    """What knows the builds that were calibrated."""

    def runtime(self, build: str) -> Runtime:
        """Return the runtime that a build's name or series means. Raises `MissingBuild`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutOption:
    """A layout before its build is known: ``build`` may name a series, such as "3.13"."""

    text: str
    build: str
    fields: dict[str, Any] = field(default_factory=dict)

    def resolve(self, runtimes: Runtimes) -> Layout:
        """Return the layout on the build that it means.

        Without ``gil``: none on a free-threaded build; else what ``config`` says; else own from
        3.12, shared before. Raises
        `MissingBuild`, `UnsupportedLayout`, or `InvalidValue` for a field that breaks a rule.
        """
        runtime = runtimes.runtime(self.build)
        fields = dict(self.fields)
        try:
            named = fields.pop("gil", None) or self._gil_of_config(runtime)
            gil = resolve_gil(named, fields.get("interpreters", 1), runtime)
            flags = {flag: fields.pop(flag) for flag in FLAGS if flag in fields}
            config = _config(fields.pop("config", None), flags, gil)
            layout = Layout(build=runtime.build, gil=gil, config=config, **fields)
        except InvalidValue as error:
            raise _located(self.text, error) from None
        check_supported(layout, runtime)
        return layout

    def _gil_of_config(self, runtime: Runtime) -> str | None:
        """Return the GIL that the named preset has; None leaves it to the build."""
        if "config" not in self.fields or runtime.free_threaded:
            return None
        return "own" if preset(self.fields["config"]).own_gil else "shared"


def _config(name: str | None, flags: dict[str, Any], gil: GilMode) -> InterpreterConfig | None:
    """Return the preset with its changes; None where neither was given."""
    if name is None and not flags:
        return None
    natural = ISOLATED if gil is GilMode.OWN else LEGACY
    return with_gil(replace(preset(name) if name else natural, **flags), gil)


def parse_layout(text: str) -> LayoutOption:
    """Read ``BUILD`` or ``BUILD:key=value,...``. Raises `InvalidValue`."""
    build, colon, rest = text.partition(":")
    if not build.strip() or (colon and not rest.strip()):
        raise InvalidValue("layout", "like " + EXAMPLE, text)
    fields: dict[str, Any] = {}
    for part in rest.split(",") if colon else ():
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in READERS:
            near = get_close_matches(key, READERS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else ""
            raise InvalidValue(f"layout {text!r}: key", f"one of {', '.join(READERS)}", key, hint)
        if not equals or not value:
            raise InvalidValue(f"layout {text!r}: {key}", "given a value", part.strip())
        if key in fields:
            raise InvalidValue(f"layout {text!r}: {key}", "given once", part.strip())
        try:
            fields[key] = READERS[key](value, key)
        except InvalidValue as error:
            raise _located(text, error) from None
    return LayoutOption(text=text, build=build.strip(), fields=fields)


def _located(text: str, error: InvalidValue) -> InvalidValue:
    return InvalidValue(f"layout {text!r}: {error.field}", error.rule, error.value, error.hint)


def _count(text: str, key: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise InvalidValue(key, "a whole number >= 1", text)
    return count


def _interval(text: str, key: str) -> float:
    seconds = parse_time(text, key)
    if seconds <= 0:
        raise InvalidValue(key, "longer than no time", text, "CPython's default is 5ms")
    return seconds


def _cores(text: str, key: str) -> float:
    try:
        cores = float(text)
    except ValueError:
        cores = 0.0
    if not 0 < cores < float("inf"):
        raise InvalidValue(key, "a number of cores > 0", text, "like quota=1.5")
    return cores


def _period(text: str, key: str) -> float:
    return parse_time(text, key)


def _setter(text: str, key: str) -> IntervalSetter:
    try:
        return IntervalSetter(text)
    except ValueError:
        raise InvalidValue(key, "'each' or 'main'", text) from None


def _gil(text: str, key: str) -> str:
    if text not in ("own", "shared", "disabled"):
        raise InvalidValue(key, "'own', 'shared' or 'disabled'", text)
    return text


def _preset(text: str, key: str) -> str:
    preset(text)
    return text


def _flag(text: str, key: str) -> bool:
    if text not in ("yes", "no"):
        raise InvalidValue(key, "'yes' or 'no'", text)
    return text == "yes"


def _worker(text: str, key: str) -> WorkerKind:
    try:
        return WorkerKind(text)
    except ValueError:
        raise InvalidValue(key, "'thread', 'pool' or 'event_loop'", text) from None


READERS: dict[str, Callable[[str, str], object]] = {
    "processes": _count,
    "interpreters": _count,
    "threads": _count,
    "gil": _gil,
    "switch_interval": _interval,
    "interval_set_in": _setter,
    "cores": _count,
    "quota": _cores,
    "quota_period": _period,
    "worker": _worker,
    "config": _preset,
    **dict.fromkeys(FLAGS, _flag),
}
