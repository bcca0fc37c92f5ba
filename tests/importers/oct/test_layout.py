# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from custom.errors import InputError
from custom.importers.notes import Doubt
from custom.importers.oct.conversion import ConversionOptions, convert
from custom.importers.oct.layout import find_layout
from custom.importers.oct.source import SourcePullback
from custom.scans.coordinates import polar_to_cartesian


def polar(alines=120, depths=64, count=6, seed=0):
    """Speckle `(A, D, F)` whose A-lines go round, as bright as tissue everywhere but in the lumen."""
    rng = np.random.default_rng(seed)
    speckle = gaussian_filter(rng.random((alines, depths, count)), (3, 1, 0), mode=("wrap", "nearest", "nearest"))
    speckle = (speckle - speckle.min()) / np.ptp(speckle)
    return (20 + 180 * speckle).astype(np.uint8)


def disc(size=128, **options):
    return polar_to_cartesian(polar(**options), size)


def screen(shape, top, left, frames, **parts):
    """Frames on a black screen with bright rectangles, each (rows, columns)."""
    seen = np.zeros((*shape, frames.shape[2]), np.uint8)
    for rows, columns in parts.values():
        seen[rows, columns] = np.linspace(60, 200, seen[rows, columns].shape[1])[None, :, None]
    seen[top : top + frames.shape[0], left : left + frames.shape[1]] = frames
    return seen


def test_discs_and_a_lines_are_told_apart_without_a_doubt():
    for frames, name in ((disc(), "cartesian"), (polar(), "polar"), (polar(64, 64), "polar")):
        layout = find_layout(frames)
        assert (layout.name, layout.window) == (name, None) and not isinstance(layout.note, Doubt)


@pytest.mark.parametrize(
    ("shape", "top", "left"), [((160, 128), 0, 0), ((160, 128), 32, 0), ((128, 180), 0, 0), ((128, 180), 0, 52)]
)
def test_a_disc_beside_a_strip_is_cut_out(shape, top, left):
    strip = {
        "strip": (slice(130, 158) if shape[0] > 128 and not top else slice(0, 30), slice(None))
        if shape[0] > 128
        else (slice(None), slice(130, 178) if not left else slice(0, 48))
    }
    layout = find_layout(screen(shape, top, left, disc(), **strip))
    assert layout.name == "cartesian" and layout.window == (top, top + 128, left, left + 128)
    assert isinstance(layout.note, Doubt) and "--crop" in layout.note


@pytest.mark.parametrize("shape", [(200, 200), (300, 400)])
def test_a_disc_anywhere_on_a_screen_is_found(shape):
    strip = {"strip": (slice(shape[0] - 40, shape[0] - 5), slice(10, -10)), "panel": (slice(0, 90), slice(-45, -5))}
    layout = find_layout(screen(shape, 12, 17, disc(), **strip))
    assert layout.name == "cartesian" and isinstance(layout.note, Doubt)
    assert np.abs(np.subtract(layout.window, (12, 140, 17, 145))).max() <= 2


def test_frames_that_are_neither_are_a_doubt():
    sector = np.zeros((120, 160, 5), np.uint8)
    y, x = np.mgrid[:120, :160]
    noise = np.random.default_rng(0).integers(40, 200, (120, 160, 5))
    inside = (np.hypot(y, x - 80) < 115) & (np.abs(x - 80) < 0.7 * y)
    sector[inside] = noise[inside]
    layout = find_layout(sector)
    assert isinstance(layout.note, Doubt) and "--layout" in layout.note


def test_a_lines_in_columns_are_a_doubt():
    layout = find_layout(np.ascontiguousarray(polar().swapaxes(0, 1)))
    assert layout.name == "polar" and isinstance(layout.note, Doubt) and "--transpose" in layout.note


def test_the_header_and_the_user_go_first():
    assert find_layout(polar(), "polar").note == "polar frames, as the header says"
    assert find_layout(disc(), asked="polar").name == "polar"
    strip = screen((160, 128), 0, 0, disc(), strip=(slice(130, 158), slice(None)))
    assert find_layout(strip, "polar", asked="cartesian").window == (0, 128, 0, 128)


def test_a_crop_is_taken_and_checked(tmp_path):
    frames = screen((160, 150), 20, 10, disc())
    source = SourcePullback(frames.transpose(2, 0, 1), 0.05, 0.2)
    options = ConversionOptions(to="keep", crop="20:148,10:138", fill_overlay=False)
    found = convert(tmp_path, source, options)
    np.testing.assert_array_equal(found.frames, disc())
    assert found.window == (20, 148, 10, 138) and found.coordinates == "cartesian"
    with pytest.raises(InputError, match="choose a window inside the frame"):
        convert(tmp_path, source, ConversionOptions(crop="20:170,10:138"))


@pytest.mark.parametrize("crop", ["5", "5:2,0:4", "a:b,c:d", "0:4"])
def test_a_crop_of_another_form_is_refused(crop):
    with pytest.raises(InputError, match="give top:bottom,left:right"):
        ConversionOptions(crop=crop)


def test_a_pixel_that_makes_no_vessel_is_a_doubt(tmp_path):
    source = SourcePullback(disc().transpose(2, 0, 1), 50.0, 0.2)
    notes = convert(tmp_path, source, ConversionOptions(to="keep")).notes
    assert any(isinstance(note, Doubt) and "3.2e+03 mm radius" in note and "--depth" in note for note in notes)
