# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The order of the rooms of `custom/`: no import runs up, and none runs in a circle."""

from __future__ import annotations

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import custom

ROOT = Path(custom.__file__).parent
#: Bottom to top. Rooms of one floor may know each other, as long as nothing runs in a circle.
FLOORS = (
    {"custom", "errors", "geometry", "memory", "paths", "files", "progress", "switches", "version"},
    {"weights", "metrics", "diffusion", "phantoms", "scans"},
    {"networks"},
    {"interpolators"},
    {"inferers", "transforms", "data", "importers", "exporters", "command_line"},
    {"training", "evaluation"},
    {"pictures", "report", "papers", "packaging"},
    {"densify"},
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
#: (from, to) -> why it is still there. To become shorter, never longer.
KNOWN: dict[tuple[str, str], str] = {}


def room_of(module: str) -> str:
    """`custom.data.windows` -> `data`; `custom.errors` -> `errors`; `custom` itself -> `custom`."""
    return module.split(".")[1] if "." in module else module


def imports() -> dict[str, set[str]]:
    """Module -> modules of `custom` that it imports anywhere, in functions too. Entries of commands are left out."""
    names = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        if parts[-1] != "__main__":
            names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    found = {}
    for name, path in names.items():
        wanted = set()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        tree.body = [node for node in tree.body if not _is_for_type_checkers(node)]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "custom":
                # `from custom.papers import ablation` is of a module, `from custom import __version__` of the package.
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                wanted |= {module if module in names else node.module for module in inner}
            elif isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names if alias.name.split(".")[0] == "custom"}
        found[name] = wanted - {name}
    return found


def _is_for_type_checkers(node: ast.stmt) -> bool:
    """`if TYPE_CHECKING:` names what annotations speak of; nothing is imported when the code runs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    return imports()


def test_every_room_has_its_floor(graph):
    assert {room_of(module) for module in graph} <= FLOOR.keys()


def test_no_arrow_runs_up(graph):
    up = {
        (module, wanted)
        for module, all_wanted in graph.items()
        for wanted in all_wanted
        if FLOOR[room_of(wanted)] > FLOOR[room_of(module)]
    }
    assert up == set(KNOWN), "imports from a room above, or entries of KNOWN that are gone"


def test_nothing_runs_in_a_circle(graph):
    rooms = defaultdict(set)
    for module, all_wanted in graph.items():
        rooms[room_of(module)] |= {room_of(w) for w in all_wanted if (module, w) not in KNOWN} - {room_of(module)}
    for what in (rooms, graph):
        try:
            TopologicalSorter(what).prepare()
        except CycleError as error:
            pytest.fail(f"a circle: {' -> '.join(error.args[1])}")
