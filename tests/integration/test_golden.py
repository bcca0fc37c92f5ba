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

MOST_LEVELS, MOST_SHARE = 1 / 256, 0.01
"""On another processor or PyTorch bits of convolutions differ: so far, of the range, may so many voxels be off."""


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
        else:
            off = np.abs(made[key].astype(float) - values.astype(float))
            assert off.max() <= max(1, MOST_LEVELS * np.ptp(values.astype(float))) and (off > 0).mean() <= MOST_SHARE


def test_every_bundle_has_a_case():
    bundles = {path.parent.parent.name for path in record.BUNDLES.glob("*/configs/inference.json")}
    assert bundles == {case.bundle for case in record.CASES.values()}
