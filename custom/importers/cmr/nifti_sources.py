# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Trees of volumes: which files are one scan, which are label maps, and which are none of both."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from custom.importers.cmr.nifti_groups import NiftiGroup, group_files, is_long_axis, is_mask, mask_key, scan_name
from custom.importers.cmr.source import CmrSource
from custom.importers.cmr.volumes import is_volume, volume_name
from custom.importers.left_out import LeftOut
from custom.importers.patients import STRUCTURE, by_pattern, of_file, one_patient_doubts, output_name
from custom.scans.provenance import read_sidecar, says_synthetic, sidecar_path


def find_volume_sources(
    root: Path, frames: str, pattern: str | None, patient_from: str, left_out: LeftOut
) -> list[CmrSource]:
    """The scans below a folder of volumes; see `custom.importers.cmr.sources.find_sources`."""
    parts: dict[Path, list[Path]] = {}
    for parent, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        volumes = [Path(parent) / name for name in sorted(files) if is_volume(Path(parent) / name)]
        made = [path for path in volumes if _is_ours(path) or says_synthetic(path)]
        left_out += [(path, "was made by this project: give what it was made from") for path in made]
        if kept := [path for path in volumes if path not in made]:
            parts[Path(parent)] = kept
    masks = [path for paths in parts.values() for path in paths if is_mask(path)]
    # A name that two label maps of the tree share tells nothing about an image in a third folder.
    keys = Counter(map(mask_key, masks))
    others = {mask_key(path): path for path in masks if keys[mask_key(path)] == 1 and _may_lie_apart(path)}
    found: list[CmrSource] = []
    for paths in parts.values():
        left_out += [(path, "is a long-axis view by its name") for path in paths if is_long_axis(path)]
        found += sources_of(group_files(paths, frames, others), root, pattern, patient_from)
        kept = {path for source in found for path in source.paths}
        left_out += [
            (path, "a phase of a cine that is there as a whole" if frames == "cine" else "single phases are taken")
            for path in paths
            if not (path in kept or is_mask(path) or is_long_axis(path))
        ]
    groups = [source.group for source in found if source.group]
    used = {path for group in groups for path in (*group.masks, *group.centring_masks)}
    left_out += [
        (path, "is a label map by its name, without an image of that name") for path in masks if path not in used
    ]
    return _with_doubts(found, root)


def sources_of(
    groups: Sequence[NiftiGroup], root: Path, pattern: str | None, patient_from: str = "auto"
) -> list[CmrSource]:
    """Groups of volumes as sources."""
    found = []
    for group in groups:
        first = group.images[0]
        patient = by_pattern(first.relative_to(root), pattern) or of_file(first, root, group.name, patient_from)
        folders = [name for name in first.relative_to(root).parts[:-1] if not STRUCTURE.match(name)]
        below = folders[folders.index(patient.name) + 1 :] if patient.name in folders else folders
        names = tuple(output_name(patient.name, *below, volume_name(path)) for path in group.images)
        name = output_name(patient.name, *below, scan_name(first))
        source = CmrSource("nifti", name, patient.name, group.images, root, group, names, patient.told_by)
        found.append(replace(source, doubts=patient.doubts))
    return found


def _with_doubts(sources: Sequence[CmrSource], root: Path) -> list[CmrSource]:
    """Sources with the doubt about folders that may hold several patients, told once for each."""
    by_folder = [
        (source.patient, source.group.name)
        for source in sources
        if source.patient_from == "folder" and not source.group.name.startswith(source.patient)
    ]
    doubts = one_patient_doubts(by_folder)
    found = []
    for source in sources:
        doubt = doubts.pop(source.patient, None) if source.patient_from == "folder" else None
        found.append(replace(source, doubts=(*source.doubts, doubt)) if doubt else source)
    return found


def _may_lie_apart(path: Path) -> bool:
    """Whether a label map names its case, so that it can be told apart from those of other patients."""
    return len(mask_key(path)) > 3


def _is_ours(path: Path) -> bool:
    """Whether `prepare_cmr.py` wrote a volume, or the mask beside one."""
    beside = [path, path.parent.parent / path.name] if path.parent.name == "labels" else [path]
    return any(sidecar_path(place).is_file() and "source_fingerprint" in read_sidecar(place) for place in beside)
