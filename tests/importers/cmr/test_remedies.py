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
from custom.importers.cmr.study import read_source
from custom.importers.cmr.volumes import VolumeOptions
from custom.scans.stacks import inspect_stack
from data_scripts.prepare_cmr import prepare
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


def incomplete(root):
    for k in range(6):
        for t in range(3 if k < 5 else 2):
            image(root / f"p/im{k}_{t}", k, t)


def twice(root):
    for run in (1, 2):
        for k in range(18):
            image(root / f"p/run{run}_{k}", k // 3, k % 3, AcquisitionNumber=run, InstanceNumber=100 * run + k)


def with_gap(root):
    stack(root / "p", (0, 1, 2, 4, 5))


def values(**options):
    return lambda root: volume(root / "p/a.nii.gz", **options)


def with_mask(scale):
    def make(root):
        volume(root / "p/a.nii.gz")
        volume(root / "p/a_gt.nii.gz", values=np.full((20, 16, 5), scale, np.float32))

    return make


def cut_short(root):
    volume(root / "p/a.nii.gz")
    path = root / "p/a.nii.gz"
    path.write_bytes(path.read_bytes()[:900])


def hole():
    found = np.random.default_rng(0).uniform(1, 900, (20, 16, 5)).astype(np.float32)
    found[8:10, 8, 2] = np.nan
    return found


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
    "clock": (lambda root: stack(root / "p"), {"phases_by": "temporal"}, "choose another --phases_by, such as auto",
              None, {"phases_by": "auto"}),
    "incomplete": (incomplete, {}, "--drop_incomplete leaves out slices at the ends", None, {"drop_incomplete": True}),
    "twice, first": (twice, {}, "choose with --duplicates first or last", None, {"duplicates": "first"}),
    "twice, last": (twice, {}, "choose with --duplicates first or last", None, {"duplicates": "last"}),
    "gap": (with_gap, {}, "export the whole series", lambda root: image(root / "p/im3", 3), {}),
    "one slice": (values(shape=(20, 16, 1)), {}, "give a stack of at least two slices", values(), {}),
    "six axes": (values(shape=(20, 16, 5, 2, 2)), {}, "split it into one file per series", values(), {}),
    "constant": (values(values=np.ones((20, 16, 5), np.int16)), {}, "check the export", values(), {}),
    "hole": (values(values=hole()), {}, "mend or remove that slice", values(values=np.nan_to_num(hole())), {}),
    "cut short": (cut_short, {}, "copy or export the file again", values(), {}),
    "mask of fractions": (with_mask(0.5), {}, "give masks of whole numbers", with_mask(1), {}),
    "mask of thousands": (with_mask(1000), {}, "give masks of 0 to 255", with_mask(1), {}),
    "dark corner": (dark_corner, {"size": 10}, "choose another --centre or a larger --size", None, {"size": 60}),
}  # fmt: skip


def run(root, out, **options):
    """All faults of a run, those of finding sources too."""
    out.mkdir(exist_ok=True)
    dicom = DicomOptions(**{name: options.pop(name) for name in vars(DicomOptions()) if name in options})
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


@pytest.mark.parametrize("size", [350, 400, 550, 650])
def test_an_image_cut_within_its_header_costs_one_line_and_its_remedy_works(tmp_path, size):
    stack(tmp_path / "p")
    cut = tmp_path / "p/im5"
    cut.write_bytes(cut.read_bytes()[:size])
    (fault,) = run(tmp_path / "p", tmp_path / "out")
    assert "im5: cannot be read (it ends within its header); export it again" in fault
    image(cut, 5)
    assert run(tmp_path / "p", tmp_path / "out") == []


@pytest.mark.parametrize(
    "parts", [(range(6), range(6, 10)), (range(8), range(8, 10)), (range(0, 10, 2), range(1, 10, 2))]
)
def test_a_stack_cut_in_two_studies_is_doubted_and_becomes_one_as_the_doubt_says(tmp_path, parts):
    for k, slices in enumerate(parts):
        stack(tmp_path / f"p/{k}", slices, StudyInstanceUID=f"1.2.{k}", SeriesInstanceUID=f"1.2.{k}.1")
    doubts = [doubt for source in find_sources(tmp_path / "p") for doubt in source.doubts]
    assert any("of another study" in doubt and doubt.endswith("if they are one, say --join all") for doubt in doubts)
    (source,) = find_sources(tmp_path / "p", join="all")
    assert not any("another study" in doubt for doubt in source.doubts)
    scans, _, faults = read_source(source, DicomOptions(join="all"))
    assert not faults and [scan.volumes[0].info.shape[2] for scan in scans] == [10]


def test_two_visits_are_no_stack_cut_in_two(tmp_path):
    for k in range(2):
        stack(tmp_path / f"p/{k}", StudyInstanceUID=f"1.2.{k}", SeriesInstanceUID=f"1.2.{k}.1")
    assert not any("another study" in doubt for source in find_sources(tmp_path / "p") for doubt in source.doubts)


def test_a_margin_of_nan_that_inference_refuses_is_filled_as_the_refusal_says(tmp_path):
    values = np.random.default_rng(0).uniform(10, 900, (40, 36, 6)).astype(np.float32)
    values[:6] = values[:, -5:] = np.nan
    volume(tmp_path / "p/a.nii.gz", values=values)
    with pytest.raises(
        InputError, match=r"has NaN or Inf, .* data_scripts/prepare_cmr.py fills \(--size 0 --spacing 0\)"
    ):
        inspect_stack(tmp_path / "p/a.nii.gz")
    prepare(str(tmp_path / "p"), str(tmp_path / "out"), size=0, spacing=0)
    (made,) = (tmp_path / "out").glob("*.nii.gz")
    stack = inspect_stack(made)
    assert stack.shape == values.shape
    assert np.array_equal(np.asarray(nib.load(made).dataobj)[6:, :-5], values[6:, :-5])
