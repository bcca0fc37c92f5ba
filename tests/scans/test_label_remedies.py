# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Refusals of masks and sidecars that end with an advice: each is provoked, and its advice followed."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.scans.labels import LabelSet, mask_numbers, read_labels, renumbered
from custom.scans.provenance import read_synthetic_frames
from custom.scans.stacks import inspect_stack

IMAGE = np.random.default_rng(0).integers(10, 900, (20, 16, 5)).astype(np.int16)
MASK = (IMAGE % 4).astype(np.uint8)
AFFINE = np.diag([1.4, 1.4, 8.0, 1.0])
RGB = np.zeros(MASK.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])


def written(values=MASK, affine=AFFINE, unit="mm", cut=None):
    def write(path):
        image = nib.Nifti1Image(values, affine)
        image.header.set_xyzt_units(unit)
        path.write_bytes(image.to_bytes()[:cut])

    return write


DRAW = "draw it on the grid of its image, with the numbers 0 background, 1 LV cavity, 2 myocardium, 3 RV cavity"
# What is wrong with the mask, words of the line, what the user then does.
CASES = {
    "shape": (written(MASK[..., 1:]), f"has shape (20, 16, 4), its image (20, 16, 5); {DRAW}"),
    "place": (written(affine=AFFINE + np.eye(4, k=3)), f"lies elsewhere than its image: the affines differ; {DRAW}"),
    "numbers": (written(MASK + 1), f"has values other than 0 to 3; {DRAW}"),
    "large numbers": (written(MASK.astype(np.int16) * 256), f"has values other than 0 to 3; {DRAW}"),
    "fractions": (written(MASK * np.float32(0.5)), f"has values other than 0 to 3; {DRAW}"),
    "no number": (
        written(np.where(MASK == 1, np.nan, MASK).astype(np.float32)),
        f"has values other than 0 to 3; {DRAW}",
    ),
    "colour": (written(RGB), f"has values other than 0 to 3; {DRAW}"),
    "cut": (written(cut=1000), "cannot be read to its end (952 bytes are missing); copy or export the file again"),
    "a letter": (lambda path: path.write_bytes(b"letter\n" * 100), "save it as NIfTI (.nii.gz)"),
    "not there": (lambda path: None, "no such file; check the path"),
}


@pytest.fixture
def info(tmp_path):
    written(IMAGE)(tmp_path / "image.nii")
    return inspect_stack(tmp_path / "image.nii")


def as_slices(mask):
    return np.moveaxis(mask[..., None], (2, 3), (0, 1))


@pytest.mark.parametrize("name", CASES)
def test_the_advice_works(tmp_path, info, name):
    wrong, words = CASES[name]
    path = tmp_path / "mask.nii"
    wrong(path)
    with pytest.raises(InputError) as caught:
        read_labels(path, info)
    assert words in str(caught.value) and str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    written()(path)
    np.testing.assert_array_equal(read_labels(path, info), as_slices(MASK))


def test_a_compressed_mask_that_is_damaged_is_copied_again(tmp_path, info):
    path = tmp_path / "mask.nii.gz"
    nib.save(nib.Nifti1Image(MASK, AFFINE), path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    for damaged in (whole[:middle], whole[:middle] + b"\xff" * 60 + whole[middle + 60 :]):
        path.write_bytes(damaged)
        with pytest.raises(
            InputError, match="mask.nii.gz: cannot be read to its end .*; copy or export the file again"
        ):
            read_labels(path, info)
    path.write_bytes(whole)
    np.testing.assert_array_equal(read_labels(path, info), as_slices(MASK))


def test_a_mask_in_the_units_of_its_image_lies_where_its_image_does(tmp_path):
    affine = np.diag([1400, 1400, 8000, 1])
    written(IMAGE, affine, "micron")(tmp_path / "image.nii")
    written(MASK, affine, "micron")(tmp_path / "mask.nii")
    labels = read_labels(tmp_path / "mask.nii", inspect_stack(tmp_path / "image.nii"))
    np.testing.assert_array_equal(labels, as_slices(MASK))


@pytest.mark.parametrize("wrong", [[0], [4], []])
def test_a_datalist_that_names_no_structures_is_mended(tmp_path, info, wrong):
    written()(tmp_path / "mask.nii")
    entry = {"image": str(info.path), "label": str(tmp_path / "mask.nii"), "label_classes": wrong}
    with pytest.raises(InputError) as caught:
        LabelSet([entry], [info])
    assert f'mask.nii: "label_classes" {wrong} are not among 1 to 3; mend the datalist' in str(caught.value)
    labels = LabelSet([entry | {"label_classes": [1, 2]}], [info])
    assert labels.known == [(1, 2)]
    np.testing.assert_array_equal(labels.whole(0), as_slices(MASK))


@pytest.mark.parametrize("wrong", ["perhaps", "1=4", "0=1", "1=1,2", "1=1;2=2"])
def test_numbers_of_masks_are_given_as_the_refusal_says(wrong):
    with pytest.raises(InputError) as caught:
        mask_numbers(wrong)
    fault, _, remedy = str(caught.value).partition("; ")
    assert fault == f"--masks: is {wrong}"
    names, _, pairs = remedy.partition(", or give pairs theirs=ours such as ")
    for name in names.removeprefix("choose from ").split(", "):
        assert mask_numbers(name)[1] in (1, 3)
    assert pairs == "3=1,2=2,1=3" and mask_numbers(pairs) == {3: 1, 2: 2, 1: 3}
    assert renumbered(np.array([0, 1, 2, 3]), mask_numbers(pairs)).tolist() == [0, 3, 2, 1]


@pytest.mark.parametrize(
    "content", [None, "no JSON", "[]", "{}", '{"synthetic_slices": [9]}', '{"synthetic_slices": 1.5}']
)
def test_a_sidecar_is_kept_beside_its_volume(tmp_path, content):
    sidecar = tmp_path / "a_interp.json"
    if content is not None:
        sidecar.write_text(content)
    with pytest.raises(InputError) as caught:
        read_synthetic_frames(tmp_path / "a_interp.nii.gz", 5)
    assert str(caught.value).startswith(f"{sidecar}: does not say which frames are synthetic; keep the sidecar beside")
    sidecar.write_text(json.dumps({"synthetic_slices": [1, 3]}))
    assert read_synthetic_frames(tmp_path / "a_interp.nii.gz", 5).tolist() == [False, True, False, True, False]
