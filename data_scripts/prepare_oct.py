# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Turn intravascular OCT pullbacks as users have them into NIfTI `(H, W, frames)` and a datalist split by patient.

    python data_scripts/prepare_oct.py --input exports --output_dir data/oct --geometry vivolight

Each DICOM, `.npz`/`.npy` or multi-page TIFF file is a pullback, and so is each folder of PNG or TIFF frames. The colour
map of the display is undone, burnt-in marks are filled from their surroundings, and Cartesian frames become polar. A
pullback is held in memory while it is converted.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from pathlib import Path

import fire
import numpy as np
from skimage.io import imread
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from custom.data.datalist import SECTIONS, split_by_patient, write_datalist
from custom.errors import InputError
from custom.importers.intake import check_apart, check_arguments, place_of, write_fates
from custom.importers.oct.conversion import ConversionOptions
from custom.importers.oct.sources import find_sources
from custom.importers.oct.writing import convert_file, is_of_another
from custom.scans.pullbacks import check_output_dir

logger = logging.getLogger("prepare_oct")


def prepare(
    input: str,
    output_dir: str,
    layout: str = "auto",
    to: str = "polar",
    geometry: str = "none",
    num_alines: int | None = None,
    num_depths: int | None = None,
    frame_pitch_mm: float | None = None,
    depth_spacing_mm: float | None = None,
    transpose: bool = False,
    frames: str | None = None,
    fill_overlay: bool = True,
    overlay_mask: str | None = None,
    patient_regex: str | None = None,
    split: str | tuple[float, ...] = (0.8, 0.1, 0.1),
    ranges: str | None = None,
    seed: int = 0,
    compress: bool = True,
) -> None:
    """Convert pullbacks to NIfTI, with a JSON note beside each and a datalist.json split by patient.

    A pullback that cannot be converted is told in one line and left out; the others are done and the exit code is 1.

    Args:
        input: a pullback, or a folder of them. The first folder below it names the patient (else the file itself).
        output_dir: gets <patient>_<name>.nii.gz, .json and datalist.json.
        layout: how the frames are: cartesian, polar (A-lines, depths), or auto: the DICOM header, else square frames
            with dark corners are Cartesian.
        to: polar, cartesian or keep.
        geometry: what the system's polar frames measure, used where neither the file nor an option says otherwise.
            vivolight has 497 A-lines x 1025 depths of 7.47 um, abbott (C7-XR, OPTIS; nominal) 504 x 976 of 5.11 um,
            both a frame pitch of 0.2 mm. none has 497 A-lines and keeps the Cartesian pixel as the depth pixel.
        num_alines: A-lines of polar frames made from Cartesian ones.
        num_depths: depths of polar frames made from Cartesian ones.
        frame_pitch_mm: distance between frames. Default: the DICOM header, the geometry, 0.2.
        depth_spacing_mm: depth pixel of the output. Default: the DICOM header, the geometry; else 1 and a warning.
        transpose: polar frames come as (depths, A-lines).
        frames: part to convert, start:stop.
        fill_overlay: fill burnt-in marks. Found by their colour, and in 30 or more Cartesian frames by standing still.
        overlay_mask: image or .npy with the burnt-in marks not 0, added to those found.
        patient_regex: finds the patient in the path below input; its first group, else the whole match.
        split: fractions of the patients for training, validation and test.
        ranges: for one pullback, frames per section: "training=0:100,test=100:130". Frames of the same patient in
            training and test support no claim about other patients.
        seed: of the split.
        compress: write .nii.gz rather than .nii.
    """
    options = ConversionOptions(
        layout, to, geometry, num_alines, num_depths, frame_pitch_mm, depth_spacing_mm, transpose, fill_overlay
    )
    root = Path(os.path.abspath(input))
    interval = _parse_range("--frames", frames) if frames else None
    sections = _parse_ranges(ranges) if ranges else None
    fractions = _parse_fractions(split)
    mask = _read_mask(Path(overlay_mask)) if overlay_mask else None
    check_apart({"--input": root}, output_dir)
    sources = find_sources(root)
    if sections and len(sources) > 1:
        raise InputError(root, f"holds {len(sources)} pullbacks", "--ranges is for one; use --split by patient")
    folder = check_output_dir(output_dir)
    items, failures, fates = [], 0, []
    with logging_redirect_tqdm():
        for path in tqdm(sources, desc="pullbacks", disable=len(sources) == 1):
            try:
                patient, name = _patient_and_name(path, root, patient_regex)
                output = folder / f"{name}.nii{'.gz' if compress else ''}"
                if any(item["image"] == output.name for item in items) or is_of_another(output, path):
                    raise InputError(path, f"would be {output.name}, which another source is", "rename one of them")
                count = convert_file(path, output, options, interval, mask)
                items.append({"image": output.name, "patient": patient})
                fates.append(_fate(path, patient, "done", output.name))
            except Exception as error:  # readers of many libraries: one bad source costs one line
                reason = " ".join(str(error).split()) or type(error).__name__
                is_told = isinstance(error, (InputError, OSError, MemoryError))
                logger.error(reason if is_told else f"{path}: cannot be read ({type(error).__name__}: {reason})")
                fates.append(_fate(path, "", "failed", reason=reason))
                failures += 1
    write_fates(folder, fates)
    if items:
        new = {item["image"] for item in items}
        kept = [] if sections else [item for item in _listed(folder) if item["image"] not in new]
        if kept:
            logger.info("%s: %d pullbacks of earlier runs stay in the datalist", folder, len(kept))
        items = sorted([*kept, *items], key=lambda item: item["image"])
        datalist = _by_ranges(items[0], sections, count, root) if sections else split_by_patient(items, fractions, seed)
        write_datalist(folder / "datalist.json", datalist)
        logger.info("%s: %s", folder / "datalist.json", {name: len(entries) for name, entries in datalist.items()})
    if failures:
        sys.exit(f"{failures} of {len(sources)} pullbacks failed")


def _fate(path: Path, patient: str, fate: str, outputs: str = "", reason: str = "") -> dict[str, str]:
    row = {"source": path.name, "place": place_of(path), "patient": patient}
    return {**row, "fate": fate, "outputs": outputs, "reason": reason}


def _listed(folder: Path) -> list[dict[str, str]]:
    """Whole pullbacks that an earlier run listed and that are still there: image and patient."""
    path = folder / "datalist.json"
    if not path.is_file():
        return []
    content = json.loads(path.read_text())
    entries = [entry for section in SECTIONS for entry in content.get(section, []) if "frames" not in entry]
    return [{name: e[name] for name in ("image", "patient")} for e in entries if (folder / e["image"]).is_file()]


def _parse_fractions(split: str | tuple[float, ...]) -> list[float]:
    try:
        fractions = [float(part) for part in (split.split(",") if isinstance(split, str) else split)]
    except (TypeError, ValueError):
        fractions = []
    if len(fractions) != len(SECTIONS) or min(fractions) < 0 or sum(fractions) <= 0:
        raise InputError("--split", f"is {split}", "give three fractions, for instance 0.8,0.1,0.1")
    return fractions


def _parse_range(name: str, text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+):(\d+)", str(text).strip())
    if not match or int(match[1]) >= int(match[2]):
        raise InputError(name, f"is {text}", "give start:stop with start below stop, for instance 0:100")
    return int(match[1]), int(match[2])


def _parse_ranges(text: str) -> dict[str, tuple[int, int]]:
    sections = {}
    for part in text.split(","):
        section, _, interval = part.partition("=")
        if section.strip() not in SECTIONS:
            raise InputError("--ranges", f'names the section "{section}"', f"choose from {', '.join(SECTIONS)}")
        sections[section.strip()] = _parse_range("--ranges", interval)
    intervals = sorted(sections.values())
    if any(before[1] > after[0] for before, after in zip(intervals, intervals[1:], strict=False)):
        raise InputError("--ranges", "has sections that share frames", "keep them apart")
    return sections


def _by_ranges(item: dict, sections: dict[str, tuple[int, int]], count: int, path: Path) -> dict[str, list[dict]]:
    last = max(stop for _, stop in sections.values())
    if last > count:
        raise InputError(path, f"has {count} frames, --ranges asks for {last}", "shorten the ranges")
    return {s: [{**item, "frames": list(sections[s])}] if s in sections else [] for s in SECTIONS}


def _read_mask(path: Path) -> np.ndarray:
    try:
        mask = np.load(path) if path.suffix == ".npy" else imread(path)
    except (OSError, ValueError) as error:
        raise InputError(path, "cannot be read as an overlay mask", "give an image or a .npy file") from error
    return mask.reshape(*mask.shape[:2], -1).any(axis=2)


def _patient_and_name(path: Path, root: Path, patient_regex: str | None) -> tuple[str, str]:
    """Patient, and output name `<patient>_<name>`."""
    below = path.relative_to(root.parent if path == root else root)
    parts = [*below.parts[:-1], below.stem if path.is_file() else below.name]
    patient = parts[0]
    if patient_regex:
        try:
            match = re.search(patient_regex, below.as_posix())
        except re.error as error:
            raise InputError("--patient_regex", f"is not an expression ({error})", "mend it") from error
        if not match:
            raise InputError(path, f"does not match --patient_regex {patient_regex}", "mend the expression")
        patient = match[1] if match.re.groups else match[0]
    words = [patient, *(part for part in parts if part != patient)]
    return patient, re.sub(r"[^\w.-]+", "-", "_".join(words))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    check_arguments(prepare, sys.argv[1:])
    try:
        fire.Fire(prepare)
    except InputError as error:
        sys.exit(f"ERROR {error}")
