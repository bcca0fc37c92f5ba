# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest


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
