# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Before a long run: nothing is written by a dry run, and a preview is a small piece and its picture."""

from __future__ import annotations

import json
import logging
import time

import nibabel as nib
import numpy as np
import pytest

from custom.inferers.folder import ScanFolder
from custom.inferers.gaps import GapInferer
from custom.inferers.scans import ScanInterpolator, scan_transforms
from custom.interpolators.classical import LinearFrames

AFFINE = np.diag([1.4, 1.4, 8.0, 1.0])


class Cines(LinearFrames):
    takes_phases = True


def evaluator(tmp_path, shape, network=None, kind="stack", **options):
    values = np.random.default_rng(0).integers(0, 250, shape).astype(np.int16)
    nib.save(nib.Nifti1Image(values, AFFINE), tmp_path / "scan.nii.gz")
    before, after = scan_transforms(tmp_path / "out", kind)
    dataset = ScanFolder(tmp_path / "scan.nii.gz", kind)
    return ScanInterpolator(
        "cpu", dataset, network or LinearFrames(), before, GapInferer(factor=4), after, **options
    ), values


@pytest.mark.parametrize("dry_run", [True, "true"])
def test_a_dry_run_tells_what_would_be_and_writes_nothing(tmp_path, caplog, dry_run):
    with caplog.at_level(logging.INFO):
        evaluator(tmp_path, (20, 24, 6, 3), dry_run=dry_run)[0].run()
    assert {path.name for path in tmp_path.iterdir()} == {"scan.nii.gz"}
    (line,) = [record.getMessage() for record in caplog.records if "would become" in record.getMessage()]
    assert "6 slices 8 mm apart in 3 phases would become 21, 2 mm apart (factor 4), in about 0:00:01 and" in line


def test_the_estimate_grows_with_the_work(tmp_path):
    seconds = []
    for index, shape in enumerate(((20, 24, 3), (20, 24, 9, 5))):
        (folder := tmp_path / str(index)).mkdir()
        scans, _ = evaluator(folder, shape, Slow(), dry_run=True)
        scan = scans.loader.inspect(str(folder / "scan.nii.gz"))
        seconds.append(scans._estimate(scan, 4).seconds)
    assert seconds[0] == pytest.approx(2 * 0.05, rel=0.5) and seconds[1] == pytest.approx(8 * 5 * 0.05, rel=0.5)


class Slow(LinearFrames):
    def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False):
        time.sleep(0.05)
        return super().interpolate(neighbours, positions, seeds, wrap_rows)


@pytest.mark.parametrize(
    ("shape", "network", "kind", "expected"),
    [
        ((8, 9, 6, 3), LinearFrames, "stack", (8, 9, 21)),  # one phase
        ((8, 9, 6, 3), Cines, "stack", (8, 9, 13, 3)),  # three gaps
        ((8, 9, 20), LinearFrames, "pullback", (8, 9, 13)),
    ],
)
def test_a_preview_is_a_small_piece_and_its_picture(tmp_path, shape, network, kind, expected):
    drawn = []
    scans, values = evaluator(
        tmp_path, shape, network(), kind, preview=lambda volume, picture: drawn.append((volume, picture))
    )
    scans.run()
    output = tmp_path / "out" / "scan_preview_interp.nii.gz"
    assert drawn == [(str(output), str(tmp_path / "out" / "scan_preview_interp.png"))]
    dense = nib.load(output)
    assert dense.shape == expected and dense.get_data_dtype() == np.int16
    first = round(np.linalg.inv(AFFINE).dot(dense.affine)[2, 3])
    piece = values[:, :, first : first + 4] if expected[2] == 13 else values[..., 0]
    np.testing.assert_array_equal(np.asarray(dense.dataobj)[:, :, ::4], piece)
    assert json.loads(output.with_name("scan_preview_interp.json").read_text())["input"] == "scan_preview.nii.gz"
    assert not (tmp_path / "out" / "scan_interp.nii.gz").exists()
