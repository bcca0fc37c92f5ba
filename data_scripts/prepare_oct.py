# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Turn intravascular OCT pullbacks as users have them into NIfTI `(H, W, frames)` and a datalist split by patient.

    python data_scripts/prepare_oct.py --input exports --output_dir data/oct --geometry vivolight

Each DICOM, `.npz`/`.npy` or multi-page TIFF file is a pullback, and so is each folder of PNG or TIFF frames. The colour
map of the display is undone, burnt-in marks are filled from their surroundings, and Cartesian frames become polar. A
pullback is held in memory while it is converted.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import fire
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from custom.data.datalist import SECTIONS, write_datalist
from custom.errors import InputError
from custom.importers.intake import as_typed, check_apart, check_arguments, write_fates
from custom.importers.left_out import LeftOut, failed, tell_left_out
from custom.importers.notes import Doubt
from custom.importers.oct.conversion import ConversionOptions
from custom.importers.oct.options import by_ranges, parse_range, parse_ranges, read_mask
from custom.importers.oct.preparation import Fate, Preparation
from custom.importers.oct.sources import FindOptions, find_sources
from custom.importers.sections import check_sections, grow, kept_entries
from custom.scans.pullbacks import check_output_dir

logger = logging.getLogger("prepare_oct")


def prepare(
    input: str,
    output_dir: str,
    layout: str = "auto",
    crop: str | None = None,
    to: str = "polar",
    geometry: str = "none",
    num_alines: int | None = None,
    num_depths: int | None = None,
    frame_pitch_mm: float | None = None,
    depth_spacing_mm: float | None = None,
    transpose: bool = False,
    frames: str | None = None,
    frame_names: str | None = None,
    gaps: str = "keep",
    label_like: str = "refuse",
    fill_overlay: bool = True,
    overlay_mask: str | None = None,
    patient_from: str = "auto",
    patient_regex: str | None = None,
    split: str | tuple[float, ...] = (0.8, 0.1, 0.1),
    ranges: str | None = None,
    seed: int = 0,
    resplit: bool = False,
    compress: bool = True,
) -> None:
    """Convert pullbacks to NIfTI, with a JSON note beside each and a datalist.json split by patient.

    A pullback that cannot be converted is told in one line and left out; the others are done and the exit code is 1.

    Args:
        input: a pullback, or a folder of them, neither in output_dir nor around it.
        output_dir: gets <patient>_<name>.nii.gz and .json, datalist.json, and sources.csv, which lists every source and
            what became of it. Pullbacks of other runs stay in them.
        layout: how the frames are: cartesian, polar (A-lines, depths), or auto: the DICOM header, a disc with dark
            corners (which is cut out of what surrounds it), A-lines of which the last continues the first.
        crop: part of the frame that counts, top:bottom,left:right in pixels.
        to: polar, cartesian or keep.
        geometry: what the system's frames measure, used where neither the file nor an option says otherwise.
            vivolight has 497 A-lines of 7.66 mm, abbott (C7-XR, OPTIS; nominal) 504 of 4.99 mm, both a frame pitch of
            0.2 mm. none has 497 A-lines and no spacing.
        num_alines: A-lines of polar frames made from Cartesian ones.
        num_depths: depths of polar frames made from Cartesian ones. Default: the Cartesian pixel stays the depth pixel,
            which is the grid that the shipped weights were trained on; the system's own is finer (1025 of vivolight).
        frame_pitch_mm: distance between frames. Default: the DICOM header, the geometry, 0.2.
        depth_spacing_mm: depth pixel of the output. Default: the DICOM header, the geometry; else 1 and a warning.
        transpose: polar frames come as (depths, A-lines).
        frames: part to convert, start:stop.
        frame_names: regular expression; of a folder's images only those whose name matches are frames.
        gaps: where numbers of frames are missing: keep takes those beside the gap for neighbours and warns, split makes
            each run without gaps a pullback of its own.
        label_like: frames of at most 8 whole values, and files named like masks: refuse them, or take them for an
            image.
        fill_overlay: fill burnt-in marks. Found by their colour, in Cartesian frames also by standing still (8 frames
            or more) and by being white in single frames.
        overlay_mask: image or .npy with the burnt-in marks not 0, added to those found.
        patient_from: what names the patient: header (PatientID), folder (the first below input that is no part of a
            structure of a data set), file, or auto, which is the header unless anonymised, the folder, the file.
        patient_regex: finds the patient in the path below input; its first group, else the whole match.
        split: fractions of the patients for training, validation and test.
        ranges: for one pullback, frames per section: "training=0:100,test=100:130". Frames of the same patient in
            training and test support no claim about other patients.
        seed: of the split.
        resplit: deal all patients of output_dir anew; otherwise those of earlier runs stay in their sections.
        compress: write .nii.gz rather than .nii.
    """
    options = ConversionOptions(
        layout, to, geometry, num_alines, num_depths, frame_pitch_mm, depth_spacing_mm, transpose, fill_overlay, crop
    )
    finding = FindOptions(frame_names, gaps, label_like, patient_from, patient_regex)
    root = Path(os.path.abspath(input))
    interval = parse_range("--frames", frames, 2) if frames else None
    sections = parse_ranges(ranges) if ranges else None
    check_sections({}, split, "--split", seed)
    mask_path = Path(overlay_mask) if overlay_mask else None
    mask = read_mask(mask_path) if mask_path else None
    check_apart({"--input": root}, output_dir)
    left_out: LeftOut = []
    sources = find_sources(root, finding, left_out)
    if sections and len(sources) > 1:
        raise InputError(root, f"holds {len(sources)} pullbacks", "--ranges is for one; use --split by patient")
    folder = check_output_dir(output_dir)
    preparation = Preparation(folder, options, finding, interval, mask, mask_path, compress)
    fates: list[Fate] = []
    with logging_redirect_tqdm():
        for source in tqdm(sources, desc="pullbacks", disable=len(sources) == 1):
            fates.append(preparation.convert(source))
            _tell(fates[-1])
    write_fates(folder, [*(fate.row() for fate in fates), *tell_left_out(left_out, root)])
    entries = [fate.entry for fate in fates if fate.entry]
    if entries:
        stale = preparation.stale()
        if stale:
            logger.info("no longer in the datalist, since their sources have other names now: %s", ", ".join(stale))
        if sections:
            datalist, kept = kept_entries(folder, entries, stale), 0
            for name, found in by_ranges(entries[0], sections, fates[0].count, root).items():
                datalist[name] += found
        else:
            datalist, kept = grow(folder, entries, {}, split, seed, resplit, stale)
        write_datalist(folder / "datalist.json", datalist)
        if kept:
            logger.info("%s: sections of earlier runs are kept (patients: %d); --resplit deals all anew", folder, kept)
        logger.info("%s: %s", folder / "datalist.json", {name: len(datalist[name]) for name in SECTIONS})
    if told := failed(sum(bool(fate.fault) for fate in fates), len(sources), "pullbacks", left_out):
        sys.exit(told)


def _tell(fate: Fate) -> None:
    """Say what there is to say of a source."""
    for note in fate.notes:
        logger.log(logging.WARNING if isinstance(note, Doubt) else logging.INFO, "%s: %s", fate.path, note)
    if fate.fault:
        logger.error(fate.fault)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    check_arguments(prepare, sys.argv[1:])
    try:
        fire.Fire(as_typed(prepare))
    except InputError as error:
        sys.exit(f"ERROR {error}")
