# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Turn short-axis cardiac MR as users have it into heart-centred NIfTI stacks and a datalist split by patient.

    python data_scripts/prepare_cmr.py --input exports --output_dir data/cmr

takes folders of DICOM files as a scanner exports them, zips of them (UK Biobank field 20209), ACDC and M&Ms trees and
plain NIfTI. A scan is held in memory while it is converted. `data_scripts/restore_cmr.py` undoes the crop. A second run
with the same options does only what is not done yet.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fire
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from custom.data.datalist import SECTIONS, write_datalist
from custom.errors import InputError
from custom.importers.cmr.record import (
    Records,
    finished_entries,
    grow,
    is_taken,
    parse_pairs,
    parse_words,
    read_records,
)
from custom.importers.cmr.scan import ConversionOptions, write_scan
from custom.importers.cmr.series import DicomOptions
from custom.importers.cmr.sources import CmrSource, find_sources, fingerprint, header_patient, place, renamed
from custom.importers.cmr.study import read_source
from custom.importers.intake import check_apart, check_arguments, write_fates
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
    patient_pattern: str | None = None,
    same_patient: str | tuple[str, ...] | None = None,
    fractions: str | tuple[float, ...] = (0.8, 0.1, 0.1),
    test_patients: str | tuple[str, ...] | None = None,
    val_patients: str | tuple[str, ...] | None = None,
    seed: int = 0,
) -> None:
    """Convert short-axis scans to NIfTI, with a JSON record beside each and a datalist.json split by patient.

    A scan that cannot be converted is told in one line and left out; the others are done and the exit code is 1.

    Args:
        input: a scan, or a folder of scans. A folder that a NIfTI file is named after names the patient (ACDC, M&Ms),
            else the first folder below input, else the file without its phase; of a UK Biobank zip its first number.
            Of DICOM folders the PatientID goes first, unless it says that it is none.
        output_dir: gets <name>.nii.gz and .json, labels/ where there are masks, and datalist.json.
        source: dicom, zip (UK Biobank), nifti (ACDC, M&Ms, plain), or auto for all of them.
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
        slice_axis: array axis between slices of NIfTI files. Default: that of largest spacing.
        series: regular expression; of DICOM only series whose description matches.
        min_slices: DICOM series with fewer positions are listed and left out (long axis, localisers).
        duplicates: of DICOM images at the same place and time: error, or keep the first or the last acquired.
        drop_incomplete: leave out slices at the ends of a DICOM stack that lack phases.
        patient_pattern: regular expression that finds the patient in the path below input; its first group, else the
            whole match.
        same_patient: people with two names: SCD0000301=SC-HF-I-04,... The second name is used.
        fractions: of the patients for training, validation and test.
        test_patients: exactly these patients (and no others) are for testing.
        val_patients: the same for validation. With both, all others train.
        seed: of the split.
    """
    options = ConversionOptions(spacing, size, centre, intensity, masks)
    dicom = DicomOptions(series, min_slices, duplicates, drop_incomplete)
    if frames not in ("cine", "single"):
        raise InputError("--frames", f"is {frames}", "choose from cine, single")
    root = Path(os.path.abspath(input))
    aliases = parse_pairs("--same_patient", same_patient)
    listed = {"test": parse_words(test_patients), "validation": parse_words(val_patients)}
    check_apart({"--input": root}, output_dir)
    sources = find_sources(root, source, frames, patient_pattern)
    folder = check_output_dir(output_dir)
    settings = {"conversion": asdict(options), "dicom": asdict(dicom), "slice_axis": slice_axis}
    entries, failures, names, records, fates = [], 0, set(), read_records(folder), []
    with logging_redirect_tqdm():
        for item in tqdm(sources, desc="scans", disable=len(sources) == 1):
            patient = item.patient
            if not patient_pattern and (stated := header_patient(item)) and stated != patient:
                logger.info(
                    "%s: patient %s by its PatientID; --patient_pattern takes it from the path", patient, stated
                )
                patient = stated
            patient = aliases.get(patient, aliases.get(item.patient, patient))
            made, reasons = [], []
            try:
                made, faults = _convert(item, folder, patient, options, dicom, settings, names, records)
                entries += made
                reasons = [str(fault) for fault in faults]
            except InputError as error:
                reasons = [" ".join(str(error).split())]
            except Exception as error:  # one bad header must not end the folder
                reasons = [f"{item.paths[0]}: cannot be converted ({_told(error)}); export it again, or leave it out"]
            for reason in reasons:
                logger.error(reason)
            failures += bool(reasons)
            fates.append(_fate(item, patient, made, reasons))
    if entries:
        datalist, kept = grow(folder, entries, listed, fractions, seed)
        write_datalist(folder / "datalist.json", datalist)
        if kept:
            logger.info("%s: keeps %d entries of earlier runs", folder / "datalist.json", kept)
        logger.info("%s: %s", folder / "datalist.json", {name: len(datalist[name]) for name in SECTIONS})
    write_fates(folder, fates)
    if failures:
        sys.exit(f"{failures} of {len(sources)} scans failed")


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _fate(source: CmrSource, patient: str, entries: list[dict[str, Any]], reasons: list[str]) -> dict[str, str]:
    fate = "failed" if not entries else "partly converted" if reasons else "converted"
    return {
        "source": "; ".join(source.told()),
        "place": place(source),
        "patient": entries[0]["patient"] if entries else patient,
        "fate": fate,
        "outputs": "; ".join(entry["image"] for entry in entries),
        "reason": "; ".join(reasons),
    }


def _convert(
    source: CmrSource,
    folder: Path,
    patient: str,
    options: ConversionOptions,
    dicom: DicomOptions,
    settings: dict[str, Any],
    names: set[str],
    records: Records,
) -> tuple[list[dict[str, Any]], list[InputError]]:
    """Convert one source unless that is done; returns its datalist entries, and faults of single stacks."""
    record = {"source": source.told(), "kind": source.kind, "name": source.name}
    record |= {"source_fingerprint": fingerprint(source), "source_place": place(source)}
    record |= {"settings": settings, "faults": []}
    entries = finished_entries(folder, records, record)
    if entries:
        logger.info("%s: done already", source.name)
        _claim([Path(entry["image"]).name.removesuffix(".nii.gz") for entry in entries], source, names)
        return [{**entry, "patient": patient} for entry in entries], []
    source = _free(source, folder, records, record)
    record |= {"name": source.name}
    scans, notes, faults = read_source(source, dicom, settings["slice_axis"])
    for note in notes:
        logger.info("%s: %s", source.name, note)
    outputs = [volume.name for scan in scans for volume in scan.volumes]
    for name in outputs:
        if is_taken(folder, records, name, record):
            fault = f"would be {name}.nii.gz, which is there and is not of this source"
            raise InputError(source.paths[0], fault, "choose another --output_dir, or rename one of them")
    _claim(outputs, source, names)
    record |= {"faults": [fault.fault for fault in faults], "outputs": outputs}
    for scan in scans:
        written = write_scan(folder, scan, patient, options, record)
        entries += written
        for entry, volume in zip(written, scan.volumes, strict=True):
            logger.info("%s: %s %s, heart at %s", entry["image"], volume.info.shape, patient, entry["centre"])
    return entries, faults


def _free(source: CmrSource, folder: Path, records: Records, record: dict[str, Any]) -> CmrSource:
    """The source, numbered if another source of an earlier run has its name."""
    number, free = 1, source
    while any(
        is_taken(folder, records, name, record)
        for name in {free.name, *free.output_names, *(n for n, r in records.items() if r.get("name") == free.name)}
    ):
        number += 1
        free = renamed(source, number)
    if number > 1:
        logger.warning("%s: %s is the name of another source, this one becomes %s", source.name, source.name, free.name)
    return free


def _claim(outputs: list[str], source: CmrSource, names: set[str]) -> None:
    for name in outputs:
        if name in names:
            fault = f"would be {name}.nii.gz, which another source is"
            raise InputError(source.paths[0], fault, "rename one of them, or prepare it into another folder")
    names.update(outputs)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    check_arguments(prepare, sys.argv[1:])
    try:
        fire.Fire(prepare)
    except InputError as error:
        sys.exit(f"ERROR {error}")
