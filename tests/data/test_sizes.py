# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from custom.data.sizes import check_item_size, plane_size, whole_numbers
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


@pytest.mark.parametrize(
    ("item", "units", "fixed", "line"),
    [
        (
            (3, 1, 36, 36),
            32,
            None,
            "--crop_size: gives 36, 36, and .* of 32, 32; the nearest .*: [32, 32] and [64, 64]",
        ),
        ((3, 1, 5, 64), (8, 8), None, "--crop_size: gives 5, 64, and .*; the nearest that it takes: [8, 64]"),
        ((3, 1, 6, 64, 64), (4, 8, 8), None, "--phases: gives 6, and .* of 4; the nearest that it takes: 4 and 8"),
        ((5, 1, 64, 64), 8, 128, "--crop_size: gives [64, 64]; give [128,128], all that this network takes"),
    ],
)
def test_what_a_network_does_not_take_is_told_with_the_nearest_that_it_takes(item, units, fixed, line):
    with pytest.raises(InputError, match=line.replace("[", r"\[").replace("]", r"\]") + "$"):
        check_item_size(item, units, fixed)


def test_what_a_network_takes_passes():
    check_item_size((3, 1, 4, 64, 64), (4, 8, 8))
    check_item_size((1, 37, 41), 1)
    check_item_size((5, 1, 128, 128), 8, 128)
