"""Which modules a program imports, read from its source without running it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gilplan.model.errors import InvalidFile, InvalidValue


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Import:
    """A module that a program imports; ``optional`` where it goes on without it."""

    module: str
    optional: bool = False


def imports_of(path: Path) -> list[Import]:
    """Return what the file and the modules beside it import, those modules included, sorted.

    Imports inside functions count, those for type checkers only do not. Raises `InvalidFile`
    where a file is not Python that this Python can parse.
    """
    found: dict[str, bool] = {}
    waiting, seen = [path.resolve()], set()
    while waiting:
        source = waiting.pop()
        if source in seen:
            continue
        seen.add(source)
        for each in _imports_in(_parsed(source)):
            found[each.module] = each.optional and found.get(each.module, True)
            waiting += _local_files(path.resolve().parent, each.module)
    return sorted(Import(module=name, optional=optional) for name, optional in found.items())


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except OSError as error:
        raise InvalidValue(
            "target", "a file that can be read", str(path), str(error.strerror)
        ) from None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise InvalidFile(
            str(path), line, "source", "Python that parses", str(error).splitlines()[0],
            "run gilplan under a Python as new as the program",
        ) from None  # fmt: skip


def _imports_in(node: ast.AST, optional: bool = False) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(module=alias.name, optional=optional)
    elif isinstance(node, ast.ImportFrom):
        if node.module and not node.level and node.module != "__future__":
            yield Import(module=node.module, optional=optional)
    elif isinstance(node, ast.If) and _for_type_checkers(node.test):
        for branch in node.orelse:
            yield from _imports_in(branch, optional)
    else:
        guarded = isinstance(node, ast.Try) and any(map(_catches_import_error, node.handlers))
        for child in ast.iter_child_nodes(node):
            yield from _imports_in(child, optional or guarded)


def _for_type_checkers(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _catches_import_error(handler: ast.ExceptHandler) -> bool:
    caught = handler.type
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    names = {getattr(kind, "id", "") for kind in kinds if kind is not None}
    return caught is None or bool(names & {"ImportError", "ModuleNotFoundError", "Exception"})


def _local_files(folder: Path, module: str) -> list[Path]:
    """Return the files beside the program that importing the module executes."""
    files = []
    place = folder
    for part in module.split("."):
        place = place / part
        files += [place.with_name(f"{part}.py"), place / "__init__.py"]
    return [file for file in files if file.is_file()]
