# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Where a bundle lies, whichever folder a command is started from, and where its trainings write."""

from __future__ import annotations

from pathlib import Path


def bundle_root(name: str) -> str:
    """Folder of the bundle `name` that goes with this copy of `custom`.

    In the repository that is `bundles/<name>` beside `custom/`; in a packed bundle `custom/` lies inside the bundle,
    which may then have any name.

    Args:
        name: folder name of the bundle in the repository.

    Returns:
        The folder as an absolute path.
    """
    package = Path(__file__).resolve().parent
    beside = package.parent / "bundles" / name
    return str(beside if beside.is_dir() else package.parent)


def run_dir(bundle_root: str) -> str:
    """Where a training writes unless told otherwise: `runs/<bundle>` in the working directory.

    Not into the bundle, whose `models/model.pt` are the weights that ship.

    Args:
        bundle_root: folder of the bundle.

    Returns:
        The folder as an absolute path; it need not be there.
    """
    return str(Path.cwd() / "runs" / Path(bundle_root).name)
