# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Small exports with something wrong, the user's command on them, and what has to come out once its advice is taken."""

from __future__ import annotations

import logging

import nibabel as nib
import numpy as np

from custom.errors import InputError
from data_scripts.prepare_cmr import prepare
from tests.importers.cmr.dicoms import mr_dataset, write

AFFINE = np.diag([1.4, 1.4, 8.0, 1.0])
VALUES = np.random.default_rng(0).integers(1, 900, (20, 16, 5)).astype(np.int16)


def image(path, k, t=0, offset=(0.0, 0.0), tilt=0.0, plus=0, **tags):
    """A DICOM image of slice `k` and phase `t`, axial, displaced by `offset` mm, tilted by `tilt` degrees."""
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    fields = {
        "SeriesDescription": "sax", "PixelSpacing": [1.5, 1.5], "ImageOrientationPatient": [1, 0, 0, 0, c, s],
        "ImagePositionPatient": [*offset, 8.0 * k], "TriggerTime": 40 * t, "InstanceNumber": 10 * k + t + 1,
    }  # fmt: skip
    write(path, mr_dataset(pixels(k, t).T + plus, **{**fields, **tags}))


def pixels(k, t=0):
    """What an image holds, `(columns, rows)`."""
    return (1000 + np.arange(120).reshape(12, 10) + 150 * k + 20 * t).T


def stack(folder, slices=range(6), phases=1, **tags):
    for k in slices:
        for t in range(phases):
            image(folder / (f"im{k}" if phases == 1 else f"im{k}_{t}"), k, t, **tags)


def volume(path, values=VALUES, affine=AFFINE, **fields):
    """A NIfTI file; `fields` of the header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = nib.Nifti1Image(values, affine)
    made.header.set_xyzt_units("mm", "msec")
    for name, value in fields.items():
        made.header[name] = value
    nib.save(made, path)
    return path


def patched(path, *changes):
    """Put bytes at places of a file: `(place, bytes)`."""
    raw = bytearray(path.read_bytes())
    for place, content in changes:
        raw[place : place + len(content)] = content
    path.write_bytes(bytes(raw))
    return path


def told(caplog, root, out, **options):
    """The command on a folder: its errors and warnings, each one line."""
    caplog.clear()
    caplog.set_level(logging.WARNING)
    try:
        prepare(str(root), str(out), **{"spacing": 0, "size": 0, **options})
    except InputError as error:
        return [str(error)]
    except SystemExit:
        pass
    lines = [record.getMessage() for record in caplog.records]
    assert all("\n" not in line for line in lines)
    return lines


def said(lines, *words):
    """Whether one line has all of these words."""
    return any(all(word in line for word in words) for line in lines)


def made(out):
    """The only volume that came out."""
    (path,) = out.glob("*.nii.gz")
    return nib.load(path)


def is_stack(out, slices=range(6), phases=1, at=None, plus=0):
    """Whether the only output holds these slices and phases of :func:`image`, where they belong."""
    found = made(out)
    values = np.stack([np.stack([pixels(k, t) for t in range(phases)], -1) for k in slices], 2) + plus
    np.testing.assert_array_equal(np.asarray(found.dataobj).reshape(values.shape), values)
    affine = np.diag([-1.5, -1.5, 8.0, 1.0])
    affine[2, 3] = 8.0 * slices[0] if at is None else at
    np.testing.assert_allclose(found.affine, affine, atol=1e-4)


def is_volume(out, values=VALUES, affine=AFFINE):
    """Whether the only output has these values and lies there."""
    found = made(out)
    np.testing.assert_array_equal(np.asarray(found.dataobj), values)
    np.testing.assert_allclose(found.affine, affine, rtol=1e-5, atol=1e-5)


def label(out):
    """The only mask that came out."""
    (path,) = (out / "labels").glob("*.nii.gz")
    return np.asarray(nib.load(path).dataobj)


def follow_advice(tmp_path, caplog, case, mended="mended"):
    """Run a case: the command on a faulty export says the words; with the advice followed it has nothing to say.

    Args:
        tmp_path: of the test.
        caplog: likewise.
        case: what makes the export, options that go with it, words of the line, what mends the export (None: options
            do), further options then, and what checks the result.
        mended: folder of the results once the export is mended; another than before, so that nothing is left over.
    """
    make, before, words, follow, after, check = case
    make(tmp_path / "in")
    lines = told(caplog, tmp_path / "in", tmp_path / "out", **before)
    assert said(lines, *words), lines
    out = tmp_path / (mended if follow else "out")
    if follow:
        follow(tmp_path / "in")
    lines = told(caplog, tmp_path / "in", out, **before | after)
    assert not lines, lines
    check(out)
