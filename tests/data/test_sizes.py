# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from custom.data.sizes import plane_size, whole_numbers
from custom.errors import InputError


def test_a_single_number_stands_for_a_list_of_one():
    assert whole_numbers("--strides", 2) == (2,) and whole_numbers("--strides", [1, 3]) == (1, 3)
    assert plane_size("--crop_size", 64) == (64, 64) and plane_size("--crop_size", [64, 32]) == (64, 32)
    assert plane_size("--crop_size", None) is None


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "a", [], [1, 0], [True], {"a": 1}])
def test_what_is_no_whole_number_is_told_with_its_option(wrong):
    for check in (whole_numbers, plane_size):
        with pytest.raises(InputError, match="--it: is .*; give "):
            check("--it", wrong)
    with pytest.raises(InputError, match="height and the width"):
        plane_size("--it", [1, 2, 3])
