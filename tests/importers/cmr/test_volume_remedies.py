# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Messages about volumes: each is provoked, its advice followed, and the right stack has to come out."""

from __future__ import annotations

import gzip
import shutil

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.scans.stacks import inspect_stack
from tests.importers.cmr.remedies import AFFINE, VALUES, follow_advice, is_volume, made, patched, told, volume

NAN = np.float32(np.nan).tobytes()
CINE = np.random.default_rng(1).integers(1, 250, (20, 16, 5, 3)).astype(np.uint8)
FLOAT = VALUES.astype(np.float32)
SWAPPED = np.diag([1.4, 1.4, 1.4, 1.0])


def file(values=VALUES, affine=AFFINE, name="a.nii", changes=(), **fields):
    """A function that writes the input, with bytes changed."""
    return lambda root: patched(volume(root / "p" / name, values, affine, **fields), *changes)


def holed(where):
    """Values with NaN amid a slice."""
    values = FLOAT.copy()
    values[8:10, 8, where] = np.nan
    return values


def empty(k):
    """Values without any in slice `k`."""
    return np.where(np.arange(5) == k, np.nan, FLOAT)


def without_first(root):
    affine = AFFINE.copy()
    affine[2, 3] = 8
    volume(root / "p/a.nii", FLOAT[..., 1:], affine)


def is_without_first(out):
    affine = AFFINE.copy()
    affine[2, 3] = 8
    is_volume(out, FLOAT[..., 1:], affine)


def cut_short(root):
    path = volume(root / "p/a.nii")
    path.write_bytes(path.read_bytes()[:900])


def pair(kind, lost=None):
    def make(root):
        (root / "p").mkdir(parents=True)
        nib.save(kind(VALUES, AFFINE), root / "p/a.hdr")
        if lost:
            (root / "elsewhere").mkdir()
            (root / "p" / lost).rename(root / "elsewhere" / lost)

    return make


def both_halves(root):
    for path in (root / "elsewhere").iterdir():
        path.rename(root / "p" / path.name)


def saved_as_nifti(root):
    shutil.rmtree(root / "p")
    volume(root / "p/a.nii.gz")


def no_nifti(root):
    (root / "p").mkdir(parents=True)
    (root / "p/a.nii.gz").write_bytes(gzip.compress(b"a letter\n" * 100))


def coloured(root):
    colour = np.zeros(VALUES.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for k, name in enumerate("RGB"):
        colour[name] = CINE[..., k]
    volume(root / "p/a.nii", colour)


def header(**fields):
    """Follow with nibabel: fields of the header set, values and affine as they should be."""
    return file(**fields)


def sform_0(root):
    patched(root / "p/a.nii", (254, bytes(2)))


def dark_corner(root):
    values = np.zeros((60, 60, 5), np.int16)
    values[:20, :20] = np.random.default_rng(0).integers(100, 900, (20, 20, 5))
    volume(root / "p/a.nii", values)


def is_whole_corner(out):
    assert made(out).shape == (60, 60, 5) and np.asarray(made(out).dataobj)[:20, :20].min() >= 100


def volume_of(*args):
    return lambda out: is_volume(out, *args)


def is_same_but_sliced(axis):
    def check(out):
        is_volume(out, VALUES, SWAPPED)
        assert (
            f'"slice_axis": {axis}' in next(path for path in out.glob("*.json") if "list" not in path.name).read_text()
        )

    return check


MICRON, THIN = np.diag([1400, 1400, 8000, 1]), np.diag([9, 1.4, 8, 1.0])
MOVED, PARALLEL = AFFINE + np.eye(4, k=3) * 30, AFFINE + np.eye(4, k=1) * 1.4 - np.diag([0, 1.39999, 0, 0])
MEND = "mend that slice, or remove it where it is the first or the last"
ROOMS = "voxels of 1400 x 1400 x 8000 mm, in micron they would be plausible; mend the spacing in the header"
SET = "a.nii: has no valid affine in its header; set the affine (sform) in the header"
FIRST_CODE = ((252, bytes(4)),)  # neither qform nor sform
ONE_CODE = ((252, np.int16([1, 0]).tobytes()), (256, np.float32([0.9, 0.9, 0]).tobytes()))
# How it is made, options, words of one line, what the user then does, options, what has to come out.
CASES = {
    "one slice": (file(VALUES[..., :1]), {}, ["a.nii: has one slice only along axis 2", "a stack of at least two"],
                  file(), {}, volume_of()),
    "axis of one slice": (file(VALUES[:1], THIN), {}, ["a.nii: has one slice only", "name its --slice_axis"],
                          None, {"slice_axis": 2}, volume_of(VALUES[:1], THIN)),
    "no such axis": (file(), {"slice_axis": True}, ["cannot be sliced along axis True", "--slice_axis 0, 1 or 2"],
                     None, {"slice_axis": 2}, volume_of()),
    "flat": (file(VALUES[..., 0]), {}, ["a.nii: is an array (20, 16), no stack", "a stack of at least two slices"],
             file(), {}, volume_of()),
    "six axes": (file(np.stack([CINE, CINE], -1)), {}, ["a.nii: is a 5D array", "split it into one file per series"],
                 file(CINE.astype(np.int16)), {}, volume_of(CINE)),
    "constant": (file(np.ones_like(VALUES)), {}, ["a.nii: is constant, every value is 1", "check the export"],
                 file(), {}, volume_of()),
    "hole": (file(holed(2)), {}, ["a.nii: has NaN or Inf amid its values, first in slice 3, phase 1 at 8, 8", MEND],
             file(FLOAT), {}, volume_of(FLOAT)),
    "hole at an end": (file(holed(0)), {}, ["a.nii: has NaN or Inf amid its values, first in slice 1", MEND],
                       without_first, {}, is_without_first),
    "empty slice": (file(empty(3)), {}, ["a.nii: has no value at all in slice 4, phase 1", MEND], file(FLOAT), {},
                    volume_of(FLOAT)),
    "empty end": (file(empty(0)), {}, ["a.nii: has no value at all in slice 1, phase 1", MEND], without_first, {},
                  is_without_first),
    "cut short": (cut_short, {}, ["a.nii: cannot be read to its end", "copy or export the file again"], file(), {},
                  volume_of()),
    "forgotten voxels": (file(changes=[(42, np.int16(19).tobytes())]), {}, ["a.nii: holds 160 bytes more",
                         "mend the dimensions in the header"], file(), {}, volume_of()),
    "dimensions": (file(changes=[(42, np.int16([-20, -16]).tobytes())]), {}, ["a.nii: has the dimensions (-20, -16, 5)",
                   "mend the dimensions in the header"], lambda root: patched(root / "p/a.nii",
                   (42, np.int16([20, 16]).tobytes())), {}, volume_of()),
    "no spacing": (file(changes=[(80, bytes(12)), *FIRST_CODE]), {}, ["a.nii: has voxel sizes [0.0, 0.0, 0.0]",
                   "set the voxel spacing in the header"], lambda root: patched(root / "p/a.nii",
                   (80, np.float32([1.4, 1.4, 8]).tobytes())), {},
                   lambda out: np.testing.assert_allclose(made(out).header.get_zooms(), (1.4, 1.4, 8))),
    "no sform": (file(changes=[(280, NAN)]), {}, [SET], file(), {}, volume_of()),
    "parallel axes": (file(affine=PARALLEL), {}, [SET], file(), {}, volume_of()),
    "quaternion": (file(changes=ONE_CODE), {}, ["a.nii: has an impossible quaternion and no sform",
                   "set the orientation in the header"], file(), {}, volume_of()),
    "unit, option": (file(affine=MICRON), {}, ["a.nii: has " + ROOMS, "or say --unit"], None, {"unit": "micron"},
                     volume_of()),
    "unit, spacing": (file(affine=MICRON), {}, ["a.nii: has " + ROOMS], file(), {}, volume_of()),
    "unit, header": (file(affine=MICRON), {}, ["a.nii: has ", "or in NIfTI its unit (xyzt_units)"],
                     file(affine=MICRON, xyzt_units=3), {}, volume_of()),
    "other half": (pair(nib.Nifti1Pair, "a.img"), {}, ["a.hdr: lacks its other half, a.img", "put both into"],
                   both_halves, {}, volume_of()),
    "other half, header": (pair(nib.Nifti1Pair, "a.hdr"), {}, ["a.img: lacks its other half, a.hdr", "put both"],
                           both_halves, {}, volume_of()),
    "Analyze": (pair(nib.AnalyzeImage), {}, ["a.hdr: an Analyze header states no orientation", "save it as NIfTI"],
                saved_as_nifti, {}, volume_of()),
    "no NIfTI": (no_nifti, {}, ["a.nii.gz: is not a NIfTI image", "export it again as NIfTI"], saved_as_nifti, {},
                 volume_of()),
    "colour": (coloured, {}, ["a.nii: holds values of [('R', 'u1')", "gray is expected; save one channel as a volume"],
               file(CINE[..., 1]), {}, volume_of(CINE[..., 1])),
    "channels": (file(CINE), {}, ["a.nii: 3 phases of 8 bits may be the channels of a colour image",
                 "if so, save one channel as a volume"], file(CINE[..., 1]), {}, volume_of(CINE[..., 1])),
    "complex": (file((FLOAT * 1j).astype(np.complex64)), {}, ["a.nii: values are complex: their magnitude is taken",
                "if another part is meant, save it"], file(FLOAT + 7), {}, volume_of(FLOAT + 7)),
    "no geometry": (file(affine=np.eye(4)), {"slice_axis": 2}, ["a.nii: its header states no geometry",
                    "if they are not, set the affine (sform) in the header"], file(), {}, volume_of()),
    "which axis": (file(affine=SWAPPED), {}, ["voxels are 1.4 x 1.4 x 1.4 mm: slices are taken to lie on axis 2",
                   "(--slice_axis)"], None, {"slice_axis": 0}, is_same_but_sliced(0)),
    "two forms": (lambda root: patched(file(affine=MOVED)(root), (268, bytes(4)), (252, b"\1\0\1\0")), {},
                  ["qform and sform lie 30.0 mm apart: the sform is taken", "to take the other, set sform_code to 0"],
                  sform_0, {}, volume_of()),
    "two spacings": (file(changes=[(88, np.float32(9).tobytes())]), {}, ["voxels are 1.4 x 1.4 x 9 mm by pixdim and",
                     "to take the other, set sform_code to 0"], sform_0, {},
                     lambda out: np.testing.assert_allclose(made(out).header.get_zooms(), (1.4, 1.4, 9))),
    "dark corner, size": (dark_corner, {"size": 10}, ["a.nii: is constant in the crop", "or a larger --size"], None,
                          {"size": 60}, is_whole_corner),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_advice_works(tmp_path, caplog, name):
    follow_advice(tmp_path, caplog, CASES[name])


def test_a_margin_of_nan_that_inference_refuses_is_filled_as_the_refusal_says(tmp_path, caplog):
    values = np.random.default_rng(0).uniform(10, 900, (40, 36, 6)).astype(np.float32)
    values[:6] = values[:, -5:] = np.nan
    path = volume(tmp_path / "p/a.nii.gz", values)
    with pytest.raises(InputError, match=r"a.nii.gz: has NaN or Inf, .*prepare_cmr.py fills \(--size 0 --spacing 0\)"):
        inspect_stack(path)
    assert not told(caplog, tmp_path / "p", tmp_path / "out", size=0, spacing=0)
    (path,) = (tmp_path / "out").glob("*.nii.gz")
    assert inspect_stack(path).shape == values.shape
    found = np.asarray(nib.load(path).dataobj)
    np.testing.assert_array_equal(found[6:, :-5], values[6:, :-5])
    assert found[:6].max() == found[:, -5:].max() == np.nanmin(values)
