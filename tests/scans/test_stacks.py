# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import gzip
import resource
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.geometry import dense_affine, dense_count
from custom.scans.provenance import says_synthetic
from custom.scans.scans import read_scan_slices
from custom.scans.stacks import (
    excess,
    find_stacks,
    from_unit,
    inspect_stack,
    read_slices,
    stack_intensity_range,
    to_unit,
    write_stack,
)

CINE = Path(__file__).parents[2] / "../shared/data/sax_cine/SCD0000301_cine.nii.gz"
SHAPE = (12, 10, 5)


def oblique(spacing):
    """A rotation about a skew axis, times the spacing; no axis lies along a world axis."""
    rotation = nib.eulerangles.euler2mat(0.4, -0.7, 1.1)
    return nib.affines.from_matvec(rotation * np.asarray(spacing), (-31.5, 12.25, 80.0))


AFFINE = oblique((1.4, 1.3, 8.0))


def save(path, data, affine=AFFINE, codes=(1, 1), endianness="<", period=None, slope=None, inter=None, **header_fields):
    image = nib.Nifti1Image(data, affine, nib.Nifti1Header(endianness=endianness), dtype=data.dtype)
    image.header.set_xyzt_units("mm", "msec")
    image.set_qform(affine, codes[0])
    image.set_sform(affine, codes[1])
    if period is not None:
        image.header.set_zooms((*image.header.get_zooms()[:3], period))
    if slope is not None:
        image.header.set_slope_inter(slope, inter)
    for name, value in header_fields.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def values(shape, dtype=np.int16, seed=0):
    return np.random.default_rng(seed).integers(0, 900, shape).astype(dtype)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, ">i2", np.float32])
@pytest.mark.parametrize("phases", [None, 1, 4])
def test_bytes_axes_and_geometry_survive_the_round_trip(tmp_path, axis, dtype, phases):
    spacing, shape = [1.4, 1.3, 1.5], [12, 10, 9]
    spacing[axis], shape[axis] = 8.0, 5
    data = values(shape if phases is None else (*shape, phases), dtype)
    endianness = ">" if data.dtype.byteorder == ">" else "<"
    info = inspect_stack(save(tmp_path / "in.nii.gz", data, oblique(spacing), endianness=endianness))
    assert (info.axis, info.num_slices, info.num_phases) == (axis, 5, phases or 1)
    assert info.spacing_mm == pytest.approx(8.0, rel=1e-6) and info.dtype == np.dtype(dtype)
    slices = read_slices(info)
    assert slices.shape == (5, phases or 1, *info.plane) and slices.dtype == info.dtype
    for k in range(5):
        expected = data.take(k, axis) if phases is None else np.moveaxis(data.take(k, axis), -1, 0)
        np.testing.assert_array_equal(slices[k], expected if phases else expected[None])
    write_stack(tmp_path / "out.nii", info, slices, info.affine)
    out = nib.load(tmp_path / "out.nii")
    assert out.shape == data.shape
    assert np.asarray(out.dataobj.get_unscaled()).tobytes() == np.asarray(data, dtype).tobytes()
    np.testing.assert_array_equal(out.affine, info.affine)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("codes", [(1, 1), (1, 0), (0, 1), (1, 3)])
def test_densified_stack_keeps_its_end_slices_in_place(tmp_path, axis, codes):
    spacing = [1.4, 1.3, 1.5]
    spacing[axis] = 8.0
    info = inspect_stack(save(tmp_path / "in.nii", values((6, 7, 8, 3)), oblique(spacing), codes, slice_end=7))
    count = dense_count(info.num_slices, 4)
    slices = np.repeat(read_slices(info), 4, axis=0)[:count]
    write_stack(tmp_path / "out.nii.gz", info, slices, dense_affine(info.affine, axis, 4), "interpolated x4")
    before, after = nib.load(tmp_path / "in.nii"), nib.load(tmp_path / "out.nii.gz")
    assert after.shape[axis] == count and after.shape[3] == 3 and after.header["slice_end"] == 0
    assert after.header.get_zooms()[axis] == pytest.approx(2.0, rel=1e-5)
    assert (int(after.header["qform_code"]), int(after.header["sform_code"])) == codes
    assert b"interpolated x4" in after.header["descrip"].item()
    last = np.zeros(3)
    last[axis] = 1
    forms = [("affine", before.affine, after.affine)]
    forms += [("qform", before.get_qform(), after.get_qform())] * bool(codes[0])
    forms += [("sform", before.get_sform(), after.get_sform())] * bool(codes[1])
    for name, old, new in forms:
        for corner in ((0, 0, 0), (5, 6, 7)):
            known = np.array(corner, float)
            dense = known * np.where(last, 4, 1)
            where_old, where_new = (nib.affines.apply_affine(a, p) for a, p in ((old, known), (new, dense)))
            np.testing.assert_allclose(where_new, where_old, atol=1e-4, err_msg=name)


def test_header_of_a_cine_is_kept(tmp_path):
    data = values((6, 7, 4, 5))
    path = save(tmp_path / "in.nii.gz", data, period=41.5, slope=0.5, inter=-7, descrip=b"sax", toffset=12)
    info = inspect_stack(path)
    assert (info.slope, info.inter) == (0.5, -7)
    write_stack(tmp_path / "out.nii.gz", info, read_slices(info)[:3], info.affine, "cut")
    out = nib.load(tmp_path / "out.nii.gz")
    assert out.header.get_zooms()[3] == 41.5 and out.header["toffset"] == 12
    assert (out.dataobj.slope, out.dataobj.inter) == (0.5, -7)
    assert out.header.get_xyzt_units() == ("mm", "msec") and out.header["descrip"].item() == b"sax cut"
    np.testing.assert_allclose(out.get_fdata(), data[:, :, :3] * 0.5 - 7)
    spread = read_slices(info).astype(np.float32) / 7
    write_stack(tmp_path / "std.nii.gz", info, spread, info.affine, dtype=np.float32)
    std = nib.load(tmp_path / "std.nii.gz")
    assert std.get_data_dtype() == np.float32 and std.dataobj.slope == 1 and std.header.get_zooms()[3] == 41.5
    np.testing.assert_array_equal(np.asarray(std.dataobj), (data.astype(np.float32) / 7))


def test_axis_is_the_thickest_the_last_of_equals_or_the_one_named(tmp_path):
    dense = save(tmp_path / "dense.nii", values((6, 7, 9)), oblique((1.9, 1.5, 1.0)))
    assert inspect_stack(dense).axis == 0
    info = inspect_stack(dense, axis=2)
    assert info.axis == 2 and info.num_slices == 9 and info.spacing_mm == pytest.approx(1.0)
    assert inspect_stack(save(tmp_path / "cube.nii", values((6, 7, 9)), oblique((1.2, 1.2, 1.2)))).axis == 2
    with pytest.raises(InputError, match="slice axis 0, 1 or 2"):
        inspect_stack(dense, axis=3)
    with pytest.raises(InputError, match="one slice only along axis 1"):
        inspect_stack(save(tmp_path / "thin.nii", values((6, 1, 9))), axis=1)


def test_two_slices_and_trailing_axes_of_one_element_are_enough(tmp_path):
    assert inspect_stack(save(tmp_path / "two.nii", values((6, 7, 2)))).num_slices == 2
    info = inspect_stack(save(tmp_path / "five.nii", values((6, 7, 4, 3, 1))))
    assert info.shape == (6, 7, 4, 3) and read_slices(info).shape == (4, 3, 6, 7)


def test_range_is_of_all_slices_and_phases_together(tmp_path):
    data = np.random.default_rng(0).normal(500, 50, (32, 32, 6, 4)).astype(np.int16)
    data[..., 3, 2] += 400
    info = inspect_stack(save(tmp_path / "in.nii.gz", data))
    assert info.intensity_range == tuple(np.percentile(data, (0.5, 99.5)))
    sparse = np.zeros((64, 64, 6), np.int16)
    sparse[3, 3, 3] = 9
    assert stack_intensity_range(sparse) == (0, 9)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64])
def test_values_come_back_from_unit_range_with_what_it_cut_off(tmp_path, dtype):
    data = values((16, 16, 6, 2), dtype) % 200
    data[0, 0] = 250
    info = inspect_stack(save(tmp_path / "in.nii", data))
    low, high = info.intensity_range
    slices = read_slices(info)
    unit, over = to_unit(info, slices), excess(info, slices)
    assert unit.dtype == over.dtype == np.float32 and unit.min() == 0 and unit.max() == 1
    np.testing.assert_array_equal(over != 0, (slices < low) | (slices > high))
    assert 0 < np.count_nonzero(over) < 0.02 * over.size
    back = from_unit(info, unit + over / (high - low))
    assert back.dtype == info.dtype
    np.testing.assert_allclose(back, slices, rtol=1e-5, atol=1e-4 if back.dtype.kind == "f" else 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64])
def test_integers_round_and_saturate(tmp_path, dtype):
    data = np.tile(np.array([0, 100], dtype), (4, 4, 2))
    info = inspect_stack(save(tmp_path / "in.nii", data))
    assert info.intensity_range == (0, 100)
    limits = np.iinfo(dtype)
    low, high, up, down = from_unit(info, np.array([-1e30, 1e30, 0.126, 0.124]))
    assert (low, up, down) == (limits.min, 13, 12)
    assert limits.max - 2048 <= int(high) <= limits.max


def test_bad_inputs_are_told_in_one_line(tmp_path):
    def fault_of(name, data=None, raw=None, **options):
        path = tmp_path / name
        if raw is not None:
            path.write_bytes(raw)
        elif data is not None:
            save(path, data, **options)
        with pytest.raises(InputError) as caught:
            inspect_stack(path)
        message = str(caught.value)
        assert message.startswith(str(path)) and "\n" not in message and "; " in message
        return message

    data = values(SHAPE)
    nan = data.astype(np.float32)
    nan[3, 4, 2] = np.inf
    whole = save(tmp_path / "whole.nii.gz", values((60, 60, 9))).read_bytes()
    plain = save(tmp_path / "whole.nii", data).read_bytes()
    singular = oblique((1, 1, 8))
    singular[:3, 1] = singular[:3, 0]
    unplaced = bytearray(plain)
    unplaced[280:284] = np.float32(np.nan).tobytes()  # srow_x
    assert "no such file" in fault_of("missing.nii")
    assert "prepare_cmr" in fault_of("IM0001", raw=bytes(128) + b"DICM" + bytes(500))
    assert "not a NIfTI" in fault_of("gzipped.nii.gz", raw=gzip.compress(b"this is a letter\n" * 50))
    assert "not a NIfTI" in fault_of("empty.nii", raw=b"")
    assert "cannot be read" in fault_of("cut.nii.gz", raw=whole[: len(whole) // 2])
    assert "cannot be read" in fault_of("cut.nii", raw=plain[:-1])
    assert "one slice only" in fault_of("one.nii", data[..., :1])
    assert "one slice only" in fault_of("flat.nii", data[..., 0])
    assert "first at voxel [3, 4, 2]" in fault_of("inf.nii", nan)
    assert "colour" in fault_of("rgb.nii", np.zeros(SHAPE, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])))
    assert "complex" in fault_of("complex.nii", data.astype(np.complex64))
    assert "5D" in fault_of("five.nii", values((3, 3, 3, 2, 2)))
    assert "constant" in fault_of("constant.nii", np.full(SHAPE, 7, np.uint8))
    assert "affine" in fault_of("singular.nii", data, affine=singular, codes=(0, 1))
    assert "affine" in fault_of("unplaced.nii", raw=bytes(unplaced))


def test_nothing_is_left_of_an_unfinished_output(tmp_path):
    info = inspect_stack(save(tmp_path / "in.nii", values((6, 7, 4, 3))))
    slices, out = read_slices(info), tmp_path / "out"
    out.mkdir()
    with pytest.raises(TypeError):
        write_stack(out / "a.nii.gz", info, slices / 2.0, info.affine)
    for wrong in (slices[:, :2], slices[0], slices.swapaxes(2, 3)):
        with pytest.raises(ValueError, match="slices must be"):
            write_stack(out / "b.nii.gz", info, wrong, info.affine)
    assert list(out.iterdir()) == []
    with pytest.raises(InputError, match="cannot be written"):
        write_stack(tmp_path / "absent" / "c.nii", info, slices, info.affine)


@pytest.mark.parametrize("name", ["big.nii", "big.nii.gz"])
def test_full_disk_is_an_input_error(tmp_path, name):
    info = inspect_stack(
        save(tmp_path / "in.nii", np.random.default_rng(0).integers(0, 30000, (200, 200, 8), np.int16))
    )
    slices = read_slices(info)
    out = tmp_path / "out"
    out.mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        with pytest.raises(InputError, match="cannot be written"):
            write_stack(out / name, info, slices, info.affine)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(out.iterdir()) == []


def test_finding_stacks(tmp_path):
    for name in ("b.nii", "a.nii.gz", ".c.nii.gz.part", "notes.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in find_stacks(tmp_path)] == ["a.nii.gz", "b.nii"]
    assert find_stacks(tmp_path / "b.nii") == [tmp_path / "b.nii"]
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "1.dcm").touch()
    with pytest.raises(InputError, match="prepare_cmr"):
        find_stacks(tmp_path / "dicom")
    with pytest.raises(InputError, match="no such folder"):
        find_stacks(tmp_path / "absent")


@pytest.mark.skipif(not CINE.is_file(), reason="the real cines of ../shared/data are not here")
def test_a_real_cine_comes_back_bit_for_bit(tmp_path):
    info = inspect_stack(CINE)
    assert (info.axis, info.num_slices, info.num_phases, info.plane) == (2, 10, 20, (256, 256))
    assert info.spacing_mm == pytest.approx(8.0, abs=1e-4)
    slices = read_slices(info)
    write_stack(tmp_path / "out.nii.gz", info, slices, info.affine)
    before, after = nib.load(CINE), nib.load(tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(after.dataobj.get_unscaled(), before.dataobj.get_unscaled())
    np.testing.assert_array_equal(after.affine, before.affine)
    assert after.header.get_zooms() == before.header.get_zooms()


@pytest.mark.parametrize("name", ["plain.nii.gz", "packed.nii"])
def test_slices_of_a_file_that_is_compressed_otherwise_than_its_name_says(tmp_path, name):
    data = np.random.default_rng(0).integers(0, 900, (12, 10, 5)).astype(np.int16)
    nib.save(nib.Nifti1Image(data, np.diag([1.4, 1.4, 8, 1])), tmp_path / "a.nii")
    raw = (tmp_path / "a.nii").read_bytes()
    (tmp_path / name).write_bytes(raw if name.endswith(".gz") else gzip.compress(raw))
    scan = inspect_stack(tmp_path / name)
    np.testing.assert_array_equal(read_scan_slices(scan, 1, 3)[:, 0], np.moveaxis(data, 2, 0)[1:3])


def test_a_header_that_nibabel_refuses_is_no_claim_to_be_synthetic(tmp_path):
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.int16), np.eye(4)), tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[70:72] = np.int16(7).tobytes()  # no data type has this code
    (tmp_path / "a.nii").write_bytes(raw)
    assert not says_synthetic(tmp_path / "a.nii")
    with pytest.raises(InputError, match="a.nii: is not a NIfTI image"):
        inspect_stack(tmp_path / "a.nii")
