# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.engines import Trainer
from torch.utils.data import DataLoader

from custom.data.frame_cache import FrameCache
from custom.data.windows import EpochWindowSampler, GridWindowDataset, RandomWindowDataset
from custom.errors import InputError
from custom.scans.pullbacks import PullbackReader, inspect_pullback


def write_pullback(path, shape=(40, 50, 30), dtype=np.uint8, seed=0):
    """Random content, except that pixel (0, 0) of every frame is brighter than the one before."""
    frames = np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)
    frames[0, 0] = 200 + np.arange(shape[2])
    nib.save(nib.Nifti1Image(frames, np.diag([1.0, 0.01, 0.2, 1.0])), path)
    return frames


@pytest.fixture
def datalist(tmp_path):
    items = []
    for name, frames in (("a.nii.gz", 30), ("b.nii", 12)):
        write_pullback(tmp_path / name, (40, 50, frames), seed=frames)
        items.append({"image": str(tmp_path / name), "patient": f"P-{name[0]}"})
    return items


def test_draw_depends_on_seed_and_index_only(datalist):
    first = RandomWindowDataset(datalist, 10, crop_size=(16, 24), seed=3)
    drawn = [first[i] for i in range(20)]
    again = RandomWindowDataset(datalist, 99, crop_size=(16, 24), seed=3)
    for i in reversed(range(20)):
        item = again[i]
        assert torch.equal(item["image"], drawn[i]["image"])
        assert (item["stride"], item["first"]) == (drawn[i]["stride"], drawn[i]["first"])
    assert drawn[0]["image"].shape == (7, 1, 16, 24) and drawn[0]["image"].dtype == torch.float32
    assert not torch.equal(RandomWindowDataset(datalist, 10, crop_size=(16, 24), seed=4)[0]["image"], drawn[0]["image"])


def test_window_holds_the_frames_it_names(tmp_path):
    frames = write_pullback(tmp_path / "p.nii.gz", (16, 24, 40))
    items = [{"image": tmp_path / "p.nii.gz", "patient": "P"}]
    dataset = RandomWindowDataset(items, 60, window=5, crop_size=(16, 24))
    strides = set()
    for i in range(60):
        item = dataset[i]
        picks = item["first"] + item["stride"] * np.arange(5)
        expected = np.moveaxis(frames[..., picks], -1, 0)[:, None] / np.float32(255)
        np.testing.assert_array_equal(item["image"].numpy(), expected)
        strides.add(item["stride"])
    assert strides == {1, 2, 3}


def test_short_pullback_uses_strides_that_fit_and_range_is_kept(tmp_path, caplog):
    write_pullback(tmp_path / "p.nii", (16, 24, 30))
    short = {"image": tmp_path / "p.nii", "patient": "P", "frames": [5, 18]}
    dataset = RandomWindowDataset([short, {**short, "patient": "L", "frames": [0, 30]}], 100, crop_size=(16, 24))
    strides = {"P": set(), "L": set()}
    for i in range(100):
        item = dataset[i]
        strides[item["patient"]].add(item["stride"])
        if item["patient"] == "P":
            assert item["first"] >= 5 and item["first"] + 6 * item["stride"] < 18
    assert strides == {"P": {1, 2}, "L": {1, 2, 3}}
    assert not caplog.messages
    RandomWindowDataset([short], 100, crop_size=(16, 24))
    assert caplog.messages == ["--strides: no pullback holds 7 frames at strides above 2"]


def test_pullbacks_shorter_than_a_window_are_refused_left_out_or_stand_still(tmp_path):
    frames = {name: write_pullback(tmp_path / f"{name}.nii.gz", (16, 24, n)) for name, n in (("few", 3), ("all", 9))}
    items = [{"image": tmp_path / f"{name}.nii.gz", "patient": name} for name in frames]
    with pytest.raises(InputError, match="3 usable frames"):
        RandomWindowDataset(items, 60, crop_size=(16, 24))
    with pytest.raises(InputError, match="choose from refuse, skip, still"):
        RandomWindowDataset(items, 60, crop_size=(16, 24), short="leave")
    skipping = RandomWindowDataset(items, 60, crop_size=(16, 24), short="skip")
    assert {skipping[i]["patient"] for i in range(60)} == {"all"}
    with pytest.raises(InputError, match="3 usable frames"):
        RandomWindowDataset(items[:1], 60, crop_size=(16, 24), short="skip")
    still = RandomWindowDataset(items, 60, crop_size=(16, 24), short="still")
    drawn = [still[i] for i in range(60)]
    seen = {(item["first"], item["stride"]) for item in drawn if item["patient"] == "few"}
    assert seen == {(0, 0), (1, 0), (2, 0)} and {item["patient"] for item in drawn} == {"few", "all"}
    item = next(item for item in drawn if item["patient"] == "few")
    assert (item["image"] == torch.from_numpy(frames["few"][..., item["first"]] / np.float32(255))).all()


@pytest.mark.parametrize(
    "options, words",
    [({"crop_size": (64, 64)}, "smaller --crop_size"), ({"window": 13, "crop_size": (8, 8)}, "12 usable frames")],
)
def test_unusable_pullback_is_named(datalist, options, words):
    with pytest.raises(InputError, match=words) as caught:
        RandomWindowDataset(datalist, 10, **options)
    assert caught.value.path.name in ("a.nii.gz", "b.nii")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_frames_are_scaled_by_the_range_of_the_file(tmp_path, dtype):
    write_pullback(tmp_path / "p.nii.gz", (16, 24, 9), dtype)
    dataset = GridWindowDataset([{"image": tmp_path / "p.nii.gz", "patient": "P"}], gap=4, crop_size=None)
    info = inspect_pullback(tmp_path / "p.nii.gz")
    low, high = info.intensity_range
    with PullbackReader(info) as reader:
        stored = np.stack([reader.stored(k) for k in range(4, 9)]).astype(np.float32)
    expected = ((stored - low) / (high - low)).clip(0, 1)
    np.testing.assert_allclose(dataset[1]["image"][:, 0].numpy(), expected, atol=1e-6)


def test_cache_is_bounded(tmp_path):
    paths = []
    for k in range(3):
        paths.append(tmp_path / f"{k}.nii.gz")
        write_pullback(paths[-1], (16, 24, 9), seed=k)
    size = 16 * 24 * 9
    cache = FrameCache(paths, cache_gib=2 * size / 2**30)
    for path in (*paths, *paths[::-1]):
        cache.frames(path, [0, 8])
        assert cache.nbytes <= 2 * size
    tiny = FrameCache(paths, cache_gib=0)
    assert tiny.frames(paths[0], [8, 0]).shape == (2, 16, 24) and len(tiny) == 1


def test_sampler_epochs_and_ranks_are_disjoint_and_repeatable(datalist):
    dataset = RandomWindowDataset(datalist, 8, crop_size=(8, 8))
    sampler = EpochWindowSampler(dataset)
    assert len(sampler) == 8
    epochs = []
    for epoch in (1, 2, 1):
        sampler.set_epoch(epoch)
        epochs.append(list(sampler))
    assert epochs[0] == list(range(8, 16)) and epochs[1] == list(range(16, 24)) and epochs[2] == epochs[0]
    ranks = [EpochWindowSampler(dataset, num_replicas=3, rank=r) for r in range(3)]
    for sampler in ranks:
        sampler.set_epoch(2)
    drawn = [i for sampler in ranks for i in sampler]
    assert len(set(drawn)) == len(drawn) == 9 and {len(list(s)) for s in ranks} == {3}


@pytest.mark.parametrize("workers", [0, 2])
def test_ignite_opens_the_loader_after_the_sampler_knows_its_epoch(datalist, workers):
    class Recorder(Trainer):
        def _iteration(self, engine, batchdata):
            seen.setdefault(engine.state.epoch, []).append(batchdata["image"].clone())
            return {"loss": 0.0}

    dataset = RandomWindowDataset(datalist, 4, window=3, crop_size=(8, 8))
    loader = DataLoader(dataset, 2, sampler=EpochWindowSampler(dataset), num_workers=workers)
    seen: dict[int, list[torch.Tensor]] = {}
    Recorder("cpu", 3, loader).run()
    assert sorted(seen) == [1, 2, 3]
    for epoch, batches in seen.items():
        expected = torch.stack([dataset[i]["image"] for i in range(4 * epoch, 4 * epoch + 4)])
        assert torch.equal(torch.cat(batches), expected)


def test_grid_windows_tile_the_pullback_with_the_same_crops_for_every_gap(datalist):
    crops = {}
    for gap in (2, 4, 6):
        dataset = GridWindowDataset(datalist, gap=gap, crop_size=(16, 16), seed=2)
        assert dataset[0]["image"].shape == (gap + 1, 1, 16, 16)
        windows = [dataset[i] for i in range(len(dataset))]
        for name, count in (("a", 30), ("b", 12)):
            items = [item for item in windows if item["scan"] == name]
            firsts = sorted({item["first"] for item in items})
            assert firsts == list(range(0, count - gap, gap))
            crops.setdefault(name, []).append({item["crop"] for item in items})
            assert len(items) == len(firsts) * 2 * 3
            assert items[0]["patient"] == f"P-{name}"
    for places in crops.values():
        assert places[0] == places[1] == places[2]
    assert crops["a"][0] != crops["b"][0]
    limited = GridWindowDataset(datalist, gap=2, crop_size=None, max_windows_per_pullback=3)
    assert [limited[i]["first"] for i in range(3)] == [0, 12, 26] and len(limited) == 6
    assert limited[0]["image"].shape == (3, 1, 40, 50) and limited[0]["crop"] == (0, 0)


def test_grid_shows_the_crop_it_names(tmp_path):
    frames = write_pullback(tmp_path / "p.nii", (40, 50, 15))
    item = GridWindowDataset([{"image": tmp_path / "p.nii", "patient": "P"}], gap=3, stride=2, crop_size=(16, 16))[5]
    y, x = item["crop"]
    picks = item["first"] + 2 * np.arange(4)
    expected = np.moveaxis(frames[y : y + 16, x : x + 16, picks], -1, 0) / np.float32(255)
    np.testing.assert_array_equal(item["image"][:, 0].numpy(), expected)


def test_data_sets_of_the_same_files_share_one_cache_until_a_file_changes(tmp_path):
    import os

    import nibabel as nib

    path = tmp_path / "scan.nii.gz"
    volume = np.random.default_rng(0).integers(0, 256, (16, 16, 9), np.uint8)
    nib.save(nib.Nifti1Image(volume, np.eye(4)), path)
    data = [{"image": str(path), "patient": "P"}]
    first, second = (GridWindowDataset(data, gap=gap, crop_size=(16, 16)) for gap in (2, 4))
    assert first.pullbacks.cache is second.pullbacks.cache
    os.utime(path, ns=(0, 0))
    assert GridWindowDataset(data, gap=2, crop_size=(16, 16)).pullbacks.cache is not first.pullbacks.cache
