# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Messages about NRRD and MetaImage: each is provoked, and its advice followed. SimpleITK is optional."""

from __future__ import annotations

import sys

import nibabel as nib
import numpy as np
import pytest

from tests.importers.cmr.remedies import AFFINE, VALUES, is_volume, made, said, told, volume

#: SimpleITK's patients look the other way than NIfTI's.
LPS = np.diag([-1, -1, 1, 1]) @ AFFINE


def nrrd(path, values=VALUES, spacing=(1.4, 1.4, 8.0), directions=None, name="a.raw"):
    """A header as text, and the values as bytes: behind it, or in a file of their own (.nhdr)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    vectors = np.diag([-1.0, -1.0, 1.0]) * spacing if directions is None else np.array(directions)
    fields = {
        "type": {"i2": "short", "u1": "uchar", "f4": "float"}[values.dtype.str[1:]],
        "dimension": values.ndim,
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, values.shape)),
        "space directions": " ".join(["none"] * (values.ndim - 3) + [f"({','.join(map(str, v))})" for v in vectors]),
        "kinds": " ".join(["vector"] * (values.ndim - 3) + ["domain"] * 3),
        "endian": "little",
        "encoding": "raw",
        "space origin": "(0,0,0)",
    }
    text = "NRRD0004\n" + "".join(f"{key}: {value}\n" for key, value in fields.items())
    if path.suffix == ".nrrd":
        path.write_bytes(f"{text}\n".encode() + values.tobytes(order="F"))
    else:
        path.write_text(f"{text}data file: {name}\n")
        (path.parent / name).write_bytes(values.tobytes(order="F"))
    return path


def meta(path, values=VALUES, spacing="1.4 1.4 8", matrix="-1 0 0 0 -1 0 0 0 1", file="a.raw"):
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = " ".join(map(str, values.shape))
    path.write_text(
        f"ObjectType = Image\nNDims = {values.ndim}\nDimSize = {sizes}\nElementSpacing = {spacing}\n"
        f"TransformMatrix = {matrix}\nElementType = MET_SHORT\nElementDataFile = {file}\n"
    )
    if "%" in file:
        for k in range(values.shape[-1]):
            (path.parent / (file.split()[0] % (k + 1))).write_bytes(values[..., k].tobytes(order="F"))
    elif file.startswith("LIST"):
        names = [f"slice {k}.raw" for k in range(values.shape[-1])]
        path.write_text(path.read_text() + "\n".join(names) + "\n")
        for k, name in enumerate(names):
            (path.parent / name).write_bytes(values[..., k].tobytes(order="F"))
    elif file == "LOCAL":
        path.write_bytes(path.read_bytes() + values.tobytes(order="F"))
    else:
        (path.parent / file).write_bytes(values.tobytes(order="F"))


def wrong(**fields):
    return lambda root: nrrd(root / "p/a.nrrd", **fields)


def as_nifti(values=VALUES, affine=AFFINE):
    def follow(root):
        (root / "p/a.nrrd").unlink()
        volume(root / "p/a.nii.gz", values, affine)

    return follow


def cut_short(root):
    path = nrrd(root / "p/a.nrrd")
    path.write_bytes(path.read_bytes()[:900])


def fewer(kind):
    """A header that speaks of a slice less than there are."""

    def make(root):
        path = root / f"p/a.{kind}"
        meta(path, file="LOCAL" if kind == "mha" else "a.raw") if kind[0] == "m" else nrrd(path)
        path.write_bytes(path.read_bytes().replace(b"20 16 5", b"20 16 4"))

    return make


SEVERAL = np.stack([VALUES, VALUES[::-1], VALUES[:, ::-1]])  # the axis of the components comes first
RED = (SEVERAL % 251).astype(np.uint8)
NO_AFFINE = ["a.nrrd: has no valid affine in its header", "set the voxel spacing and the directions in the header"]
PARALLEL = ((-1.4, 0, 0), (-1.4, -1e-5, 0), (0, 0, 8))
# How it is made, words of one line, what the user then does, options, what has to come out.
CASES = {
    "no spacing": (wrong(spacing=(1.4, 1.4, 0)), NO_AFFINE, wrong(), {}, is_volume),
    "one direction": (wrong(directions=((1.4, 0, 0), (1.4, 0, 0), (0, 0, 8))), NO_AFFINE, wrong(), {}, is_volume),
    "parallel": (wrong(directions=PARALLEL), ["a.nrrd: has no valid affine in its header"], wrong(), {}, is_volume),
    "metres": (wrong(spacing=(0.0014, 0.0014, 0.008)), ["a.nrrd: has voxels of 0.0014 x 0.0014 x 0.008 mm",
               "in meter they would be plausible", "or say --unit"], None, {"unit": "meter"}, is_volume),
    "micrometres": (wrong(spacing=(1400, 1400, 8000)), ["a.nrrd: has voxels of 1400 x 1400 x 8000 mm",
                    "mend the spacing in the header"], wrong(), {}, is_volume),
    "colour": (wrong(values=RED), ["a.nrrd: has 3 values in each voxel, gray is expected", "save one channel"],
               wrong(values=RED[0].astype(np.int16)), {}, lambda out: is_volume(out, RED[0])),
    "components": (wrong(values=SEVERAL), ["a.nrrd: 3 values in each voxel are taken as phases of a cine",
                   "if they are none, save one of them as a volume"], wrong(values=SEVERAL[1].copy()), {},
                   lambda out: is_volume(out, SEVERAL[1])),
    "forgotten voxels": (fewer("nrrd"), ["a.nrrd: holds 640 bytes more than its header says (shape (20, 16, 4))",
                         "mend the dimensions in the header"], wrong(), {}, is_volume),
    "forgotten voxels, apart": (fewer("nhdr"), ["a.nhdr: holds 640 bytes more than its header says"],
                                lambda root: nrrd(root / "p/a.nhdr"), {}, is_volume),
    "forgotten voxels, MHA": (fewer("mha"), ["a.mha: holds 640 bytes more than its header says", "or export the file"],
                              lambda root: meta(root / "p/a.mha", file="LOCAL"), {}, is_volume),
    "forgotten voxels, MHD": (fewer("mhd"), ["a.mhd: holds 640 bytes more than its header says"],
                              lambda root: meta(root / "p/a.mhd"), {}, is_volume),
    "cut short": (cut_short, ["a.nrrd: cannot be read", "copy or export the file again"], wrong(), {}, is_volume),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_advice_works(tmp_path, caplog, name):
    pytest.importorskip("SimpleITK", reason="SimpleITK is optional")
    make, words, follow, after, check = CASES[name]
    make(tmp_path / "in")
    lines = told(caplog, tmp_path / "in", tmp_path / "out")
    assert said(lines, *words), lines
    if follow:
        follow(tmp_path / "in")
    assert not told(caplog, tmp_path / "in", tmp_path / "mended", **after)
    check(tmp_path / "mended")


def test_several_values_of_a_voxel_are_phases_unless_one_of_them_is_saved(tmp_path, caplog):
    pytest.importorskip("SimpleITK", reason="SimpleITK is optional")
    nrrd(tmp_path / "in/p/a.nrrd", SEVERAL)
    told(caplog, tmp_path / "in", tmp_path / "out")
    np.testing.assert_array_equal(np.asarray(made(tmp_path / "out").dataobj), np.moveaxis(SEVERAL, 0, 3))


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", [np.int16, np.float64, np.uint8])
def test_what_simpleitk_writes_is_as_long_as_its_header_says(tmp_path, caplog, suffix, compressed, kind):
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is optional")
    (tmp_path / "in/p").mkdir(parents=True)
    values = (VALUES % 251).astype(kind)
    image = sitk.GetImageFromArray(values.transpose())
    image.SetSpacing([1.4, 1.4, 8])
    image.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])
    sitk.WriteImage(image, str(tmp_path / f"in/p/a{suffix}"), compressed)
    assert not told(caplog, tmp_path / "in", tmp_path / "out")
    is_volume(tmp_path / "out", values)


def test_a_flat_image_is_told(tmp_path, caplog):
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is optional")
    (tmp_path / "in/p").mkdir(parents=True)
    sitk.WriteImage(sitk.GetImageFromArray(VALUES[..., 0]), str(tmp_path / "in/p/a.nrrd"))
    lines = told(caplog, tmp_path / "in", tmp_path / "out")
    assert said(lines, "a.nrrd: is an array (16, 20), no stack", "give a stack of at least two slices")
    nrrd(tmp_path / "in/p/a.nrrd")
    assert not told(caplog, tmp_path / "in", tmp_path / "out")
    is_volume(tmp_path / "out")


def test_without_simpleitk_the_volume_is_saved_as_nifti_or_the_package_installed(tmp_path, caplog):
    pytest.importorskip("SimpleITK", reason="SimpleITK is optional")
    nrrd(tmp_path / "in/p/a.nrrd")
    with pytest.MonkeyPatch.context() as without:
        without.setitem(sys.modules, "SimpleITK", None)
        lines = told(caplog, tmp_path / "in", tmp_path / "out")
    assert said(
        lines, "a.nrrd: is NRRD, which takes the package SimpleITK", "pip install SimpleITK, or save it as NIfTI"
    )
    assert not told(caplog, tmp_path / "in", tmp_path / "out")  # it is installed
    is_volume(tmp_path / "out")
    as_nifti()(tmp_path / "in")
    assert not told(caplog, tmp_path / "in", tmp_path / "nifti")
    is_volume(tmp_path / "nifti")


@pytest.mark.parametrize("kind", ["a.raw", "part%03d.raw 1 5 1", "LIST", ".nhdr", ".hdr", ".HDR"])
def test_other_values_beside_the_same_header_are_other_content(tmp_path, caplog, kind):
    """A header that lies apart from its values: what is done already is told by both."""
    if "hdr" not in kind.lower() or kind == ".nhdr":
        pytest.importorskip("SimpleITK", reason="SimpleITK is optional")
    root = tmp_path / "in/p"
    root.mkdir(parents=True)
    for values in (VALUES, VALUES[::-1].copy()):
        if kind == ".nhdr":
            nrrd(root / "a.nhdr", values)
        elif kind.lower() == ".hdr":
            nib.save(nib.Nifti1Pair(values, AFFINE), root / "a.hdr")
            for half in ("hdr", "img") if kind == ".HDR" else ():
                (root / f"a.{half}").replace(root / f"A.{half.upper()}")
        else:
            meta(root / "a.mhd", values, file=kind)
        assert not told(caplog, tmp_path / "in", tmp_path / "out")
        is_volume(tmp_path / "out", values)
