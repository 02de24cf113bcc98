"""What is checked: a program's modules, or the distributions that a requirements file names."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from gilplan.calibration.checks.imports import Import, imports_of
from gilplan.model.errors import InvalidFile, InvalidValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A distribution that a requirements file names, with its environment marker or ""."""

    name: str
    marker: str = ""

    def applies(self, version: tuple[int, int, int]) -> bool:
        """Say whether a build of this version needs it."""
        if not self.marker:
            return True
        from packaging.markers import Marker

        full = ".".join(str(part) for part in version)
        minor = ".".join(str(part) for part in version[:2])
        environment = {"python_version": minor, "python_full_version": full}
        return Marker(self.marker).evaluate(environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTarget:
    """Modules to import, with the folder that they may lie in, or distributions to look up."""

    name: str
    folder: str = ""
    imports: tuple[Import, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    notes: tuple[str, ...] = ()


def read_target(text: str) -> CheckTarget:
    """Return what ``FILE.py``, ``FILE.py:FUNCTION``, ``MODULE`` or a requirements file imports.

    Raises `InvalidValue` or `InvalidFile`.
    """
    place = text.rpartition(":")[0] or text
    path = Path(place)
    if path.suffix in (".txt", ".in"):
        return _requirements(path)
    if path.suffix == ".py":
        if not path.is_file():
            raise InvalidValue("target", "a file that is there", place)
        found = tuple(imports_of(path))
        if not found:
            raise InvalidValue("target", "a program that imports something", place)
        return CheckTarget(name=text, folder=str(path.resolve().parent), imports=found)
    if path.is_file() or not all(part.isidentifier() for part in place.split(".")):
        raise InvalidValue(
            "target", "a FILE.py, an importable MODULE, or a requirements file (.txt, .in)", text
        )
    folder = Path.cwd()
    beside = folder / f"{place.replace('.', '/')}.py"
    found = tuple(imports_of(beside)) if beside.is_file() else ()
    return CheckTarget(name=text, folder=str(folder), imports=(Import(module=place), *found))


def _requirements(path: Path) -> CheckTarget:
    import requirements

    found: dict[str, Requirement] = {}
    try:
        with path.open(encoding="utf-8") as file, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            warnings.simplefilter("ignore", ResourceWarning)  # of the files that it includes
            for each in requirements.parse(file):
                if each.name:
                    found[each.name] = Requirement(name=each.name, marker=_marker(each.line))
    except OSError as error:
        name = str(error.filename or path)
        raise InvalidValue("target", "a file that can be read", name, str(error.strerror)) from None
    except (ValueError, UnicodeDecodeError) as error:
        raise InvalidFile(
            str(path), 1, "requirements", "lines that pip reads", str(error).splitlines()[0]
        ) from None
    if not found:
        raise InvalidValue("target", "a requirements file that names a distribution", str(path))
    notes = tuple(f"{path}: {each.message}" for each in caught)
    return CheckTarget(name=str(path), requirements=tuple(found.values()), notes=notes)


def _marker(line: str) -> str:
    from packaging.requirements import InvalidRequirement
    from packaging.requirements import Requirement as Parsed

    try:
        return str(Parsed(line.partition(" --")[0]).marker or "")
    except InvalidRequirement:  # a path or an address: no marker
        return ""
