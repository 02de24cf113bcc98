"""Print which modules the installed distributions bring, as one JSON object.

    python -P list_modules.py NAME ...

Output: ``{"modules": {<name as given>: [top-level module, ...] or null where it is not
installed}}``. Modules whose names begin with an underscore belong to the others and are left
out, unless there are no others. Standard library only, Python 3.11 and later.
"""

import importlib.metadata
import json
import re
import sys


def normal(name: str) -> str:
    """Return the name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main(names: list[str]) -> None:
    installed = {normal(each.name) for each in importlib.metadata.distributions() if each.name}
    brought: dict[str, list[str]] = {}
    for module, distributions in importlib.metadata.packages_distributions().items():
        for distribution in set(distributions):
            if module.isidentifier():
                brought.setdefault(normal(distribution), []).append(module)
    modules: dict[str, list[str] | None] = {}
    for name in names:
        found = sorted(brought.get(normal(name), []))
        public = [module for module in found if not module.startswith("_")]
        modules[name] = (public or found) if normal(name) in installed else None
    print(json.dumps({"modules": modules}))


if __name__ == "__main__":
    main(sys.argv[1:])
