# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Random changes of one element of a header: no traceback, no hang, no silently wrong geometry.

A few dozen run with the other tests. `FUZZ=1000 pytest tests/importers/cmr/test_fuzz.py` runs a thousand of each kind.
What a source becomes after a change is right if it is refused in one line; or if it is what it was before; or if it is
as the changed header says, and that has been said (a note or a warning), or concerns nothing but intensities.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.tag import Tag

from custom.importers.cmr.dicom_headers import TAGS
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.preparation import Preparation
from custom.importers.cmr.scan import ConversionOptions
from custom.importers.cmr.sources import find_sources
from custom.importers.cmr.volumes import VolumeOptions
from tests.importers.cmr.dicoms import COLUMNS, FRAME, ROWS, mr_dataset, position_of, write

COUNT = int(os.environ.get("FUZZ", "60"))
MAX_SECONDS = 5.0
SLICES, PHASES = 5, 2
WILD = ["", "0", "-1", "1e30", "-1e-30", "nan", "inf", "abc", "1\\2\\3\\4\\5\\6\\7", "0\\0", "2.5", "99999", "\\", " "]
INTENSITY = {"RescaleSlope", "RescaleIntercept", "PixelPaddingValue", "PixelPaddingRangeLimit", "PixelRepresentation"}
GEOMETRY = {"PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"}
"""Changed alike in all files, these are what the scanner says, and nobody can know better."""


def header(k, t):
    pixels = 1000 + np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) + 150 * k + 20 * t
    fields = {
        "SOPInstanceUID": f"1.2.{k}.{t}", "ImagePositionPatient": position_of(8.0 * k), "TriggerTime": 30.5 * t,
        "InstanceNumber": 10 * k + t + 1, "AcquisitionNumber": 1, "AcquisitionTime": "120000", "EchoTime": 1.5,
    }  # fmt: skip
    dataset = mr_dataset(pixels, **fields)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def mutate(dataset, rng):
    """Change one element to something random; returns its keyword, or None where pydicom cannot write it."""
    name = str(rng.choice([tag for tag in TAGS if not tag.endswith("Sequence")]))
    kind = rng.choice(["wild", "number", "delete", "bytes"])
    if kind == "delete" or name not in dataset:
        if name in dataset:
            del dataset[name]
        return name
    element = dataset[name]
    try:
        if kind == "number":
            values = np.atleast_1d(np.array(element.value, float)) * rng.choice([0.5, 0.99, 1.01, 2, -1, 1000], 1)
            values = [int(v) if element.VR in ("IS", "US") else f"{v:.10g}" for v in values]
            dataset[name].value = values if len(values) > 1 else values[0]
        elif kind == "wild":
            dataset[name].value = (
                str(rng.choice(WILD)) if element.VR not in ("US", "SS") else int(rng.integers(0, 65536))
            )
        else:
            dataset[name] = pydicom.dataelem.RawDataElement(Tag(name), element.VR, 8, rng.bytes(8), 0, False, True)
    except (ValueError, TypeError, OverflowError):
        return None
    return name


def prepare(root, out):
    """Fates of the sources below a folder, and the seconds that they took."""
    started = time.monotonic()
    preparation = Preparation(out, ConversionOptions(0, 0), DicomOptions(), VolumeOptions())
    out.mkdir(parents=True, exist_ok=True)
    fates = [preparation.convert(source) for source in find_sources(root)]
    return fates, time.monotonic() - started


def check(fates, seconds, told):
    assert seconds < MAX_SECONDS, told
    for fault in (fault for fate in fates for fault in fate.faults):
        assert "\n" not in fault and ";" in fault and len(fault) < 1000, told
        assert "cannot be converted (" not in fault, f"{told}: {fault}"  # what nobody has thought of


def images(fates, out):
    return [nib.load(out / entry["image"]) for fate in fates for entry in fate.entries]


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """What the series is without a change."""
    folder = tmp_path_factory.mktemp("truth")
    for k in range(SLICES):
        for t in range(PHASES):
            write(folder / f"p/{k}{t}", header(k, t))
    fates, _ = prepare(folder / "p", folder / "out")
    (image,) = images(fates, folder / "out")
    return np.asarray(image.dataobj), image.affine, image.header.get_zooms()


@pytest.mark.parametrize("seed", range(COUNT))
def test_one_element_of_one_file_or_of_all(tmp_path, truth, seed):
    rng = np.random.default_rng(seed)
    everywhere, victim = bool(rng.random() < 0.4), int(rng.integers(SLICES * PHASES))
    state = rng.bit_generator.state
    name = None
    for n in range(SLICES * PHASES):
        dataset = header(n // PHASES, n % PHASES)
        if everywhere or n == victim:
            rng.bit_generator.state = state  # the same change in each
            name = mutate(dataset, rng)
        try:
            write(tmp_path / f"p/{n:02d}", dataset)
        except Exception:  # pydicom refuses to write it: no such file exists
            return
    told = f"seed {seed}: {name} {'everywhere' if everywhere else f'in file {victim}'}"
    fates, seconds = prepare(tmp_path / "p", tmp_path / "out")
    check(fates, seconds, told)
    found = images(fates, tmp_path / "out")
    if name in INTENSITY or not found:
        assert found or any(fate.faults for fate in fates), told
        return
    values, affine, zooms = truth
    same = len(found) == 1 and found[0].shape == values.shape and np.array_equal(np.asarray(found[0].dataobj), values)
    same = same and np.allclose(found[0].affine, affine, atol=1e-3)
    is_said = any(fate.notes or fate.faults for fate in fates)
    if everywhere and name in GEOMETRY:
        assert all(np.prod(image.shape) == values.size for image in found) or is_said, told
    elif everywhere and name == "TriggerTime":
        assert len(found) == 1 and np.allclose(found[0].affine, affine, atol=1e-3), told
    else:
        assert same or is_said, told
    assert same or everywhere or any(fate.faults for fate in fates) or is_said, told


NIFTI_FIELDS = [name for name in nib.Nifti1Header.template_dtype.names if name not in ("descrip", "aux_file")]
HARMLESS = {
    *("data_type", "db_name", "extents", "session_error", "regular", "dim_info", "intent_p1", "intent_p2", "intent_p3"),
    *("slice_start", "slice_end", "slice_code", "cal_max", "cal_min", "slice_duration", "toffset", "glmax", "glmin"),
    *("intent_name", "scl_slope", "scl_inter", "bitpix"),
}


def nifti(path, phases):
    rng = np.random.default_rng(0)
    shape = (12, 10, 5, phases) if phases else (12, 10, 5)
    affine = nib.affines.from_matvec(FRAME.T * np.sign(np.linalg.det(FRAME)) * [1.25, 1.5, 8], (5, -30, 60))
    image = nib.Nifti1Image(rng.integers(100, 900, shape).astype(np.int16), affine)
    image.header.set_xyzt_units("mm", "msec")
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return np.asarray(nib.load(path).dataobj), image.affine


@pytest.mark.parametrize("seed", range(COUNT))
def test_one_field_of_a_nifti(tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "p/scan.nii"
    values, affine = nifti(path, phases=int(rng.choice([0, 2])))
    raw = bytearray(path.read_bytes())
    name = str(rng.choice(NIFTI_FIELDS))
    dtype, offset = nib.Nifti1Header.template_dtype.fields[name][:2]
    item = int(rng.integers(np.prod(dtype.shape, dtype=int)))
    base = dtype.base
    if base.kind == "f":
        old = np.frombuffer(bytes(raw), base, 1, offset + item * base.itemsize)[0]
        choices = [np.nan, np.inf, 0, -1, 1e30, -old, old * 1.01, old * 2, old + 1, old * 1000, rng.normal()]
        content = np.array(rng.choice(choices), base).tobytes()
    else:
        content = rng.bytes(base.itemsize) if rng.random() < 0.5 else np.array(rng.integers(0, 8), "<i8").tobytes()
        content = content[: base.itemsize].ljust(base.itemsize, b"\0")
    start = offset + item * base.itemsize
    raw[start : start + base.itemsize] = content
    path.write_bytes(bytes(raw))
    told = f"seed {seed}: {name}[{item}] = {np.frombuffer(content, base)[0] if base.itemsize else content!r}"
    fates, seconds = prepare(tmp_path / "p", tmp_path / "out")
    check(fates, seconds, told)
    found = images(fates, tmp_path / "out")
    assert found or any(fate.faults for fate in fates), told
    if not found or name in HARMLESS:
        return
    (image,) = found
    corner = [*values.shape[:3], 1]
    same = image.shape == values.shape and np.allclose(image.affine @ corner, affine @ corner, atol=0.1)
    same = same and np.allclose(image.affine, affine, atol=0.02) and np.array_equal(np.asarray(image.dataobj), values)
    assert same or any(fate.notes for fate in fates), told


def test_the_folder_ends_well_whatever_one_source_does(tmp_path, monkeypatch):
    """An error that nobody has thought of costs one line, and the next source is done."""
    for name in ("a", "b"):
        nifti(Path(tmp_path / f"p/{name}.nii"), 0)
    preparation = Preparation(tmp_path, ConversionOptions(0, 0), DicomOptions(), VolumeOptions())
    first, second = find_sources(tmp_path / "p")
    (tmp_path / "p/a.nii").unlink()
    (tmp_path / "p/a.nii").mkdir()
    fate = preparation.convert(first)
    assert fate.faults and "\n" not in fate.faults[0] and not fate.entries
    assert preparation.convert(second).entries
