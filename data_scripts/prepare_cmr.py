# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Turn short-axis cardiac MR as users have it into heart-centred NIfTI stacks and a datalist split by patient.

    python data_scripts/prepare_cmr.py --input exports --output_dir data/cmr

takes folders of DICOM files as a scanner exports them, zips of them (UK Biobank field 20209), trees of volumes (ACDC,
M&Ms, nnU-Net, ukbb_cardiac, BIDS, plain). A scan is held in memory while it is converted. `data_scripts/restore_cmr.py`
undoes the crop. A second run with the same options does only what is not done yet; what is guessed is told, with the
option that overrules it.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import fire
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from custom.data.datalist import SECTIONS, write_datalist
from custom.errors import InputError
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.preparation import Fate, Preparation, report_lines
from custom.importers.cmr.scan import ConversionOptions
from custom.importers.cmr.sources import find_sources
from custom.importers.cmr.volumes import VolumeOptions
from custom.importers.intake import as_typed, check_apart, check_arguments, write_fates
from custom.importers.left_out import LeftOut, failed, tell_left_out
from custom.importers.notes import Doubt
from custom.importers.sections import check_sections, grow, parse_pairs, parse_words
from custom.scans.nifti import check_output_dir

logger = logging.getLogger("prepare_cmr")


def prepare(
    input: str,
    output_dir: str,
    source: str = "auto",
    spacing: float = 1.8,
    size: int = 128,
    centre: str = "auto",
    intensity: str = "volume",
    masks: str = "ours",
    frames: str = "cine",
    slice_axis: int | None = None,
    series: str | None = None,
    min_slices: int = 4,
    duplicates: str = "error",
    drop_incomplete: bool = False,
    join: str = "like",
    phases_by: str = "auto",
    unit: str = "auto",
    label_like: str = "refuse",
    patient_from: str = "auto",
    patient_pattern: str | None = None,
    same_patient: str | tuple[str, ...] | None = None,
    fractions: str | tuple[float, ...] = (0.8, 0.1, 0.1),
    test_patients: str | tuple[str, ...] | None = None,
    val_patients: str | tuple[str, ...] | None = None,
    seed: int = 0,
    resplit: bool = False,
) -> None:
    """Convert short-axis scans to NIfTI, with a JSON record beside each and a datalist.json split by patient.

    A scan that cannot be converted is told in one line and left out; the others are done and the exit code is 1.

    Args:
        input: a scan, or a folder of scans: DICOM (classic or enhanced), zips of it, NIfTI, Analyze, .hdr/.img pairs,
            NRRD and MetaImage (with SimpleITK). Neither in output_dir nor around it.
        output_dir: gets <name>.nii.gz and .json, labels/ where there are masks, datalist.json, and sources.csv, which
            lists every source and what became of it. Sources of other runs stay in it, the datalist grows.
        source: dicom, zip (UK Biobank), nifti (volumes of all formats), or auto for all of them.
        spacing: pixel of the crop in mm, in plane only; 0 keeps the scanner's pixels, which are then copied.
        size: of the square crop in pixels; 0 for the whole plane.
        centre: of the crop: label (of a mask beside the image: _gt, _lv, _label, _seg, _mask), motion (where the
            phases of a cine, or of two files, differ), image (its middle), or auto, the first of these there is.
        intensity: volume stores values as they are, their range is taken per volume later. slice makes the 99.5
            percentile of all slices equal, for sets that were scaled slice by slice.
        masks: how the masks number structures: ours or mnms (1 LV cavity, 2 myocardium, 3 RV cavity), acdc (3, 2, 1),
            lv_cavity (1, and nothing else is drawn), or pairs theirs=ours such as 3=1,2=2; numbers without a pair
            become background. What is not drawn is noted as unknown ("label_classes" in the datalist).
        frames: of NIfTI scans with both a cine and single phases: cine takes the cine, single the phases.
        slice_axis: array axis between slices of volumes. Default: that of largest spacing.
        series: regular expression; of DICOM only series whose description matches.
        min_slices: DICOM series with fewer positions are listed and left out (long axis, localisers).
        duplicates: of DICOM images at the same place and time: error, or keep the first or the last acquired.
        drop_incomplete: leave out slices at the ends of a DICOM stack that lack phases.
        join: which DICOM series may be parts of one stack, if their slices or phases complete each other: those whose
            descriptions are alike but for numbers (like), all, also of several studies of one patient, or none.
        phases_by: what orders the phases of a DICOM slice: trigger (time), temporal (position), instance (number),
            series (number), or auto: the first of these that tells them apart.
        unit: of lengths in NIfTI headers: mm, micron, meter, or auto for what they say.
        label_like: volumes of a few whole numbers, as label maps are: refuse them, or take them for an image.
        patient_from: what names the patient: header (PatientID), folder (the first below input), file, or auto: the
            header unless anonymised, sub- of BIDS, a folder that the file is named after, the first folder that is no
            part of a data set's structure (imagesTr, training), the file without its phase.
        patient_pattern: regular expression that finds the patient in the path below input; its first group, else the
            whole match.
        same_patient: people with two names: SCD0000301=SC-HF-I-04,... The second name is used.
        fractions: of the patients for training, validation and test.
        test_patients: exactly these patients (and no others) are for testing.
        val_patients: the same for validation. With both, all others train.
        seed: of the split.
        resplit: deal all patients of output_dir anew; otherwise those of earlier runs stay in their sections.
    """
    series, patient_pattern = _expression("--series", series), _expression("--patient_pattern", patient_pattern)
    conversion = ConversionOptions(spacing, size, centre, intensity, masks)
    dicom = DicomOptions(series, min_slices, duplicates, drop_incomplete, join, phases_by)
    volumes = VolumeOptions(unit, label_like)
    if frames not in ("cine", "single"):
        raise InputError("--frames", f"is {frames}", "choose from cine, single")
    root = Path(os.path.abspath(input))
    aliases = parse_pairs("--same_patient", same_patient)
    listed = {"test": parse_words(test_patients), "validation": parse_words(val_patients)}
    check_sections(listed, fractions, seed=seed)
    check_apart({"--input": root}, output_dir)
    left_out: LeftOut = []
    sources = find_sources(root, source, frames, patient_pattern, patient_from, left_out, join)
    folder = check_output_dir(output_dir)
    preparation = Preparation(folder, conversion, dicom, volumes, slice_axis, aliases, patient_pattern)
    fates: list[Fate] = []
    with logging_redirect_tqdm():
        for item in tqdm(sources, desc="scans", disable=len(sources) == 1):
            fates.append(preparation.convert(item))
            _tell(fates[-1])
    _write_datalist(folder, fates, listed, fractions, seed, resplit)
    _report(folder, fates)
    write_fates(folder, [*(fate.row() for fate in fates), *tell_left_out(left_out, root)])
    if told := failed(sum(bool(fate.faults) for fate in fates), len(sources), "scans", left_out):
        sys.exit(told)


def _expression(option: str, value: Any) -> str | None:
    """An expression of the command line, which takes 4 for a number and a,b for two words."""
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise InputError(option, f"is {value}", f"put the expression into two kinds of quotes: {option} '\"...\"'")
    return str(value) if isinstance(value, int) else value


def _tell(fate: Fate) -> None:
    """Say what there is to say of a source."""
    name = fate.source.name
    if fate.source.patient_from:
        logger.info("%s: patient %s, by %s", name, fate.patient, fate.source.patient_from)
    for note in fate.notes:
        logger.log(logging.WARNING if isinstance(note, Doubt) else logging.INFO, "%s: %s", name, note)
    if fate.is_old:
        logger.info("%s: done already", name)
    for fault in fate.faults:
        logger.error(fault)


def _write_datalist(folder: Path, fates: list[Fate], listed: dict, fractions: Any, seed: int, resplit: bool) -> None:
    entries = [entry for fate in fates for entry in fate.entries]
    if not entries:
        return
    path = folder / "datalist.json"
    stale = [image for fate in fates for image in fate.stale]
    datalist, kept = grow(folder, entries, listed, fractions, seed, resplit, stale)
    write_datalist(path, datalist)
    if kept:
        logger.info("%s: sections of earlier runs are kept (patients: %d); --resplit deals all anew", path, kept)
    logger.info("%s: %s", path, {name: len(datalist[name]) for name in SECTIONS})


def _report(folder: Path, fates: list[Fate]) -> None:
    """Each stack, and what of its images was left out, with the reason."""
    for line in report_lines(folder, fates):
        logger.info(line)
    for fate in fates:
        for note in fate.notes:
            if "left out" in note:
                logger.info("%s: %s", fate.source.name, note)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    check_arguments(prepare, sys.argv[1:])
    try:
        fire.Fire(as_typed(prepare))
    except InputError as error:
        sys.exit(f"ERROR {error}")
