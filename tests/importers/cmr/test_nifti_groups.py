# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest

from custom.importers.cmr.nifti_groups import is_mask, mask_key


@pytest.mark.parametrize("name", [
    "mask_p1", "p1_gt", "p1_roi", "roi_p1", "p1-label", "p1.seg", "p1 mask", "p1_contours", "p1_LVmask",
    "p1_annotation", "p1_manual", "labels/p1",
    "labelsTr/p1", "masks_manual/p1", "SegmentationClass/p1", "annotations/p1", "ROIs/p1",
])  # fmt: skip
def test_names_of_label_maps(name):
    assert is_mask(Path(f"in/{name}.nii.gz"))
    if "/" not in name:
        assert mask_key(Path(f"{name}.nii.gz")) == "p1"


@pytest.mark.parametrize(
    "name", ["p1", "gtx_p1", "p1_sa", "patient_lab", "roisin", "images/p1", "legacy/p1", "master/p1"]
)
def test_names_of_images(name):
    assert not is_mask(Path(f"in/{name}.nii.gz"))
