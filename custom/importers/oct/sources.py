# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Which pullbacks there are below a folder, and what there is that is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from custom.errors import InputError
from custom.importers.dicom_files import NAMED_DICOM, NO_DICOM, is_dicom
from custom.importers.left_out import LeftOut, closed_places, nothing_left
from custom.importers.notes import Doubt
from custom.importers.oct.dicom_headers import DicomHeader, read_header
from custom.importers.oct.frame_names import (
    GAPS,
    FrameSeries,
    frame_series,
    looks_like_mask,
    natural_key,
    with_gaps,
)
from custom.importers.oct.patients import with_patients
from custom.importers.oct.reading import ARRAYS, IMAGES, is_tiff_stack
from custom.importers.oct.source import OctSource
from custom.importers.patients import check_patient_from

NO_FORMAT = "is neither DICOM, image nor array"


@dataclass(frozen=True)
class FindOptions:
    """What counts as a pullback, and whose it is; `data_scripts/prepare_oct.py` explains each to its users.

    Raises:
        InputError: a choice that there is not.
    """

    frame_names: str | None = None
    gaps: str = "keep"
    label_like: str = "refuse"
    patient_from: str = "auto"
    patient_regex: str | None = None

    def __post_init__(self) -> None:
        check_patient_from(self.patient_from)
        for name, allowed in {"gaps": GAPS, "label_like": ("refuse", "image")}.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"--{name}", f"is {getattr(self, name)}", f"choose from {', '.join(allowed)}")


def find_sources(root: Path, options: FindOptions, left_out: LeftOut | None = None) -> list[OctSource | InputError]:
    """The pullbacks below `root`, which may be one itself.

    A DICOM file of several frames, an array or a TIFF file of several pages is a pullback; so are images of a folder
    whose names count up, and DICOM files of one frame each in one series.

    Args:
        root: file or folder.
        options: see :class:`FindOptions`.
        left_out: gets files that are passed over, and why.

    Returns:
        Sources with their patients, and in their place what stops one from being a source.

    Raises:
        InputError: nothing there.
    """
    left_out = [] if left_out is None else left_out
    if root.is_file():
        headers = {root: read_header(root)} if is_dicom(root) else {}
        return with_patients([OctSource(root, (root,), (root.stem,))], headers, root.parent, options)
    if not root.is_dir():
        raise InputError(root, "no such file or folder", "check --input")
    found: list[OctSource | InputError] = []
    headers: dict[Path, DicomHeader] = {}
    unread = closed_places(root, lambda path: path.suffix.lower() in (*ARRAYS, *IMAGES))
    left_out += unread
    shut = {path for path, _ in unread}
    folders = sorted(path for path in root.rglob("*") if path.is_dir() and not _is_hidden(path, root))
    for folder in (path for path in [root, *folders] if path not in shut):
        files = sorted((p for p in folder.iterdir() if p.is_file() and p.name[0] != "."), key=natural_key)
        files = [path for path in files if path not in shut]
        found += _in_folder(folder, files, root, options, headers, left_out)
    found = _without_masks(found, options, left_out)
    found = _without_single_images(found, headers, left_out)
    if not found:
        if left_out:
            raise nothing_left(left_out, "give --input a pullback or a folder of pullbacks")
        raise InputError(root, "holds no DICOM, image or array", "give --input a pullback or a folder of pullbacks")
    errors = [item for item in found if isinstance(item, InputError)]
    sources = [item for item in found if not isinstance(item, InputError)]
    return [*with_patients(sources, headers, root, options), *errors]


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _in_folder(
    folder: Path,
    files: Sequence[Path],
    root: Path,
    options: FindOptions,
    headers: dict[Path, DicomHeader],
    left_out: LeftOut,
) -> list[OctSource | InputError]:
    """The pullbacks that the files of a folder are."""
    words = folder.relative_to(root).parts
    frames = [path for path in files if path.suffix.lower() in IMAGES and not is_tiff_stack(path)]
    found: list[OctSource | InputError] = []
    single: dict[str, list[tuple[int, Path]]] = {}
    for path in files:
        if path in frames:
            continue
        if path.suffix.lower() in (*ARRAYS, *IMAGES):
            found.append(OctSource(path, (path,), (*words, path.stem)))
        elif path.suffix.lower() in NAMED_DICOM and not is_dicom(path):
            found.append(InputError(path, NO_DICOM, "export it again, or take it away"))
        elif not is_dicom(path):
            left_out.append((path, NO_FORMAT))
        else:
            header = headers[path] = read_header(path)
            if header.reason:
                left_out.append((path, header.reason))
            elif header.frames == 1 and header.series:
                single.setdefault(header.series, []).append((header.number, path))
            else:
                found.append(OctSource(path, (path,), (*words, path.stem)))
    for images in single.values():
        found += _dicom_series(folder, words, sorted(images), options, len(single), left_out)
    return found + (_image_series(folder, words, frames, options, left_out) if frames else [])


def _image_series(
    folder: Path, words: Sequence[str], paths: Sequence[Path], options: FindOptions, left_out: LeftOut
) -> list[OctSource | InputError]:
    try:
        series, others = frame_series(folder, paths, options.frame_names, options.label_like == "image")
    except InputError as error:
        return [error]
    left_out += others
    runs = [run for found in series for run in _runs(found, options, left_out)]
    return [_frames_of(folder, words, run, len(runs) > 1) for run in runs]


def _dicom_series(
    folder: Path,
    words: Sequence[str],
    images: Sequence[tuple[int, Path]],
    options: FindOptions,
    count: int,
    left_out: LeftOut,
) -> list[OctSource]:
    """DICOM files of one frame each, in the order of InstanceNumber."""
    paths = tuple(path for _, path in images)
    if len(paths) == 1:
        return [OctSource(paths[0], paths, (*words, paths[0].stem))]
    numbers = tuple(number for number, _ in images)
    counted = numbers if len(set(numbers)) == len(numbers) else None
    told = () if counted else (Doubt("InstanceNumber does not order the frames: names do; mend the headers"),)
    if not counted:
        paths = tuple(sorted(paths, key=natural_key))
    runs = _runs(FrameSeries(paths[0].stem, paths, counted, told), options, left_out)
    return [_frames_of(folder, words, run, len(runs) > 1 or count > 1) for run in runs]


def _runs(series: FrameSeries, options: FindOptions, left_out: LeftOut) -> list[FrameSeries]:
    runs, alone = with_gaps(series, options.gaps)
    left_out += [(path, "a single frame between gaps") for path in alone]
    return runs


def _frames_of(folder: Path, words: Sequence[str], run: FrameSeries, is_named: bool) -> OctSource:
    """A source of frames; named after its series where the folder has several."""
    name = run.name.replace("_#", "").replace("-#", "").replace("#", "").strip("_- ") or "frames"
    own = [name] if is_named else [] if words else [folder.name]
    return OctSource(folder, run.paths, (*words, *own), numbers=run.numbers, doubts=run.doubts)


def _without_masks(
    found: Sequence[OctSource | InputError], options: FindOptions, left_out: LeftOut
) -> list[OctSource | InputError]:
    """Without what is named like a mask, be it a file or a folder, where there are others."""

    def is_mask(item: OctSource | InputError) -> bool:
        return isinstance(item, OctSource) and any(looks_like_mask(word) for word in item.words)

    if options.label_like == "image" or all(is_mask(item) for item in found):
        return list(found)
    left_out += [
        (item.path, "is named like masks, which go with no pullback (--label_like image takes it)")
        for item in found
        if is_mask(item)
    ]
    return [item for item in found if not is_mask(item)]


def _without_single_images(
    found: Sequence[OctSource | InputError], headers: dict[Path, DicomHeader], left_out: LeftOut
) -> list[OctSource | InputError]:
    """Without DICOM images of one frame, such as a photograph of the screen, where there are pullbacks."""

    def is_single(item: OctSource | InputError) -> bool:
        return isinstance(item, OctSource) and item.path in headers and headers[item.path].frames == 1

    if all(is_single(item) for item in found):
        return list(found)
    left_out += [(item.path, "is a single image, no pullback") for item in found if is_single(item)]
    return [item for item in found if not is_single(item)]
