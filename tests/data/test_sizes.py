# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from custom.data.sizes import check_item_size, distances, number, plane_size, whole_number, whole_numbers
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
    ("check", "value", "bounds", "remedy"),
    [
        (number, -0.1, (), "a number of at least 0"),
        (number, "0.5", (0, 1), "a number from 0 to 1"),
        (number, float("nan"), (), "a number of at least 0"),
        (number, 1, (0, 1, True), "a number between 0 and 1"),
        (number, 0, (0, float("inf"), True), "a number above 0"),
        (whole_number, 2, (3,), "a whole number of at least 3"),
        (whole_number, 2.0, (), "a whole number of at least 1"),
        (whole_number, 7, (1, 6), "a whole number from 1 to 6"),
        (whole_numbers, [1, 2], (2,), "whole numbers of at least 2, for instance [2,3,4]"),
        (whole_numbers, 3, (2, False), "whole numbers of at least 2, for instance [2,3,4]"),
        (distances, [5, 1], (), "the least and then the most in mm, for instance [2,10.5]"),
        (distances, 5, (), "the least and then the most in mm, for instance [2,10.5]"),
        (distances, [0, 5], (), "the least and then the most in mm, for instance [2,10.5]"),
    ],
)
def test_a_number_out_of_its_bounds_is_told_with_them(check, value, bounds, remedy):
    with pytest.raises(InputError) as told:
        check("--it", value, *bounds)
    assert str(told.value) == f"--it: is {value}; give {remedy}"


def test_numbers_within_their_bounds_pass_unchanged():
    assert number("--it", 0) == 0 and number("--it", 1, 0, 1) == 1 and number("--it", 0.5, 0, 1, True) == 0.5
    assert whole_number("--it", 3, 3) == 3 and distances("--it", [2, 2]) == (2, 2)


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
