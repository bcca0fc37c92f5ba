# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Refusals of stacks that end with an advice: each is provoked on a file, and its advice followed on the same."""

from __future__ import annotations

import gzip
import shutil

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.scans.header_repair import load_mended
from custom.scans.scans import inspect_scan
from custom.scans.stacks import inspect_stack, read_slices

GOOD = np.random.default_rng(0).integers(10, 900, (20, 16, 5)).astype(np.int16)
AFFINE = np.diag([1.4, 1.4, 8.0, 1.0])
HOLE = np.where(np.arange(5) == 2, np.nan, GOOD).astype(np.float32)
HOLE_AT_AN_END = np.where(np.arange(5) == 4, np.nan, GOOD).astype(np.float32)
COMPLEX = (GOOD + 1j).astype(np.complex64)
RGB = np.zeros(GOOD.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
RGB["G"] = GOOD % 200
NAN = np.float32(np.nan).tobytes()
NO_FORMS = (252, bytes(4))


def written(values=GOOD, affine=AFFINE, cut=None, changes=(), **fields):
    """A function that writes the file: with bytes put at places of it, cut to so many bytes."""

    def write(path):
        image = nib.Nifti1Image(values, affine)
        image.header.set_xyzt_units("mm", "msec")
        for name, value in fields.items():
            image.header[name] = value
        raw = bytearray(image.to_bytes())
        for place, content in changes:
            raw[place : place + len(content)] = content
        path.write_bytes(raw[:cut])

    return write


def put(*changes):
    """A function that puts bytes at places of the file."""

    def write(path):
        raw = bytearray(path.read_bytes())
        for place, content in changes:
            raw[place : place + len(content)] = content
        path.write_bytes(raw)

    return write


def with_sform(path):
    """What a user does with nibabel."""
    image = nib.load(path)
    image.set_sform(AFFINE, 1)
    image.set_qform(AFFINE, 1)
    path.write_bytes(image.to_bytes())


MEND = "mend that slice, or remove it where it is the first or the last"
SET_AFFINE = "has no valid affine in its header; set the affine (sform) in the header"
SAVE = "save it as NIfTI (.nii.gz), or convert it with data_scripts/prepare_cmr.py"
PARALLEL = np.array([[1.4, 1.4, 0, 0], [0, 1e-5, 0, 0], [0, 0, 8, 0], [0, 0, 0, 1]])
IMPOSSIBLE = ((252, np.int16([1, 0]).tobytes()), (256, np.float32([0.9, 0.9, 0]).tobytes()))
MOST, MICRON = np.abs(COMPLEX), np.diag([1400, 1400, 8000, 1])
# What is wrong, words of the line, what the user then does, the values that must come out (GOOD).
CASES = {
    "one slice": (written(GOOD[..., :1]), "has one slice only along axis 2; give a stack of at least two slices",
                  written()),
    "flat": (written(GOOD[..., 0]), "has one slice only; give a stack of at least two slices", written()),
    "five axes": (written(np.stack([np.stack([GOOD] * 2, -1)] * 2, -1)), "one file per series", written()),
    "complex": (written(COMPLEX), "save its magnitude", written(MOST), MOST),
    "colour": (written(RGB), "gray is expected; save its magnitude or one channel", written(RGB["G"]), RGB["G"]),
    "hole": (written(HOLE), f"has NaN or Inf, first at voxel [0, 0, 2]; {MEND}", written(np.nan_to_num(HOLE)),
             np.nan_to_num(HOLE)),
    "hole, removed": (written(HOLE_AT_AN_END), f"has NaN or Inf, first at voxel [0, 0, 4]; {MEND}",
                      written(GOOD[..., :4]), GOOD[..., :4]),
    "constant": (written(np.ones_like(GOOD)), "is constant, every value is 1; check the export", written()),
    "cut": (written(cut=2000), "cannot be read to its end (1552 bytes are missing); copy or export the file again",
            written()),
    "no spacing": (written(changes=[(80, bytes(12)), NO_FORMS]), "has voxel sizes [0.0, 0.0, 0.0] in its header; "
                   "set the voxel spacing in the header", with_sform),
    "no sform": (written(changes=[(280, NAN)]), SET_AFFINE, with_sform),
    "parallel": (written(affine=PARALLEL), SET_AFFINE, with_sform),
    "quaternion": (written(changes=IMPOSSIBLE), "has an impossible quaternion and no sform; "
                   "set the orientation in the header", put((256, bytes(12)))),
    "spacing of another unit": (written(affine=MICRON), "has voxels of 1400 x 1400 x 8000 mm, in micron they would be "
                                "plausible; mend the spacing in the header", with_sform),
    "another unit": (written(affine=MICRON), "or in NIfTI its unit (xyzt_units)",
                     put((123, bytes([3])))),
    "no plausible unit": (written(affine=np.diag([1.4, 1.4, 8000, 1])), "has voxels of 1.4 x 1.4 x 8000 mm; mend the "
                          "spacing in the header", with_sform),
    "forgotten voxels": (written(changes=[(46, np.int16(4).tobytes())]), "holds 640 bytes more than its header says "
                         "(shape (20, 16, 4), int16); mend the dimensions in the header",
                         put((46, np.int16(5).tobytes()))),
    "no dimension": (written(changes=[(42, bytes(2))]), "has the dimensions (0, 16, 5) in its header; mend the",
                     put((42, np.int16(20).tobytes()))),
    "negative dimensions": (written(changes=[(42, np.int16([-20, -16]).tobytes())]), "has the dimensions (-20, -16, 5)",
                            put((42, np.int16([20, 16]).tobytes()))),
    "a letter": (lambda path: path.write_bytes(b"letter\n" * 100), "is not a NIfTI image (its header does not "
                 f"say so); {SAVE}", written()),
    "a code of no type": (written(changes=[(70, np.int16(7).tobytes())]), "is not a NIfTI image (data code 7 not "
                          f"recognized); {SAVE}", written()),
    "not there": (lambda path: None, "no such file; check the path", written()),
}  # fmt: skip


def refusal(path, **options):
    with pytest.raises(InputError) as caught:
        inspect_stack(path, **options)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def is_stack(path, values=GOOD, affine=AFFINE, **options):
    info = inspect_stack(path, **options)
    found = np.moveaxis(read_slices(info)[:, 0], 0, info.axis)
    np.testing.assert_array_equal(found, values)
    np.testing.assert_allclose(info.affine, affine, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_the_advice_works(tmp_path, name):
    wrong, words, follow, *values = CASES[name]
    path = tmp_path / "a.nii"
    wrong(path)
    assert words in refusal(path)
    follow(path)
    is_stack(path, *values)


def test_a_path_that_leads_nowhere(tmp_path):
    with pytest.raises(InputError, match="a.nii: no such file; check the path"):
        load_mended(tmp_path / "a.nii")
    written()(tmp_path / "b.nii")
    np.testing.assert_array_equal(np.asarray(load_mended(tmp_path / "b.nii").image.dataobj), GOOD)


def test_the_other_half_of_a_pair(tmp_path):
    nib.save(nib.Nifti1Pair(GOOD, AFFINE), tmp_path / "a.hdr")
    for lost, kept in (("a.img", "a.hdr"), ("a.hdr", "a.img")):
        shutil.move(tmp_path / lost, tmp_path / "away")
        assert f"lacks its other half, {lost}; put both into one folder" in refusal(tmp_path / kept)
        shutil.move(tmp_path / "away", tmp_path / lost)
        is_stack(tmp_path / kept)


def test_a_file_that_ends_within_its_compression(tmp_path):
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(GOOD, AFFINE), path)
    whole = path.read_bytes()
    for part in (whole[:200], whole[: len(whole) // 2], gzip.compress(b"")):
        path.write_bytes(part)
        assert "cannot be read to its end" in refusal(path) or "is not a NIfTI image" in refusal(path)
        assert "copy or export the file again" in refusal(path) or "save it as NIfTI" in refusal(path)
    path.write_bytes(whole)
    is_stack(path)


def test_a_slice_axis_is_named(tmp_path):
    thick = np.diag([9.0, 1.4, 8.0, 1.0])
    written(GOOD[:1], thick)(tmp_path / "a.nii")
    assert "has one slice only along axis 0" in refusal(tmp_path / "a.nii")
    assert "or name its slice axis" in refusal(tmp_path / "a.nii")
    is_stack(tmp_path / "a.nii", GOOD[:1], thick, axis=2)
    for wrong in (3, 2.0, True, "2"):
        line = refusal(tmp_path / "a.nii", axis=wrong)
        assert f"cannot be sliced along axis {wrong}; choose slice axis 0, 1 or 2" in line
    is_stack(tmp_path / "a.nii", GOOD[:1], thick, axis=1)


def test_what_a_header_contradicts_is_said_with_what_to_set(tmp_path, caplog):
    """The sform goes first; its code 0 lets the other one count."""
    moved = AFFINE + np.eye(4, k=3) * 30
    path = tmp_path / "a.nii"
    written(affine=moved, changes=[(252, np.int16([1, 1]).tobytes()), (268, bytes(4))])(path)
    is_stack(path, affine=moved)
    assert (
        "qform and sform lie 30.0 mm apart: the sform is taken; to take the other, set sform_code to 0" in caplog.text
    )
    caplog.clear()
    put((254, bytes(2)))(path)
    inspect_scan(path)
    is_stack(path)
    assert not caplog.text
