# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What stacks and pullbacks have in common on their way from disk to disk."""

from __future__ import annotations

import json
import logging

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.transforms import ScaleIntensityRanged

from custom.errors import InputError
from custom.inferers import scans
from custom.inferers.folder import ScanFolder
from custom.inferers.gaps import GapInferer
from custom.inferers.scans import doubts, interpolate_scan
from custom.inferers.settings import settings_of
from custom.interpolators.classical import LinearFrames
from custom.scans.scans import inspect_scan


class Noisy(LinearFrames):
    """Noise by seed around the linear slice, clipped: what parts of a scan might get wrong."""

    def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False, callback=None):
        linear = super().interpolate(neighbours, positions)
        noise = [torch.rand(linear.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return (linear + 0.2 * torch.stack(noise)).clamp(0, 1)


def write(path, shape=(6, 5, 9), spacing=(1.0, 1.0, 5.0), descrip=b"", dtype=np.uint8, alike=False):
    values = np.random.default_rng(0).integers(0, 250, shape).astype(dtype)
    values[:] = values[..., :1] if alike else values
    image = nib.Nifti1Image(values, np.diag([*spacing[:3], 1.0]))
    image.header["descrip"] = descrip
    nib.save(image, path)
    return values


@pytest.mark.parametrize("num_samples", [1, 2])
@pytest.mark.parametrize("kind", ["stack", "pullback"])
def test_a_scan_in_parts_gives_what_the_whole_gives(tmp_path, monkeypatch, kind, num_samples):
    write(tmp_path / "scan.nii.gz", descrip=b"OCT polar" if kind == "pullback" else b"")
    inferer, outputs = GapInferer(factor=3, num_samples=num_samples, batch_size=2), {}
    for name, voxels in (("whole", 2**26), ("parts", 6 * 5 * 3 * 3)):
        monkeypatch.setattr(scans, "PART_VOXELS", voxels)
        interpolate_scan(tmp_path / "scan.nii.gz", tmp_path / name, Noisy(), inferer, kind)
        outputs[name] = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
    assert len(outputs["whole"]) == 2 * num_samples and outputs["whole"] == outputs["parts"]
    assert len(list(scans._parts(scans.LoadScand(kind=kind).inspect(str(tmp_path / "scan.nii.gz")), 3, 0))) == 3


def test_the_header_alone_tells_synthetic_slices(tmp_path):
    write(tmp_path / "scan.nii.gz")
    output = interpolate_scan(tmp_path / "scan.nii.gz", tmp_path / "out", LinearFrames(), GapInferer(factor=2))
    output.with_name("scan_interp.json").unlink()
    with pytest.raises(InputError, match="holds synthetic slices; give the acquired scan"):
        interpolate_scan(output, tmp_path / "again", LinearFrames(), GapInferer(factor=2))


def test_another_factor_does_not_overwrite_the_first(tmp_path):
    write(tmp_path / "scan.nii.gz")

    def run(**options):
        return interpolate_scan(tmp_path / "scan.nii.gz", tmp_path / "out", LinearFrames(), GapInferer(**options)).name

    assert run(factor=2) == "scan_interp.nii.gz"
    assert run(factor=4) == "scan_x4_interp.nii.gz"
    assert run(factor=2) == "scan_interp.nii.gz" and run(target_spacing=1.25) == "scan_x4_interp.nii.gz"
    told = json.loads((tmp_path / "out" / "scan_x4_interp.json").read_text())
    assert told["factor"] == 4 and told["options"]["target_spacing"] == 1.25
    assert nib.load(tmp_path / "out" / "scan_interp.nii.gz").shape[2] == 17


def test_what_may_not_be_meant_is_told(tmp_path, caplog):
    write(tmp_path / "fine.nii", spacing=(1.2, 1.2, 5.0), alike=True)
    write(tmp_path / "unknown.nii", spacing=(1.0, 1.0, 1.0), alike=True)
    with caplog.at_level(logging.WARNING):
        interpolate_scan(tmp_path / "fine.nii", tmp_path, LinearFrames(), GapInferer(factor=4))
        assert not caplog.records
        interpolate_scan(tmp_path / "fine.nii", tmp_path, LinearFrames(), GapInferer(factor=10))
        assert "factor 10 puts slices 0.5 mm apart, closer than pixels of 1.2 mm" in caplog.text
        interpolate_scan(tmp_path / "unknown.nii", tmp_path, LinearFrames(), GapInferer(factor=2))
        assert "its affine is the identity" in caplog.text
        write(tmp_path / "colours.nii", (6, 5, 4, 3), (1.0, 1.0, 5.0, 1.0))
        interpolate_scan(tmp_path / "colours.nii", tmp_path, LinearFrames(), GapInferer(factor=2))
        assert "its 3 phases of 8 bits may be the channels of a colour image" in caplog.text


def test_channels_of_a_colour_image_are_a_doubt(tmp_path, caplog):
    for name, phases, dtype in (("rgb", 3, np.uint8), ("cine", 3, np.int16), ("long", 5, np.uint8)):
        data = np.random.default_rng(0).integers(0, 255, (8, 9, 4, phases)).astype(dtype)
        nib.save(nib.Nifti1Image(data, np.diag([1.2, 1.2, 8, 1])), tmp_path / f"{name}.nii")
        told = doubts(inspect_scan(tmp_path / f"{name}.nii"), 2)
        assert any("colour image; save one channel" in line for line in told) == (name == "rgb")


def test_frames_on_another_axis_are_not_interpolated_in_plane(tmp_path):
    write(tmp_path / "scan.nii", (4, 6, 5), (8.0, 1.3, 1.3))
    run = (tmp_path / "scan.nii", tmp_path / "out", LinearFrames(), GapInferer(factor=2), "pullback")
    with pytest.raises(InputError, match="largest spacing, 8 mm, on axis 0 .*--slice_axis 2"):
        interpolate_scan(*run)
    assert nib.load(interpolate_scan(*run, axis=2)).shape == (4, 6, 9)


def test_a_length_of_1_stands_for_none_as_across_a_lines(tmp_path):
    for k, spacing in enumerate([(1.0, 0.05, 0.2), (1.0, 1.0, 0.2)]):
        write(tmp_path / f"scan{k}.nii", (4, 6, 5), spacing)
        run = (tmp_path / f"scan{k}.nii", tmp_path / "out", LinearFrames(), GapInferer(factor=2), "pullback")
        assert nib.load(interpolate_scan(*run)).shape == (4, 6, 9)


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path):
    write(tmp_path / "scan.nii.gz")
    (tmp_path / "out").mkdir()
    write(tmp_path / "out" / "scan_interp.nii.gz")
    before = (tmp_path / "out" / "scan_interp.nii.gz").read_bytes()
    with pytest.raises(InputError, match="is there already and was not made by interpolation; move it away"):
        interpolate_scan(tmp_path / "scan.nii.gz", tmp_path / "out", LinearFrames(), GapInferer(factor=2))
    assert (tmp_path / "out" / "scan_interp.nii.gz").read_bytes() == before


def test_numbers_that_a_transform_keeps_inside_count():
    def settings(high):
        return settings_of(LinearFrames(), GapInferer(), [ScaleIntensityRanged("image", 0, high, 0, 1)])

    assert settings(100) == settings(100) != settings(200)


def test_outputs_do_not_come_to_lie_among_the_scans(tmp_path):
    write(tmp_path / "scan.nii.gz")
    before, after = scans.scan_transforms(tmp_path)
    evaluator = scans.ScanInterpolator("cpu", ScanFolder(tmp_path), LinearFrames(), before, GapInferer(), after)
    with pytest.raises(SystemExit, match="is the folder of the scans; choose another --output_dir"):
        evaluator.run()
    assert [path.name for path in tmp_path.iterdir()] == ["scan.nii.gz"]
