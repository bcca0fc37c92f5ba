# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Refusals of stacks that end with an advice: each is provoked on a file, and its advice followed on the same."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.scans.stacks import inspect_stack

GOOD = np.random.default_rng(0).integers(10, 900, (20, 16, 5)).astype(np.int16)
HOLE = np.where(np.arange(5) == 2, np.nan, GOOD).astype(np.float32)
COMPLEX = (GOOD + 1j).astype(np.complex64)


def written(values, zooms=(1.4, 1.4, 8.0), cut=None):
    """A function that writes the file: with such zooms in its header, cut to so many bytes."""

    def write(path):
        image = nib.Nifti1Image(values, np.diag([1.4, 1.4, 8, 1]))
        image.header["pixdim"][1:4] = zooms
        if 0 in zooms:
            image.header["sform_code"] = image.header["qform_code"] = 0
            content = bytearray(image.to_bytes())
            content[80:92] = np.array(zooms, "<f4").tobytes()
            content[252:256] = bytes(4)  # neither qform nor sform
            path.write_bytes(content)
        else:
            path.write_bytes(image.to_bytes()[:cut])

    return write


CASES = {
    "one slice": (written(GOOD[..., :1]), "give a stack of at least two slices", written(GOOD)),
    "five axes": (written(np.stack([np.stack([GOOD] * 2, -1)] * 2, -1)), "one file per series", written(GOOD)),
    "complex": (written(COMPLEX), "save its magnitude", written(np.abs(COMPLEX))),
    "hole": (written(HOLE), "mend or remove that slice", written(np.nan_to_num(HOLE))),
    "hole, removed": (written(HOLE), "mend or remove that slice", written(HOLE[..., [0, 1, 3, 4]])),
    "constant": (written(np.ones_like(GOOD)), "check the export", written(GOOD)),
    "cut": (written(GOOD, cut=2000), "copy or export the file again", written(GOOD)),
    "no spacing": (written(GOOD, zooms=(0.0, 1.4, 8.0)), "set the voxel spacing in the header", written(GOOD)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_advice_works(tmp_path, name):
    wrong, words, follow = CASES[name]
    path = tmp_path / "a.nii"
    wrong(path)
    with pytest.raises(InputError, match=words) as caught:
        inspect_stack(path)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))
    follow(path)
    assert inspect_stack(path).shape[:2] == GOOD.shape[:2]
