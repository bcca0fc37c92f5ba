# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One thread: on a shared machine OpenMP's waiting threads cost more than a second thread brings."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import nibabel as nib  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture
def stack_file(tmp_path):
    """Writes random content on an oblique grid and gives its path."""

    def write(name, shape=(20, 24, 12), spacing=(1.5, 1.5, 2.0), seed=0):
        data = np.random.default_rng(seed).integers(0, 900, shape).astype(np.int16)
        rotation = nib.eulerangles.euler2mat(0.3, 0.5, -0.2)
        affine = nib.affines.from_matvec(rotation * np.array(spacing), (5, -9, 31))
        nib.save(nib.Nifti1Image(data, affine), tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def real_pullback():
    """A published pullback beside the project, which ships no patient data."""
    name = "shared/data/ivoct/pullback_frames_001_130.npz"
    found = next((parent / name for parent in Path(__file__).resolve().parents if (parent / name).is_file()), None)
    return found or pytest.skip(f"needs {name} beside the project")
