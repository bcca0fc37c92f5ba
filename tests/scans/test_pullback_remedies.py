# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Refusals of pullbacks that end with an advice: each is provoked on a file, and its advice followed on the same."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.scans.pullbacks import inspect_pullback
from custom.scans.scans import inspect_scan, percentile_range, read_scan_slices

GOOD = np.random.default_rng(0).integers(10, 250, (20, 16, 5)).astype(np.uint8)
AFFINE = np.diag([1.0, 0.01, 0.2, 1.0])
FLOAT = GOOD.astype(np.float32)
RGB = np.zeros(GOOD.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
RGB["G"] = GOOD
CHANNELS = np.stack([GOOD, GOOD // 2, GOOD // 3], -1)
COMPLEX = (FLOAT * 1j).astype(np.complex64)
TURNED, TURNED_AFFINE = np.moveaxis(GOOD, 2, 0), np.diag([0.2, 0.01, 0.01, 1.0])


def written(values=GOOD, affine=AFFINE, changes=(), cut=None, kind=nib.Nifti1Image):
    """A function that writes the file: with bytes put at places of it, cut to so many bytes."""

    def write(path):
        raw = bytearray(kind(values, affine).to_bytes())
        for place, content in changes:
            raw[place : place + len(content)] = content
        path.write_bytes(raw[:cut])

    return write


def holed(k):
    return np.where(np.arange(5) == k, np.nan, FLOAT)


def sliced_to(stop):
    return written(FLOAT[..., :stop])


def mended_sform(path):
    image = nib.load(path)
    image.set_sform(AFFINE, 1)
    path.write_bytes(image.to_bytes())


MEND = "mend that frame, or remove it where it is the first or the last"
ONE_FILE = "(H, W, frames) is expected; save each pullback as a file of its own"
EXPORT = "export the pullback as .nii or .nii.gz"
SFORM_NAN = ((280, np.float32(np.nan).tobytes()), (254, b"\1\0"))
NEGATIVE = ((42, np.int16([-20, -16]).tobytes()),)
# What is wrong, words of the line, what the user then does, values that must come out (GOOD).
CASES = {
    "one frame": (written(GOOD[..., :1]), "has one frame only; give at least two frames, on the last axis", written()),
    "flat": (written(GOOD[..., 0]), "has one frame only; give at least two frames, on the last axis", written()),
    "colour": (written(RGB), "gray is expected; save its magnitude or one channel", written(RGB["G"])),
    "channels": (written(CHANNELS), "gray is expected; save its magnitude or one channel", written(CHANNELS[..., 0])),
    "complex": (written(COMPLEX), "gray is expected; save its magnitude", written(np.abs(COMPLEX)), FLOAT),
    "two pullbacks": (written(CHANNELS[..., :2]), f"is a 4D array (20, 16, 5, 2), {ONE_FILE}",
                      written(CHANNELS[..., 1]), GOOD // 2),
    "hole": (written(holed(2)), f"has NaN or Inf in frame 2; {MEND}", written(FLOAT), FLOAT),
    "hole at an end": (written(holed(4)), f"has NaN or Inf in frame 4; {MEND}", sliced_to(4), FLOAT[..., :4]),
    "constant": (written(np.ones_like(GOOD)), "is constant, every value is 1; check the export", written()),
    "cut": (written(cut=1000), "cannot be read to its end (the file ends within frame 2); copy or export the file",
            written()),
    "forgotten A-lines": (written(changes=[(42, np.int16(19).tobytes())]), "holds more bytes than its header says "
                          "(shape (19, 16, 5), uint8); mend the dimensions in the header", written()),
    "no dimension": (written(changes=[(42, bytes(2))]), "has the dimensions (0, 16, 5) in its header; mend",
                     written()),
    "negative": (written(changes=NEGATIVE), "has the dimensions (-20, -16, 5) in its header; mend", written()),
    "no affine": (written(changes=SFORM_NAN), "has no valid affine in its header; set the affine (sform) in the header",
                  mended_sform),
    "a letter": (lambda path: path.write_bytes(b"letter\n" * 100), EXPORT, written()),
    "a packed letter": (lambda path: path.write_bytes(gzip.compress(b"letter" * 99)), EXPORT, written()),
    "not there": (lambda path: None, "no such file; check the path", written()),
}  # fmt: skip


def refusal(path, **options):
    with pytest.raises(InputError) as caught:
        inspect_scan(path, "pullback", **options) if options else inspect_pullback(path)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def is_pullback(path, values=GOOD, affine=AFFINE, **options):
    info = inspect_scan(path, "pullback", **options)
    np.testing.assert_array_equal(np.moveaxis(read_scan_slices(info)[:, 0], 0, 2), values)
    np.testing.assert_allclose(info.affine, affine, rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_the_advice_works(tmp_path, name):
    wrong, words, follow, *values = CASES[name]
    path = tmp_path / "a.nii"
    wrong(path)
    assert words in refusal(path)
    follow(path)
    is_pullback(path, *values)


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.MGHImage])
def test_other_formats_are_exported_as_nifti(tmp_path, kind):
    path = tmp_path / ("a.mgz" if kind is nib.MGHImage else "a.hdr")
    nib.save(kind(FLOAT, AFFINE), path)
    assert f"is {kind.__name__}, not a NIfTI file; {EXPORT}" in refusal(path)
    nib.save(nib.Nifti1Image(np.asarray(nib.load(path).dataobj), AFFINE), tmp_path / "a.nii.gz")
    is_pullback(tmp_path / "a.nii.gz", FLOAT)


def test_frames_on_another_axis_are_moved_or_named(tmp_path):
    path = tmp_path / "a.nii"
    written(TURNED, TURNED_AFFINE)(path)
    fault = "has its largest spacing, 0.2 mm, on axis 0 and 0.01 mm between frames; move the frames to the last axis"
    with pytest.raises(InputError) as caught:
        inspect_scan(path, "pullback")
    assert fault in str(caught.value) and str(caught.value).endswith("or say --slice_axis 2 if they are there")
    is_pullback(path, TURNED, TURNED_AFFINE, axis=2)
    with pytest.raises(
        InputError, match="cannot be sliced along axis 0; move the frames of a pullback to the last axis"
    ):
        inspect_scan(path, "pullback", axis=0)
    written()(path)
    is_pullback(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_pullback_that_is_torn_while_it_is_read_is_copied_again(tmp_path, name):
    path = tmp_path / name
    nib.save(nib.Nifti1Image(GOOD, AFFINE), path)
    info = inspect_scan(path, "pullback")
    whole = path.read_bytes()
    path.write_bytes(whole[:-400] if name == "a.nii" else whole[:400] + b"\xff" * (len(whole) - 400))
    for read in (read_scan_slices, lambda info: percentile_range(info, (1, 99))):
        with pytest.raises(InputError, match=f"{name}: .*; .* export the file again"):
            read(info)
    path.write_bytes(whole)
    np.testing.assert_array_equal(np.moveaxis(read_scan_slices(info)[:, 0], 0, 2), GOOD)
    assert percentile_range(info, (1, 99))[1] > 200
