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
