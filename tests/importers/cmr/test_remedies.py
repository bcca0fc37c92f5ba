# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Messages that end with an advice: each is provoked, and its advice followed. Others are tested with their files."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from custom.errors import InputError
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.preparation import Preparation
from custom.importers.cmr.scan import ConversionOptions
from custom.importers.cmr.sources import find_sources
from custom.importers.cmr.volumes import VolumeOptions
from tests.importers.cmr.dicoms import mr_dataset, write


def image(path, k, t=0, offset=(0.0, 0.0), tilt=0.0, **tags):
    """A DICOM image of slice `k` and phase `t`, axial, displaced by `offset` mm, tilted by `tilt` degrees."""
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    fields = {
        "SeriesDescription": "sax", "PixelSpacing": [1.5, 1.5], "ImageOrientationPatient": [1, 0, 0, 0, c, s],
        "ImagePositionPatient": [*offset, 8.0 * k], "TriggerTime": 40 * t, "InstanceNumber": 10 * k + t + 1,
    }  # fmt: skip
    pixels = 1000 + np.arange(120).reshape(12, 10) + 150 * k + 20 * t
    write(path, mr_dataset(pixels, **{**fields, **tags}))


def stack(folder, slices=range(6), **tags):
    for k in slices:
        image(folder / f"im{k}", k, **tags)


def volume(path, seed=0, shape=(20, 16, 5), values=None, spacing=8):
    data = np.random.default_rng(seed).integers(0, 900, shape).astype(np.int16) if values is None else values
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, np.diag([1.4, 1.4, spacing, 1])), path)


def displaced(root):
    stack(root / "p", range(5))
    image(root / "p/moved", 5, offset=(6.0, 0.0))


def tilted(root):
    stack(root / "p", range(5))
    image(root / "p/moved", 5, tilt=5)


def two_patients(root):
    stack(root / "p", range(5))
    for k in range(5):
        image(root / f"p/b{k}", k, PatientID="Q", StudyInstanceUID="1.3")


def apart(root):
    (root / "q").mkdir()
    for path in (root / "p").glob("b*"):
        path.rename(root / "q" / path.name)


def zip_of_two(root):
    two_patients(root)
    with zipfile.ZipFile(root / "both.zip", "w") as archive:
        for path in (root / "p").iterdir():
            series = "1.2.3" if path.name.startswith("im") else "1.2.4"
            dataset = pydicom.dcmread(path)
            dataset.SeriesInstanceUID = series
            dataset.save_as(path, enforce_file_format=True)
            archive.write(path, path.name)
    shutil.rmtree(root / "p")


def unpack(root):
    zipfile.ZipFile(root / "both.zip").extractall(root / "both")
    (root / "both.zip").unlink()


def phases_of_two_grids(root):
    volume(root / "p/a_phase01.nii.gz")
    volume(root / "p/a_phase02.nii.gz", spacing=9)


def folders_of_their_own(root):
    for k in (1, 2):
        (root / f"p{k}").mkdir()
        (root / f"p/a_phase0{k}.nii.gz").rename(root / f"p{k}/a_phase0{k}.nii.gz")


def small_mask(root):
    volume(root / "p/a.nii.gz")
    volume(root / "p/a_gt.nii.gz", values=np.ones((20, 16, 4), np.uint8))


def high_mask(root):
    volume(root / "p/a.nii.gz")
    volume(root / "p/a_gt.nii.gz", values=np.full((20, 16, 5), 255, np.uint8))


def dark_corner(root):
    values = np.zeros((60, 60, 5), np.int16)
    values[:20, :20] = np.random.default_rng(0).integers(100, 900, (20, 20, 5))
    volume(root / "p/a.nii.gz", values=values)


def remove(name):
    return lambda root: (root / "p" / name).unlink()


CASES = {
    "displaced": (displaced, {}, "remove the displaced images", remove("moved"), {}),
    "tilted": (tilted, {}, "remove them from the folder", remove("moved"), {}),
    "two patients": (two_patients, {}, "or give each of the patients a folder", apart, {}),
    "zip of two": (zip_of_two, {}, "unpack it and give the folder", unpack, {}),
    "few slices": (lambda root: stack(root / "p", range(3)), {}, "say with --min_slices", None, {"min_slices": 3}),
    "mixed phases": (phases_of_two_grids, {}, "into folders of their own", folders_of_their_own, {}),
    "small mask": (small_mask, {}, "give the mask of this image, or remove it", remove("a_gt.nii.gz"), {}),
    "high mask": (high_mask, {}, "such as --masks 255=1", None, {"masks": "255=1"}),
    "dark corner": (dark_corner, {"size": 10}, "choose another --centre or a larger --size", None, {"size": 60}),
}  # fmt: skip


def run(root, out, **options):
    """All faults of a run, those of finding sources too."""
    out.mkdir(exist_ok=True)
    dicom = DicomOptions(min_slices=options.pop("min_slices", 4))
    preparation = Preparation(out, ConversionOptions(**{"spacing": 0, "size": 0, **options}), dicom, VolumeOptions())
    try:
        return [fault for source in find_sources(Path(root)) for fault in preparation.convert(source).faults]
    except InputError as error:
        return [str(error)]


@pytest.mark.parametrize("name", CASES)
def test_the_advice_works(tmp_path, name):
    make, before, words, follow, after = CASES[name]
    make(tmp_path / "in")
    faults = run(tmp_path / "in", tmp_path / "out", **before)
    assert faults and all("\n" not in fault for fault in faults) and any(words in fault for fault in faults), faults
    if follow:
        follow(tmp_path / "in")
    assert run(tmp_path / "in", tmp_path / "out", **before | after) == []


def test_one_image_of_a_scan_is_sent_to_its_folder(tmp_path):
    stack(tmp_path / "p")
    with pytest.raises(InputError, match="is one DICOM image; give the folder that holds the whole scan"):
        find_sources(tmp_path / "p/im0")
    assert run(tmp_path / "p", tmp_path / "out") == []
