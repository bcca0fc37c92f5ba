# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Volumes of all formats, read, or refused in one line whose remedy is followed here."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.importers.cmr.nifti_groups import check_is_image
from custom.importers.cmr.volumes import VolumeOptions, is_volume, read_mask, read_volume, volume_name
from custom.importers.notes import Doubt

AFFINE = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.3, 0.5, -0.2) * [1.4, 1.5, 9.0], (5, -9, 31))


def values(phases=0, dtype=np.int16):
    shape = (20, 16, 5, phases) if phases else (20, 16, 5)
    return np.random.default_rng(0).integers(0, 900, shape).astype(dtype)


def save(path, data, affine=AFFINE, kind=nib.Nifti1Image, **fields):
    image = kind(data, affine)
    if kind is not nib.AnalyzeImage:
        image.header.set_xyzt_units("mm", "msec")
        image.set_qform(affine, 1)
        image.set_sform(affine, 1)
    for name, value in fields.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def as_file(read, phases=0):
    """Slices back in the axis order of the file."""
    data = np.moveaxis(read.slices, (0, 1), (read.info.axis, 3))
    return data if phases else data[..., 0]


def refusal(path, *args, **options):
    with pytest.raises(InputError) as caught:
        read_volume(path, *args, **options)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.img", "a.hdr"])
@pytest.mark.parametrize("phases", [0, 3])
def test_nifti_and_pairs(tmp_path, name, phases):
    kind = nib.Nifti1Image if ".nii" in name else nib.Nifti1Pair
    save(tmp_path / name, values(phases), kind=kind)
    read = read_volume(tmp_path / name)
    np.testing.assert_array_equal(as_file(read, phases), values(phases))
    np.testing.assert_allclose(read.info.affine, AFFINE, atol=1e-5)
    assert (read.info.num_slices, read.info.num_phases) == (5, phases or 1) and not read.notes
    assert volume_name(tmp_path / name) == "a"
    found = [path.name for path in tmp_path.iterdir() if is_volume(path)]
    assert found == ([name] if ".nii" in name else ["a.hdr"])


def test_analyze_is_read_with_a_doubt_about_its_orientation(tmp_path):
    save(tmp_path / "a.img", values(), np.diag([1.4, 1.5, 9, 1]), nib.AnalyzeImage)
    read = read_volume(tmp_path / "a.hdr")
    assert read.info.spacing_mm == pytest.approx(9) and any("left and right" in note for note in read.notes)
    (tmp_path / "a.img").unlink()
    assert "lacks its other half, a.img; put both into one folder" in refusal(tmp_path / "a.hdr")


def test_compression_is_seen_from_the_content(tmp_path):
    plain = save(tmp_path / "a.nii", values()).read_bytes()
    (tmp_path / "plain.nii.gz").write_bytes(plain)
    (tmp_path / "packed.nii").write_bytes(gzip.compress(plain))
    for name in ("plain.nii.gz", "packed.nii"):
        read = read_volume(tmp_path / name)
        np.testing.assert_array_equal(as_file(read), values())
        assert len(read.notes) == 1 and "compressed" in read.notes[0]
    (tmp_path / "cut.nii.gz").write_bytes(gzip.compress(plain)[:-2000])
    assert "cannot be read to its end" in refusal(tmp_path / "cut.nii.gz")
    (tmp_path / "short.nii").write_bytes(plain[:-100])
    assert "100 bytes are missing" in refusal(tmp_path / "short.nii")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_with_more_voxels_than_its_header_says_is_refused(tmp_path, compressed):
    raw = bytearray(save(tmp_path / "a.nii", values()).read_bytes())
    raw[42:44] = np.int16(19).tobytes()  # dim[1] was 20
    path = tmp_path / ("b.nii.gz" if compressed else "b.nii")
    path.write_bytes(gzip.compress(bytes(raw)) if compressed else bytes(raw))
    assert "holds 160 bytes more than its header says" in refusal(path)


def say(path, unit):
    """Change the unit in a header, and nothing else."""
    header = nib.load(path).header
    header.set_xyzt_units(unit)
    mutated(path, 123, header["xyzt_units"].tobytes())


@pytest.mark.parametrize(("unit", "scale"), [("micron", 1e3), ("meter", 1e-3)])
def test_units(tmp_path, unit, scale):
    affine = AFFINE.copy()
    affine[:3] *= scale
    path = save(tmp_path / "a.nii", values(), affine)
    say(path, unit)
    read = read_volume(path)
    np.testing.assert_allclose(read.info.affine, AFFINE, rtol=1e-4)
    assert read.info.header.get_xyzt_units()[0] == "mm" and read.info.header.get_zooms()[2] == pytest.approx(9)
    # Said to be mm: no plausible heart. The remedy works.
    say(path, "mm")
    line = refusal(path)
    assert f"in {unit} they would be plausible" in line and "--unit" in line
    np.testing.assert_allclose(read_volume(path, unit=unit).info.affine, AFFINE, rtol=1e-4)


def test_a_unit_that_is_plainly_wrong_is_a_doubt(tmp_path):
    path = save(tmp_path / "a.nii", values())
    say(path, "micron")
    read = read_volume(path)
    assert read.info.spacing_mm == pytest.approx(9)
    assert any(isinstance(note, Doubt) and "taken as mm" in note for note in read.notes)


def mutated(path, place, content):
    raw = bytearray(path.read_bytes())
    raw[place : place + len(content)] = content
    path.write_bytes(bytes(raw))
    return path


def test_quaternion_and_pixdim(tmp_path):
    quaternion = np.array([0.6, 0.8, 1e-3], np.float32).tobytes()
    # Beside a valid sform a hair too long is mended; the sform is taken, which lies elsewhere.
    read = read_volume(mutated(save(tmp_path / "a.nii", values()), 256, quaternion))
    np.testing.assert_allclose(read.info.affine, AFFINE, atol=1e-5)
    assert any("a hair too long" in note for note in read.notes)
    read.info.header.get_qform(coded=True)
    # Far too long: the sform alone. Without one, an error.
    long = np.array([0.9, 0.9, 0], np.float32).tobytes()
    path = mutated(save(tmp_path / "b.nii", values()), 256, long)
    assert any("impossible" in note for note in read_volume(path).notes)
    assert "impossible quaternion and no sform" in refusal(mutated(path, 254, np.int16(0).tobytes()))
    # Signs of pixdim go; 0 is taken from the sform.
    path = mutated(save(tmp_path / "c.nii", values(2)), 80, np.array([-1.4, -1.5, 9, -40], np.float32).tobytes())
    assert read_volume(path).info.header.get_zooms() == pytest.approx((1.4, 1.5, 9, 40))
    path = mutated(save(tmp_path / "d.nii", values()), 80, np.array([0, 1.5, 9], np.float32).tobytes())
    np.testing.assert_allclose(read_volume(path).info.affine, AFFINE, atol=1e-5)
    bare = mutated(path, 252, np.zeros(2, np.int16).tobytes())
    assert "has voxel sizes [0.0" in refusal(bare)
    # The remedy works.
    image = nib.load(save(tmp_path / "e.nii", values()))
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), np.diag([1.4, 1.5, 9, 1])), bare)
    assert read_volume(bare).info.spacing_mm == 9


def test_forms_that_contradict_each_other_are_a_doubt(tmp_path):
    path = mutated(save(tmp_path / "a.nii", values()), 312 + 12, np.float32(70).tobytes())  # srow_z offset: moved
    assert any(isinstance(n, Doubt) and "mm apart: the sform is taken" in n for n in read_volume(path).notes)
    path = mutated(save(tmp_path / "b.nii", values()), 88, np.float32(12).tobytes())  # pixdim[3]
    assert any(isinstance(n, Doubt) and "by pixdim" in n for n in read_volume(path).notes)
    path = save(tmp_path / "c.nii", values(), np.eye(4))
    assert any(isinstance(n, Doubt) and "identity" in n for n in read_volume(path).notes)


def test_complex_values_colour_and_flat_arrays(tmp_path):
    save(tmp_path / "complex.nii", (values() * (0.6 + 0.8j)).astype(np.complex64))
    read = read_volume(tmp_path / "complex.nii")
    np.testing.assert_allclose(as_file(read), values(), rtol=1e-5)
    assert any(isinstance(note, Doubt) and "magnitude" in note for note in read.notes)
    colour = np.zeros((20, 16, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    colour["R"] = values() // 4
    save(tmp_path / "colour.nii", colour)
    assert "gray is expected; save one channel" in refusal(tmp_path / "colour.nii")
    save(tmp_path / "channel.nii", colour["R"])
    read_volume(tmp_path / "channel.nii")
    save(tmp_path / "flat.nii", values()[..., 0], np.diag([1.4, 1.5, 9, 1]))
    assert "no stack; give a stack of at least two slices" in refusal(tmp_path / "flat.nii")
    save(tmp_path / "one.nii", values()[..., :1])
    assert "name its --slice_axis" in refusal(tmp_path / "one.nii")
    assert read_volume(tmp_path / "one.nii", 0).info.num_slices == 20
    save(tmp_path / "many.nii", np.zeros((4, 4, 4, 2, 2), np.int16))
    assert "split it into one file per series" in refusal(tmp_path / "many.nii")


def test_channels_that_lie_on_the_time_axis_are_a_doubt(tmp_path):
    for phases, dtype, is_doubt in ((3, np.uint8, True), (3, np.int16, False), (5, np.uint8, False)):
        data = np.random.default_rng(0).integers(0, 250, (8, 9, 4, phases)).astype(dtype)
        path = tmp_path / f"{phases}{np.dtype(dtype)}.nii"
        nib.save(nib.Nifti1Image(data, AFFINE), path)
        notes = [note for note in read_volume(path).notes if "channels of a colour image" in note]
        assert bool(notes) == is_doubt and all(isinstance(note, Doubt) for note in notes)


def test_nan_outside_the_field_of_view_is_no_tissue_and_nan_amid_tissue_is_a_fault(tmp_path):
    data = values(dtype=np.float32) + 100
    data[:3], data[-2:] = np.nan, np.nan
    read = read_volume(save(tmp_path / "a.nii", data))
    assert read.outside.sum() == 5 * 16 * 5 and read.info.intensity_range[0] >= 100
    data[10, 8, 2] = np.nan
    assert "NaN or Inf amid its values, first in slice 3, phase 1 at 10, 8" in refusal(save(tmp_path / "b.nii", data))
    data[..., 2] = np.nan
    assert "no value at all in slice 3" in refusal(save(tmp_path / "c.nii", data))


def test_backgrounds_far_below_are_no_tissue(tmp_path):
    data = values() + 100
    data[:4] = -32768
    read = read_volume(save(tmp_path / "a.nii", data.astype(np.int16)))
    assert read.outside.sum() == 4 * 16 * 5 and read.info.intensity_range[0] >= 100


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float64])
def test_label_maps_are_asked_about(tmp_path, dtype):
    labels = (values() % 4).astype(dtype)
    read = read_volume(save(tmp_path / "a.nii", labels))
    with pytest.raises(InputError, match=r"holds the values 0, 1, 2, 3 .* say --label_like image"):
        check_is_image(tmp_path / "a.nii", read.slices)
    check_is_image(tmp_path / "b.nii", read_volume(save(tmp_path / "b.nii", values())).slices)
    read = read_volume(save(tmp_path / "c.nii", values(), intent_code=1002))
    with pytest.raises(InputError, match="label map by its header"):
        check_is_image(tmp_path / "c.nii", read.slices, read.says_label)
    mask, affine = read_mask(tmp_path / "a.nii")
    assert mask.dtype == np.uint8 and np.array_equal(mask, labels) and np.allclose(affine, AFFINE, atol=1e-5)
    with pytest.raises(InputError, match="fractions"):
        read_mask(save(tmp_path / "p.nii", values().astype(np.float32) / 1000))
    with pytest.raises(InputError, match="--label_like"):
        VolumeOptions(label_like="perhaps")


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
def test_nrrd_and_metaimage(tmp_path, suffix):
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is optional")
    image = sitk.GetImageFromArray(values().transpose())
    lps = np.diag([-1, -1, 1, 1]) @ AFFINE
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
    read = read_volume(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(as_file(read), values())
    np.testing.assert_allclose(read.info.affine, AFFINE, atol=1e-4)
    cine = sitk.JoinSeries([sitk.GetImageFromArray(values(3)[..., t].transpose()) for t in range(3)])
    if suffix in (".nrrd", ".mha"):
        sitk.WriteImage(cine, str(tmp_path / f"cine{suffix}"))
        np.testing.assert_array_equal(as_file(read_volume(tmp_path / f"cine{suffix}", 2), 3), values(3))
    whole = (tmp_path / f"a{suffix}").read_bytes()
    (tmp_path / f"cut{suffix}").write_bytes(whole[: len(whole) // 2])
    assert "cannot be read" in refusal(tmp_path / f"cut{suffix}")


def test_without_simpleitk_its_name_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    (tmp_path / "a.nrrd").write_text("NRRD0004\n")
    assert "pip install SimpleITK, or save it as NIfTI" in refusal(Path(tmp_path / "a.nrrd"))


def test_label_maps_with_fractions_are_asked_about(tmp_path):
    for scale, offset in ((1 / 3, 0), (1, 1e-7), (0.5, -1)):
        labels = ((values() % 4) * scale + offset).astype(np.float32)
        with pytest.raises(InputError, match="as a label map does"):
            check_is_image(tmp_path / "a.nii", read_volume(save(tmp_path / "a.nii", labels)).slices)


def test_axes_of_one_element_are_left_out_wherever_they_are(tmp_path):
    save(tmp_path / "a.nii", values(3)[:, :, :, None])
    np.testing.assert_array_equal(as_file(read_volume(tmp_path / "a.nii"), 3), values(3))
    save(tmp_path / "b.nii", values()[..., None, None])
    np.testing.assert_array_equal(as_file(read_volume(tmp_path / "b.nii")), values())
