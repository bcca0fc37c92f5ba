# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Random transforms in the data sets: what they change, alike for which slices, and that a resume sees the same."""

from __future__ import annotations

import copy

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose, Lambdad, RandAffined, RandFlipd, RandGaussianNoised, RandRotate90d
from torch.utils.data import DataLoader

from custom.data.augmented import augmented, cropped
from custom.data.in_plane_triplets import InPlaneTripletDataset
from custom.data.labelled_slices import LabelledSliceDataset
from custom.data.triplets import GridTripletDataset, RandomTripletDataset
from custom.data.windows import EpochWindowSampler, RandomWindowDataset

PREPROCESSING = {
    "_target_": "Compose",
    "transforms": [
        {"_target_": "custom.transforms.augmentation_polar.RandRollRowsd", "keys": "image", "prob": 0.5},
        {"_target_": "RandFlipd", "keys": "image", "prob": 0.5, "spatial_axis": 0},
        {"_target_": "custom.transforms.augmentation_order.RandReverseSlicesd", "keys": "image"},
        {"_target_": "RandAffined", "keys": "image", "prob": 0.8, "rotate_range": 0.8, "padding_mode": "border"},
        {"_target_": "RandBiasFieldd", "keys": "image", "prob": 0.5},
        {"_target_": "RandAdjustContrastd", "keys": "image", "prob": 0.5, "gamma": [0.7, 1.4]},
        {"_target_": "RandScaleIntensityd", "keys": "image", "prob": 0.5, "factors": 0.5},
        {"_target_": "RandGaussianNoised", "keys": "image", "prob": 0.5, "std": 0.1},
    ],
}


def preprocessing(**overrides):
    """As a config makes it."""
    parser = ConfigParser({"preprocessing": copy.deepcopy(PREPROCESSING)})
    parser.update({f"preprocessing#{name}": value for name, value in overrides.items()})
    return parser.get_parsed_content("preprocessing")


def entries(path, **fields):
    return [{"image": str(path), "patient": "P", **fields}]


@pytest.fixture
def pullback(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (40, 50, 30)).astype(np.uint8)
    image = nib.Nifti1Image(frames, np.diag([1.0, 0.01, 0.2, 1.0]))
    image.header["descrip"] = b"OCT polar"
    nib.save(image, tmp_path / "p.nii")
    return tmp_path / "p.nii"


@pytest.fixture(params=["triplets", "cine", "windows", "in-plane", "labelled"])
def make(request, stack_file, pullback):
    """Makes a data set of each kind with a transform."""
    stack, cine = stack_file("s.nii.gz", (20, 24, 12)), stack_file("c.nii.gz", (20, 24, 6, 3))
    labels = nib.load(stack).get_fdata() // 300
    nib.save(nib.Nifti1Image(labels.astype(np.uint8), nib.load(stack).affine), stack.with_name("l.nii.gz"))
    label = str(stack.with_name("l.nii.gz"))
    crop = {"crop_size": (12, 16)}
    return {
        "triplets": lambda transform: RandomTripletDataset(entries(stack), 8, transform=transform, outer=True, **crop),
        "cine": lambda transform: RandomTripletDataset(entries(cine), 8, phases=2, transform=transform, **crop),
        "windows": lambda transform: RandomWindowDataset(entries(pullback), 8, transform=transform, **crop),
        "in-plane": lambda transform: InPlaneTripletDataset(entries(pullback), 8, "oct", transform=transform, **crop),
        "labelled": lambda transform: LabelledSliceDataset(entries(stack, label=label), 8, transform),
    }[request.param]


def drawn(dataset, epoch, workers=0):
    """The items of an epoch, as a loader gives them."""
    sampler = EpochWindowSampler(dataset)
    sampler.set_epoch(epoch)
    loader = DataLoader(dataset, 2, sampler=sampler, num_workers=workers)
    return torch.cat([batch["image"] for batch in loader])


def test_an_item_is_the_same_after_a_restart_on_any_number_of_workers(make):
    whole = make(preprocessing())
    epochs = [drawn(whole, epoch) for epoch in range(3)]
    assert not torch.equal(epochs[1], epochs[2])
    assert all(image.isfinite().all() and 0 <= image.min() and image.max() <= 1 for image in epochs)
    # A new process that goes on with epoch 2, with whatever random state it has.
    torch.manual_seed(5), np.random.seed(5)
    for workers in (0, 2):
        again = make(preprocessing())
        assert torch.equal(drawn(again, 2, workers), epochs[2])
    assert torch.equal(make(preprocessing())[13]["image"], epochs[1][5])
    plain = make(None)
    assert not torch.equal(drawn(plain, 1), epochs[1]), "the transform changes something"


def test_two_data_sets_may_share_a_transform(make):
    shared = preprocessing()
    first, second = make(shared), make(shared)
    expected = [make(preprocessing())[i]["image"] for i in range(3)]
    for i in range(3):
        second[7]
        assert torch.equal(first[i]["image"], expected[i])


def test_a_user_removes_and_adds_a_transform_in_the_config():
    image = torch.rand(3, 12, 16)
    off = {f"transforms#{k}#_disabled_": True for k in range(7)}
    only_noise = preprocessing(**off)
    assert [type(t).__name__ for t in only_noise.transforms] == ["RandGaussianNoised"]
    quiet = preprocessing(**off, **{"transforms#7#prob": 0.0})
    assert torch.equal(augmented(quiet, {"image": image}, 0, 0)["image"], image)
    more = {"_target_": "ScaleIntensityd", "keys": "image", "minv": None, "maxv": None, "factor": -1.0}
    dark = preprocessing(transforms=[*PREPROCESSING["transforms"], more])
    assert not augmented(dark, {"image": image}, 0, 0)["image"].any()


def test_geometry_is_the_same_for_all_slices_and_noise_is_not(tmp_path):
    """Slices with one content keep one content under what moves or scales them."""
    plane = np.random.default_rng(0).integers(0, 900, (30, 34)).astype(np.int16)
    values = np.repeat(np.repeat(plane[..., None, None], 7, 2), 3, 3)
    nib.save(nib.Nifti1Image(values, np.diag([1.0, 1, 6, 1])), tmp_path / "same.nii")
    data = entries(tmp_path / "same.nii")
    alike = preprocessing(**{"transforms#7#_disabled_": True})
    for options in ({"phases": 3}, {"outer": True}):
        dataset = RandomTripletDataset(data, 1, transform=alike, crop_size=(16, 16), **options)
        items = [dataset[i] for i in range(20)]
        for item in items:
            slices = torch.cat([item["image"], item.get("outer", item["image"])]).flatten(0, -3)
            torch.testing.assert_close(slices, slices[:1].expand_as(slices), rtol=0, atol=1e-6)
        assert len({item["image"].sum().item() for item in items}) == 20
    noisy = RandomTripletDataset(data, 1, transform=RandGaussianNoised("image", prob=1.0, std=0.1), crop_size=None)
    image = noisy[0]["image"][:, 0]
    assert (image[0] - image[1]).std() > 0.02 and (image[1] - image[2]).std() > 0.02


def test_outer_slices_go_through_the_transform_with_the_others(stack_file):
    data = entries(stack_file("s.nii.gz", (20, 20, 12)))
    options = dict(num_draws=1, crop_size=None, half_gaps_mm=(2, 4))
    plain = RandomTripletDataset(data, outer=True, **options)
    turned = RandomTripletDataset(data, outer=True, transform=RandRotate90d("image", prob=1.0, max_k=1), **options)
    for i in range(10):
        for key in ("image", "outer"):
            assert torch.equal(turned[i][key], plain[i][key].rot90(1, (-2, -1)))


def test_windows_know_whether_their_rows_are_a_circle(pullback):
    roll = {"transforms": PREPROCESSING["transforms"][:1], "transforms#0#prob": 1.0}
    image = nib.load(pullback)
    image.header["descrip"] = b"OCT cartesian"
    nib.save(image, pullback.with_name("c.nii"))
    options = dict(num_draws=1, crop_size=None)
    for path, rolled in ((pullback, True), (pullback.with_name("c.nii"), False)):
        plain = RandomWindowDataset(entries(path), **options)
        turned = RandomWindowDataset(entries(path), transform=preprocessing(**roll), **options)
        shifts = {
            tuple(torch.equal(turned[i]["image"], plain[i]["image"].roll(n, 2)) for n in range(40)) for i in (0, 1, 2)
        }
        assert all(sum(shift) == 1 for shift in shifts)
        assert all(shift[0] for shift in shifts) == (not rolled)


@pytest.mark.parametrize("coordinates", ["polar", "cartesian"])
def test_transforms_of_large_frames_see_the_circle_and_what_is_near_the_crop(tmp_path, coordinates):
    frames = np.arange(60 * 90, dtype=np.int16).reshape(60, 90, 1).repeat(8, 2)
    image = nib.Nifti1Image(frames, np.diag([1.0, 0.01, 0.2, 1.0]))
    image.header["descrip"] = f"OCT {coordinates}".encode()
    nib.save(image, tmp_path / "p.nii")
    seen = set()
    look = Lambdad("image", lambda image: seen.add(tuple(image.shape)) or image)
    dataset = RandomWindowDataset(entries(tmp_path / "p.nii"), 1, transform=look, crop_size=(20, 10))
    low, high = dataset.pullbacks.cache.info(tmp_path / "p.nii").intensity_range
    first = torch.stack([dataset[i]["image"][0, 0, 5, 5] for i in range(1500)]) * (high - low) + low
    assert seen == {(7, 60 if coordinates == "polar" else 30, 15)}
    rows, columns = (first / 90).floor(), (first.round() % 90)
    for places, length, edge in ((rows, 60, 20), (columns, 90, 10)):
        assert places.min() <= 6 and places.max() >= length - edge + 4, "crops from one end to the other"


def test_labels_keep_their_values_and_follow_the_image(stack_file):
    path = stack_file("s.nii.gz", (20, 24, 12))
    labels = (nib.load(path).get_fdata() // 300).astype(np.uint8)
    nib.save(nib.Nifti1Image(labels, nib.load(path).affine), path.with_name("l.nii.gz"))
    keys = ("image", "label")
    transform = Compose([
        RandFlipd(keys, prob=0.5, spatial_axis=0),
        RandAffined(keys, prob=0.8, rotate_range=3.0, spatial_size=(16, 16), mode=("nearest", "nearest")),
    ])  # fmt: skip
    dataset = LabelledSliceDataset(entries(path, label=str(path.with_name("l.nii.gz"))), 1, transform)
    low, high = dataset.stacks.infos[0].intensity_range
    for i in range(10):
        item = dataset[i]
        inside = (item["image"][0] > 0) & (item["image"][0] < 1)
        truth = ((item["image"][0] * (high - low) + low).round() // 300).long()
        assert item["label"].shape == (4, 16, 16) and (item["label"].sum(0) == 1).all()
        assert torch.equal(item["label"].argmax(0)[inside], truth[inside])


def test_items_are_plain_tensors_within_their_range():
    brighter = Lambdad("image", lambda image: 3 * image - 1)
    item = augmented(Compose([RandFlipd("image", prob=1.0), brighter]), {"image": torch.rand(2, 8, 8), "n": 1}, 0, 0)
    assert type(item["image"]) is torch.Tensor and item["image"].dtype == torch.float32 and item["n"] == 1
    assert item["image"].min() == 0 and item["image"].max() == 1


def test_crops_reach_every_place_and_replicate_edges_as_fixed_ones_do(stack_file):
    image = torch.arange(30.0).view(1, 5, 6)
    corners = {
        tuple(cropped(image, (4, 3), (y, x))[0, 0, :2].tolist())
        for y in np.linspace(0, 0.999, 9)
        for x in np.linspace(0, 0.999, 9)
    }
    assert corners == {(6.0 * y + x, 6.0 * y + x + 1) for y in range(2) for x in range(4)}
    assert cropped(image, None, (0, 0)) is image
    for shape, crop in (((9, 12, 3), (16, 12)), ((10, 11, 3), (15, 14)), ((9, 9, 3), (12, 5))):
        path = stack_file(f"{shape}.nii", shape)
        fixed = GridTripletDataset(entries(path), crop_size=crop)[0]["image"]
        whole = RandomTripletDataset(entries(path), 1, crop_size=None)[0]["image"]
        places = [0.5 if edge >= length else (length // 2 - edge // 2) / (length - edge + 1) + 1e-6
                  for length, edge in zip(shape, crop, strict=False)]  # fmt: skip
        assert torch.equal(cropped(whole, crop, places), fixed)
