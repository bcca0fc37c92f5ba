# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What a sidecar and the log say of how far to trust a scan."""

from __future__ import annotations

import json
import logging

import nibabel as nib
import numpy as np
import pytest
import torch

from custom.inferers import scans
from custom.inferers.confidence import LEAST_LIKENESS, Confidence
from custom.inferers.dense import Dense
from custom.inferers.gaps import GapInferer
from custom.inferers.likeness import Likeness
from custom.inferers.scans import interpolate_scan
from custom.interpolators.classical import LinearFrames
from custom.phantoms.oct import OctPhantomConfig, simulate_pullback


class Honest(LinearFrames):
    """Linear, and further off the further from the known frames."""

    def predict(self, neighbours, positions, seeds=None, wrap_rows=False):
        frames = self.interpolate(neighbours, positions, seeds, wrap_rows)
        errors = 0.1 * torch.minimum(positions, 1 - positions)
        return frames, errors.view(1, -1, *(1,) * (frames.ndim - 2)).expand(frames.shape)


def run(folder, volume, affine, network, kind, factor=4, descrip=b""):
    """The sidecar of a scan that was interpolated."""
    image = nib.Nifti1Image(volume, affine)
    image.header["descrip"] = descrip
    nib.save(image, folder / "scan.nii.gz")
    output = interpolate_scan(folder / "scan.nii.gz", folder / "out", network, GapInferer(factor=factor), kind)
    return json.loads(output.with_name("scan_interp.json").read_text())


def test_expected_errors_stand_in_the_sidecar_whether_the_scan_is_cut_or_not(tmp_path, monkeypatch):
    volume, told = np.random.default_rng(0).integers(0, 250, (6, 5, 9)).astype(np.uint8), []
    for name, voxels in (("whole", 2**26), ("parts", 6 * 5 * 4 * 3)):
        monkeypatch.setattr(scans, "PART_VOXELS", voxels)
        (tmp_path / name).mkdir()
        told.append(run(tmp_path / name, volume, np.diag([1.0, 1.0, 5.0, 1.0]), Honest(), "pullback"))
    assert told[0] == told[1]
    assert told[0]["expected_error"] == pytest.approx([0, 0.025, 0.05, 0.025] * 8 + [0])
    # Laplace: the root mean square is root 2 times the mean absolute error
    assert told[0]["expected_psnr_db"][1] == pytest.approx(-20 * np.log10(0.025 * np.sqrt(2)), abs=0.01)
    assert told[0]["expected_psnr_db"][4] is None and len(told[0]["gap_likeness"]) == 8


def test_a_method_that_does_not_say_leaves_its_error_out(tmp_path):
    volume = np.linspace(0, 1, 90, dtype=np.float32).reshape(6, 5, 3)
    told = run(tmp_path, volume, np.diag([1.0, 1.0, 5.0, 1.0]), LinearFrames(), "pullback")
    assert "expected_error" not in told and len(told["gap_likeness"]) == 2


def test_a_vessel_that_jumps_is_flagged_and_ordinary_gaps_are_not(tmp_path, caplog):
    sampling = OctPhantomConfig(num_frames=4, num_alines=96, num_depths=96)
    vessels = [simulate_pullback(sampling, seed).polar for seed in (0, 5)]
    with caplog.at_level(logging.WARNING):
        told = run(tmp_path, np.concatenate(vessels, axis=2), np.diag([1, 0.01, 0.2, 1]), LinearFrames(), "pullback",
                   descrip=b"OCT polar")  # fmt: skip
    assert told["doubtful_gaps"] == [3]
    (line,) = [record.getMessage() for record in caplog.records if "gaps" in record.getMessage()]
    assert "1 of 7 gaps" in line and "frames 12 to 16 (alike 0." in line


def test_a_breath_hold_that_is_displaced_is_flagged_and_ordinary_ones_are_not(tmp_path):
    blocks = np.random.default_rng(0).integers(0, 1000, (32, 32, 1)).astype(np.int16)
    volume, affine = np.repeat(blocks.repeat(6, 0).repeat(6, 1), 6, 2), np.diag([1.4, 1.4, 8.0, 1.0])
    volume[..., 2:] = np.roll(volume[..., 2:], 4, 1)  # 5.6 mm: hearts lean
    assert run(tmp_path, volume, affine, LinearFrames(), "stack", 2)["doubtful_gaps"] == []
    volume[..., 4:] = np.roll(volume[..., 4:], 10, 0)
    told = run(tmp_path, volume, affine, LinearFrames(), "stack", 2)
    assert told["doubtful_gaps"] == [3] and told["gap_shift_mm"] == pytest.approx([0, 5.6, 0, 14, 0], abs=0.01)


def test_one_line_lists_the_gaps_and_says_why():
    confidence = Confidence("stack", (1.0, 2.0), 8.0, 3)
    least, most = LEAST_LIKENESS["stack"], confidence.most_shift_mm
    gaps = [(0.95, 0), (least - 0.1, 0), (0.95, most / 2 + 1)]  # 2 mm a column
    likenesses = [Likeness(torch.tensor([a, a, 0.0]), torch.tensor([[0, s], [0, s], [0, 0]])) for a, s in gaps]
    confidence.add(Dense(torch.zeros(1), None, None, likenesses))
    assert confidence.doubtful == [1, 2]  # of phases the median
    assert confidence.warning.startswith("2 of 3 gaps") and "\n" not in confidence.warning
    assert "slices 3 to 6 (alike" in confidence.warning and "6 to 9 (displaced" in confidence.warning
