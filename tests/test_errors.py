# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Errors reach the user as one line, also through MONAI's wrapping."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
from custom.errors import InputError, report_input_errors
report_input_errors()
try:
    {fault}
except Exception as error:
    raise RuntimeError("Failed to instantiate component") from error
"""


def run(fault: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", SCRIPT.format(fault=fault)], capture_output=True, text=True)


def test_an_input_error_is_one_line_wherever_it_was_wrapped():
    result = run("raise InputError('scan.nii.gz', 'has one frame', 'give at least two')")
    assert result.returncode == 1
    assert result.stderr == "error: scan.nii.gz: has one frame; give at least two\n"


def test_other_errors_keep_their_traceback():
    result = run("1 / 0")
    assert result.returncode == 1
    assert "ZeroDivisionError" in result.stderr and "Traceback" in result.stderr


def test_a_wrong_option_of_a_component_is_one_line():
    result = run("raise ValueError('batch_size should be positive')")
    assert result.returncode == 1 and result.stderr == "error: batch_size should be positive\n"
