# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Each bundle, with the weights that ship, makes of a small scan what was recorded of it (`golden/record.py`)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).with_name("golden")
_spec = importlib.util.spec_from_file_location("golden_record", GOLDEN / "record.py")
record = sys.modules["golden_record"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(record)

LEVEL = 1 / 256
MOST_SHARE = 0.02
"""On another processor or PyTorch bits of convolutions differ: by one level, in this share of synthetic voxels.

The share is from `ATEN_CPU_CAPABILITY` and `ONEDNN_MAX_CPU_ISA` at AVX2 and SSE4.1: at most 1.4 % (cardiointerp).
"""


def assert_nearly_as_recorded(made: np.ndarray, expected: np.ndarray, synthetic: np.ndarray) -> None:
    """Acquired slices are exact; synthetic ones differ by one level at most, and few of their voxels at all.

    In a volume of floats (the standard deviation over samples) rounding reaches every voxel, so a voxel counts as
    different from a level on.
    """
    made, rounded = made.astype(float), np.issubdtype(expected.dtype, np.integer)
    expected = expected.astype(float)
    acquired = np.setdiff1d(np.arange(expected.shape[2]), synthetic)
    np.testing.assert_array_equal(made[:, :, acquired], expected[:, :, acquired])
    level = LEVEL * np.ptp(expected)
    off = np.abs(made - expected)[:, :, synthetic]
    assert off.max() <= max(1, level)
    assert (off > (0 if rounded else level)).mean() <= MOST_SHARE


@pytest.mark.parametrize("name", record.CASES)
def test_output_is_as_recorded(name, tmp_path):
    with np.load(GOLDEN / f"{name}.npz") as stored:
        expected = dict(stored)
    same_machine = str(expected.pop("machine")) == record.machine()
    made = record.run(record.CASES[name], tmp_path)
    assert made.keys() == expected.keys()
    for key, values in expected.items():
        assert made[key].dtype == values.dtype and made[key].shape == values.shape, key
        if same_machine or key.endswith(("_affine", "_synthetic")):
            np.testing.assert_array_equal(made[key], values, err_msg=key)
        else:  # a segmentation has no sidecar: all of it is the network's
            synthetic = expected.get(f"{key}_synthetic", np.arange(values.shape[2]))
            assert_nearly_as_recorded(made[key], values, synthetic)


def test_every_bundle_has_a_case():
    bundles = {path.parent.parent.name for path in record.BUNDLES.glob("*/configs/inference.json")}
    assert bundles == {case.bundle for case in record.CASES.values()}
