# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

CHURN = """
import resource, sys
import torch
from custom.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.zeros(2**24)
before = faults()
for _ in range(40):
    torch.zeros(2**24)  # 64 MiB, 16384 pages
print(faults() - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library has no mallopt")
def test_blocks_of_tensors_are_used_again_instead_of_cleared_by_the_system_each_time():
    made = [subprocess.run([sys.executable, "-c", CHURN, mode], capture_output=True, text=True, check=True).stdout
            for mode in ("keep", "give back")]  # fmt: skip
    kept, given_back = map(int, made)
    assert kept < given_back / 2
