# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One source of scans: which files, whose, and how it is told from other sources."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from custom.importers.cmr.dicom import Headers
from custom.importers.cmr.nifti_groups import NiftiGroup
from custom.importers.cmr.volumes import files_of
from custom.importers.intake import place_of
from custom.scans.provenance import sha256_of


@dataclass(frozen=True)
class CmrSource:
    """What is read at once: a DICOM study, a zip, or the NIfTI files of one scan.

    Args:
        kind: "dicom", "zip" or "nifti".
        name: of the source, unique in a tree that is named sensibly; outputs are named after it.
        patient: whose it is.
        paths: folders of DICOM files, the zip, or volumes.
        root: folder that paths are told relative to.
        group: of volumes.
        output_names: of the volumes.
        patient_from: what said so: the header, a folder, a file, an option.
        headers: of DICOM files; None to read those below `paths`.
        doubts: guesses that the user should know of.
    """

    kind: str
    name: str
    patient: str
    paths: tuple[Path, ...]
    root: Path
    group: NiftiGroup | None = None
    output_names: tuple[str, ...] = ()
    patient_from: str = ""
    headers: Headers | None = None
    doubts: tuple[str, ...] = ()

    def told(self) -> list[str]:
        """The paths as records hold them: relative, since absolute ones can name people and machines."""
        return [path.relative_to(self.root).as_posix() for path in self.paths]

    def files(self) -> list[Path]:
        """All files that it is made of."""
        if self.headers is not None:
            return sorted(self.headers.files())
        masks = self.group.masks + self.group.centring_masks if self.group else ()
        found: list[Path] = []
        for path in (*self.paths, *filter(None, masks)):
            found += visible_files(path) if path.is_dir() else files_of(path)
        return found


def fingerprint(source: CmrSource) -> str:
    """Tells whether the files of a source are those of an earlier run, by their content.

    Names and sizes do not do: uncompressed DICOM of one protocol has equal ones for every patient.
    """
    digest = hashlib.sha256()
    for file in source.files():
        digest.update(f"{file.name}:{sha256_of(file)};".encode())
    return digest.hexdigest()


def place(source: CmrSource) -> str:
    """Tells where a source lies, without saying it: paths can name people and machines."""
    return place_of(*source.paths, words=() if source.headers is None else source.headers.studies())


def renamed(source: CmrSource, number: int) -> CmrSource:
    """The same source with outputs of other names."""
    names = tuple(f"{name}-{number}" for name in source.output_names)
    return replace(source, name=f"{source.name}-{number}", output_names=names)


def visible_files(folder: Path) -> list[Path]:
    """All files below a folder that are not hidden, sorted."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        found += [Path(parent) / name for name in sorted(files) if name[0] != "."]
    return found


def common_folders(paths: Sequence[Path], root: Path) -> tuple[str, ...]:
    """The folders below `root` that all files lie in."""
    parts = [path.parent.relative_to(root).parts for path in paths]
    found = []
    for names in zip(*parts, strict=False):
        if len(set(names)) > 1:
            break
        found.append(names[0])
    return tuple(found)
