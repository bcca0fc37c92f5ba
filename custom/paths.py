# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Where the bundles and the parts of this package lie.

A packed bundle brings the parts of `custom` that it needs, without `__init__.py`: to Python its folder is a portion of
a namespace package (PEP 420), so that the bundles of one process complete each other. A bundle's own folder is
`bundle_root` of its configs: that of the config that is run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import custom
from custom.errors import InputError


def bundle_root(name: str) -> str:
    """Folder of a bundle in the repository that this package lies in: `bundles/<name>` beside it.

    Args:
        name: folder name of the bundle.

    Returns:
        The folder as an absolute path; it need not be there.
    """
    return str(Path(__file__).resolve().parent.parent / "bundles" / name)


def check_one_code() -> None:
    """Make sure that all copies of this package that Python may take parts from are the same.

    Each packed bundle brings its copy, and Python runs what was imported first: a bundle of another version would run
    code that is not its own.

    Raises:
        InputError: two copies of one file differ.
    """
    folders = {Path(entry, "custom").resolve(): None for entry in sys.path}
    folders |= {Path(folder).resolve(): None for folder in custom.__path__}
    seen: dict[Path, Path] = {}
    for folder in folders:
        if not (folder / "command_line.py").is_file():  # another "custom"
            continue
        for file in folder.rglob("*.py"):
            part = file.relative_to(folder)
            other = seen.setdefault(part, file)
            if other != file and part.name != "__init__.py" and other.read_bytes() != file.read_bytes():
                fault = f"is not the code that this process has from {other}"
                raise InputError(file, fault, "use bundles of different versions in different processes")
