# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Messages about volumes that belong together, phases and masks: each is provoked, and its advice followed."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from nibabel.processing import resample_from_to

from tests.importers.cmr.remedies import AFFINE, VALUES, follow_advice, is_volume, label, volume

LABELS = (VALUES % 4).astype(np.uint8)
NINE = np.diag([1.4, 1.4, 9.0, 1])
CINE = np.random.default_rng(1).integers(1, 900, (20, 16, 5, 3)).astype(np.int16)
X, Y = np.indices((20, 16))
HEART = np.zeros((20, 16, 5), np.uint8)
"""A left ventricle (1) in its myocardium (2), a right one (3) beside it."""
HEART[np.hypot(X - 8, Y - 8) < 6] = 2
HEART[np.hypot(X - 8, Y - 8) < 3] = 1
HEART[14:18, 5:11] = 3
ACDC = np.choose(HEART, [0, 3, 2, 1]).astype(np.uint8)
MOVED = AFFINE + np.eye(4, k=3) * 2.8


def file(values=VALUES, affine=AFFINE, **fields):
    return lambda root: volume(root / "p/a.nii", values, affine, **fields)


def with_mask(mask, affine=AFFINE, values=VALUES):
    """A volume and its mask."""

    def make(root):
        volume(root / "p/a.nii", values)
        volume(root / "p/a_gt.nii", mask, affine)

    return make


def no_mask(root):
    (root / "p/a_gt.nii").unlink()


def corner_with_mask(root):
    """Tissue and the heart at one end of a large dark plane."""
    values, mask = np.zeros((60, 60, 5), np.int16), np.zeros((60, 60, 5), np.uint8)
    values[:20, :16] = VALUES
    for number in (1, 2, 3):
        mask[8 + number, 8:12] = number
    volume(root / "p/a.nii", values)
    volume(root / "p/a_gt.nii", mask)


def is_corner(out):
    affine = AFFINE.copy()
    affine[:2, 3] = 1.4 * 6, 1.4 * 5
    is_volume(out, VALUES[6:16, 5:15], affine)


def resampled(root):
    image, mask = (nib.load(root / "p" / name) for name in ("a.nii", "a_gt.nii"))
    found = resample_from_to(mask, image, order=0)
    volume(root / "p/a_gt.nii", np.asarray(found.dataobj).astype(np.uint8), found.affine)


def with_its_phase(root):
    volume(root / "p/a_frame02.nii", CINE[..., 1])
    volume(root / "p/a_frame02_gt.nii", HEART)


def named_mask(root):
    (root / "p/a.nii").rename(root / "p/a_seg.nii")
    volume(root / "p/a.nii.gz")


def phases(first, second):
    def make(root):
        for k, affine in enumerate((first, second)):
            values = VALUES + np.int16(k)
            volume(root / f"p/a_phase0{k + 1}.nii.gz", values, affine)

    return make


def folders_of_their_own(root):
    for k in (1, 2):
        (root / f"p{k}").mkdir()
        (root / f"p/a_phase0{k}.nii.gz").rename(root / f"p{k}/a_phase0{k}.nii.gz")


def are_phases(second):
    def check(out):
        for k, affine in enumerate((AFFINE, second)):
            (path,) = out.glob(f"*phase0{k + 1}.nii.gz")
            np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), VALUES + k)
            np.testing.assert_allclose(nib.load(path).affine, affine, atol=1e-5)

    return check


def volume_of(*args):
    return lambda out: is_volume(out, *args)


def labels_of(mask, classes=None):
    """Whether the volume came out with this mask, which knows these structures (None: all)."""

    def check(out):
        is_volume(out)
        np.testing.assert_array_equal(label(out), mask)
        datalist = json.loads((out / "datalist.json").read_text())
        (entry,) = (entry for section in datalist.values() if isinstance(section, list) for entry in section)
        assert entry.get("label_classes") == classes

    return check


def no_labels(out):
    is_volume(out)
    assert not (out / "labels").exists()


def is_phase(out):
    is_volume(out, CINE[..., 1])
    np.testing.assert_array_equal(label(out), HEART)


def drawn(*numbers):
    return np.where(np.isin(HEART, numbers), HEART, 0).astype(np.uint8)


SMALL = "a_gt.nii: is a mask of shape (20, 16, 4), its image a.nii has (20, 16, 5)"
APART = "a_gt.nii lies 3 mm from its image by its header: laid on it voxel by voxel"
# How it is made, options, words of one line, what the user then does, options, what has to come out.
CASES = {
    "label map, mask": (file(LABELS), {}, ["a.nii: holds the values 0, 1, 2, 3 and no others", "name it a_seg"],
                        named_mask, {}, labels_of(LABELS)),
    "label map, image": (file(LABELS), {}, ["a.nii: holds the values 0, 1, 2, 3", "say --label_like image if it is"],
                         None, {"label_like": "image"}, volume_of(LABELS)),
    "label map by header": (file(intent_code=1002), {}, ["a.nii: is a label map by its header", "--label_like image"],
                            None, {"label_like": "image"}, volume_of()),
    "two grids, folders": (phases(AFFINE, NINE), {}, ["a_phase02.nii.gz: has another spacing", "folders of their own"],
                           folders_of_their_own, {}, are_phases(NINE)),
    "two grids, mended": (phases(AFFINE, NINE), {}, ["a_phase02.nii.gz: has another spacing", "or mend the headers"],
                          phases(AFFINE, AFFINE), {}, are_phases(AFFINE)),
    "small mask": (with_mask(HEART[..., 1:]), {}, [SMALL, "give the mask of this image"], with_mask(HEART), {},
                   labels_of(HEART)),
    "small mask, removed": (with_mask(HEART[..., 1:]), {}, [SMALL, "or remove it"], no_mask, {}, no_labels),
    "high mask": (with_mask(drawn(1) * np.uint8(255)), {}, ["a.nii: has a mask with the number 255",
                  "such as --masks 255=1"], None, {"masks": "255=1"}, labels_of(drawn(1), [1])),
    "fractions": (with_mask(HEART * np.float32(0.5)), {}, ["a_gt.nii: has fractions", "give masks of whole numbers"],
                  with_mask(HEART), {}, labels_of(HEART)),
    "thousands": (with_mask(HEART * np.int16(1000)), {}, ["a_gt.nii: has values that are no numbers of structures",
                  "give masks of 0 to 255"], with_mask(HEART), {}, labels_of(HEART)),
    "apart, removed": (with_mask(HEART, MOVED), {}, [APART, "or remove it"], no_mask, {}, no_labels),
    "apart, resampled": (with_mask(np.roll(HEART, -2, 0), MOVED), {}, [APART, "resample it to its image"], resampled,
                         {}, labels_of(HEART)),
    "swapped": (with_mask(ACDC), {}, ["a: myocardium surrounds number 3 (here the right ventricle)",
                "say --masks 1=3,2=2,3=1"], None, {"masks": "1=3,2=2,3=1"}, labels_of(HEART)),
    "swapped, named": (with_mask(HEART), {"masks": "acdc"}, ["a: myocardium surrounds number 1 (here the right",
                       "say --masks 1=1,2=2,3=3"], None, {"masks": "1=1,2=2,3=3"}, labels_of(HEART)),
    "one structure": (with_mask(drawn(1)), {}, ["a: the mask draws no myocardium and RV cavity, which counts as absent",
                      "say so with --masks lv_cavity"], None, {"masks": "lv_cavity"}, labels_of(drawn(1), [1])),
    "two structures": (with_mask(drawn(1, 2)), {}, ["a: the mask draws no RV cavity", "say so with --masks 1=1,2=2"],
                       None, {"masks": "1=1,2=2"}, labels_of(drawn(1, 2), [1, 2])),
    "dark corner, centre": (corner_with_mask, {"size": 10, "centre": "image"}, ["a.nii: is constant in the crop",
                            "choose another --centre"], None, {"size": 10, "centre": "label"}, is_corner),
    "which phase": (with_mask(HEART, values=CINE), {}, ["a_gt.nii does not say which phase it is of", "left out else",
                    "to keep it, save its phase beside it and say --frames single"], with_its_phase,
                    {"frames": "single"}, is_phase),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_advice_works(tmp_path, caplog, name):
    follow_advice(tmp_path, caplog, CASES[name])
