# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One zip of one bundle, the same bytes each time."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

from custom.errors import InputError
from custom.files import atomic
from custom.packaging.checks import check_bundle
from custom.packaging.code import ROOT, needed_modules
from custom.packaging.pages import packed_pages

_STAMP = (2022, 5, 30, 0, 0, 0)
"""When every file was made: the Zoo's own choice."""


def pack_bundle(bundle: str | Path, output_dir: str | Path) -> Path:
    """Write `<name>_v<version>.zip` with the folder `<name>` in it: configs, weights, pages, licence and code.

    Args:
        bundle: its folder in the repository.
        output_dir: where to; made if needed.

    Returns:
        The zip.

    Raises:
        InputError: there is no such bundle, or it is not ready for the Zoo (`custom.packaging.checks`).
    """
    bundle = Path(bundle)
    if not (bundle / "configs").is_dir():
        names = ", ".join(sorted(folder.name for folder in bundle.parent.glob("*/")))
        raise InputError(bundle, "is no bundle", f"choose from {names}" if names else "give a bundle's folder")
    configs = sorted((bundle / "configs").glob("*.json"))
    modules = needed_modules(configs)
    metadata = check_bundle(bundle, modules)
    files = {f"custom/{file.relative_to(ROOT).as_posix()}": file.read_bytes() for file in modules.values()}
    files |= {file.relative_to(bundle).as_posix(): file.read_bytes() for file in (bundle / "configs").iterdir()}
    files |= {name: (bundle / name).read_bytes() for name in ("LICENSE", "models/model.pt")}
    files |= packed_pages(bundle)
    path = Path(output_dir) / f"{bundle.name}_v{metadata['version']}.zip"
    with atomic(path) as temporary:
        _write(temporary, {f"{bundle.name}/{name}": content for name, content in files.items()})
    return path


def _write(path: Path, files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _STAMP)
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # as on Unix, whatever the machine
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED, compresslevel=9)


def told(path: Path) -> str:
    """One line about a package: file, size and the checksum that the Zoo's `model_info.json` lists."""
    content = path.read_bytes()
    return f"{path}  {len(content) / 2**20:.1f} MB  sha1 {hashlib.sha1(content).hexdigest()}"
