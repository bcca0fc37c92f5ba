# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import gzip
import resource
import time

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.scans.pullbacks import (
    PullbackReader,
    PullbackWriter,
    check_output_dir,
    find_pullbacks,
    inspect_pullback,
    new_pullback,
    stem,
)

SHAPE = (12, 10, 5)
OBLIQUE = np.array([[0.01, 0.002, 0.05, 3], [-0.002, 0.01, 0.1, -4], [0.001, -0.003, 0.2, 5], [0, 0, 0, 1.0]])


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


def save(path, data, affine=OBLIQUE, **header_fields):
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    for name, value in header_fields.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def copy(info, path, **options):
    """Write every frame of `info` to `path`, with the writer's `options`."""
    with PullbackReader(info) as reader, PullbackWriter(path, info, len(reader), **options) as writer:
        for k in range(len(reader)):
            writer.write(reader.stored(k))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, ">i2", np.float32])
def test_reader_returns_the_stored_bytes_in_any_order(tmp_path, frames, suffix, dtype):
    data = frames.astype(dtype)
    info = inspect_pullback(save(tmp_path / f"p{suffix}", data))
    with PullbackReader(info) as reader:
        for k in (0, 1, 4, 2):
            assert reader.stored(k).dtype == info.dtype
            np.testing.assert_array_equal(reader.stored(k), data[..., k])
        with pytest.raises(IndexError):
            reader.stored(5)


def test_uint8_keeps_its_full_range(tmp_path, frames):
    assert inspect_pullback(save(tmp_path / "p.nii", frames)).intensity_range == (0, 255)


def test_intensity_range_is_robust_and_in_stored_units(tmp_path):
    data = np.random.default_rng(0).normal(1000, 100, (64, 64, 6)).astype(np.int16)
    data[0, 0] = 30000
    image = nib.Nifti1Image(data, np.eye(4))
    image.header.set_slope_inter(0.5, -7)
    nib.save(image, tmp_path / "p.nii.gz")
    info = inspect_pullback(tmp_path / "p.nii.gz")
    assert (info.slope, info.inter) == (0.5, -7) and info.dtype == np.int16
    low, high = info.intensity_range
    assert 550 < low < 750 and 1250 < high < 1450


def test_coordinates_are_read_from_the_header(tmp_path, frames):
    assert inspect_pullback(save(tmp_path / "a.nii", frames, descrip=b"OCT polar v1")).coordinates == "polar"
    assert inspect_pullback(save(tmp_path / "b.nii", frames, descrip=b"OCT cartesian")).coordinates == "cartesian"
    assert inspect_pullback(save(tmp_path / "c.nii", frames)).coordinates == "unknown"


def test_singleton_trailing_axis_is_accepted(tmp_path, frames):
    assert inspect_pullback(save(tmp_path / "p.nii", frames[..., None])).shape == SHAPE


def test_bad_inputs_are_told_in_one_line(tmp_path, frames):
    def fault_of(name, data=None, text=None):
        path = tmp_path / name
        if text is not None:
            path.write_bytes(text)
        elif data is not None:
            save(path, data)
        with pytest.raises(InputError) as caught:
            inspect_pullback(path)
        message = str(caught.value)
        assert message.startswith(str(path)) and "\n" not in message and "; " in message
        return message

    nan = frames.astype(np.float32)
    nan[3, 3, 2] = np.nan
    rgb = np.zeros(SHAPE, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 20), dtype=np.uint8)
    whole = save(tmp_path / "whole.nii.gz", noise).read_bytes()
    plain = save(tmp_path / "whole.nii", frames).read_bytes()
    assert "no such file" in fault_of("missing.nii")
    assert "not a NIfTI" in fault_of("text.nii.gz", text=b"this is a letter\n" * 50)
    assert "not a NIfTI" in fault_of("gzipped_text.nii.gz", text=gzip.compress(b"this is a letter\n" * 50))
    assert "not a NIfTI" in fault_of("empty.nii", text=b"")
    assert "cannot be read" in fault_of("cut.nii.gz", text=whole[: len(whole) // 2])
    assert "ends within frame 4" in fault_of("cut.nii", text=plain[:-1])
    assert "one frame only" in fault_of("one.nii", frames[..., :1])
    assert "one frame only" in fault_of("flat.nii", frames[..., 0])
    assert "NaN or Inf in frame 2" in fault_of("nan.nii", nan)
    assert "colour" in fault_of("rgb.nii", rgb)
    assert "colour" in fault_of("channels.nii", np.stack([frames] * 3, axis=-1))
    assert "4D" in fault_of("cine.nii", np.stack([frames] * 6, axis=-1))
    assert "5D" in fault_of("five.nii", np.zeros((2, 2, 2, 2, 2), np.uint8))
    assert "constant" in fault_of("constant.nii", np.full(SHAPE, 7, np.uint8))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_writer_keeps_everything_but_the_pitch(tmp_path, frames, suffix):
    data = frames.astype(np.int16) - 100
    image = nib.Nifti1Image(data, OBLIQUE)
    image.header.set_slope_inter(2.0, 1.0)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"OCT polar"
    image.set_qform(OBLIQUE, 1)
    image.set_sform(OBLIQUE, 3)
    nib.save(image, tmp_path / "in.nii")
    affine = OBLIQUE.copy()
    affine[:, 2] /= 6
    copy(inspect_pullback(tmp_path / "in.nii"), tmp_path / f"out{suffix}", affine=affine, description="interpolated")
    before, after = nib.load(tmp_path / "in.nii"), nib.load(tmp_path / f"out{suffix}")
    np.testing.assert_array_equal(after.dataobj.get_unscaled(), data)
    np.testing.assert_allclose(after.affine, affine, rtol=1e-6)
    np.testing.assert_allclose(after.get_qform()[:, 2], before.get_qform()[:, 2] / 6, atol=1e-6)
    assert (after.dataobj.slope, after.dataobj.inter) == (2.0, 1.0)
    assert (int(after.header["qform_code"]), int(after.header["sform_code"])) == (1, 3)
    assert after.header.get_xyzt_units() == ("mm", "sec")
    assert after.header["descrip"].item() == b"OCT polar interpolated"
    assert after.header.get_zooms()[2] == pytest.approx(before.header.get_zooms()[2] / 6)


def test_writer_without_form_codes_scales_the_zooms(tmp_path, frames):
    image = nib.Nifti1Image(frames, None)
    image.header.set_zooms((0.5, 0.4, 0.2))
    nib.save(image, tmp_path / "in.nii")
    info = inspect_pullback(tmp_path / "in.nii")
    copy(info, tmp_path / "out.nii", affine=info.affine @ np.diag([1, 1, 0.5, 1]))
    after = nib.load(tmp_path / "out.nii").header
    assert after.get_zooms() == pytest.approx((0.5, 0.4, 0.1)) and after["qform_code"] == after["sform_code"] == 0


def test_float_output_is_unscaled(tmp_path, frames):
    image = nib.Nifti1Image(frames, OBLIQUE)
    image.header.set_slope_inter(2.0, 1.0)
    nib.save(image, tmp_path / "in.nii")
    info = inspect_pullback(tmp_path / "in.nii")
    with PullbackWriter(tmp_path / "std.nii.gz", info, 1, dtype=np.float32) as writer:
        writer.write(frames[..., 0] / np.float32(7))
    std = nib.load(tmp_path / "std.nii.gz")
    assert std.get_data_dtype() == np.float32
    np.testing.assert_array_equal(np.asarray(std.dataobj)[..., 0], frames[..., 0] / np.float32(7))


def test_nothing_is_left_of_an_unfinished_output(tmp_path, frames):
    info = inspect_pullback(save(tmp_path / "in.nii", frames))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(KeyboardInterrupt), PullbackWriter(out / "a.nii.gz", info, 2) as writer:
        writer.write(frames[..., 0])
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="1 of 2 frames"), PullbackWriter(out / "b.nii.gz", info, 2) as writer:
        writer.write(frames[..., 0])
    with pytest.raises(TypeError), PullbackWriter(out / "c.nii.gz", info, 1) as writer:
        writer.write(frames[..., 0] / 255.0)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("name", ["big.nii", "big.nii.gz"])
def test_full_disk_is_an_input_error(tmp_path, name):
    info = new_pullback("memory", (400, 400, 20), np.uint8, (1.0, 0.01, 0.2), "polar")
    noise = np.random.default_rng(0).integers(0, 256, (400, 400), dtype=np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
        with pytest.raises(InputError, match="cannot be written"), PullbackWriter(tmp_path / name, info, 20) as writer:
            for _ in range(20):
                writer.write(noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_compressed_pullback_is_read_as_one_stream(tmp_path):
    """A rewind per frame would read 60 * 61 / 2 frames, not 60."""
    info = new_pullback("memory", (497, 1025, 60), np.uint8, (1.0, 0.00747, 0.2), "polar")
    noise = np.random.default_rng(0).integers(0, 256, (497, 1025), dtype=np.uint8)
    with PullbackWriter(tmp_path / "p.nii.gz", info, 60) as writer:
        for _ in range(60):
            writer.write(noise)
    start = time.perf_counter()
    read = inspect_pullback(tmp_path / "p.nii.gz")
    assert time.perf_counter() - start < 10
    assert read.shape == (497, 1025, 60) and read.coordinates == "polar"
    assert read.header.get_zooms() == pytest.approx((1.0, 0.00747, 0.2))


def test_finding_pullbacks(tmp_path, frames):
    for name in ("b.nii", "a.nii.gz", ".c.nii.gz.part", "notes.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in find_pullbacks(tmp_path)] == ["a.nii.gz", "b.nii"]
    assert find_pullbacks(tmp_path / "b.nii") == [tmp_path / "b.nii"]
    assert [stem(p) for p in ("x/a.b.nii.gz", "b.nii")] == ["a.b", "b"]
    (tmp_path / "empty").mkdir()
    for bad in ("empty", "absent"):
        with pytest.raises(InputError):
            find_pullbacks(tmp_path / bad)


def test_output_folder_is_made_or_refused(tmp_path):
    assert check_output_dir(tmp_path / "new" / "folder").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        check_output_dir(tmp_path / "file" / "folder")
