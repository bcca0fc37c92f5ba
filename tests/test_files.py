# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from custom.errors import InputError
from custom.files import atomic


def test_a_folder_that_is_a_file_is_told_in_one_line(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match=r"out.a.csv: cannot be written"), atomic(tmp_path / "out" / "a.csv"):
        pass
    assert (tmp_path / "out").read_text() == "a file"
