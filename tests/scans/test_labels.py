# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.transforms import RandAffined, ResizeWithPadOrCropd

from custom.data.labelled_slices import LabelledSliceDataset, LabelledStackDataset
from custom.data.triplets import GridTripletDataset
from custom.errors import InputError
from custom.scans.labels import candidate_classes, cut_labels, known_classes, read_labels
from custom.scans.stacks import inspect_stack, read_slices


@pytest.fixture
def labelled(stack_file):
    """A stack and its mask: the four classes by the image's values, so that both can be matched pixel by pixel."""

    def write(name="s.nii.gz", shape=(20, 24, 12), patient="P", seed=0, **fields):
        path = stack_file(name, shape, seed=seed)
        image = nib.load(path)
        classes = (np.asarray(image.dataobj) // 225).clip(0, 3).astype(np.uint8)
        mask = path.with_name(f"mask_{name}")
        nib.save(nib.Nifti1Image(classes, image.affine), mask)
        return {"image": str(path), "label": str(mask), "patient": patient, **fields}

    return write


def remade(entry, change, affine=None):
    mask = nib.load(entry["label"])
    nib.save(
        nib.Nifti1Image(change(np.asarray(mask.dataobj)), mask.affine if affine is None else affine), entry["label"]
    )


@pytest.mark.parametrize(("shape", "axis"), [((20, 24, 12), 2), ((9, 20, 24, 3), 0)])
def test_labels_are_sliced_as_the_image(labelled, shape, axis):
    entry = labelled(shape=shape)
    info = inspect_stack(entry["image"], axis)
    labels = read_labels(entry["label"], info)
    slices = read_slices(info)
    assert labels.shape == slices.shape and labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, (slices // 225).clip(0, 3))


def test_masks_of_another_grid_or_with_other_values_are_refused(labelled):
    entry = labelled()
    info = inspect_stack(entry["image"])
    for change, affine, fault in (
        (lambda m: m[..., :-1], None, "shape"),
        (lambda m: m + 2, None, "values other than 0 to 3"),
        (lambda m: m * 0 + 0.5, None, "values other"),
        (lambda m: m, np.diag([1.5, 1.5, 2, 1]), "affines differ"),
    ):
        entry = labelled()
        remade(entry, change, affine)
        with pytest.raises(InputError, match=fault):
            read_labels(entry["label"], info)


def test_what_a_mask_leaves_open():
    labels = np.array([[0, 1], [1, 0]])
    np.testing.assert_array_equal(candidate_classes(labels, (1, 2, 3)).argmax(0), labels)
    partial = candidate_classes(labels, (1,))
    assert partial[:, 0, 1].tolist() == [0, 1, 0, 0] and partial[:, 0, 0].tolist() == [1, 0, 1, 1]
    assert known_classes({}) == (1, 2, 3) and known_classes({"label_classes": [1]}) == (1,)
    for bad in ([0], [4], []):
        with pytest.raises(InputError, match="label_classes"):
            known_classes({"label_classes": bad, "label": "m.nii"})


def test_labels_are_cut_by_the_nearest_pixel():
    labels = np.arange(12, dtype=np.uint8).reshape(1, 1, 3, 4)
    cut = cut_labels(labels, [0], [0], np.array([-1.0, 0.4, 1.6, 5]), np.array([2.0, 3.2]))
    assert cut[0, 0].tolist() == [[2, 3], [2, 3], [10, 11], [10, 11]]


def test_random_slices_carry_their_mask_through_the_same_transforms(labelled):
    entries = [labelled("a.nii.gz", patient="A"), labelled("b.nii.gz", patient="B", seed=1, label_classes=[1])]
    spatial = RandAffined(
        ("image", "label"),
        spatial_size=(16, 16),
        prob=1.0,
        rotate_range=3.0,
        translate_range=3,
        mode="nearest",
        padding_mode="border",
    )
    dataset = LabelledSliceDataset([*entries, {"image": entries[0]["image"], "patient": "C"}], 8, spatial, seed=3)
    items = [dataset[i] for i in range(8)]
    assert {item["patient"] for item in items} == {"A", "B"}
    for item in items:
        assert item["image"].shape == (1, 16, 16) and item["label"].shape == (4, 16, 16)
        assert type(item["image"]) is torch.Tensor and item["label"].dtype == torch.uint8
        low, high = dataset.stacks.infos[item["patient"] == "B"].intensity_range
        stored = item["image"][0] * (high - low) + low
        inside = (item["image"][0] > 0) & (item["image"][0] < 1)
        truth = (stored.round() // 225).clamp(0, 3).long()[inside]
        candidates = item["label"][:, inside]
        assert candidates.gather(0, truth[None]).all()
        assert (candidates.sum(0) == (1 if item["patient"] == "A" else torch.where(truth == 1, 1, 3))).all()
    again = dataset[5]  # depends on the index alone, not on what was drawn before
    torch.testing.assert_close(again["image"], items[5]["image"], rtol=0, atol=0)


def test_a_datalist_without_masks_is_told(labelled):
    entry = {key: value for key, value in labelled().items() if key != "label"}
    with pytest.raises(InputError, match="no mask"):
        LabelledSliceDataset([entry], 2, ResizeWithPadOrCropd(("image", "label"), (16, 16)))


def test_dense_stacks_are_tested_as_scanners_acquire_them(labelled):
    dataset = LabelledStackDataset([labelled(shape=(20, 24, 12, 4), label_classes=[1])], 6.0, phase_step=2)
    item = dataset[0]
    assert item["image"].shape == item["label"].shape == (4, 2, 20, 24)  # 2 mm apart: every third
    np.testing.assert_allclose(item["spacing_mm"], (6, 1.5, 1.5), rtol=1e-5)
    assert item["voxel_mm3"] == pytest.approx(6 * 1.5**2) and item["label_classes"] == (1,)


def test_grid_windows_with_labels(labelled, stack_file):
    bare = {"image": str(stack_file("bare.nii.gz", (20, 24, 3), seed=2)), "patient": "Q"}
    entries = [labelled(shape=(20, 24, 5, 2), label_classes=[1, 3]), bare]
    dataset = GridTripletDataset(entries, crop_size=(12, 30), labels=True)
    truth = dataset.labels.whole(0)
    for item in (dataset[i] for i in range(len(dataset))):
        if item["patient"] == "Q":
            assert "label" not in item
            continue
        assert item["label"].shape == (3, 1, 12, 30) and item["label"].dtype == torch.uint8
        phase, first = int(item["scan"][-2:]), item["first"]
        wanted = np.pad(truth[first : first + 3, phase, 4:16], ((0, 0), (0, 0), (3, 3)), mode="edge")
        np.testing.assert_array_equal(item["label"][:, 0], wanted)
        assert item["label_classes"] == (1, 3)
    assert "label" not in GridTripletDataset(entries)[0]
    cine = GridTripletDataset(entries[:1], phases=2, crop_size=(12, 16), labels=True)[0]
    assert cine["label"].shape == cine["image"].shape == (3, 1, 2, 12, 16)
