# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Which parts of `custom` a bundle needs: what its configs name, and what that imports."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import custom
from custom.errors import InputError

ROOT = Path(custom.__path__[0]).resolve()
_NAMED = re.compile(r"\bcustom(?:\.\w+)+")


def needed_modules(configs: Iterable[Path]) -> dict[str, Path]:
    """Modules of `custom`, by name, that configs name by `_target_` or in an expression, and all that these import.

    Imports inside functions count; those for type checkers do not. Packages (`__init__.py`) are left out: they hold
    a docstring and nothing else, and without them the bundles of one process complete each other (`custom.paths`).

    Args:
        configs: JSON files.

    Raises:
        InputError: a config or a module names something that is not there, or something of an `__init__.py`.
    """
    waiting = [(name, config) for config in configs for name in _NAMED.findall(config.read_text(encoding="utf-8"))]
    found: dict[str, Path] = {}
    while waiting:
        name, asking = waiting.pop()
        module = _module_of(name)
        if module is None:
            raise InputError(asking, f"names {name}, which no module of custom has", "correct the name")
        if module not in found:
            found[module] = _file(module)
            waiting += [(wanted, found[module]) for wanted in _imports(found[module]) if wanted.startswith("custom.")]
    return dict(sorted(found.items()))


def needed_packages(modules: Iterable[Path]) -> set[str]:
    """Distributions that modules import when they are imported themselves, as PyPI names them."""
    tops = {name.partition(".")[0] for module in modules for name in _imports(module, lazy=False)}
    owners = packages_distributions()
    foreign = tops - sys.stdlib_module_names - {"custom"}
    return {owners.get(top, [top])[0].lower().replace("_", "-") for top in foreign}


def _module_of(name: str) -> str | None:
    """The module that a dotted name is of: `custom.data.windows.Windows` is of `custom.data.windows`."""
    while name.count("."):
        if _file(name).is_file():
            return name
        name = name.rpartition(".")[0]
    return None


def _file(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")[1:]).with_suffix(".py")


@cache
def _imports(file: Path, lazy: bool = True) -> tuple[str, ...]:
    """Dotted names that a module imports; `from a import b` gives a.b, whatever b is."""
    return tuple(_names(ast.parse(file.read_text(encoding="utf-8")), lazy))


def _names(node: ast.AST, lazy: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    elif lazy or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for child in ast.iter_child_nodes(node):
            yield from _names(child, lazy)
