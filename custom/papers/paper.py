# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The papers' tables and figures on our data: `python -m custom.evaluation paper NAME`.

Each is a JSON file in `recipes/`: a title, and runs of a tool with its arguments. Where the paper printed numbers, they
stand in columns marked as theirs.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from custom.errors import InputError
from custom.papers import ablation
from custom.papers.compare import compare
from custom.papers.dense_stacks import dense_stacks
from custom.papers.progression import progression

FOLDER = Path(__file__).with_name("recipes")
TOOLS: dict[str, Callable[..., Any]] = {
    "compare": compare,
    "ablation": ablation.run,
    "progression": progression,
    "dense_stacks": dense_stacks,
}


def names() -> list[str]:
    """The tables and figures there are."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def describe(name: str) -> str:
    """What a table or figure is made of: its runs, their arguments, and the options that can be added or replaced.

    Raises:
        InputError: no such table or figure.
    """
    content = _recipe(name)
    lines = [f"{content['title']}: {content['note']}", ""]
    lines += [f"python -m custom.evaluation paper {name} [--output_dir OUT] [--data PREPARED] [--OPTION VALUE …]"]
    for run in content["runs"]:
        tool = TOOLS[run["tool"]]
        lines += ["", f"{run['tool']}: {inspect.getdoc(tool)}", "", "set here:"]
        lines += [f"    --{option} {json.dumps(value)}" for option, value in run["arguments"].items()]
        lines += ["gives: " + ", ".join(run["results"])]
    return "\n".join(lines)


def _recipe(name: str) -> dict[str, Any]:
    if name not in names():
        raise InputError(name, "is no table or figure of the papers", f"choose from {', '.join(names())}")
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def paper(name: str, output_dir: str | None = None, data: str | None = None, **options: Any) -> None:
    """Regenerate a paper's table or figure on our data.

    Args:
        name: calid_table_1 or _2, calid_figure_2 or _4 to _7, calid_ingredients, motion_ingredients,
            cardiointerp_table_1 or _2, cardiointerp_figure_3 or _4; `paper NAME --help` tells what it
            does and what it can be told.
        output_dir: folder of the results; `outputs/papers/<name>` by default.
        data: prepared folder with its `datalist.json`; the phantom if None.
        options: arguments to add or replace, of every run, such as `methods`, `max_windows` or `segmenter`.

    Raises:
        InputError: no such table or figure, and what the tool raises.
    """
    content = _recipe(name)
    folder = Path(output_dir or Path("outputs") / "papers" / name)
    print(f"{content['title']}\n{content['note']}", flush=True)
    for run in content["runs"]:
        tool = TOOLS[run["tool"]]
        arguments = run["arguments"] | options | {"output_dir": str(folder / run.get("folder", ""))}
        if data is not None:
            arguments["dataset_dir" if "dataset_dir" in inspect.signature(tool).parameters else "data"] = data
        tool(**arguments)
        for result in run["results"]:
            print(f"{content['title']}: {folder / run.get('folder', '') / result}", flush=True)
