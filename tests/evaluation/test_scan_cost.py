# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The cost of a scan is that of the command, without its start, and its memory is its own."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pytest

from custom.errors import InputError
from custom.evaluation.scan_cost import cost, run_and_weigh

HOLD = "import numpy, time; held = numpy.ones({mib} * 2**17); time.sleep(0.3)"


def test_memory_is_the_peak_of_the_command_and_not_of_whoever_asks():
    held = np.ones(300 * 2**17)  # 300 MiB, touched
    small, large = (run_and_weigh([sys.executable, "-c", HOLD.format(mib=mib)]) for mib in (1, 200))
    assert small.seconds > 0.3 and small.peak_mib < 200 and 190 < large.peak_mib - small.peak_mib < 220
    assert held[-1] == 1


def test_processor_time_is_that_of_the_command():
    busy = "import time\nwhile time.process_time() < 1: pass"
    assert 0.9 < run_and_weigh([sys.executable, "-c", busy]).busy < 2  # the system counts in ticks
    assert run_and_weigh([sys.executable, "-c", "import time; time.sleep(1)"]).busy < 0.5


def test_a_command_that_fails_is_told_with_its_last_line():
    with pytest.raises(InputError, match="no luck"):
        run_and_weigh([sys.executable, "-c", "raise SystemExit('no luck')"])


@pytest.mark.parametrize("scans", ["6x128", "1x64x64", "axbxc", "6x0x64"])
def test_sizes_are_checked(scans):
    with pytest.raises(InputError, match="is no size"):
        cost("calid", scans)
    with pytest.raises(InputError, match="has no option 'stepz'"):
        cost("calid", "3x64x64", stepz=3)


def test_a_row_has_the_images_that_were_made(tmp_path):
    (row,) = cost("unet_regression", "3x48x40x2", str(tmp_path), factor=4)
    assert row["scan"] == "3x48x40x2" and row["synthetic images"] == 2 * 3 * 2
    assert row["start (CPU s)"] > 0.5 and row["peak (MiB)"] > row["start (MiB)"] * 0.9 > 100
    with open(tmp_path / "cost.csv", newline="") as file:
        (line,) = csv.DictReader(file)
    assert float(line["CPU seconds per image"]) == pytest.approx(row["CPU seconds"] / 12)
    assert "| 3x48x40x2 | 12 |" in (tmp_path / "cost.md").read_text()
